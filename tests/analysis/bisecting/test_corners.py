"""Where runs lie between two others, and the way with the fewest new ones."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.analysis.bisecting.corners import Corner, cube_of, squares, steps, way
from ckgit.errors import CkgitError
from tests.analysis.bisecting.planted import A, B, between, placed


def corner(*places: int) -> Corner:
    return frozenset(places)


def test_runs_lie_where_their_values_are_and_others_nowhere() -> None:
    a, b = placed("one/a", A, 1), placed("two/b", B, 1)
    others = [
        placed("one/a2", A, 2),
        placed("one/rank", between(["lora_rank"]), 1),
        placed("one/rank_lr", {**between(["lora_rank", "lr"]), "epochs": 1.0}, 1),  # as a file may have it
        placed("one/else", {**between(["lr"]), "lora_rank": 8}, 1),  # neither's value
        placed("one/batch", {**between(["lr"]), "batch_size": 16}, 1),  # differs in what they share
        placed("one/more", {**A, "dropout": 0.1}, 1),  # has what they have not
    ]
    cube = cube_of(a, b, others, A.__contains__)
    assert [factor.name for factor in cube.factors] == ["lora_rank", "lr", "epochs"]
    assert {at: [run.run for run in runs] for at, runs in cube.runs.items()} == {
        corner(): ["a", "a2"],
        corner(0, 1, 2): ["b"],
        corner(0): ["rank"],
        corner(0, 1): ["rank_lr"],
    }


def test_one_is_no_true_and_a_value_that_is_not_there_differs() -> None:
    a, b = placed("x/a", {"packed": True, "lr": 1}), placed("x/b", {"packed": 1, "lr": 1.0, "dropout": 0.1})
    cube = cube_of(a, b, [], {"packed", "lr", "dropout"}.__contains__)
    assert [(factor.name, dict(factor.left), dict(factor.right)) for factor in cube.factors] == [
        ("packed", {"packed": True}, {"packed": 1}),
        ("dropout", {}, {"dropout": 0.1}),
    ]


def test_what_no_design_varies_is_one_factor() -> None:
    more = {"design.data.words": "v1", "design.task.split": "test"}
    a, b = placed("x/a", {**A, **more}), placed("y/b", {**B, "design.data.words": "v2", "design.task.split": "dev"})
    cube = cube_of(a, b, [placed("y/half", {**between([]), "design.data.words": "v2", "design.task.split": "test"})], A.__contains__)
    assert cube.factors[-1].name == "what the designs say elsewhere (design.data.words, design.task.split)"
    assert len(cube.factors) == 4
    assert {*cube.runs} == {corner(), cube.full}


def test_what_means_nothing_beside_another_value_goes_with_it() -> None:
    a, b = placed("x/a", {"method": "lora", "rank": 4, "lr": 1}), placed("x/b", {"method": "full", "lr": 2})
    cube = cube_of(a, b, [placed("x/c", {"method": "full", "lr": 1})], {"method", "rank", "lr"}.__contains__, along={"rank": "method"})
    assert [(factor.name, factor.left, factor.right) for factor in cube.factors] == [
        ("method", {"method": "lora", "rank": 4}, {"method": "full"}),
        ("lr", {"lr": 1}, {"lr": 2}),
    ]
    assert [run.run for run in cube.runs[corner(0)]] == ["c"]


def test_runs_that_differ_in_too_much_are_refused() -> None:
    a, b = ({f"p{at}": side for at in range(11)} for side in (0, 1))
    with pytest.raises(CkgitError, match=r"they differ in 11 parameters, of which at most 10 can be told apart: p0.*p10") as refused:
        cube_of(placed("x/a", a), placed("x/b", b), [], a.__contains__)
    assert refused.value.next == "name two runs that differ in at most 10; ckgit compare x/a x/b shows what these differ in"


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ([(), (0, 1, 2)], 2),
        ([(), (0, 1, 2), (1,)], 1),
        ([(), (0, 1, 2), (1,), (1, 2)], 0),
        ([(), (0, 1, 2), (0,), (1, 2)], 1),  # which lie on no way together
        ([(), (0, 1, 2), (0,), (1,), (2,)], 1),
    ],
)
def test_the_way_uses_what_is_there(known: list[tuple[int, ...]], wanted: int) -> None:
    there = [corner(*each) for each in known]
    found = way(3, there)
    assert [len(each) for each in found] == [0, 1, 2, 3]
    assert all(one < other for one, other in itertools.pairwise(found))
    assert sum(each not in there for each in found) == wanted


@given(st.integers(1, 4).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.frozensets(st.integers(0, size - 1))))))
def test_no_way_has_fewer_unknown_corners(drawn: tuple[int, set[Corner]]) -> None:
    size, known = drawn
    known |= {frozenset(), frozenset(range(size))}
    ways = ([frozenset(order[:at]) for at in range(size + 1)] for order in itertools.permutations(range(size)))
    fewest = min(sum(each not in known for each in path) for path in ways)
    assert sum(each not in known for each in way(size, known)) == fewest


def test_steps_and_squares_are_all_that_there_are() -> None:
    there = [corner(), corner(0), corner(1), corner(0, 1), corner(0, 1, 2)]
    assert steps(3, there) == [(corner(), 0), (corner(), 1), (corner(0), 1), (corner(1), 0), (corner(0, 1), 2)]
    assert squares(3, there) == [(corner(), 0, 1)]


def test_the_same_training_in_another_experiment_is_no_other_seed() -> None:
    a, b = placed("one/a", A, 1), placed("two/b", B, 1)
    cube = cube_of(a, b, [placed("two/a", A, 1), placed("three/a", A, 2), placed("three/b", B, 1)], A.__contains__)
    assert {at: [run.name for run in runs] for at, runs in cube.runs.items()} == {corner(): ["one/a", "three/a"], cube.full: ["two/b"]}
    assert cube.again == ["two/a", "three/b"]
