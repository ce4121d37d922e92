"""A design that was committed, or would be, or was only checked: `--json` of `ckgit design`, `revise` and `validate`."""

from typing import Literal

from pydantic import Field

from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.fields import Frozen, Sha256
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.fields import Advice, Commands, CommitId, PrintedDocument
from ckgit.experiment.outputs.planned import PlannedCommit
from ckgit.experiment.outputs.refusals import DesignProblem
from ckgit.experiment.stage import Stage
from ckgit.experiment.state import State


class RunCost(Frozen):
    """What one run is expected to take. Of a run that is not trained, or not evaluated, that part is null."""

    run: str
    steps: int | None = Field(description="Optimizer steps, or whatever the tool counts.")
    steps_about: bool = Field(default=False, description="Whether that is a guess, which the job alone can tell.")
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


class ClaimPower(Frozen):
    """What a claim could show: the smallest true difference that is found with 80 % power, before anything is run."""

    number: int = Field(description="Of the claim, from 1.")
    says: str = Field(description="The claim in words.")
    quantity: Quantity = Field(description="What its verdict will be about: models, or settings over their seeds.")
    shows: Literal["difference", "margin", "slope"] = Field(description="What `smallest` is: of same a margin, of a trend for each unit.")
    rows: int | None = Field(description="Rows that both sides answer; null where that is not known.")
    seeds: tuple[int, ...] = Field(default=(), description="Trainings of each setting, each number once; empty where nothing is trained.")
    smallest: float | None = Field(
        default=None, description="With the design's rows and seeds, what is claimed (`by`) included; of same the smallest margin."
    )
    compared: int | None = Field(
        default=None, description="Of the best of several: for how many its interval is corrected, earlier variants on these rows included."
    )
    by_seeds: dict[int, float] = Field(default={}, description="The same with other numbers of seeds of every setting.")
    assumed: str = Field(default="", description="Where the variances are from that this follows from.")
    unknown: str = Field(default="", description="Why nothing can be said.")


class TouchedJob(Frozen):
    """What becomes of the results of one job of a revised design."""

    job: str
    stage: Stage
    kept: bool = Field(description="Whether it need not run, as it would leave what is there.")
    why: str = Field(description="Why it runs again; empty where it is kept, or has not run before.")
    commit: CommitId | None = Field(description="Commit whose ledger has its attempts, where it is kept.")
    token: str | None = Field(description="The attempt whose results are kept.")
    made_from_sha256: Sha256 | None = Field(description="Digest of all that decides what it leaves.")


class DesignDocument(PrintedDocument):
    """A design that was committed, or with --dry-run would be."""

    experiment: str
    lifecycle_state: State
    records: Event = Field(description="What the commit records.")
    design_hash: Sha256
    run_count: int
    cell_count: int = Field(description="Evaluations.")
    estimate: DesignCost
    claims: tuple[ClaimPower, ...] = Field(description="What each claim could show.")
    touched: tuple[TouchedJob, ...] = Field(description="Of a revision: what becomes of each job's results.")
    warnings: tuple[str, ...] = Field(description="What is probably not meant.")
    commit: CommitId | None = Field(description="Null with --dry-run, and where a revision changes nothing.")
    would_commit: PlannedCommit | None = Field(description="With --dry-run.")
    summary: str | None = Field(description="With --dry-run: the text of experiment_summary.md.")
    advice: Advice
    next: Commands


class ImportDocument(PrintedDocument):
    """A design that was made from another project's file."""

    file: str | None = Field(description="Where it was written; null where it was only printed.")
    design: str = Field(description="It, as YAML.")
    not_taken: tuple[DesignProblem, ...] = Field(description="What of that file was not taken over as it is, each with its place and why.")
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
    claims: tuple[ClaimPower, ...] = Field(description="What each claim could show; empty outside of a lab.")
    unchecked: tuple[str, ...] = Field(description="What could not be checked here, one sentence each.")
