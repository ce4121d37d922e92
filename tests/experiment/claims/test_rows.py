"""Rows are known by what they ask: under any name, in any order, in other words around them, and as a part of a larger set."""

from __future__ import annotations

import pytest

from ckgit.experiment.claims.rows import asked_digest, same_rows, shortened, sketch_of, without_prompt

TEXTS = [f"Word{number} of {number * 7919 % 1009}?" for number in range(3000)]
ROWS, OTHERS = TEXTS[:1000], TEXTS[1000:2000]


def test_a_sketch_is_the_smallest_digests_and_says_nothing_where_all_rows_ask_the_same() -> None:
    digests = sketch_of(ROWS).split(" ")
    assert len(digests) == 256
    assert digests == sorted(digests)
    assert {len(each) for each in digests} == {8}
    assert sketch_of(ROWS[:3]).count(" ") == 2
    assert sketch_of([]) == sketch_of(["a b"] * 9) == sketch_of([""]) == ""
    assert not same_rows("", "")


@pytest.mark.parametrize(
    "changed",
    [
        lambda rows: list(reversed(rows)),
        lambda rows: [row.upper().replace(" ", "\n ") for row in rows],
        lambda rows: [f"Who is it?\n{row}\nAnswer:" for row in rows],  # a task's own words
        lambda rows: rows * 3,  # asked several times
    ],
)
def test_what_changes_no_question_changes_no_sketch(changed: object) -> None:
    assert sketch_of(changed(ROWS)) == sketch_of(ROWS)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("rows", "same"),
    [
        (ROWS, True),
        (ROWS[300:700], True),  # a part
        (ROWS[:60], True),
        ([*ROWS[:700], *OTHERS[:300]], True),
        ([*ROWS[:200], *OTHERS[:800]], False),
        (OTHERS, False),
        (OTHERS[:60], False),
        (TEXTS, True),  # and a larger one that holds it
    ],
)
def test_two_sets_are_the_same_where_half_of_the_smaller_one_is_in_the_other(rows: list[str], same: bool) -> None:
    assert same_rows(sketch_of(ROWS), sketch_of(rows)) is same
    assert same_rows(sketch_of(rows), sketch_of(ROWS)) is same


def test_few_rows_are_held_whole() -> None:
    few = ["apple", "berry", "cherry", "date"]
    assert same_rows(sketch_of(few), sketch_of(["apple", "berry"]))
    assert same_rows(sketch_of(few), sketch_of(["apple", "berry", "x", "y"]))
    assert not same_rows(sketch_of(few), sketch_of(["apple", "x", "y", "z"]))


@pytest.mark.parametrize(
    ("text", "prompt", "left"),
    [
        ("Spell apple!", "Spell {input}!", "apple"),
        ("apple", "{input}", "apple"),
        ("apple", "Spell {input}", "apple"),
        ("Spell apple", "Spell it", "Spell apple"),
        ("aba", "ab{input}ba", "aba"),
        ("Spell apple: apple", "Spell {input}: {input}", "apple"),
        ("Spell apple: pear", "Spell {input}: {input}", "Spell apple: pear"),
        ("", "Spell {input}", ""),
    ],
)
def test_the_prompt_around_a_row_is_taken_off(text: str, prompt: str, left: str) -> None:
    assert without_prompt(text, prompt) == left


def test_of_a_long_row_beginning_and_end_are_looked_at() -> None:
    long = ["a" * 9000 + name for name in ("x", "y")]
    assert max(len(shortened(text)) for text in long) < 5000
    assert sketch_of(long) == sketch_of(map(shortened, long)) != ""


def test_a_row_of_which_all_is_looked_at_is_known_whatever_rows_are_beside_it() -> None:
    assert asked_digest("How many\n cats?") == asked_digest("how many cats?") != asked_digest("How many dogs?")
    middle = ["a" * 5000 + name + "a" * 5000 for name in ("x", "y")]
    assert len({*map(asked_digest, middle)}) == 2
    assert asked_digest("\ud800") != asked_digest("a")  # half a character


@pytest.mark.parametrize(("times", "least"), [(10, 10), (50, 49), (100, 89)])
def test_a_part_is_found_where_the_whole_has_many_times_as_many_rows(times: int, least: int) -> None:
    whole = [f"Word{number} of {number * 7919 % 1_000_003}?" for number in range(70 * times)]
    parts = [sketch_of(whole[at : at + 70]) for at in range(0, len(whole), 70)]
    sketch, others = sketch_of(whole), sketch_of(OTHERS)
    assert sum(same_rows(each, sketch) for each in parts) >= least
    assert not any(same_rows(each, others) for each in parts)
