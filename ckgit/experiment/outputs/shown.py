"""An experiment, or one of its runs: `ckgit show --json`."""

from typing import Any

from pydantic import Field

from ckgit.experiment.accounting import Accounting
from ckgit.experiment.classify import JobCondition
from ckgit.experiment.design.fields import Frozen, Sha256
from ckgit.experiment.design.model import RunType, Scorer
from ckgit.experiment.design.plan import Source
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.outputs.fields import Ahead, CommitId, Moment, PrintedDocument
from ckgit.experiment.outputs.standing import EditedFile, LeftToJob
from ckgit.experiment.results import RunRow, Verdict
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


class DetailedRun(ShownRun):
    """A run that was asked for by its name."""

    parameters: dict[str, ShownParameter]
    cells: tuple[ShownCell, ...]


class _ShowDocument(PrintedDocument):
    """What both have."""

    experiment: str
    lifecycle_state: State
    commit: CommitId = Field(description="The tip of its branch.")
    time: Moment = Field(description="Of that commit.")
    design_hash: Sha256
    report: str | None = Field(description="Path of the report on that branch; null before analyze.")
    attempts: tuple[Attempt, ...] = Field(description="At the jobs of these runs, in order.")
    left_to: LeftToJob | None = Field(description="Null where nobody but its user goes on.")
    ahead: Ahead
    edited: tuple[EditedFile, ...]
    accounting: Accounting = Field(description="What the attempts took that ended.")
    claims: tuple[Verdict, ...] = Field(description="Empty before analyze.")


class ShowDocument(_ShowDocument):
    """An experiment."""

    design: dict[str, Any] = Field(description="What differs from the defaults; `ckgit schema summary` describes it.")
    runs: tuple[ShownRun, ...]


class ShowRunDocument(_ShowDocument):
    """One run of an experiment."""

    runs: tuple[DetailedRun, ...] = Field(min_length=1, max_length=1)
