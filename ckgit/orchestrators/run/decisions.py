"""What can be decided of an experiment: what `plan` answers, `apply` carries out, and `--dry-run` shows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.jobs import Attempt, Job
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.engine.results import AdvanceResult

if TYPE_CHECKING:
    from ckgit.orchestrators.run.monitor.submission import SubmissionPlan


class Refuse(NamedTuple):
    """Nothing can be done."""

    error: CkgitError


class Commit(NamedTuple):
    """A commit."""

    commit: CommitPlan
    jobs: Sequence[Job] = ()  # those that are to be handed over after it
    ends: Sequence[Sequence[Attempt]] = ()  # whose jobs are ended first, one call of the scheduler each
    replaces: Sequence[Sequence[Attempt]] = ()  # whose jobs are ended after it: others go on in their place, or nobody
    result: AdvanceResult | None = None  # what the command has come to by it; None where it goes on
    cluster: str | None = None  # name of the profile that takes over by it
    remarks: Sequence[str] = ()  # what is to be said of it


class Subject(StrEnum):
    """What the scheduler is asked for."""

    JOBS = "jobs"
    CONTINUATION = "continuation"  # the job of ours that is to go on
    SUCCESSOR = "successor"  # the one that a job of ours has named to go on after it


class Poll(NamedTuple):
    """The scheduler is to be asked."""

    subject: Subject = Subject.JOBS
    after: float = 0.0  # seconds


class Submit(NamedTuple):
    """Jobs are to be handed over."""

    submission: SubmissionPlan


class Continue(NamedTuple):
    """The job of ours that goes on is to be handed over."""

    after: Sequence[str]  # ids of the jobs that it waits for
    any_of: bool  # whether the end of one of them is enough
    delay: float  # seconds before it may start


class Secure(NamedTuple):
    """A stand-in is to be handed over, for where the job of ours that goes on fails."""

    job_id: str


class Finish(NamedTuple):
    """The command is at its end."""

    result: AdvanceResult


Decision = Refuse | Commit | Poll | Submit | Continue | Secure | Finish
