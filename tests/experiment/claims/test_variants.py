"""What is counted as a variant: by the names that the plan gives runs, seeds apart, controls for themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckgit.experiment.claims.rows import sketch_of
from ckgit.experiment.claims.variants import Asked, RowsMark, Variant, by_rows, scored_variants
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters

DIGEST, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
DESIGN: dict[str, Any] = {
    "schema_version": 1,
    "state": "evaluated",
    "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
    "models": ["tiny"],
    "data": {"words": {"path": "data/words.json"}},
    "controls": {"lr": 1e-4},
    "variables": {"lora_rank": [4, 16], "lr_scheduler": ["cosine", "constant"], "seed": [0, 1]},
    "runs": [{"name": "base", "type": "control"}, {"name": "own", "parameters": {"lora_rank": 4, "lr_scheduler": "cosine", "seed": 7}}],
    "evaluation": {"tasks": [{"name": "t"}, {"name": "u", "split": "test2"}]},
    "recorded": {
        "data": {"words": {"sha256": DIGEST, "bytes": 1, "splits": {"train": 8, "test": 2, "test2": 2}}},
        "models": {"tiny": DIGEST},
    },
}


def scored(design: dict[str, Any], jobs: list[str] | None = None) -> dict[Asked, set[Variant]]:
    plan = build_plan(read_summary(design))
    return scored_variants(json.loads(json.dumps(design)), TorchtuneParameters, jobs or list(plan.evaluation_jobs))


def counted(design: dict[str, Any], jobs: list[str] | None = None) -> dict[tuple[str, str], tuple[int, int]]:
    """Variants and controls, by task and split."""
    found = scored(design, jobs)
    assert {asked.data for asked in found} == {DIGEST}
    return {
        (asked.task, asked.split): (sum(not each.control for each in variants), sum(each.control for each in variants))
        for asked, variants in found.items()
    }


@pytest.mark.parametrize("compute", [{}, {"evaluation_jobs": "checkpoint"}])
def test_settings_count_once_whatever_their_seeds_and_a_run_by_hand_with_the_same_settings_is_no_other(compute: dict[str, Any]) -> None:
    found = counted({**DESIGN, "compute": compute})
    assert found == {("t", "test"): (4, 1), ("u", "test2"): (4, 1)}


def test_only_what_is_done_counts() -> None:
    found = counted(DESIGN, ["rank4_cosine_seed0/eval/t_epoch0", "rank4_cosine_seed1/eval/t_epoch0", "rank16_constant_seed0/eval/u_epoch0"])
    assert found == {("t", "test"): (1, 0), ("u", "test2"): (1, 0)}


def test_another_prompt_of_the_same_model_is_another_variant_and_what_training_would_take_is_none() -> None:
    runs = [
        {"name": "a", "type": "eval-only", "checkpoint": "tiny"},
        {"name": "b", "type": "eval-only", "checkpoint": "tiny", "parameters": {"prompt": "Say {input}"}},
    ]
    design = {**DESIGN, "variables": {}, "runs": runs}
    jobs = ["a/eval/t_base", "b/eval/t_base"]
    assert counted(design, jobs) == {("t", "test"): (2, 0)}
    first = scored_variants(design, TorchtuneParameters, jobs[:1])
    other = scored_variants({**design, "controls": {"lr": 0.5}}, TorchtuneParameters, jobs[:1])
    assert first == other


@pytest.mark.parametrize(
    ("evaluation", "other"),
    [
        ({"generation": {"temperature": 0.7}}, True),
        ({"tasks": [{"name": "t", "generation": {"max_tokens": 8}}]}, True),
        ({"tasks": [{"name": "t", "args": {"shots": 5}}]}, True),
        ({"generation": {"temperature": 0, "max_tokens": 128, "max_connections": 4, "seed": 3}}, False),  # as where nothing is said
        ({"generation": {"temperature": 0.7}, "tasks": [{"name": "t", "generation": {"temperature": 0.0}}]}, False),
    ],
)
def test_what_is_asked_otherwise_is_another_variant(evaluation: dict[str, Any], other: bool) -> None:
    jobs = ["base/eval/t_base"]
    [one] = scored(DESIGN, jobs).values()
    [changed] = scored({**DESIGN, "evaluation": {**DESIGN["evaluation"], **evaluation}}, jobs).values()
    assert (changed != one) == other


def asked(**changes: Any) -> Asked:
    """What the first task asks, of a design with other parts."""
    return next(iter(scored({**DESIGN, "variables": {}, **changes})))


OWN = {"data": {}, "recorded": {"models": {"tiny": DIGEST}, "tasks": {"tasks/t.py": DIGEST, "tasks/u.py": OTHER, "tasks/copy.py": DIGEST}}}


def in_files(name: str, train: str, split: str = "test") -> dict[str, Any]:
    """Rows whose splits are files of their own."""
    files = {"data/train.json": train, "data/test.json": DIGEST}
    recorded = {name: {"sha256": train, "bytes": 1, "splits": {"train": 8, split: 2}, "files": files}}
    task = {"name": "t", "split": split}
    data = {name: {"files": {"train": "data/train.json", split: "data/test.json"}}}
    return {"data": data, "recorded": {**DESIGN["recorded"], "data": recorded}, "evaluation": {"tasks": [task]}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"evaluation": {"tasks": [{"name": "renamed", "file": "tasks/t.py", "function": "t"}]}}, True),
        ({}, {"evaluation": {"tasks": [{"name": "t", "split": "test2"}]}}, False),
        (in_files("words", OTHER), in_files("rows", "a" * 64), True),  # training rows that are others
        (in_files("words", OTHER), in_files("words", OTHER, "held_out"), True),
        (OWN, {**OWN, "evaluation": {"tasks": [{"name": "u"}]}}, False),
        (OWN, {**OWN, "evaluation": {"tasks": [{"name": "u", "file": "tasks/t.py", "function": "t"}]}}, True),
        (OWN, {**OWN, "evaluation": {"tasks": [{"name": "u", "file": "tasks/copy.py", "function": "t"}]}}, True),
        (OWN, {**OWN, "recorded": {**OWN["recorded"], "tasks": {"tasks/t.py": OTHER}}}, True),  # it was edited
    ],
)
def test_rows_are_the_same_whatever_a_task_is_called(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert asked(**one).shares_rows_with(asked(**other)) == same


def test_rows_that_were_asked_tell_themselves_and_those_of_one_task_are_together() -> None:
    sketch, part, other = sketch_of("abcdef"), sketch_of("abc"), sketch_of("uvwxyz")
    jobs = list(build_plan(read_summary(DESIGN)).evaluation_jobs)
    runs = {job.partition("/")[0] for job in jobs}
    told = scored_variants(json.loads(json.dumps(DESIGN)), TorchtuneParameters, jobs, {(run, "t"): {sketch, ""} for run in runs})
    assert {asked.task: asked.sketches for asked in told} == {"t": {sketch}, "u": frozenset()}
    bare = Asked("t", "1", "test", frozenset({RowsMark("1", "test")}))
    one = bare._replace(sketches=frozenset({sketch}))
    two = Asked("t", "2", "held_out", frozenset({RowsMark("2", "held_out")}), frozenset({part}))
    three = Asked("t", "3", "test", frozenset({RowsMark("3", "test")}), frozenset({other}))
    assert one.shares_rows_with(two)
    assert two.shares_rows_with(one)
    assert not one.shares_rows_with(three)
    assert not bare.shares_rows_with(two)
    assert by_rows([three, two, one]) == [[one, two], [three]]
    both = three._replace(data="9", sketches=frozenset({part, other}))  # what is between them brings them together
    assert by_rows([one, three, both]) == [[one, both, three]]
    assert by_rows([one, two._replace(task="u")]) == [[one], [two._replace(task="u")]]
    assert one.with_rows_of(two).sketches == {sketch, part}


def test_a_whole_number_is_the_same_with_a_point() -> None:
    designs = [{**DESIGN, "variables": {}, "controls": {"lr": lr}} for lr in (1, 1.0, 0.5)]
    one, other, third = (scored(each, ["own/eval/t_epoch0"]) for each in designs)
    assert one == other != third


def test_what_one_tool_alone_has_is_a_part_of_a_variant_each_by_itself() -> None:
    own = {"optimizer": {"betas": [0.9, 0.95]}}
    held = {**DESIGN, "controls": {"torchtune": own}, "variables": {"seed": [0, 1]}}
    beside = {"name": "own", "parameters": {"torchtune": {"cudnn_deterministic_mode": 1}}}
    assert counted({**held, "runs": []}) == {("t", "test"): (1, 0), ("u", "test2"): (1, 0)}
    assert counted({**held, "runs": [beside]}) == {("t", "test"): (2, 0), ("u", "test2"): (2, 0)}
    written = {"name": "own", "parameters": {"torchtune": {"cudnn_deterministic_mode": 1, **own}}}
    assert scored({**held, "runs": [beside]}) == scored({**held, "runs": [written]})
