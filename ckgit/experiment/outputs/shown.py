"""An experiment, or one of its runs: `ckgit show --json`."""

from typing import Any

from pydantic import Field

from ckgit.experiment.accounting import Accounting
from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.classify import JobCondition
from ckgit.experiment.design.fields import Frozen, Sha256
from ckgit.experiment.design.kept import KeptJob
from ckgit.experiment.design.model import RunType, Scorer
from ckgit.experiment.design.plan import Source
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.measured.compared import RowKind
from ckgit.experiment.outputs.fields import Ahead, CommitId, Moment, PrintedDocument, WhatHasIt, WhyClosed
from ckgit.experiment.outputs.standing import EditedFile, LeftToJob
from ckgit.experiment.reproduction.record import Reproduction
from ckgit.experiment.results import CellResult, RunRow, TrainingResult
from ckgit.experiment.stage import Stage
from ckgit.experiment.state import State


class ShownJob(Frozen):
    """A job of a run."""

    job: str
    stage: Stage
    condition: JobCondition
    cells: dict[str, str] = Field(description="Of a failed job of several cells: why each does not count; empty for one that does.")


class ShownRun(Frozen):
    """A run of an experiment."""

    run: str
    type: RunType
    model: str = Field(description="Name of the model that it starts from, or evaluates.")
    varied: dict[str, str] = Field(description="What varies, as text.")
    jobs: tuple[ShownJob, ...]
    results: RunRow | None = Field(
        description="As in results.json; null before analyze. Losses, checkpoints, tokens and samples are listed of a run alone."
    )


class ShownParameter(Frozen):
    """A parameter of a run."""

    value: Any
    source: Source = Field(description="Where its value came from.")


class ShownCell(Frozen):
    """An evaluation of a run: what it sends, and how answers are made and scored."""

    cell: str
    task: str
    epoch: int | None = Field(description="The epoch whose checkpoint it evaluates, where that is one's.")
    split: str
    prompt: str | None
    system_prompt: str | None
    generation: dict[str, Any]
    scorers: tuple[Scorer, ...] = Field(description="None: the task's own.")


class ShownWeights(Frozen):
    """A checkpoint of a run."""

    checkpoint: str
    path: str = Field(description="Of its folder in the work tree.")
    there: bool | None = Field(description="Whether it is on this machine now; null where that cannot be seen.")


class ShownEnding(Frozen):
    """A job that ended since the last commit. It counts only when its stage has judged it."""

    job: str
    training: TrainingResult | None = Field(description="Without losses, checkpoints and tokens; null of an evaluation.")
    cells: tuple[CellResult, ...] = Field(description="Without their samples.")
    problems: tuple[str, ...] = Field(description="Why it, or a cell of it, would not count.")


class ShownRow(Frozen):
    """A row with what the run made of it."""

    task: str
    id: int | str
    kind: RowKind | None = Field(description="Why it is worth reading; null where it is one of the first of an evaluation that just ended.")
    input: str
    target: str | None
    output: str
    score: Score


class ShownOrigin(Frozen):
    """Where a training is from."""

    kept: KeptJob | None = Field(description="The training whose results are taken over; null where it is the run's own.")
    like: str | None = Field(description="Of its own: the training of the lab that is most like it, in words; null where there is none.")
    differs: dict[str, tuple[str | None, str | None]] = Field(description="What that one has otherwise: its value and this run's, as JSON.")


class DetailedRun(ShownRun):
    """A run that was asked for by its name."""

    parameters: dict[str, ShownParameter]
    cells: tuple[ShownCell, ...]
    origin: ShownOrigin | None = Field(description="Null of a run that is not trained.")
    weights: tuple[ShownWeights, ...] = Field(description="In the order in which they were saved.")
    ended: tuple[ShownEnding, ...] = Field(description="Jobs that ended, and are not committed yet.")
    examples: tuple[ShownRow, ...] = Field(description="A few of its answers; texts are cut.")


class _ShowDocument(PrintedDocument):
    """What both have."""

    experiment: str
    lifecycle_state: State
    commit: CommitId = Field(description="The tip of its branch; where that is gone, its last commit in what has it.")
    time: Moment = Field(description="Of that commit.")
    design_hash: Sha256
    closed: WhyClosed
    kept: WhatHasIt
    report: str | None = Field(description="Path of the report in that commit; null before analyze.")
    attempts: tuple[Attempt, ...] = Field(description="At the jobs of these runs, in order.")
    left_to: LeftToJob | None = Field(description="Null where nobody but its user goes on.")
    ahead: Ahead
    edited: tuple[EditedFile, ...]
    reproductions: tuple[Reproduction, ...] = Field(description="What running jobs of these runs again came to, by `ckgit reproduce`.")
    accounting: Accounting = Field(description="What the attempts took that ended.")
    claims: tuple[Verdict, ...] = Field(description="Empty before analyze.")


class ShowDocument(_ShowDocument):
    """An experiment."""

    design: dict[str, Any] = Field(description="What differs from the defaults; `ckgit schema summary` describes it.")
    runs: tuple[ShownRun, ...]


class ShowRunDocument(_ShowDocument):
    """One run of an experiment."""

    runs: tuple[DetailedRun, ...] = Field(min_length=1, max_length=1)


class ReportDocument(PrintedDocument):
    """A report that was written where it can be read."""

    experiment: str
    commit: CommitId = Field(description="That has it.")
    report: str = Field(description="Its path in that commit.")
    kept: WhatHasIt
    edited: tuple[EditedFile, ...] = Field(description="Files of the analysis that are not as ckgit wrote them.")
    answer: str = Field(description="Its question and its answer, as Markdown.")
    file: str = Field(description="Where it was written; as Markdown its pictures lie beside it.")


class UnreadExperiment(Frozen):
    """What of an experiment cannot be read."""

    experiment: str
    problem: str = Field(description="What it is, and why.")


class DashboardDocument(PrintedDocument):
    """A dashboard that was written."""

    file: str = Field(description="Its first page.")
    experiments: int = Field(description="That have a page.")
    unreadable: tuple[UnreadExperiment, ...] = Field(description="Shown as such, with the reason.")
    problems: tuple[str, ...] = Field(description="What of the lab itself cannot be read.")
