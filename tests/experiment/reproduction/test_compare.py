"""What counts as the same, and what is named as the first difference."""

from __future__ import annotations

from typing import Any

import pytest

from ckgit.experiment.card import FileDigest
from ckgit.experiment.cluster import ReproduceConfig
from ckgit.experiment.reproduction.compare import compare, surroundings
from ckgit.experiment.reproduction.record import Sameness
from ckgit.experiment.results import CellResult, Checkpoint, LossPoint, Metric, Sample, TokenCheck, TrainingResult

ONE, TWO = "1" * 64, "2" * 64
STRICT, LOOSE = ReproduceConfig(), ReproduceConfig(loss_tolerance=0.1, score_tolerance=0.1)


def checkpoint(**changes: Any) -> Checkpoint:
    files = {"adapter.safetensors": FileDigest(sha256=ONE, bytes=1)}
    return Checkpoint(**{"epoch": 0, "path": "experiments/x/r/artifacts/epoch_0", "bytes": 1, "sha256": ONE, "files": files, **changes})


def training(**changes: Any) -> TrainingResult:
    losses = tuple(LossPoint(step=step, loss=1 / step) for step in (1, 2, 3))
    tokens = {"train": TokenCheck(rows=1, sha256=ONE)}
    told = {"run": "r", "steps": 3, "seconds": 1.0, "losses": losses, "checkpoints": (checkpoint(),), "tokens": tokens}
    return TrainingResult(**{**told, **changes})


def losses(*found: float) -> tuple[LossPoint, ...]:
    return tuple(LossPoint(step=step, loss=loss) for step, loss in enumerate(found, start=1))


def cell(*answers: str | None, **changes: Any) -> CellResult:
    rows = tuple(Sample(id=n, scores={"match": a == "yes"}, answer=a, target="yes") for n, a in enumerate(answers or ("yes", "no")))
    value = sum(row.answer == "yes" for row in rows) / len(rows)
    metrics = (Metric(scorer="match", name="accuracy", value=value, samples=len(rows)),)
    told = {"run": "r", "task": "t", "epoch": 0, "log": "x.eval", "log_sha256": ONE, "seconds": 1.0, "metrics": metrics, "samples": rows}
    return CellResult(**{**told, **changes})


SAW_OTHERS = {"train": TokenCheck(rows=1, sha256=TWO)}
PROMPT = (checkpoint(prompt="{input}?"),)
NAN = losses(1.0, float("nan"))
METRIC = Metric(scorer="match", name="accuracy", value=0.55, samples=2)
CASES: dict[str, tuple[Any, Any, Sameness, Sameness, str]] = {
    # of a training: as recorded, of the second execution, strictly, with tolerances, the first difference
    "the same": (training(), training(seconds=9.0, starts=("x",)), Sameness.SAME_BYTES, Sameness.SAME_BYTES, ""),
    "loss is no number": (training(losses=NAN), training(losses=NAN), Sameness.SAME_BYTES, Sameness.SAME_BYTES, ""),
    "near losses": (
        *(training(losses=losses(1, 0.5)), training(losses=losses(1, 0.45)), Sameness.DIFFERENT, Sameness.WITHIN_TOLERANCE),
        "step 2: loss 0.45, and 0.5 is recorded",
    ),
    "far losses": (
        *(training(losses=losses(1, 0.95, 0.5)), training(losses=losses(1, 0.9, 0.3)), Sameness.DIFFERENT, Sameness.DIFFERENT),
        "step 2: loss 0.9, and 0.95 is recorded|step 3: loss 0.3, and 0.5 is recorded",
    ),
    "a number is none": (
        *(training(losses=NAN), training(losses=losses(1, 2)), Sameness.DIFFERENT, Sameness.DIFFERENT),
        "step 2: loss 2.0, and nan is recorded",
    ),
    "a step less": (
        *(training(losses=losses(1, 0.5)), training(losses=losses(1)), Sameness.DIFFERENT, Sameness.DIFFERENT),
        "step 2: no loss, and 0.5 is recorded",
    ),
    "a step more": (
        *(training(losses=losses(1)), training(losses=losses(1, 0.5)), Sameness.DIFFERENT, Sameness.DIFFERENT),
        "step 2: loss 0.5, and none is recorded",
    ),
    "validation": (
        *(training(validation=losses(1)), training(validation=losses(3)), Sameness.DIFFERENT, Sameness.DIFFERENT),
        "step 1: validation loss 3.0, and 1.0 is recorded",
    ),
    "steps": (training(), training(steps=4), Sameness.DIFFERENT, Sameness.DIFFERENT, "4 steps, and 3 are recorded"),
    "tokens": (training(), training(tokens=SAW_OTHERS), Sameness.DIFFERENT, Sameness.DIFFERENT, "other tokens of train"),
    "weights": (
        *(training(), training(checkpoints=(checkpoint(sha256=TWO),)), Sameness.DIFFERENT, Sameness.WITHIN_TOLERANCE),
        "checkpoint epoch_0 has other bytes than are recorded",
    ),
    "one file": (
        training(),
        training(checkpoints=(checkpoint(files={"adapter.safetensors": FileDigest(sha256=TWO, bytes=1)}),)),
        *(Sameness.DIFFERENT, Sameness.WITHIN_TOLERANCE),
        "(adapter.safetensors)",
    ),
    "no checkpoint": (training(), training(checkpoints=()), Sameness.DIFFERENT, Sameness.DIFFERENT, "there is no checkpoint epoch_0"),
    "a prompt": (training(), training(checkpoints=PROMPT), Sameness.DIFFERENT, Sameness.DIFFERENT, "epoch_0 has another prompt"),
    "no training": (training(), cell(), Sameness.DIFFERENT, Sameness.DIFFERENT, "there is no result of training"),
    # and of an evaluation
    "the same answers": (cell(), cell(seconds=2.0, log_sha256=TWO, log="y.eval"), Sameness.SAME_BYTES, Sameness.SAME_BYTES, ""),
    "an answer": (
        *(cell("yes", "no"), cell("yes", "never"), Sameness.DIFFERENT, Sameness.WITHIN_TOLERANCE),
        "t: row 1: it answers 'never', and 'no' is recorded",
    ),
    "a score": (
        *(cell("yes", "no"), cell("yes", "yes"), Sameness.DIFFERENT, Sameness.DIFFERENT),
        "t: row 1: it answers 'yes', and 'no' is recorded|t: accuracy of match is 1.0, and 0.5 is recorded",
    ),
    "a near metric": (
        *(cell(), cell(metrics=(METRIC,)), Sameness.DIFFERENT, Sameness.WITHIN_TOLERANCE),
        "t: accuracy of match is 0.55, and 0.5 is recorded",
    ),
    "no metric": (cell(), cell(metrics=()), Sameness.DIFFERENT, Sameness.DIFFERENT, "there is no metric accuracy of match"),
    "a row less": (cell("yes", "no"), cell("yes"), Sameness.DIFFERENT, Sameness.DIFFERENT, "t: no answer to row 1|t: accuracy"),
    "a row more": (cell("yes"), cell("yes", "yes"), Sameness.DIFFERENT, Sameness.DIFFERENT, "1 row of which nothing is recorded"),
    "other weights": (cell(weights=ONE), cell(weights=TWO), Sameness.DIFFERENT, Sameness.WITHIN_TOLERANCE, "it evaluated other weights"),
    "weights not recorded": (cell(), cell(weights=TWO), Sameness.SAME_BYTES, Sameness.SAME_BYTES, ""),
    "another epoch": (cell(), cell(epoch=1), Sameness.DIFFERENT, Sameness.DIFFERENT, "there is no result of t epoch 0"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_differs_is_said_and_whether_it_may(case: tuple[Any, Any, Sameness, Sameness, str]) -> None:
    first, again, strict, loose, differences = case
    found = compare([first], [again], STRICT)
    assert found.sameness is strict
    assert compare([first], [again], LOOSE).sameness is loose
    wanted = differences.split("|") if differences else []
    assert len(found.differences) == len(wanted)
    assert all(part in told for part, told in zip(wanted, found.differences, strict=True))


def test_what_a_job_that_failed_did_not_leave_says_nothing_against_the_record() -> None:
    one, two = cell(task="a"), cell(task="b")
    assert compare([one], [], STRICT, "it failed").sameness is Sameness.FAILED
    found = compare([one, two], [one], STRICT, "it failed")
    assert found == (Sameness.FAILED, "2 rows of a", ["it failed"], 0, [])
    assert compare([one], [one], STRICT, "another cell failed").sameness is Sameness.SAME_BYTES
    found = compare([one, two], [cell("no", "no", task="a")], STRICT, "it failed")
    assert found.sameness is Sameness.DIFFERENT
    assert "row 0" in found.differences[0]


def test_of_many_differences_the_first_ones_are_named() -> None:
    found = compare([training(losses=losses(*range(20)))], [training(losses=losses(*range(1, 21)))], STRICT)
    assert (len(found.differences), found.more) == (5, 15)
    assert found.differences[0] == "step 1: loss 1.0, and 0.0 is recorded"
    assert found.compared == "20 losses, 1 checkpoint"


def test_what_could_not_be_compared_is_said() -> None:
    large = cell(log_bytes=9, max_log_bytes=8)
    assert "its log stayed in the work tree" in compare([large], [cell()], STRICT).uncompared[0]
    silent = cell(None)
    assert "no answers are recorded" in compare([silent], [silent], STRICT).uncompared[0]
    bare = training(checkpoints=(checkpoint(files={}),))
    assert "one digest is recorded" in compare([bare], [training()], STRICT).uncompared[0]
    assert compare([cell()], [cell()], STRICT).uncompared == []


def test_a_long_answer_is_cut() -> None:
    (told,) = compare([cell("a" * 1000)], [cell("b" * 1000)], STRICT).differences
    assert len(told) < 250


def test_machine_and_versions_are_told_where_both_are_known() -> None:
    then, now = {"host": "a", "torch": "2.4", "old": "1"}, {"host": "b", "torch": "2.4", "new": "1"}
    assert surroundings(then, now) == ["host a then, b now"]
