"""Measures of a cell's answers, and scores by groups of rows. `results.json` holds these."""

from typing import Literal

from pydantic import Field

from ckgit.experiment.design.fields import Frozen


class Measure(Frozen):
    """One number that ckgit computes from a cell's answers."""

    name: str = Field(description="E.g. balanced accuracy, recall, MAE, Brier score.")
    label: str | None = Field(default=None, description="The class that it is about, where it is about one.")
    value: float | None = Field(default=None, description="Absent where it is undefined.")
    low: float | None = Field(default=None, description="Lower end of the 95 % interval over rows: this model, rows like these.")
    high: float | None = Field(default=None, description="Upper end.")
    interval: str | None = Field(default=None, description="Method of the interval; absent where there is none.")
    rows: int = Field(description="Answers that it is made of.")
    note: str = Field(default="", description="Why it is undefined or has no interval, or what it is to be held against.")


class ConfusionTable(Frozen):
    """How often each answer was given to each target."""

    labels: tuple[str, ...] = Field(description="The classes, in order of the alphabet.")
    counts: tuple[tuple[int, ...], ...] = Field(
        description="A line for each target; in it a count for each answer, and last that of answers that are no label."
    )


class ReliabilityBin(Frozen):
    """Answers of which the model was about as sure."""

    rows: int
    sureness: float = Field(description="Mean probability of the likeliest label.")
    right: float = Field(description="Share of rows whose target that is.")


class CellMeasures(Frozen):
    """What the answers of one evaluation come to."""

    kind: Literal["classes", "numbers", "scores"] = Field(description="Whether targets are classes, numbers, or only scores are known.")
    measures: tuple[Measure, ...] = ()
    confusion: ConfusionTable | None = None
    reliability: tuple[ReliabilityBin, ...] = Field(default=(), description="Bins of equal width that have rows, the least sure first.")
    remarks: tuple[str, ...] = Field(default=(), description="What a reader must know, as a score that cannot rise.")


class GroupScore(Frozen):
    """The score of the rows that share a value."""

    value: str
    rows: int
    score: float
    low: float | None = None
    high: float | None = None
    interval: str | None = None


class GroupGap(Frozen):
    """The largest difference between two groups of a column: the first minus the second."""

    first: str
    second: str
    difference: float
    low: float | None = Field(default=None, description="Lower end of the interval that allows for all the gaps that were looked at.")
    high: float | None = None
    interval: str | None = None
    looked_at: int = Field(description="Gaps on this task, over columns and runs, of which it is one.")


class GroupedScores(Frozen):
    """A run's score on a task by the values of one metadata column. Exploratory, unless a claim names it."""

    run: str
    task: str
    epoch: int | None = None
    checkpoint: str | None = None
    column: str
    scorer: str
    metric: str
    groups: tuple[GroupScore, ...]
    left_out: int = Field(default=0, description="Rows without a value or a score.")
    gap: GroupGap | None = None
