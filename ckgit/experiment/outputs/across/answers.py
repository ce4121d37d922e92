"""Rows of a lab's results, and experiments side by side: `ckgit results --json`, `ckgit sql --json` and `ckgit compare --json`."""

from pydantic import Field, JsonValue

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import CommitId, PrintedDocument


class RowsDocument(PrintedDocument):
    """The rows of a question."""

    columns: tuple[str, ...]
    kinds: tuple[str, ...] = Field(description="Type of each column, as DuckDB names it.")
    rows: tuple[tuple[JsonValue, ...], ...] = Field(description="A value for each column; what is no finite number is null.")


class ComparedSide(Frozen):
    """One of what is compared."""

    name: str = Field(description="EXPERIMENT, or EXPERIMENT/RUN.")
    commit: CommitId


class DesignDifference(Frozen):
    """A place in which designs, or the parameters of runs, differ."""

    place: str = Field(description="E.g. controls.lr, or lora_rank.")
    values: tuple[JsonValue, ...] = Field(description="Of each side, in order; null where it has none.")


class ComparedMetric(Frozen):
    """Right minus left of one metric over the rows that both have."""

    task: str
    scorer: str
    metric: str
    left_run: str = Field(description="EXPERIMENT/RUN.")
    right_run: str = Field(description="EXPERIMENT/RUN.")
    left_value: float | None = Field(description="Over the rows that both have, where the metric is a mean; else as it was reported.")
    right_value: float | None
    difference: float | None = Field(description="Right minus left.")
    low: float | None = Field(description="Lower end of its 95 % interval: these two models, rows like these.")
    high: float | None
    interval: str | None = Field(description="Method of the interval.")
    rows: int = Field(description="Rows that both answered, with the same id and target.")
    left_rows: int
    right_rows: int
    remark: str = Field(description="Why there is no interval, or what else limits it; empty for nothing.")


class CompareDocument(PrintedDocument):
    """Experiments or runs side by side."""

    sides: tuple[ComparedSide, ...]
    differences: tuple[DesignDifference, ...]
    metrics: tuple[ComparedMetric, ...]
    remarks: tuple[str, ...] = Field(description="What could not be compared, and what to know of the rest.")
