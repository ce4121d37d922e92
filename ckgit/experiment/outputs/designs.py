"""A design that was committed, or would be, or was only checked: `--json` of `ckgit design`, `revise` and `validate`."""

from pydantic import Field

from ckgit.experiment.design.fields import Frozen, Sha256
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, PrintedDocument
from ckgit.experiment.outputs.planned import PlannedCommit
from ckgit.experiment.outputs.refusals import DesignProblem
from ckgit.experiment.state import State


class RunCost(Frozen):
    """What one run is expected to take. Of a run that is not trained, or not evaluated, that part is null."""

    run: str
    steps: int | None = Field(description="Optimizer steps, or whatever the tool counts.")
    training_seconds: float | None
    training_memory_bytes: float | None
    checkpoint_bytes: float | None
    evaluation_seconds: float | None = Field(description="Of all its evaluations.")
    evaluation_memory_bytes: float | None = Field(description="Of the largest of them.")


class DesignCost(Frozen):
    """What a design is expected to take."""

    seconds: float = Field(description="Of all jobs, one after the other.")
    checkpoint_bytes: float
    runs: tuple[RunCost, ...]
    sources: tuple[str, ...] = Field(description="Where this comes from, one clause for each kind of job.")


class DesignDocument(PrintedDocument):
    """A design that was committed, or with --dry-run would be."""

    experiment: str
    lifecycle_state: State
    records: Event = Field(description="What the commit records.")
    design_hash: Sha256
    run_count: int
    cell_count: int = Field(description="Evaluations.")
    estimate: DesignCost
    warnings: tuple[str, ...] = Field(description="What is probably not meant.")
    commit: CommitId | None = Field(description="Null with --dry-run.")
    would_commit: PlannedCommit | None = Field(description="With --dry-run.")
    summary: str | None = Field(description="With --dry-run: the text of experiment_summary.md.")
    advice: Advice
    next: Commands


class ValidateDocument(PrintedDocument):
    """What a check of a design found."""

    valid: bool
    file: str = Field(description="How problems name it.")
    design_hash: Sha256 | None = Field(description="Null where it has problems; so are the counts.")
    run_count: int | None
    run_names: tuple[str, ...]
    cell_count: int | None = Field(description="Evaluations.")
    problems: tuple[DesignProblem, ...]
    warnings: tuple[str, ...] = Field(description="What is probably not meant.")
    unchecked: tuple[str, ...] = Field(description="What could not be checked here, one sentence each.")
