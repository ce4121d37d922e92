"""What `ckgit ci` prints for programs."""

from typing import Literal

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import CommitId, PrintedDocument


class ListedApproval(Frozen):
    """A review that approves, and that nobody took back."""

    login: str
    commit: CommitId


class ApprovalsDocument(PrintedDocument):
    """Who has approved a pull request, and at which commits."""

    pull_request: int
    approvals: tuple[ListedApproval, ...]


class MayStartDocument(PrintedDocument):
    """An experiment that may start."""

    experiment: str
    commit: CommitId
    by: tuple[str, ...] = Field(description="Approvers who have approved this commit.")


class CommentDocument(PrintedDocument):
    """What became of a review's comment, or with --dry-run would."""

    pull_request: int
    condition: Literal["posted", "edited", "kept", "outdated"] = Field(
        description="kept: it says the same already; outdated: the branch has moved on, and nothing was written."
    )
    body: str
    dry_run: bool
