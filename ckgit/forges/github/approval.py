"""Whether an experiment may start: what was approved, by whom, and at which commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.forges.github.payloads import PullRequest, SubmittedReview
from ckgit.formats.listing import escaped, in_words

_PREFIX = "exp/"


class Approval(NamedTuple):
    """A review that approves, and that nobody took back."""

    login: str
    commit: str

    def __str__(self) -> str:
        return f"{self.login}@{self.commit}"


class MayStart(NamedTuple):
    """An experiment that may start, and the commit that was approved."""

    experiment: str
    commit: str
    by: tuple[str, ...]


def approvals(reviews: Iterable[SubmittedReview]) -> tuple[Approval, ...]:
    """The approvals that stand.

    Args:
        reviews: of one pull request, in the order in which they were given. Whoever asks for changes takes back what they approved
            before; so does a dismissal. A comment does not.
    """
    found: dict[str, list[Approval]] = {}
    for review in reviews:
        if review.user is None or review.state in ("COMMENTED", "PENDING"):
            continue
        if review.state == "APPROVED" and review.commit_id:
            found.setdefault(review.user.login, []).append(Approval(review.user.login, review.commit_id))
        else:
            found.pop(review.user.login, None)
    return tuple(each for given in found.values() for each in given)


def may_start(pull: PullRequest, given: Iterable[Approval], approvers: Collection[str], default_branch: str) -> MayStart:
    """The experiment that a pull request asks for, where somebody who may has approved this very commit.

    Args:
        pull: as it is now.
        given: the approvals that stand.
        approvers: logins that the default branch's ckgit.toml names.
        default_branch: the one branch that experiments are for.

    Raises:
        CkgitError: NOT_APPROVED, with the reason.
    """
    name = pull.head.ref.removeprefix(_PREFIX)
    if pull.is_fork:
        raise refused("its branch is in a fork: that is reviewed, and never run", "push the branch to the lab's own repository")
    if pull.state != "open":
        raise refused("it is closed", "open it again")
    if pull.base.ref != default_branch:
        raise refused(f"it is for {escaped(pull.base.ref)}, and not for {default_branch}", f"change its base to {default_branch}")
    if not pull.head.ref.startswith(_PREFIX) or name_problem(name):
        raise refused(f"its branch {escaped(pull.head.ref)} is not an experiment's", "ckgit design NAME makes one, on a branch exp/NAME")
    known = {login.casefold() for login in approvers}
    able = [each for each in given if each.login.casefold() in known]
    by = tuple(each.login for each in able if each.commit == pull.head.sha)
    if not by:
        raise refused(_lacking(able, approvers, pull.head.sha), f"have one of them approve commit {pull.head.sha[:12]}")
    return MayStart(name, pull.head.sha, by)


def refused(why: str, advice: str) -> CkgitError:
    """The experiment does not start."""
    return CkgitError(f"the experiment does not start: {why}", code=Exit.NOT_APPROVED, state="nothing was submitted", next=advice)


def _lacking(able: Iterable[Approval], approvers: Collection[str], head: str) -> str:
    if not approvers:
        return "ckgit.toml of the default branch names no approvers in [review]"
    if others := sorted({each.commit[:12] for each in able}):
        return f"what was approved is {in_words(others)}, and the branch is at {head[:12]} now"
    return f"none of {in_words(sorted(approvers))} has approved it"
