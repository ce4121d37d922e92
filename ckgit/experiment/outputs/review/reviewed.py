"""What a review says of an experiment, before it costs anything and when its results are there."""

from enum import StrEnum

from pydantic import Field

from ckgit.experiment.accounting import Accounting
from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.designs import ClaimPower
from ckgit.experiment.outputs.fields import CommitId, PrintedDocument
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.results import CellResult


class ReviewSubject(StrEnum):
    """What there is to be looked at."""

    DESIGN = "design"  # no job was submitted yet
    JOBS = "jobs"  # some were, and there is no report
    RESULTS = "results"


class ReviewedRun(Frozen):
    """A run, and what it is expected to take."""

    run: str
    type: str
    varied: dict[str, str] = Field(default={}, description="What varies, as text.")
    model: str
    data: str = ""
    steps: int | None = Field(default=None, description="Optimizer steps; null for a run that is not trained.")
    steps_about: bool = Field(default=False, description="Whether that is a guess, which the job alone can tell.")
    evaluations: tuple[str, ...] = Field(default=(), description="Names of its cells.")
    gpu_hours: float = Field(description="GPUs that its jobs ask for, times the hours that they are expected to take.")


class ExpectedCost(Frozen):
    """What all jobs are expected to take, as this lab's past jobs tell where there are some."""

    seconds: float = Field(description="Of all jobs, one after the other.")
    gpu_hours: float
    disk_bytes: float = Field(description="Of all checkpoints.")
    queue_seconds: float | None = Field(default=None, description="Median wait of this lab's past jobs on this cluster; null for none.")
    sources: tuple[str, ...] = Field(default=(), description="Where the estimate comes from, one clause for each kind of job.")


class Budget(Frozen):
    """A limit of ckgit.toml, and what it is held against."""

    of: str = Field(description="What it is for, in words: this experiment, or a person and month.")
    limit: float = Field(description="GPU-hours.")
    spent: float = Field(default=0.0, description="GPU-hours that were used already.")
    expected: float = Field(description="GPU-hours that this experiment would add.")

    @property
    def is_exceeded(self) -> bool:
        """Whether it takes somebody's approval."""
        return self.spent + self.expected > self.limit


class LikeExperiment(Frozen):
    """Another experiment of the lab that this one is like."""

    experiment: str
    standing: str = Field(description="What became of it, in words.")
    differences: tuple[str, ...] = Field(description="Each place of the design that differs, with both values.")
    same_runs: dict[str, str] = Field(default={}, description="Runs that it has already: this experiment's name of it, and its own.")


class SmallestDifference(Frozen):
    """The smallest difference of two runs that a task's rows can show, in shares of right answers, on the same rows."""

    task: str
    rows: int
    at_best: float | None = Field(description="Where no row goes the other way; null where so few rows can show none.")
    disagreeing: float | None = Field(description="Where the runs disagree on a third of the rows.")


class ReviewedExperiment(Frozen):
    """What was found of one experiment."""

    experiment: str
    commit: CommitId
    subject: ReviewSubject
    lifecycle_state: str | None = Field(default=None, description="Null where that cannot be told.")
    design_hash: str | None = None
    closed: str = Field(default="", description="Why it was closed; empty where it is open.")
    question: str = ""
    hypothesis: str = ""
    problems: tuple[str, ...] = Field(default=(), description="Why the design cannot be read or run; nothing else is known of it then.")
    runs: tuple[ReviewedRun, ...] = ()
    cost: ExpectedCost | None = Field(default=None, description="Null where it could not be estimated; `unchecked` says why.")
    budgets: tuple[Budget, ...] = Field(default=(), description="Limits of ckgit.toml; only before jobs were submitted.")
    approved_by: tuple[str, ...] = Field(default=(), description="Approvers of the lab who have approved this very commit.")
    like: LikeExperiment | None = Field(default=None, description="The other experiment of the lab that it is most like.")
    duplicates: tuple[LikeExperiment, ...] = Field(default=(), description="Those that have some of its runs already.")
    remarks: tuple[str, ...] = Field(default=(), description="What is probably not meant, or will not be shown.")
    unchecked: tuple[str, ...] = Field(default=(), description="What could not be looked at here.")
    smallest: tuple[SmallestDifference, ...] = ()
    powers: tuple[ClaimPower, ...] = Field(default=(), description="Of a design: what each claim could show.")
    claims: tuple[Verdict, ...] = ()
    cells: tuple[CellResult, ...] = Field(default=(), description="What was measured, without its rows.")
    losses: dict[str, tuple[float, ...]] = Field(default={}, description="Training losses by run, in the order of steps.")
    accounting: Accounting = Field(default_factory=Accounting)
    failed: tuple[str, ...] = Field(default=(), description="Attempts that failed and jobs that are missing, with why.")
    findings: tuple[Finding, ...] = Field(default=(), description="What verification found.")

    @property
    def holds(self) -> bool:
        """Whether the design can be read, and all that is recorded follows from what is in git."""
        return not self.problems and not any(each.is_error for each in self.findings)

    @property
    def needs_approval(self) -> bool:
        """Whether somebody whom the default branch names has to approve it, and nobody has."""
        return any(each.is_exceeded for each in self.budgets) and not self.approved_by and not self.closed


class ReviewDocument(PrintedDocument):
    """What `ckgit review` found."""

    experiments: tuple[ReviewedExperiment, ...]
