"""What is read of GitHub's events and answers: a few fields, each of one form, since people whom nobody trusts write some of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.outputs.fields import CommitId

_MOST_BYTES = 25_000_000  # GitHub's own limit of a webhook's payload
FullName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(\[bot\])?$")]


class Payload(BaseModel):
    """A part of what GitHub tells; whatever else it tells is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Account(Payload):
    """A user, or an app that acts as one."""

    login: Login


class Repository(Payload):
    """A repository on GitHub."""

    full_name: FullName
    default_branch: str = ""  # some answers leave it out


class PullSide(Payload):
    """A branch that a pull request is from or for. Its name is anything that git takes for one."""

    ref: str
    sha: CommitId
    repo: Repository | None  # None: it was deleted


class PullRequest(Payload):
    """A pull request, in an event or as the API has it now."""

    number: int = Field(ge=1)
    state: str  # open or closed
    head: PullSide
    base: PullSide

    @property
    def is_fork(self) -> bool:
        """Whether its branch is in another repository than the one that it is for."""
        return self.base.repo is None or self.head.repo is None or self.head.repo.full_name != self.base.repo.full_name


class SubmittedReview(Payload):
    """Somebody's review of a pull request."""

    state: str  # APPROVED, CHANGES_REQUESTED, DISMISSED, COMMENTED or PENDING
    user: Account | None  # None: the account was deleted
    commit_id: CommitId | None


class PostedComment(Payload):
    """A comment on a pull request."""

    id: int
    user: Account | None
    body: str | None = None


class Artifact(Payload):
    """What a run of a workflow has left."""

    id: int
    name: str
    size_in_bytes: int
    expired: bool


class CommitOf(Payload):
    """A commit."""

    sha: CommitId


class ComparedCommits(Payload):
    """Two commits compared."""

    merge_base_commit: CommitOf


class CompletedRun(Payload):
    """The run of a workflow that a `workflow_run` event tells of."""

    id: int
    path: str  # of the workflow's file
    event: str
    head_sha: CommitId
    head_branch: str | None
    head_repository: Repository


class WebhookEvent(Payload):
    """The file that GITHUB_EVENT_PATH names."""

    repository: Repository
    pull_request: PullRequest | None = None
    workflow_run: CompletedRun | None = None


def variable(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """A variable that GitHub sets for each step.

    Raises:
        CkgitError: USAGE, it is not set.
    """
    if value := environment.get(name):
        return value
    workflows = "run it there; docs/ci-github.md of ckgit has those that do"
    raise CkgitError(f"{name} is not set, as it is in a workflow of GitHub's", code=Exit.USAGE, state="nothing was done", next=workflows)


def read_event() -> WebhookEvent:
    """The event that this workflow runs for.

    Raises:
        CkgitError: USAGE, there is none, or none of GitHub's.
    """
    file = Path(variable("GITHUB_EVENT_PATH"))
    try:
        with file.open("rb") as opened:
            return WebhookEvent.model_validate_json(opened.read(_MOST_BYTES))
    except OSError as error:
        raise _no_event(file, f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise _no_event(file, f"is no event of GitHub's: {told(error)}") from None


def pull_request_of(event: WebhookEvent) -> PullRequest:
    """The pull request that an event is about.

    Raises:
        CkgitError: USAGE, it is about something else.
    """
    if event.pull_request:
        return event.pull_request
    raise CkgitError("this event is about no pull request", code=Exit.USAGE, state="nothing was done", next="run it on: pull_request")


def completed_run_of(event: WebhookEvent) -> CompletedRun:
    """The run that a `workflow_run` event is about.

    Raises:
        CkgitError: USAGE, it is about something else.
    """
    if event.workflow_run:
        return event.workflow_run
    raise CkgitError("this event is about no run of a workflow", code=Exit.USAGE, state="nothing was done", next="run it on: workflow_run")


def told(error: ValidationError) -> str:
    """Which fields are not as they should be; their values may be anything, and are not said."""
    return ", ".join(sorted({".".join(map(str, each["loc"])) or "all of it" for each in error.errors()}))


def _no_event(file: Path, what: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, where=str(file), state="nothing was done", next="run it in a workflow of GitHub's")
