"""Jobs, their attempts, and the ledger `jobs.json`."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from ckgit.experiment.classify import classify, newest
from ckgit.experiment.design.fields import laid_over
from ckgit.experiment.design.model import Frozen, Resources, Sha256, Stage
from ckgit.experiment.state import State


class Phase(StrEnum):
    """Where an attempt stands in the ledger."""

    SUBMITTED = "submitted"  # the intent is committed; the job may or may not have been handed over yet
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureClass(StrEnum):
    """Why an attempt ended badly."""

    ERROR = "error"  # the tool ended with an error
    OUT_OF_MEMORY = "out-of-memory"
    INPUT_CHANGED = "input-changed"  # a file's digest is not what scaffolding saw
    TOKENS_DIFFER = "tokens-differ"  # training and evaluation would see different tokens
    OUTPUT_MISSING = "output-missing"  # exit 0, and yet a checkpoint or log is missing, short or unreadable
    DIVERGED = "diverged"  # loss is not finite
    OUT_OF_TIME = "out-of-time"  # the scheduler ended it at its time limit
    NODE_FAILURE = "node-failure"  # its node went down
    PREEMPTED = "preempted"  # it had to make way for another job and was not queued again
    LOST = "lost"  # the job is gone and left no status
    REFUSED = "refused"  # the scheduler did not take it
    CANCELLED = "cancelled"
    ENVIRONMENT = "environment"  # checked before anything is computed: a module, program, file or setup line is missing


class Job(Frozen):
    """One script for one run, one cell, or all cells of one checkpoint, named by a worker."""

    name: str = Field(description="e.g. rank4/finetune or rank4/eval/capitalization_epoch0; unique in the experiment.")
    stage: Stage
    run: str
    tasks: tuple[str, ...] = Field(default=(), description="What it evaluates.")
    epoch: int | None = Field(default=None, description="The checkpoint that it evaluates, where that is an epoch's.")
    checkpoint: str | None = Field(default=None, description="Folder of the checkpoint that it evaluates, where that is no epoch's.")
    script: str = Field(description="Path of the script, relative to the work tree.")
    folder: str = Field(description="Folder its tool log is collected into, relative to the work tree.")
    resources: Resources


class Status(Frozen):
    """`status.json`, which the job itself writes as its last act."""

    token: str
    job_id: str
    exit_code: int
    started: str = Field(description="ISO 8601, UTC.")
    ended: str = Field(description="ISO 8601, UTC.")
    host: str

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """Times are what durations and costs are made of."""
        times = []
        for name, text in (("started", self.started), ("ended", self.ended)):
            try:
                times.append(datetime.fromisoformat(text))
            except ValueError:
                raise ValueError(f"{name} is no time: {text[:40]!r}") from None
            if times[-1].tzinfo is None:
                raise ValueError(f"{name} names no time zone: {text[:40]!r}")
        if times[1] < times[0]:
            raise ValueError(f"it ended ({self.ended}) before it started ({self.started})")
        return self

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return _between(self.started, self.ended)


class Usage(Frozen):
    """What an attempt took, as the scheduler's accounting or the job itself tells; a part that nobody knows is absent."""

    queue_seconds: float | None = Field(default=None, ge=0, description="From submission to start.")
    elapsed_seconds: float | None = Field(default=None, ge=0, description="From start to end.")
    cpu_seconds: float | None = Field(default=None, ge=0, description="CPU time of all processes.")
    gpus: int | None = Field(default=None, ge=0, description="GPUs that were held.")
    gpu_utilization: float | None = Field(default=None, ge=0, le=100, description="Mean over time and GPUs, percent, by nvidia-smi.")
    peak_memory_bytes: int | None = Field(default=None, ge=0)
    node: str | None = None

    @property
    def gpu_hours(self) -> float | None:
        """GPUs times hours; None when either is not known."""
        if self.gpus is None or self.elapsed_seconds is None:
            return None
        return self.gpus * self.elapsed_seconds / 3600

    def over(self, base: Self | None) -> Self:
        """These values, with those of `base` where nothing is known."""
        return laid_over(self, base) if base else self


class Batch(Frozen):
    """How a retry divides the rows of a training, where it is not as designed; each optimizer step sees the same rows."""

    batch_size: int = Field(ge=1, description="Rows at once, a process.")
    gradient_accumulation_steps: int = Field(ge=1, description="Batches of an optimizer step.")
    processes: int = Field(default=1, ge=1)
    max_steps_per_epoch: int | None = Field(default=None, ge=1, description="Where an epoch ends, so that no rows are left over.")


ARRAY_END = ".array"  # no other token ends so before its last underscore: there it has 8 hexadecimal digits


class Task(NamedTuple):
    """A task of a job array."""

    array: str  # name of the array
    number: int


def task_of(token: str) -> Task | None:
    """The task that a token names as `ARRAY_NUMBER`, as SLURM does; None for a job of its own."""
    head, _, index = token.rpartition("_")
    return Task(head, int(index)) if head.endswith(ARRAY_END) and index.isascii() and index.isdigit() else None


class Attempt(Frozen):
    """One try at a job."""

    job: str = Field(description="Name of the job.")
    stage: Stage
    number: int = Field(ge=1, description="1 for the first try.")
    token: str = Field(description="Job name at the scheduler; no other attempt has it.")
    script_sha256: str
    phase: Phase
    submitted: str = Field(description="ISO 8601, UTC: when the intent was committed.")
    job_id: str | None = None
    started: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    host: str | None = None
    failure: FailureClass | None = Field(default=None)
    reason: str | None = Field(
        default=None, description="One sentence: why it does not count, or why a training that does made fewer steps than planned."
    )
    declared_lost: Literal[True] | None = Field(
        default=None, description="true: it counts as lost because a person said so, as nobody could ask it any more."
    )
    cells: dict[str, str] = Field(
        default={}, description="Of a failed attempt at several cells: why each does not count; empty for one that does."
    )
    log: str | None = Field(default=None, description="Collected tool log, relative to the lab.")
    files: dict[str, Sha256] = Field(
        default={}, description="What it left that was committed: SHA-256 by path in the experiment's folder; none where older jobs ran."
    )
    rows: dict[str, str] | None = Field(
        default=None,
        description="By task that counts a sketch of the rows that it asked, by which they are known whatever they are called; "
        "absent where it evaluated nothing, or that is not known, as in older ledgers.",
    )
    resources: Resources | None = Field(default=None, description="What a retry asked for instead of the design's resources.")
    batch: Batch | None = Field(default=None, description="How a retry divides the rows of a training instead of as designed.")
    usage: Usage | None = Field(default=None)
    kept: str | None = Field(default=None, description="Commit whose ledger it is from, where its results were taken over from there.")

    @property
    def changed(self) -> str:
        """What a retry changed, in words, e.g. `mem 64G, batch_size 2, gradient_accumulation_steps 8`; empty for as designed."""
        changes = {**(self.resources.model_dump(exclude_none=True) if self.resources else {})}
        changes |= self.batch.model_dump(exclude={"processes"}, exclude_none=True) if self.batch else {}
        return ", ".join(f"{name} {value}" for name, value in changes.items())

    @property
    def seconds(self) -> float:
        """From its start to its end; 0 when that is not known."""
        return _between(self.started, self.ended) if self.started and self.ended else 0.0


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


class LeftBy(Frozen):
    """Who left an experiment to its cluster, by `ckgit advance --detach`."""

    user: str = Field(description="As git names the author of the commit that says so: name and e-mail; and in CI who started that.")
    since: str = Field(description="ISO 8601, UTC.")
    host: str = Field(description="Machine that the command ran on.")


class Detached(Frozen):
    """A job of ours that advances the experiment when the others have ended; see `ckgit advance --detach`."""

    token: str
    by: str = Field(default="", description="Token of the job that named it, which goes on itself until this one was handed over.")
    left_by: LeftBy | None = Field(default=None, description="Who left it, whatever jobs have gone on since; absent where not recorded.")
    to: State = Field(description="The state that it is to reach.")
    sequential: bool = Field(default=False, description="Whether all training is to be done before any evaluation.")
    accept_missing: bool = Field(default=False, description="Whether stages are passed with failed jobs.")
    submitted: str = Field(description="ISO 8601, UTC: when the intent was committed.")

    @property
    def stand_in(self) -> str:
        """Token of the job that starts where this one fails, in its place."""
        return f"{self.token}.again"

    @property
    def attempts(self) -> list[Attempt]:
        """The job and its stand-in, as schedulers are asked for them."""
        return [
            Attempt(
                job="advance",
                stage=Stage.EVALUATION,
                number=1,
                token=token,
                script_sha256="",
                phase=Phase.SUBMITTED,
                submitted=self.submitted,
            )
            for token in (self.token, self.stand_in)
        ]


class Ledger(Frozen):
    """Every attempt of every job of an experiment, and where they ran."""

    schema_version: int = 1
    cluster: str
    scheduler: str
    slurm_cluster: str | None = Field(default=None, description="The profile's when jobs were handed over last, as is the scheduler.")
    command_prefix: tuple[str, ...] = Field(default=(), description="Likewise.")
    design: str = Field(default="", description="Hash of the design whose jobs these are; empty in ledgers of before it was kept.")
    commit: str = Field(default="", description="Scaffold commit that was exported; empty before the first submission.")
    tree: str = Field(default="", description="Git's id of the experiment's folder in that commit, which no rebase changes.")
    work_tree: str = Field(default="", description="Absolute path where jobs run; empty before the first submission.")
    host: str = Field(default="", description="Host that submitted.")
    moved_from: str = Field(default="", description="Work tree of the cluster before, from which checkpoints were brought.")
    accepted_missing: tuple[str, ...] = Field(default=(), description="Jobs that were passed over by --accept-missing.")
    detached: Detached | None = Field(default=None, description="The job that goes on with the experiment; absent where its user does.")
    attempts: tuple[Attempt, ...] = Field(default=())

    @property
    def tokens(self) -> list[str]:
        """Of every job of ours that it lists."""
        left = [self.detached.token, self.detached.stand_in] if self.detached else []
        return [*(attempt.token for attempt in self.attempts), *left]

    def latest(self, job: str) -> Attempt | None:
        """The newest attempt of a job, or None when it was never submitted."""
        of_job = [a for a in self.attempts if a.job == job]
        return of_job[-1] if of_job else None

    def open(self, stage: Stage | None = None) -> list[Attempt]:
        """Attempts that are not known to have ended."""
        return [a for a in self.attempts if classify(a).is_open and stage in (None, a.stage)]

    def cells(self) -> dict[str, dict[str, str]]:
        """By job of several cells whose newest attempt failed: why each does not count, and an empty text for one that does.

        An attempt that ended before its cells could be judged takes nothing from those that an earlier one has made.
        """
        found: dict[str, dict[str, str]] = {}
        for attempt in self.attempts:
            before = found.get(attempt.job, {})
            found[attempt.job] = attempt.cells or {cell: why and (attempt.reason or why) for cell, why in before.items()}
        last = newest(self.attempts)
        return {job: cells for job, cells in found.items() if cells and classify(last[job]).is_bad}

    def with_attempts(self, *changed: Attempt) -> Self:
        """A ledger in which attempts are replaced by token, or added."""
        by_token = {a.token: a for a in (*self.attempts, *changed)}
        return self.model_copy(update={"attempts": tuple(by_token.values())})

    def dump(self) -> bytes:
        """The bytes of jobs.json."""
        return (json.dumps(self.model_dump(mode="json", exclude_none=True), indent=2) + "\n").encode()


class Progress(NamedTuple):
    """How far a running job is, as its log tells."""

    step: int
    steps: int
    loss: float | None = None
    note: str = ""
    rate: float | None = None  # steps a second, where the tool itself tells
