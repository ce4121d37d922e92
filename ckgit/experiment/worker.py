"""What a worker and a scheduler are, for those who write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design import Resources, Stage, Summary
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress, Usage
from ckgit.experiment.plan import Plan
from ckgit.experiment.results import CellResult, TrainingResult


class Context(NamedTuple):
    """All that scaffolding may depend on. Paths in it are relative to the lab (and to a work tree, which mirrors it)."""

    summary: Summary
    plan: Plan
    cards: Mapping[str, ModelCard]
    cluster: Cluster
    cluster_name: str
    version: str
    sources: Mapping[str, bytes]  # task files and data files that the design names, by path; data only where the lab holds it
    max_log_bytes: int = 5_000_000  # of ckgit.toml: a larger log stays in the work tree, and its digest and results are committed

    @property
    def folder(self) -> str:
        """The experiment's folder, e.g. `experiments/cap_lora`."""
        return f"experiments/{self.summary.experiment.name}"

    def run_folder(self, run: str) -> str:
        """A run's folder, e.g. `experiments/cap_lora/rank8_lr1e-5`."""
        return f"{self.folder}/{run}"


class Obstacle(NamedTuple):
    """What stands against scaffolding."""

    sentence: str
    place: str = ""  # dotted place in the design that it is about, e.g. controls.lr; empty for none


class Evidence(NamedTuple):
    """What a finished job left. Where there are reasons, only `cells` may name some of its cells that count nevertheless."""

    results: Sequence[TrainingResult | CellResult]  # of one training, or of each cell that counts
    reasons: Sequence[str]  # why the job, or a cell of it, does not count; empty when all does
    failure: FailureClass | None
    files: Mapping[str, bytes]  # to be committed, by path relative to the lab; what the job printed is committed without it
    cells: Mapping[str, str] = {}  # of several cells, some of which do not count: why, by name of the cell; empty for one that does


class Worker(Protocol):
    """One tool: renders files, names jobs, reads what they left. It never submits, polls or commits."""

    tool: str  # as the design's `tools` names it, e.g. inspect-ai
    label: str  # in worker names and log files: scaffold-LABEL, run-LABEL
    stage: Stage
    reads: str  # for `ckgit worker`: what scaffolding reads, in a few words
    writes: str  # what scaffolding writes
    leaves: str  # what its jobs leave

    def check(self, context: Context) -> Sequence[Obstacle]:
        """What makes scaffolding impossible; empty when nothing does. Pure; executes nothing.

        `ckgit.experiment.problems.place_of` tells where a run's value was written. What stands in a place for which the lab lacks
        something is not said twice.
        """

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """Every file for the jobs, by path relative to the lab; of one run where it is given. Pure."""

    def jobs(self, context: Context) -> Sequence[Job]:
        """The jobs, in the order in which they should start: one for each run that trains, or for each of `Plan.evaluation_jobs`."""

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        """Why a job cannot start yet in work tree `work`; empty when it can.

        Raises:
            CkgitError: TOOL_MISSING, no job of this tool could start here.
        """

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        """Judge a job whose status file says that it ended, whatever its exit code. Reads the work tree only."""

    def results(
        self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]
    ) -> Sequence[TrainingResult | CellResult]:
        """Read results again from the committed `files` of their evidence; none when those are not there.

        Of an attempt with `cells`, only those that count are read.

        Raises:
            ValueError: they are there and cannot be read, or contradict each other.
        """

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        """How far a running job is; None when its log does not tell yet."""

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """Class of a failure and one sentence on it, from the end of the job's log."""


class Submission(NamedTuple):
    """What a scheduler is handed: one job."""

    token: str
    script: str  # relative to the work tree, which is the job's working directory
    output: str  # file for what the job prints, relative to the work tree
    resources: Resources
    changed: bool = False  # whether the resources are not those of the script's own #SBATCH lines
    after: Sequence[str] = ()  # job ids: it starts when these have ended, however; at once where there are none
    after_any: bool = False  # whether the end of one of them is enough
    if_failed: bool = False  # whether it starts only where they fail, and is dropped where they do not
    delay: float = 0.0  # seconds before it may start


class Seen(StrEnum):
    """What a scheduler knows of a token."""

    UNSEEN = "unseen"  # certainly never accepted: it may be handed over
    QUEUED = "queued"
    RUNNING = "running"
    GONE = "gone"  # it is no longer there; the status file tells how it ended, if there is one
    UNKNOWN = "unknown"  # nothing can be said now: wait


class Ending(NamedTuple):
    """How a job ended, by the scheduler's own account. It counts where the job could not tell itself, or was made to end."""

    failure: FailureClass | None  # None: the scheduler knows of nothing wrong
    sentence: str  # e.g. SLURM ended it at its time limit of 02:00:00


class Sighting(NamedTuple):
    """One answer to a poll."""

    seen: Seen
    job_id: str | None = None
    detail: str = ""  # e.g. the scheduler's reason for waiting
    ending: Ending | None = None  # of a job that is GONE, where the scheduler tells


class Look(NamedTuple):
    """What one poll saw."""

    sightings: Mapping[str, Sighting]  # by token
    in_queue: int = 0  # jobs of this user at the scheduler that have not ended, those of others programs counted
    queries: Mapping[str, int] = {}  # how often each command was called, e.g. squeue 1, sacct 1


class Spent(NamedTuple):
    """What accounting said."""

    usage: Mapping[str, Usage]  # by token
    queries: Mapping[str, int] = {}  # as in `Look`


class Scheduler(Protocol):
    """Runs scripts. Folders are work trees; `.ckgit/jobs/TOKEN/` in them holds a job's claim, status and output."""

    name: str
    overlaps: bool  # whether evaluations of one run start while another still trains
    detaches: bool  # whether it can start a job when others have ended (`Submission.after`)
    poll_seconds: float  # between two polls, unless the profile says otherwise
    grace_seconds: float  # for a file system to show what a job left, likewise

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, Sighting]:
        """Hand jobs over; twice for one token is the same as once.

        An answer is QUEUED; UNKNOWN when it cannot be told whether the job was accepted; or GONE when it was refused, with the
        scheduler's words as its ending.
        """

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> Look:
        """What is known of each attempt, in one query for all of them."""

    def one_look(self) -> AbstractContextManager[None]:
        """While it lasts, which is no longer than a moment, polls of several work trees share what they ask."""

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        """End these jobs. One that is unseen is kept from starting; one that is gone is no error."""

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> Spent:
        """What attempts that have ended took; what is not known (yet) is left out. Never raises."""

    def rehearse(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:
        """The command that would hand a job over, for people; and what the scheduler says to it (empty when it is not asked).

        Args:
            submissions: one, or the tasks of one array.
            script: bytes of the first one's; the work tree may not be there yet.
        """
