"""What an analysis compared beside the claims: settings, pairs, what is unequal, and rows worth reading."""

from enum import StrEnum

from pydantic import Field

from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.model import Frozen, RunType
from ckgit.experiment.measured.answers import Score


class RowKind(StrEnum):
    """Why a row is worth reading."""

    DIFFERENT = "runs differ"
    RIGHT = "all right"
    WRONG = "all wrong"
    CONFIDENT = "wrong with confidence"
    HIGHEST = "highest scores"
    LOWEST = "lowest scores"


class RowAnswer(Frozen):
    """What the last evaluated checkpoint of a run made of a row."""

    run: str
    output: str = Field(description="What the model wrote, cut.")
    score: Score
    probability: float | None = Field(default=None, description="How probable it found its answer, where the log holds that.")


class TypicalAnswer(Frozen):
    """One of the answers that a run gave most often on a task."""

    task: str
    run: str
    answer: str = Field(description="As its scorer read it, or else as the model wrote it; cut.")
    given: int = Field(description="Rows that have it.")
    rows: int = Field(description="Rows whose answers are known.")
    id: int | str = Field(description="The first row that has it.")
    score: Score = None


class ReadRow(Frozen):
    """A row that is worth reading, with each run's answer. Which ones are follows from the scores alone, and is no random choice."""

    task: str
    id: int | str
    kind: RowKind
    scorer: str = Field(description="By whose scores it was chosen.")
    input: str = Field(description="What was asked, cut.")
    target: str | None
    answers: tuple[RowAnswer, ...]


class SettingSummary(Frozen):
    """One setting on one task, by the task's main metric: over all of its runs."""

    task: str
    scorer: str
    metric: str
    setting: str
    type: RunType
    varied: dict[str, str] = Field(default={}, description="What varies beside the seed, as text.")
    runs: tuple[str, ...] = Field(description="Those that have a value.")
    scores: tuple[float, ...] = Field(description="Their values, in the same order.")
    mean: float | None = Field(default=None, description="Of these; absent where there are none.")
    sd: float | None = Field(default=None, description="Between its seeds, n - 1; absent of fewer than two.")
    low: float | None = Field(default=None, description="Lower end of the 95 % interval.")
    high: float | None = Field(default=None, description="Upper end.")
    interval: str | None = Field(default=None, description="Method of the interval; absent where there is none.")
    quantity: Quantity | None = Field(default=None, description="Which chance the interval has in it.")
    missing: tuple[str, ...] = Field(default=(), description="Runs of it that have no value.")
    again: tuple[str, ...] = Field(default=(), description="Runs that are left out, as one of the same seed is there already.")


class PairComparison(Frozen):
    """Two settings, or two runs, by a task's main metric. Nobody claimed it before, so it is exploratory."""

    task: str
    scorer: str
    metric: str
    left: str
    right: str
    difference: float | None = Field(default=None, description="Left minus right.")
    low: float | None = Field(default=None, description="Lower end of the interval, which all intervals of the task hold together in 95 %.")
    high: float | None = Field(default=None, description="Upper end.")
    level: float = Field(default=0.95, description="Coverage of this interval alone: 1 - 0.05/comparisons (Bonferroni).")
    interval: str | None = Field(default=None, description="Method of the interval; absent where there is none.")
    quantity: Quantity | None = Field(default=None, description="Which chance the interval has in it.")
    p: float | None = Field(default=None, description="Two-sided p-value of no difference; absent where there is none.")
    p_method: str | None = Field(default=None, description="How that was computed.")
    adjusted: float | None = Field(default=None, description="The same, corrected for all comparisons of the task (Holm 1979).")
    rows: int | None = Field(default=None, description="Rows that both answered, by which they are paired.")
    seeds: tuple[int, int] | None = Field(default=None, description="Runs of the left one and of the right one.")
    why_not: str = Field(default="", description="Why they are not compared; empty where they are.")


class UnequalTrait(Frozen):
    """Something in which runs that are compared differ, though the design does not vary it on purpose; or of which nobody knows."""

    trait: str
    compared: str = Field(description="What compares them: a claim, or all runs of a task.")
    known: bool = Field(description="Whether they are known to differ; else it is not known whether they do.")
    values: dict[str, tuple[str, ...]] = Field(description="Runs by value, as text.")


class RowClusters(Frozen):
    """How much less the rows of a task tell because they belong together, by its main metric."""

    task: str
    column: str = Field(description="Metadata column by which they belong together.")
    clusters: int
    rows: int
    effect: float = Field(
        description="Design effect: variance of a mean over these rows, of the differences between settings, over that of rows that each "
        "stand alone."
    )
    icc: float | None = Field(description="How alike rows of a cluster are in that, as follows from it; null where each stands alone.")
    sketch: str | None = Field(default=None, description="Of what the rows ask: digests, by which they are known under any name.")


class ScoredSplit(Frozen):
    """What a lab has scored on the rows of a task: a variant is what differs in more than its seed and its epoch."""

    task: str
    data: str | None = Field(description="SHA-256 of the data set; null where the task brings its own rows.")
    split: str
    variants: int = Field(description="Variants that were scored, but for controls.")
    controls: int = Field(description="Models as they are that were scored, for comparison.")
    experiments: dict[str, int] = Field(description="By experiment how many variants and controls it has scored, closed ones included.")
    unread: tuple[str, ...] = Field(default=(), description="Experiments that could not be read, and may have scored more.")
    elsewhere: dict[str, int] = Field(
        default={},
        description="By other experiment how many of this one's own variants it has scored, too: what came of them could be seen there.",
    )
    again: bool = Field(
        default=False, description="Whether these are rows of an earlier entry of the same task, whose numbers hold what these do."
    )
