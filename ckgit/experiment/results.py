"""What training and evaluation left, extracted from their logs. `analysis/results.json` holds these."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from ckgit.experiment.accounting import Accounting
from ckgit.experiment.card import FileDigest, folder_digest
from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.design.model import Claim, Frozen, RunType, Sha256
from ckgit.experiment.design.parameters import order_of_checkpoint
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.measured.compared import (
    PairComparison,
    ReadRow,
    RowClusters,
    ScoredSplit,
    SettingSummary,
    TypicalAnswer,
    UnequalTrait,
)
from ckgit.experiment.measured.measures import CellMeasures, GroupedScores

MANIFEST = "checkpoints.json"  # a list of `Checkpoint`: in a run's folder on the branch, and in its artifacts/ in the work tree


class Checkpoint(Frozen):
    """Something that a preparation saved. Weights stay in the work tree."""

    epoch: int | None = Field(default=None, description="The epoch after which it was saved; absent where a tool saves by steps.")
    step: int | None = Field(default=None, description="The step after which it was saved, where a tool saves by steps.")
    best: bool = Field(default=False, description="Whether the tool holds it for the best.")
    path: str = Field(description="Relative to the work tree.")
    bytes: int
    sha256: Sha256 = Field(description="Of the adapter where there is one, otherwise of the weight files' index or only file.")
    files: dict[str, FileDigest] = Field(default={}, description="What evaluation loads, by name; absent where older jobs trained.")
    prompt: str | None = Field(default=None, description="Of a tool that leaves prompts, no weights: the user message.")
    system_prompt: str | None = Field(default=None, description="Likewise: the system message, where the tool has one.")

    @property
    def weights(self) -> str | None:
        """One digest for all that evaluation loads; None where training did not record it."""
        return folder_digest(self.files) if self.files else None


MANIFEST_OF = TypeAdapter(tuple[Checkpoint, ...])


def read_manifest(content: bytes | str) -> tuple[Checkpoint, ...]:
    """What a `checkpoints.json` lists.

    Raises:
        ValueError: it cannot be read; says why.
    """
    try:
        return MANIFEST_OF.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"cannot be read: {error.errors()[0]['msg']}") from None


class TokenCheck(Frozen):
    """What the check of training's and evaluation's tokens found."""

    rows: int = Field(description="Rows that were compared.")
    sha256: Sha256 = Field(description="Over the token prefixes of these rows, in order.")
    template_sha256: Sha256 | None = None
    template_date: str | None = None
    end_of_turn: int | None = Field(default=None, description="Token id that ends an answer and is trained.")
    by_row_sha256: Sha256 | None = Field(
        default=None, description="Over the digests of these rows, in order, as `tokens.json` and a log list them; absent in older records."
    )


class TokenRecord(TokenCheck):
    """An entry of a run's `tokens.json`."""

    by_row: tuple[str, ...] = Field(
        default=(), description="Of each of these rows, in order, the SHA-256 of its token prefix, cut short; absent in older records."
    )


ROW_DIGITS = 16  # of the SHA-256 of a row's token prefix


def rows_digest(by_row: Iterable[str]) -> str:
    """One digest for rows, from theirs, in order."""
    return hashlib.sha256("".join(f"{row[:ROW_DIGITS]}\n" for row in by_row).encode()).hexdigest()


class LossPoint(Frozen):
    """One line of the training log."""

    step: int
    loss: float
    lr: float | None = None
    metrics: dict[str, float] = Field(default={}, description="What else the tool measured at this step, by its own names.")


# Names of what is measured where pairs of answers are trained: the mean reward of those that were chosen, and of those that were
# rejected, by how much the one is above the other, and in which share of pairs it is.
CHOSEN, REJECTED, MARGINS, ACCURACIES = "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"


class TrainingResult(Frozen):
    """One fine-tuned run: what its preparation came to."""

    run: str
    steps: int = Field(description="Optimizer steps, or whatever the tool counts.")
    tokens_seen: int | None = Field(
        default=None, description="Tokens that were trained on, each as often as it was; absent where the tool does not count."
    )
    final_loss: float | None = Field(default=None, description="Absent where the tool has no loss.")
    seconds: float = Field(description="From the job's start to its end.")
    losses: tuple[LossPoint, ...] = ()
    validation: tuple[LossPoint, ...] = Field(default=(), description="Losses on rows that were held out, where the tool measures them.")
    planned_steps: int | None = Field(default=None, description="Steps that were planned, where fewer were made.")
    ended: str = Field(default="", description="Why fewer steps were made than planned, as where a tool stops early.")
    checkpoints: tuple[Checkpoint, ...] = Field(default=(), description="In the order in which they were saved.")
    tokens: dict[str, TokenCheck] = Field(default={}, description="By `train`, and by task for rows of its split.")
    versions: dict[str, str] = Field(default={}, description="Versions of the tools in the job.")
    resumed: tuple[int, ...] = Field(default=(), description="Whole epochs at each start after the first, where training was cut short.")
    resumed_steps: tuple[int, ...] = Field(
        default=(), description="Steps at each start after the first, of a tool that goes on inside an epoch."
    )
    starts: tuple[str, ...] = Field(default=(), description="Token of the job at each start; absent where older jobs trained.")
    own: dict[str, Any] = Field(default={}, description="What the tool says in its own terms; the worker's `result` is its model.")

    @property
    def lowest_validation(self) -> LossPoint | None:
        """The measurement with the lowest loss on rows that were held out; of equal ones the first."""
        return min((point for point in self.validation if math.isfinite(point.loss)), key=lambda point: point.loss, default=None)

    def saved(self, cell: "CellResult") -> Checkpoint | None:
        """The checkpoint that a cell evaluated; None where that is not known."""
        folder = cell.checkpoint or (f"epoch_{cell.epoch}" if cell.epoch is not None else None)
        by_path = (each for each in self.checkpoints if folder and each.path.rpartition("/")[2] == folder)
        by_epoch = (each for each in self.checkpoints if cell.epoch is not None and each.epoch == cell.epoch)
        return next(by_path, None) or next(by_epoch, None)


class Metric(Frozen):
    """One number of a cell."""

    scorer: str
    name: str
    value: float | None = Field(description="Absent where it is undefined, e.g. an AUC over rows of one class.")
    stderr: float | None = Field(default=None, description="Standard error that the evaluator gave, in the metric's unit.")
    stderr_from: Literal["tool", "samples"] | None = Field(
        default=None, description="tool; or samples, in results of earlier versions, which computed one from the samples' scores."
    )
    low: float | None = Field(default=None, description="Lower end of the 95 % interval over rows: this model, rows like these.")
    high: float | None = Field(default=None, description="Upper end.")
    interval: str | None = Field(default=None, description="Method of the interval; absent where there is none.")
    samples: int = Field(description="Samples that have a score, of which the metric is made.")
    asked: int | None = Field(default=None, description="Samples that were asked; absent in results that did not count them yet.")


class Sample(Frozen):
    """One row's answer."""

    id: int | str
    epoch: int = 1
    scores: dict[str, Score] = Field(description="By scorer.")
    answer: str | None = Field(
        default=None, description="In results.json, of more than 4,000 characters the beginning, their number, and the SHA-256 of all."
    )
    target: str | None = Field(default=None, description="Likewise.")
    metadata: dict[str, Score] = Field(
        default={}, description="Other columns of the row, as its task gave them; of texts the short ones. Not in results.json."
    )
    probabilities: dict[str, float] = Field(
        default={}, description="How probable the model found each answer, where a scorer says so. Not in results.json."
    )


class RowText(Frozen):
    """What one of the first rows of an evaluation asked, and what the model wrote; both cut."""

    id: int | str
    input: str
    output: str


class CellResult(Frozen):
    """One evaluation."""

    run: str
    task: str
    epoch: int | None = None
    checkpoint: str | None = Field(default=None, description="Folder of the checkpoint, e.g. best, where that is not an epoch's.")
    log: str = Field(description="Path of the .eval log, relative to the lab.")
    log_sha256: Sha256
    seconds: float = Field(description="From the job's start to its end.")
    metrics: tuple[Metric, ...]
    samples: tuple[Sample, ...]
    tokens: TokenCheck | None = None
    weights: Sha256 | None = Field(
        default=None, description="Over the files of the model that were loaded, as of a checkpoint or a model card; absent in older logs."
    )
    versions: dict[str, str] = {}
    token: str | None = Field(
        default=None,
        description="Token of the attempt that made the log, which is an earlier one where a retry kept it; absent in older logs.",
    )
    log_bytes: int | None = Field(default=None, description="Size of a log that was too large to be committed, where that was recorded.")
    max_log_bytes: int | None = Field(default=None, description="And the limit in ckgit.toml that it was over.")
    texts: tuple[RowText, ...] = Field(
        default=(), description="What its first rows asked and were answered. In results.json they are left out, and `rows` has some."
    )
    rows: str | None = Field(
        default=None,
        description="A sketch of what its rows ask: digests, by which a set of rows is known whatever it is called. Not in results.json.",
    )
    asked: str | None = Field(
        default=None,
        description="Of each sample, in their order, six digits of the digest of what its row asks; absent in older results.",
    )
    clusters: tuple[int, ...] | None = Field(
        default=None, description="Of each sample the number of the cluster that its row belongs to, where the task has `clusters`."
    )
    measures: CellMeasures | None = Field(
        default=None, description="What ckgit computed from its answers; absent where there is nothing, and in results of earlier versions."
    )


def last_evaluated(cells: Sequence[CellResult]) -> CellResult:
    """Of one run's evaluations on a task that of the last epoch; of several without epochs the last that is not the best's.

    There must be one.
    """
    return max(reversed(cells), key=lambda each: order_of_checkpoint(each.epoch, each.checkpoint))


def place_of_checkpoint(epoch: int | None, folder: str | None) -> str:
    """A checkpoint in words, e.g. `epoch 2` or `best`; empty for the model card's own weights."""
    return f"epoch {epoch}" if epoch is not None else folder or ""


class RunRow(Frozen):
    """One run in the results, whatever became of it."""

    name: str
    type: RunType
    varied: dict[str, str] = Field(default={}, description="What varies, as text.")
    setting: str = Field(default="", description="What it has in common with runs that differ in the seed alone; empty in older results.")
    again: bool = Field(
        default=False, description="Whether it trains what an earlier run of its setting does, with the same seed, and so counts as none."
    )
    training: TrainingResult | None = None
    cells: tuple[CellResult, ...] = Field(default=())
    missing: tuple[str, ...] = Field(default=(), description="Jobs that were accepted as missing, with their reason.")
    remarks: tuple[str, ...] = Field(default=(), description="What a reader of its numbers must know.")


class Results(Frozen):
    """`analysis/results.json`."""

    schema_version: int = 1
    experiment: str
    question: str
    design: Sha256
    hypothesis: str = ""
    runs: tuple[RunRow, ...]
    claims: tuple[Verdict, ...] = ()
    accounting: Accounting = Field(default_factory=Accounting, description="What the jobs took.")
    made_with: dict[str, str] = Field(
        default={}, description="Versions of what read the logs and drew the pictures; absent in results that did not keep them yet."
    )
    reproduced: tuple[str, ...] = Field(
        default=(), description="What second executions had come to when this was written, a sentence each; absent where there were none."
    )
    withdrawn: tuple[Claim, ...] = Field(default=(), description="Claims that the design had until results could be seen, and has no more.")
    registration: str = Field(default="", description="Why it is not known when the claims were made, where that is so.")
    scored: tuple[ScoredSplit, ...] = Field(
        default=(), description="How much this lab had scored on the rows of each task when this was written; absent in older results."
    )
    clustering: tuple[RowClusters, ...] = Field(
        default=(), description="Of tasks with `clusters` how much less their rows tell; absent where there are none, and in older results."
    )
    rows: tuple[ReadRow, ...] = Field(
        default=(), description="Rows worth reading, by task; absent in results that had none, or did not keep them yet."
    )
    typical: tuple[TypicalAnswer, ...] = Field(default=(), description="Answers that runs gave most often; absent in older results.")
    settings: tuple[SettingSummary, ...] = Field(
        default=(), description="Each setting by the main metric of each task; absent in older results."
    )
    comparisons: tuple[PairComparison, ...] = Field(default=(), description="Exploratory comparisons; absent in older results.")
    not_compared: tuple[str, ...] = Field(default=(), description="Which comparisons were not made, and why, a sentence each.")
    fairness: tuple[UnequalTrait, ...] = Field(
        default=(), description="What is not equal, or not known to be, between runs that are compared; absent in older results."
    )
    fairness_of: tuple[str, ...] = Field(default=(), description="The traits that were looked at; absent in older results.")
    groups: tuple[GroupedScores, ...] = Field(
        default=(), description="Scores by groups of rows; absent where there were none, and in results of earlier versions."
    )
    samples_left_out: int | None = Field(
        default=None, description="Bytes of samples.parquet, where it was larger than `max_log_bytes` and is not committed."
    )
    max_bytes: int | None = Field(
        default=None, description="The `max_log_bytes` of ckgit.toml by which that was decided; absent in results of earlier versions."
    )
