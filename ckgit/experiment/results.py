"""What training and evaluation left, extracted from their logs. `analysis/results.json` holds these."""

from __future__ import annotations

from pydantic import Field

from ckgit.experiment.design import Frozen, RunType, Sha256

Score = float | int | str | bool | None


class Checkpoint(Frozen):
    """A saved epoch. The weights stay in the work tree."""

    epoch: int
    path: str = Field(description="Relative to the work tree.")
    bytes: int
    sha256: Sha256 = Field(description="Of the adapter where there is one, otherwise of the weight files' index or only file.")


class TokenCheck(Frozen):
    """What the check of training's and evaluation's tokens found."""

    rows: int = Field(description="Rows that were compared.")
    sha256: Sha256 = Field(description="Over the token prefixes of these rows, in order.")
    template_sha256: Sha256 | None = None
    template_date: str | None = None
    end_of_turn: int | None = Field(default=None, description="Token id that ends an answer and is trained.")


class LossPoint(Frozen):
    """One line of the training log."""

    step: int
    loss: float
    lr: float | None = None


class TrainingResult(Frozen):
    """One fine-tuned run."""

    run: str
    steps: int
    final_loss: float
    seconds: float = Field(description="From the job's start to its end.")
    losses: tuple[LossPoint, ...]
    checkpoints: tuple[Checkpoint, ...]
    tokens: dict[str, TokenCheck] = Field(default={}, description="By `train`, and by task for rows of its split.")
    versions: dict[str, str] = Field(default={}, description="Versions of the tools in the job.")


class Metric(Frozen):
    """One number of a cell."""

    scorer: str
    name: str
    value: float
    stderr: float | None = Field(default=None, description="Standard error, in the metric's unit.")
    samples: int


class Sample(Frozen):
    """One row's answer."""

    id: int | str
    epoch: int = 1
    scores: dict[str, Score] = Field(description="By scorer.")
    answer: str | None = None
    target: str | None = None


class CellResult(Frozen):
    """One evaluation."""

    run: str
    task: str
    epoch: int | None = None
    log: str = Field(description="Path of the .eval log, relative to the lab.")
    log_sha256: Sha256
    seconds: float
    metrics: tuple[Metric, ...]
    samples: tuple[Sample, ...]
    tokens: TokenCheck | None = None
    versions: dict[str, str] = {}


class RunRow(Frozen):
    """One run in the results, whatever became of it."""

    name: str
    type: RunType
    varied: dict[str, str] = Field(default={}, description="What varies, as text.")
    training: TrainingResult | None = None
    cells: tuple[CellResult, ...] = Field(default=())
    missing: tuple[str, ...] = Field(default=(), description="Jobs that were accepted as missing, with their reason.")


class Results(Frozen):
    """`analysis/results.json`."""

    schema_version: int = 1
    experiment: str
    question: str
    design: Sha256
    runs: tuple[RunRow, ...]
