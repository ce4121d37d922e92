"""A claim that says the same may come to mean something else: what it refers to is held against what it referred to."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ckgit.experiment.claims.meant import Designed, changed_since
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.tools.by_tool import read_summary

DIGEST, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
DESIGN: dict[str, Any] = {
    "schema_version": 1,
    "state": "evaluated",
    "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
    "models": ["tiny"],
    "data": {"words": {"path": "data/words.json"}},
    "controls": {"lr": 1e-4, "epochs": 2},
    "variables": {"lora_rank": [4, 8, 16], "seed": [0, 1]},
    "runs": [{"name": "base", "type": "control"}, {"name": "own", "parameters": {"lora_rank": 32, "seed": 7}}],
    "evaluation": {
        "tasks": [{"name": "t", "args": {"shots": 0}}, {"name": "u", "prompt": "{input}?"}],
        "scorers": [{"name": "match"}],
        "generation": {"max_tokens": 8},
    },
    "recorded": {
        "data": {"words": {"sha256": DIGEST, "bytes": 1, "splits": {"train": 8, "test": 2, "dev": 2}}},
        "models": {"tiny": DIGEST},
    },
}
SOURCES = {"tasks/t.py": b"from helper import ask\n", "tasks/helper.py": b"1", "tasks/u.py": b"import other\n", "tasks/other.py": b"1"}
RANKS = {"metric": "accuracy", "task": "t", "left": {"lora_rank": [8, 32]}, "right": {"lora_rank": 4}, "direction": "greater"}


def designed(changes: dict[str, Any], sources: dict[str, bytes] | None = None) -> Designed:
    """The design with other values at dotted places."""
    document = copy.deepcopy(DESIGN)
    for place, value in changes.items():
        *path, last = (int(key) if key.isdigit() else key for key in place.split("."))
        at = document
        for key in path:
            at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
        if isinstance(at, list) and last == len(at):
            at.append(value)
        else:
            at[last] = value
    summary = read_summary(document)
    return Designed(summary, build_plan(summary), {**SOURCES, **(sources or {})})


def told(claim: dict[str, Any], changes: dict[str, Any], sources: dict[str, bytes] | None = None) -> list[str]:
    return changed_since(Claim.model_validate_json(json.dumps(claim)), designed({}), designed(changes, sources))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evaluation.tasks.0.prompt": "Say {input}"}, "asked prompt: '{input}', now 'Say {input}'"),
        ({"evaluation.tasks.0.args": {"shots": 3}}, "task t: args.shots: 0, now 3"),
        ({"evaluation.tasks.0.split": "dev"}, "task t: split: 'test', now 'dev'"),
        ({"evaluation.tasks.0.limit": 1}, "task t: limit: null, now 1"),
        ({"evaluation.tasks.0.clusters": "author"}, "task t: clusters: null, now 'author'"),
        ({"evaluation.tasks.0.scorers": [{"name": "includes"}]}, "task t: scorers.0.name: 'match', now 'includes'"),
        ({"evaluation.scorers": [{"name": "match", "args": {"location": "any"}}]}, "task t: scorers.0.location: not there, now 'any'"),
        ({"evaluation.generation": {"max_tokens": 9}}, "task t: generation.max_tokens: 8, now 9"),
        ({"evaluation.matrix": [{"epochs": [0]}]}, "checkpoint: 'epoch1', now 'epoch0'"),
        ({"controls.lr": 1e-3}, "rank8_seed0, rank8_seed1, own and 2 more: lr: 0.0001, now 0.001"),
        ({"recorded.data.words.sha256": OTHER}, f"evaluated data: {DIGEST[:12]}, now {OTHER[:12]}"),
        ({"recorded.models.tiny": OTHER}, f"model: {DIGEST[:12]}, now {OTHER[:12]}"),
        ({"data.words.output_column": "answer"}, "evaluated data as: "),
        ({"variables.seed": [0, 1, 2]}, "rank4_seed2, rank8_seed2: there since"),
        ({"variables.seed": [0, 3]}, "rank4_seed1, rank8_seed1: no more there"),
        ({"runs.1.parameters": {"lora_rank": 32, "seed": 8}}, "own: seed: 7, now 8"),
        ({"evaluation.tasks": [{"name": "u"}]}, "task t: "),
    ],
)
def test_what_a_claim_refers_to_and_is_no_more_as_it_was_is_told(changes: dict[str, Any], says: str) -> None:
    assert says in "; ".join(told(RANKS, changes))


@pytest.mark.parametrize(
    ("path", "is_told"), [("tasks/t.py", True), ("tasks/helper.py", True), ("tasks/u.py", False), ("tasks/other.py", False)]
)
def test_files_of_its_own_task_are_and_those_of_another_are_not(path: str, is_told: bool) -> None:
    assert any(f"{path}: " in each for each in told(RANKS, {}, {path: SOURCES[path] + b"# changed\n"})) == is_told


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation.tasks.1.prompt": "Say {input}"},
        {"evaluation.tasks.2": {"name": "v"}},
        {"evaluation.tasks.0.groups": ["author"]},
        {"evaluation.generation": {"max_tokens": 8, "max_connections": 2}},
        {"variables.lora_rank": [4, 8, 64]},
        {"runs.2": {"name": "other", "parameters": {"lora_rank": 64}}},
        {"runs.1.name": "mine"},
        {"controls.log_every_n_steps": 7},
        {"compute.training": {"cpus_per_task": 4}},
        {"experiment.purpose": "To know."},
        {"data": {"rows": {"path": "data/rows.json"}}, "recorded.data": {"rows": DESIGN["recorded"]["data"]["words"]}},
    ],
)
def test_what_it_does_not_touch_leaves_it_as_it_was(changes: dict[str, Any]) -> None:
    assert told(RANKS, changes) == []


def test_two_runs_that_change_places_are_not_as_they_were() -> None:
    pair = {**RANKS, "left": "own", "right": "base"}
    assert told(pair, {"controls.lr": 1e-3}) == ["own: lr: 0.0001, now 0.001"]
    assert told(pair, {"variables.seed": [5]}) == []
    swapped = [{"name": "own", "type": "control"}, {"name": "base", "parameters": {"lora_rank": 32, "seed": 7}}]
    assert len(told(pair, {"runs": swapped})) == 2


def test_a_trend_is_about_all_that_are_trained() -> None:
    trend = {"metric": "accuracy", "task": "t", "along": "lora_rank", "direction": "increases"}
    assert told(trend, {"variables.lora_rank": [4, 8]}) == ["rank16_seed0, rank16_seed1: no more there"]
    assert told(trend, {"runs": [{"name": "own", "parameters": {"lora_rank": 32, "seed": 7}}]}) == []  # the control is in no slope
