"""What a scheduler is, for those who write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Resources
from ckgit.experiment.jobs import Attempt, FailureClass, Usage


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


class JobState(StrEnum):
    """What a scheduler knows of a token."""

    UNSEEN = "unseen"  # certainly never accepted: it may be handed over
    QUEUED = "queued"
    RUNNING = "running"
    GONE = "gone"  # it is no longer there; the status file tells how it ended, if there is one
    UNKNOWN = "unknown"  # nothing can be said now: wait


class JobEnding(NamedTuple):
    """How a job ended, by the scheduler's own account. It counts where the job could not tell itself, or was made to end."""

    failure: FailureClass | None  # None: the scheduler knows of nothing wrong
    sentence: str  # e.g. SLURM ended it at its time limit of 02:00:00


class JobStatus(NamedTuple):
    """One answer to a poll."""

    state: JobState
    job_id: str | None = None
    detail: str = ""  # e.g. the scheduler's reason for waiting
    ending: JobEnding | None = None  # of a job that is GONE, where the scheduler tells


class PollResult(NamedTuple):
    """What one poll saw."""

    statuses: Mapping[str, JobStatus]  # by token
    in_queue: int = 0  # jobs of this user at the scheduler that have not ended, those of others programs counted
    queries: Mapping[str, int] = {}  # how often each command was called, e.g. squeue 1, sacct 1


class UsageReport(NamedTuple):
    """What accounting said."""

    usage: Mapping[str, Usage]  # by token
    queries: Mapping[str, int] = {}  # as in `PollResult`


class JobAccount(NamedTuple):
    """What a scheduler's own records say of an attempt that has ended."""

    job_ids: Sequence[str]  # by which it is known: a task of an array has an id of its own, too
    exit_code: int | None  # of the job's script; None where a signal or the scheduler ended it
    started: float | None  # seconds since 1970
    ended: float | None


class AccountReport(NamedTuple):
    """What it says of several; a token that is in neither is one that it knows no job of."""

    jobs: Mapping[str, JobAccount]  # by token
    silent: Mapping[str, str]  # why it tells nothing of an attempt, by token


class Scheduler(Protocol):
    """Runs scripts. Folders are work trees; `.ckgit/jobs/TOKEN/` in them holds a job's claim, status and output."""

    name: str
    overlaps: bool  # whether evaluations of one run start while another still trains
    detaches: bool  # whether it can start a job when others have ended (`Submission.after`)
    poll_seconds: float  # between two polls, unless the profile says otherwise
    grace_seconds: float  # for a file system to show what a job left, likewise

    def submit(self, cluster: Cluster, work: Path, submissions: Sequence[Submission]) -> Mapping[str, JobStatus]:
        """Hand jobs over; twice for one token is the same as once.

        An answer is QUEUED; UNKNOWN when it cannot be told whether the job was accepted; or GONE when it was refused, with the
        scheduler's words as its ending.
        """

    def poll(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> PollResult:
        """What is known of each attempt, in one query for all of them."""

    def shared_poll(self) -> AbstractContextManager[None]:
        """While it lasts, which is no longer than a moment, polls of several work trees share what they ask."""

    def check_cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        """Whether `cancel` could end these jobs: it is asked before that is recorded. Nothing is done to them.

        Raises:
            CkgitError: one of them cannot be ended from here, or by this user; or the scheduler cannot be asked now.
        """

    def cancel(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> None:
        """End these jobs. One that is unseen is kept from starting; one that is gone is no error."""

    def usage(self, cluster: Cluster, work: Path, attempts: Sequence[Attempt]) -> UsageReport:
        """What attempts that have ended took; what is not known (yet) is left out. Never raises."""

    def account(self, cluster: Cluster, attempts: Sequence[Attempt]) -> AccountReport:
        """What its records say of attempts that have ended, for who does not take the ledger's word. Of this user's jobs alone."""

    def dry_run(self, cluster: Cluster, work: Path, submissions: Sequence[Submission], script: bytes) -> tuple[str, str]:
        """The command that would hand a job over, for people; and what the scheduler says to it (empty when it is not asked).

        Args:
            submissions: one, or the tasks of one array.
            script: bytes of the first one's; the work tree may not be there yet.
        """
