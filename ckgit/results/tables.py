"""The tables of a lab's results; where one changes, `FORMAT` of database.py is raised.

A field is a column, and its description is the column's documentation, in docs/results.md too. `experiment` has the same value in all
tables and joins them; within an experiment `run`, `task`, `epoch` and `checkpoint` do.
"""

import datetime
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from ckgit.experiment.design.fields import Frozen

JSON = "JSON"  # marks text that is a JSON document
Json = Annotated[str, JSON]


class _OfExperiment(Frozen):
    experiment: str = Field(description="Name of the experiment; `NAME@COMMIT` for what a branch of that name lost or was deleted with.")


class _OfRun(_OfExperiment):
    run: str = Field(description="Name of the run.")


class _OfCell(_OfRun):
    task: str = Field(description="Name of the task.")
    epoch: int | None = Field(description="Epoch whose checkpoint was evaluated; absent where it is no epoch's.")
    checkpoint: str | None = Field(description="Folder of the checkpoint, e.g. best, where it is no epoch's.")


class _OfMetric(_OfCell):
    scorer: str = Field(description="Scorer that the metric belongs to.")
    metric: str = Field(description="Name of the metric, e.g. accuracy.")
    value: float | None = Field(description="Absent where it is undefined.")


class ExperimentsTable(_OfExperiment):
    """One row an experiment."""

    name: str = Field(description="Its name.")
    commit: str = Field(description="Commit that all of its rows were read from.")
    held: str = Field(description="What holds that commit: branch, remote, closed, merged, rescued or deleted.")
    current: bool = Field(description="Whether the experiment of that name is this one; false of what a branch lost or was deleted with.")
    state: str | None = Field(description="designed, scaffolded, trained, evaluated or analyzed; absent where it cannot be read.")
    closed: bool = Field(description="Whether its last step closed it.")
    question: str | None = Field(description="The question that it answers.")
    hypothesis: str | None = Field(description="What was expected.")
    purpose: str | None = Field(description="Why it is worth knowing.")
    date: datetime.date | None = Field(description="Day of the design.")
    models: str | None = Field(description="Model cards that it uses, separated by commas.")
    preparation: str | None = Field(description="Tool that trains.")
    evaluation: str | None = Field(description="Tool that evaluates.")
    design_hash: str | None = Field(description="Hash of the design.")
    design: Json | None = Field(description="The design in its canonical form.")
    runs: int = Field(description="Runs that are planned or have results.")
    cells: int = Field(description="Evaluations that have results.")
    began: datetime.datetime | None = Field(description="Time of the first commit, UTC.")
    committed: datetime.datetime | None = Field(description="Time of `commit`, UTC.")
    gpu_hours: float | None = Field(description="GPU-hours of all attempts of which they are known.")
    problem: str | None = Field(description="What of it could not be read, and why; absent where all was.")


class RunsTable(_OfRun):
    """One row a run of a design, whatever became of it."""

    number: int = Field(description="1 for the first run of the design.")
    type: str | None = Field(description="fine-tuned, control or eval-only.")
    model: str | None = Field(description="Model card whose weights it starts from, or evaluates.")
    varied: Json | None = Field(description="What varies between the runs, as text by parameter.")
    parameters: Json | None = Field(
        description="Every parameter with its value, also those that nobody wrote down; of a run that is not trained, those of evaluation."
    )
    seed: int | None = Field(description="The parameter seed, where the tool has one.")
    steps: int | None = Field(description="Steps that training made.")
    planned_steps: int | None = Field(description="Steps that were planned, where training stopped early.")
    final_loss: float | None = Field(description="Loss at the last step.")
    train_seconds: float | None = Field(description="From the start of the training job to its end.")
    missing: str | None = Field(description="Jobs that were accepted as missing, with their reason.")
    remarks: str | None = Field(description="What a reader of its numbers must know.")


class CellsTable(_OfCell):
    """One row an evaluation that has results."""

    last: bool = Field(description="Whether it is the last evaluated checkpoint of its run on its task.")
    samples: int = Field(description="Answers, with and without a score.")
    seconds: float | None = Field(description="From the start of the job to its end; absent where its log does not say.")
    log: str = Field(description="Path of the log in the lab.")
    log_sha256: str = Field(description="SHA-256 of the log.")
    weights: str | None = Field(description="Digest over the files of the model that were loaded.")
    token: str | None = Field(description="Token of the attempt that made the log.")


class MetricsTable(_OfMetric):
    """One row a metric of an evaluation."""

    stderr: float | None = Field(description="Standard error that the evaluator gave.")
    low: float | None = Field(description="Lower end of the 95 % interval over rows: this model, rows like these.")
    high: float | None = Field(description="Upper end.")
    interval: str | None = Field(description="Method of the interval.")
    scored: int = Field(description="Samples that have a score.")
    asked: int | None = Field(description="Samples that were asked.")


class SamplesTable(_OfCell):
    """One row an answer and scorer."""

    sample: str = Field(description="Id of the sample, as text.")
    repeat: int = Field(description="1 for the first answer to a sample; more where it was asked several times.")
    scorer: str | None = Field(description="Scorer; absent where none scored it.")
    score: float | None = Field(description="The score as a number; absent where it is none.")
    score_text: str | None = Field(description="The score as it was given, e.g. C.")
    answer: str | None = Field(
        description="What the scorer took for the answer; of more than 4,000 characters the beginning, and the SHA-256 of all."
    )
    target: str | None = Field(description="What was asked for; likewise.")


class AttemptsTable(_OfExperiment):
    """One row a try at a job."""

    job: str = Field(description="Name of the job.")
    stage: str = Field(description="training or evaluation.")
    number: int = Field(description="1 for the first try.")
    token: str = Field(description="Job name at the scheduler; no other attempt has it.")
    phase: str = Field(description="submitted, done, failed or cancelled.")
    failure: str | None = Field(description="Why it ended badly, as a class.")
    reason: str | None = Field(description="And in a sentence.")
    cluster: str = Field(description="Cluster profile.")
    scheduler: str = Field(description="Scheduler.")
    job_id: str | None = Field(description="The scheduler's id.")
    host: str | None = Field(description="Machine that it ran on.")
    submitted: datetime.datetime | None = Field(description="UTC.")
    started: datetime.datetime | None = Field(description="UTC.")
    ended: datetime.datetime | None = Field(description="UTC.")
    exit_code: int | None = Field(description="Exit code of the job.")
    queue_seconds: float | None = Field(description="From submission to start.")
    elapsed_seconds: float | None = Field(description="From start to end.")
    cpu_seconds: float | None = Field(description="CPU time of all processes.")
    gpus: int | None = Field(description="GPUs that were held.")
    gpu_hours: float | None = Field(description="GPUs times hours.")
    gpu_utilization: float | None = Field(description="Percent.")
    peak_memory_bytes: int | None = Field(description="Largest memory.")


class ClaimsTable(_OfExperiment):
    """One row a claim that analysis has judged."""

    number: int = Field(description="1 for the design's first claim.")
    task: str | None = Field(description="Task that it is measured on.")
    metric: str | None = Field(description="Metric.")
    left_side: str | None = Field(description="Left side: a run, or JSON where it names a group.")
    right_side: str | None = Field(description="Right side.")
    claim: Json = Field(description="The whole claim, as the design has it.")
    judgement: str = Field(description="supported, not supported, undecided, or cannot be judged.")
    registered: str | None = Field(description="Whether it was made before results could be seen, or changed or added after.")
    quantity: str | None = Field(description="What it is about, and so which chance is in its interval: models, rows or settings.")
    about: str | None = Field(description="And in words.")
    reason: str = Field(description="Why, and what it does not say.")
    difference: float | None = Field(description="Left minus right.")
    low: float | None = Field(description="Lower end of its 95 % interval.")
    high: float | None = Field(description="Upper end.")
    interval: str | None = Field(description="Method of the interval.")
    samples: int | None = Field(description="Samples that were compared.")
    paired: bool = Field(description="Whether over the same rows.")


class CommitsTable(_OfExperiment):
    """One row a commit of an experiment's branch."""

    commit: str = Field(description="Its id.")
    number: int = Field(description="1 for the oldest.")
    time: datetime.datetime = Field(description="When it was committed, UTC.")
    author: str = Field(description="Name of the author.")
    subject: str = Field(description="First line of the message.")
    event: str | None = Field(description="Ckgit-Event: what it recorded; absent where it is not ckgit's.")
    source: str | None = Field(description="Ckgit-From: the state before it.")
    target: str | None = Field(description="Ckgit-To: the state after it.")
    design_hash: str | None = Field(description="Ckgit-Design: hash of the design.")
    version: str | None = Field(description="Ckgit-Version: the ckgit that made it.")


class ResultsTable(_OfMetric):
    """A view: one row a metric, with what its run was."""

    low: float | None = Field(description="Lower end of the 95 % interval over rows: this model, rows like these.")
    high: float | None = Field(description="Upper end.")
    scored: int = Field(description="Samples that have a score.")
    asked: int | None = Field(description="Samples that were asked.")
    last: bool = Field(description="Whether it is of the last evaluated checkpoint of its run on its task.")
    number: int = Field(description="1 for the first run of the design.")
    type: str | None = Field(description="fine-tuned, control or eval-only.")
    model: str | None = Field(description="Model card.")
    varied: Json | None = Field(description="What varies between the runs.")
    parameters: Json | None = Field(description="Every parameter of the run.")
    seed: int | None = Field(description="The parameter seed.")
    final_loss: float | None = Field(description="Loss at the last step of training.")
    question: str | None = Field(description="The experiment's question.")
    state: str | None = Field(description="The experiment's state.")
    closed: bool = Field(description="Whether it is closed.")
    current: bool = Field(description="Whether the experiment of that name is this one.")
    date: datetime.date | None = Field(description="Day of the design.")
    commit: str = Field(description="Commit that it was read from.")


TABLES: Mapping[str, type[Frozen]] = {
    "experiments": ExperimentsTable,
    "runs": RunsTable,
    "cells": CellsTable,
    "metrics": MetricsTable,
    "samples": SamplesTable,
    "attempts": AttemptsTable,
    "claims": ClaimsTable,
    "commits": CommitsTable,
}
VIEWS: Mapping[str, type[Frozen]] = {"results": ResultsTable}

_SQL = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", datetime.datetime: "TIMESTAMP", datetime.date: "DATE"}
_OF = {"cells": "c", "runs": "r", "experiments": "e"}


def columns(model: type[Frozen]) -> dict[str, str]:
    """Type in SQL by column, in order."""
    return {name: _type(field.annotation, field.metadata) for name, field in model.model_fields.items()}


def _type(annotation: Any, metadata: typing.Sequence[Any] = ()) -> str:
    if JSON in metadata:
        return JSON
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return _type(next(each for each in typing.get_args(annotation) if each is not type(None)))
    if typing.get_origin(annotation) is Annotated:
        return _type(typing.get_args(annotation)[0], typing.get_args(annotation)[1:])
    return _SQL[annotation]


def definitions() -> list[str]:
    """The statements that make all tables and views."""
    made = [f"CREATE TABLE {name} ({_listed(model)})" for name, model in TABLES.items()]
    places = {column: alias for table, alias in _OF.items() for column in TABLES[table].model_fields}
    places |= dict.fromkeys(MetricsTable.model_fields, "m")
    listed = ", ".join(f"{places[column]}.{column}" for column in ResultsTable.model_fields)
    joined = "JOIN cells c ON (c.experiment, c.run, c.task) = (m.experiment, m.run, m.task) "
    joined += "AND c.epoch IS NOT DISTINCT FROM m.epoch AND c.checkpoint IS NOT DISTINCT FROM m.checkpoint "
    joined += "JOIN runs r ON (r.experiment, r.run) = (m.experiment, m.run) JOIN experiments e ON e.experiment = m.experiment"
    return [*made, f"CREATE VIEW results AS SELECT {listed} FROM metrics m {joined}"]  # noqa: S608 - our names


def _listed(model: type[Frozen]) -> str:
    return ", ".join(f"{column} {kind}" for column, kind in columns(model).items())
