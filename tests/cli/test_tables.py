"""Tables as wide as the terminal; elsewhere as wide as they are."""

from __future__ import annotations

import sys

import pytest

from ckgit.cli.output.tables import table

HEADER = ["run", "type", "nothing", "scores"]
ROWS = [
    [
        "rank4_lr1e-4",
        "fine-tuned",
        "",
        "capitalization epoch 1 accuracy 0.540 [0.443, 0.634], capitalization epoch 2 accuracy 0.640 [0.443, 0.634]",
    ],
    ["base", "control", "", "capitalization accuracy 0.000 [0.000, 0.037]"],
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch):
    def of(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return of


def test_without_a_terminal_a_row_is_a_line() -> None:
    lines = table(HEADER, ROWS).splitlines()
    assert len(lines) == 3
    assert lines[0] == f"run           type        nothing  {'scores'}"
    assert lines[2].endswith("[0.000, 0.037]")


def test_a_terminal_that_is_wide_enough_is_no_other_matter(terminal) -> None:
    natural = table(HEADER, ROWS)
    terminal(200)
    assert table(HEADER, ROWS) == natural


def test_cells_are_broken_between_words_and_what_is_empty_is_left_out(terminal) -> None:
    terminal(60)
    assert table(HEADER, ROWS).splitlines() == [
        "run           type        scores",
        "rank4_lr1e-4  fine-tuned  capitalization epoch 1 accuracy",
        "                          0.540 [0.443, 0.634],",
        "                          capitalization epoch 2 accuracy",
        "                          0.640 [0.443, 0.634]",
        "base          control     capitalization accuracy 0.000",
        "                          [0.000, 0.037]",
    ]


def test_the_widest_column_is_made_narrower_first(terminal) -> None:
    terminal(44)
    words = " ".join(["word"] * 12)
    head, *rows = table(["left", "right"], [[words, words[:29]]]).splitlines()
    assert (len(rows), head.index("right")) == (3, 23)
    terminal(80)
    assert table(["left", "right"], [[words, words[:29]]]).splitlines()[0].index("right") == 80 - 29


def test_what_matters_less_is_left_out_first(terminal) -> None:
    terminal(55)
    assert table(HEADER, ROWS[1:], less=["type", "run"]).splitlines() == [
        "run   scores",
        "base  capitalization accuracy 0.000 [0.000, 0.037]",
    ]


def test_where_it_is_too_narrow_for_columns_each_row_is_told_line_by_line(terminal) -> None:
    terminal(26)
    assert table(HEADER, ROWS[1:] * 2).splitlines() == [
        "run     base",
        "type    control",
        "scores  capitalization",
        "        accuracy 0.000",
        "        [0.000, 0.037]",
        "",
        "run     base",
        "type    control",
        "scores  capitalization",
        "        accuracy 0.000",
        "        [0.000, 0.037]",
    ]


@pytest.mark.parametrize("columns", range(20, 180, 9))
def test_no_line_is_wider_and_nothing_is_lost(terminal, columns: int) -> None:
    terminal(columns)
    text = table(HEADER, ROWS)
    assert max(map(len, text.splitlines())) <= columns
    assert text.count("0.443") == 2
    assert "control" in text


def test_what_steers_a_terminal_is_written_out() -> None:
    assert table(["a"], [["\x1b[31m\n"]]) == "a\n\\x1b[31m\\n"
