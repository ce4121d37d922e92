"""Checkpoints that a tool names beforehand: after epochs, after steps, or only the best and the last, where it stops early."""

from typing import ClassVar

import pytest
from pydantic import Field

from ckgit.experiment.checks.problems import problems
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.fields import PositiveInt
from ckgit.experiment.design.parameters import BEST, Parameters, PlannedCheckpoint
from ckgit.experiment.results import CellResult, Checkpoint, TrainingResult
from ckgit.experiment.tools.by_tool import read_summary, summary_type

DOCUMENT = {
    "schema_version": 1,
    "state": "designed",
    "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
    "models": ["m"],
    "data": {"d": {"path": "d.json"}},
    "runs": [{"name": "a"}, {"name": "base", "type": "control"}],
}


class EarlyStopping(Parameters):
    """Of a trainer that saves by steps, may stop early, and keeps the best."""

    defaults: ClassVar = {"save_steps": 20, "patience": 2}
    save_steps: PositiveInt | None = Field(default=None, description="Steps between two checkpoints.")
    patience: PositiveInt | None = Field(default=None, description="Checkpoints without progress after which it stops.")

    @classmethod
    def checkpoints(cls, values):
        return (PlannedCheckpoint(BEST, "best"), PlannedCheckpoint("last", "last"))


def cells(epochs, **document):
    document = {**DOCUMENT, "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"epochs": epochs}]}, **document}
    summary = summary_type(EarlyStopping).model_validate(document, strict=False)
    assert [problem for problem in problems(summary) if "matrix" in problem.path] == []
    return [cell for cell in build_plan(summary).cells if cell.run == "a"]


@pytest.mark.parametrize(("epochs", "names"), [("best", ["t_best"]), ("last", ["t_last"]), ("all", ["t_best", "t_last"])])
def test_a_matrix_means_what_the_tool_names(epochs, names):
    assert [cell.name for cell in cells(epochs)] == names
    assert [cell.job for cell in cells(epochs)] == [f"a/eval/{name}" for name in names]


def test_a_checkpoint_without_an_epoch_is_told_by_its_folder():
    [cell] = cells("best")
    assert (cell.epoch, cell.named) == (None, "best")


def test_an_epoch_that_the_tool_does_not_promise_is_a_problem():
    document = {**DOCUMENT, "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"epochs": [0]}]}}
    summary = summary_type(EarlyStopping).model_validate(document, strict=False)
    assert [problem.path for problem in problems(summary)] == ["evaluation.matrix.0.epochs.0"]


def test_a_tool_without_a_best_one_says_so():
    summary = read_summary({**DOCUMENT, "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"epochs": "best"}]}})
    assert [(problem.path, problem.message) for problem in problems(summary)] == [
        ("evaluation.matrix.0.epochs", "torchtune keeps no best checkpoint of run a: write last, all, or a list of epochs")
    ]


def test_fewer_checkpoints_than_planned_are_a_result():
    """It stopped early: step 40 is the last of 10 checkpoints, and step 20 the best."""
    saved = [
        Checkpoint(step=step, best=step == 20, path=f"experiments/x/a/artifacts/{folder}", bytes=1, sha256="0" * 64)
        for step, folder in ((20, "best"), (40, "last"))
    ]
    found = TrainingResult(
        run="a", steps=40, planned_steps=200, ended="no progress", seconds=1.0, resumed_steps=(30,), checkpoints=tuple(saved)
    )
    again = TrainingResult.model_validate_json(found.model_dump_json())
    assert again == found
    cell = CellResult(run="a", task="t", checkpoint="best", log="l", log_sha256="0" * 64, seconds=1.0, metrics=(), samples=())
    assert again.saved(cell) == saved[0]
