"""Rows in one sequence are trained as in one padded batch: the same losses, the same validation losses, and what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from trl import pack_dataset

from ckgit.experiment.results import LossPoint
from ckgit.workers.trl.outputs.log import loss_points
from tests.workers.trl.jobs import ARTIFACTS, RUN, make_tree, python

pytestmark = pytest.mark.slow
TRAINED = """
import os
from pathlib import Path
from ckgit.workers.trl import prepare, train

top = Path.cwd()
for name in sys.argv[2:]:
    os.chdir(top / name)
    run = Path(sys.argv[1])
    train.take_steps(run, prepare.main(run))
"""
COMMON = {"lora_rank": 4, "lr": 0.01, "epochs": 6, "validation_split": "validation", "num_warmup_steps": 2}
VARIOUS = [{"input": "w" * (1 + n % 5), "output": "AB" * (1 + n % 3) + str(n)} for n in range(8)]
ALIKE = [{"input": f"w{n}", "output": f"AB{n}"} for n in range(10)]
HELD_OUT = [{"input": "v" * (1 + n), "output": "XYZ"[: n + 1]} for n in range(3)]
ALIKE_TOKENS = 9  # of each of these rows


def in_packed_order(rows: list[Any]) -> list[Any]:
    """Rows of one length, two of which make a sequence, as TRL orders them."""
    numbered = Dataset.from_list([{"input_ids": [number] * ALIKE_TOKENS} for number in range(len(rows))])
    packed = pack_dataset(numbered, 2 * ALIKE_TOKENS, "bfd")
    return [rows[each[at]] for each in packed["input_ids"] for at in range(0, len(each), ALIKE_TOKENS)]


# By name: the rows, and the parameters.
DESIGNS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "in a batch": (VARIOUS, {"batch_size": 8}),
    "in a sequence": (VARIOUS, {"batch_size": 1, "packing_length": 300}),
    "in sequences of a batch": (VARIOUS, {"batch_size": 8, "packing_length": 40}),
    # Five sequences of two rows each, of which the last step of an epoch has one.
    "a rest, in batches": (in_packed_order(ALIKE), {"batch_size": 2, "gradient_accumulation_steps": 2, "shuffle": False}),
    "a rest, in sequences": (
        ALIKE,
        {"batch_size": 1, "packing_length": 2 * ALIKE_TOKENS, "gradient_accumulation_steps": 2, "shuffle": False},
    ),
}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, random_model: Path) -> dict[str, dict[str, list[LossPoint]]]:
    """Of each design the two logs."""
    top = tmp_path_factory.mktemp("equal")
    for name, (rows, controls) in DESIGNS.items():
        (top / name).mkdir()
        words = {"train": rows, "validation": HELD_OUT, "test": rows[:2]}
        make_tree(top / name, random_model, {"controls": {**COMMON, "batch_size": 8, **controls}}, words)
    python(top, TRAINED, RUN, *DESIGNS)
    places = {name: top / name / ARTIFACTS for name in DESIGNS}
    return {
        name: {log: loss_points((place / f"{log}.jsonl").read_bytes()) for log in ("training", "validation")}
        for name, place in places.items()
    }


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ("in a batch", "in a sequence", 6),
        ("in a batch", "in sequences of a batch", 6),
        ("a rest, in batches", "a rest, in sequences", 18),
    ],
)
def test_rows_in_a_sequence_are_trained_as_rows_of_a_batch(
    logs: dict[str, dict[str, list[LossPoint]]], one: str, other: str, steps: int
) -> None:
    padded, packed = logs[one]["training"], logs[other]["training"]
    assert len(padded) == len(packed) == steps
    assert padded[0].loss - padded[-1].loss > 0.3
    assert [point.loss for point in packed] == pytest.approx([point.loss for point in padded], abs=1e-6)
    assert [point.metrics["grad_norm"] for point in packed] == pytest.approx([point.metrics["grad_norm"] for point in padded], rel=1e-4)
    for name in ("tokens", "accuracy"):
        assert [point.metrics[name] for point in packed] == pytest.approx([point.metrics[name] for point in padded])
    assert all(point.metrics["tokens_read"] > point.metrics["tokens"] for point in packed)


@pytest.mark.parametrize("other", ["in a sequence", "in sequences of a batch"])
def test_a_validation_loss_is_that_of_the_same_rows_in_one_batch_however_they_are_packed(
    logs: dict[str, dict[str, list[LossPoint]]], other: str
) -> None:
    padded, packed = logs["in a batch"]["validation"], logs[other]["validation"]
    assert [point.step for point in padded] == [point.step for point in packed] == list(range(1, 7))
    assert [point.loss for point in packed] == pytest.approx([point.loss for point in padded], abs=1e-6)
