"""One event, one commit, on the experiment's branch: objects first, the branch last, by compare and swap."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.lifecycle import NO_STATE, Event, check_edge
from ckgit.experiment.state import State
from ckgit.lab.git import tips
from ckgit.lab.git.branch import Hand, commit_tree, move
from ckgit.lab.git.checkout import refuse_lagging
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.tips import KnownTips
from ckgit.lab.git.trailers import Trailers, build, newer_version
from ckgit.lab.git.tree import plan_tree, write_objects
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority
from ckgit.lab.secrets import refuse_unfit
from ckgit.lab.snapshot.snapshot import BranchTip
from ckgit.lab.summary.state import state_in

if TYPE_CHECKING:
    from ckgit.experiment.outputs.planned import PlannedCommit, PlannedFile

# Letters, digits, spaces and . _ - +; no part begins with a hyphen or is '.', '..' or '.git'.
_PART = r"(?!-|\.{1,2}(?:/|$)|\.git(?:/|$))[A-Za-z0-9._+ -]+"
_PLANNING = 300  # seconds that it may take to make a plan
_PLAIN_PATH = re.compile(rf"{_PART}(?:/{_PART})*", re.IGNORECASE)


class CommitPlan(NamedTuple):
    """A commit that is to be made on an experiment's branch."""

    name: str  # of the experiment
    event: Event
    parent: BranchTip | None  # what it starts from; None begins a new branch at the tip of the default branch
    files: Mapping[str, bytes | None]  # contents by path in the lab, in the experiment's folder or among `updated`; None deletes
    design_digest: str  # the design hash, for the trailer
    body: str  # what a person should know of it
    updated: Collection[str] = ()  # files of the lab that a revised design takes as another commit has them

    @property
    def source(self) -> State | None:
        """The state before it."""
        return self.parent.state if self.parent else None

    @property
    def target(self) -> State:
        """The state after it.

        Raises:
            CkgitError: ILLEGAL_TRANSITION.
        """
        return check_edge(self.event, self.parent.standing if self.parent else None)


def make_commit(lab: Lab, plan: CommitPlan) -> str:
    """Make a commit, and return its id.

    HEAD, index, stash and all checkouts stay as they are, apart from a clean checkout of this very branch, which follows.

    Raises:
        CkgitError: ILLEGAL_TRANSITION; BRANCH_MOVED, somebody else was faster, or the user's work is in the way; USAGE, a
            secret, a file over the limit, a link, or a name that clashes; COMMAND_FAILED, git's own failure.
    """
    name, parent = plan.name, plan.parent
    message = message_of(plan)
    if parent is None:
        _refuse_clash(lab, name)
    branch = lab.branch(name)
    refuse_lagging(branch)
    base = parent.commit if parent else lab.base
    new = _write_commit(lab, name, base, plan.files, message)
    closed = plan.event is Event.CLOSE
    there = authority.refuse_behind(lab, name, parent.commit if parent else None, new)
    left = KnownTips(parent.left if parent else tips.left_at(lab.root, name), base, parent.closed if parent else "")
    also = tips.updates(lab.root, name, left, new, closed=closed)
    move(branch, parent.commit if parent and parent.local else "", new, subject=message.splitlines()[0], also=also)
    authority.push(lab, name, new, closed=closed, there=there)
    return new


def message_of(plan: CommitPlan) -> str:
    """The message of a commit that can be made.

    Raises:
        CkgitError: as `make_commit`, as far as it can be told beforehand.
    """
    if plan.parent and (newer := newer_version(plan.name, plan.parent.version)):
        raise newer
    _check(plan)
    message = _message(plan)
    refuse_unfit({**plan.files, "commit message": message.encode()})
    return message


def preview(plan: CommitPlan, drawn: Sequence[str] = ()) -> PlannedCommit:
    """What `make_commit` would commit, of a plan that was just made. Nothing is written.

    Args:
        drawn: what is drawn anew each time; TOKEN stands for it.

    Raises:
        CkgitError: as `make_commit`, as far as it can be told beforehand.
    """
    from ckgit.experiment.outputs.planned import PlannedCommit

    message = reduce(lambda text, each: text.replace(each, "TOKEN"), drawn, message_of(plan))
    files = tuple(_planned(path, content, [*drawn, *_just_now()]) for path, content in sorted(plan.files.items()))
    return PlannedCommit(experiment=plan.name, records=plan.event, source=plan.source, target=plan.target, message=message, files=files)


def _just_now() -> list[str]:
    """Each time that may have been taken for a plan."""
    end = datetime.now(UTC)
    return [(end - timedelta(seconds=back)).strftime("%Y-%m-%dT%H:%M:%SZ") for back in range(_PLANNING)]


def _planned(path: str, content: bytes | None, new: Sequence[str]) -> PlannedFile:
    from ckgit.experiment.outputs.planned import PlannedFile

    if content is None:
        return PlannedFile(path=path, bytes=None, sha256=None)
    same = not any(each.encode() in content for each in new)
    return PlannedFile(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest() if same else None)


def _check(plan: CommitPlan) -> None:
    """Mistakes of the caller; a user should never see these.

    Raises:
        ValueError: a path outside of the experiment's folder, or a summary that does not say the new state.
    """
    name, target = plan.name, plan.target
    if problem := name_problem(name):
        raise CkgitError(f"{name!r} is not a name of an experiment: {problem}", code=Exit.USAGE, state="nothing was written")
    for path in plan.files:
        if not (path.startswith(f"experiments/{name}/") or path in plan.updated) or not _PLAIN_PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not a path in experiments/{name}")
    path = f"experiments/{name}/experiment_summary.md"
    summary = plan.files.get(path) or (plan.parent.summary if plan.parent else b"")
    if (written := state_in(summary, path)) is not target:
        raise ValueError(f"the summary says {written}, but the step leads to {target}")


def _message(plan: CommitPlan) -> str:
    return step_message(plan.name, Trailers(plan.event, str(plan.source or NO_STATE), plan.target, plan.design_digest), plan.body)


def step_message(name: str, step: Trailers, body: str) -> str:
    """The message of a commit that records a step of an experiment; its last paragraph are the trailers."""
    subject = f"{step.event} {name}: {step.source} -> {step.target}"
    trailers = {
        "Ckgit-Experiment": name,
        "Ckgit-Event": step.event,
        "Ckgit-From": step.source,
        "Ckgit-To": step.target,
        "Ckgit-Design": step.design,
        "Ckgit-Version": __version__,
        "Ckgit-Build": build(),
    }
    paragraphs = [subject, _for_people(body), "\n".join(f"{key}: {value}" for key, value in trailers.items())]
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _for_people(body: str) -> str:
    """The body without control characters, which a terminal would obey."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", body).strip()


def _refuse_clash(lab: Lab, name: str) -> None:
    """A new branch must not differ from another one in case only, nor stand in the way of one."""
    own = [ref.removeprefix("refs/heads/") for ref in git_lines(lab.root, "for-each-ref", "--format=%(refname)", "refs/heads/exp")]
    remote = git_lines(lab.root, "for-each-ref", "--format=%(refname:lstrip=2)", f"refs/remotes/*/exp/{name}")
    branch = f"exp/{name}"
    clashing = [ref for ref in own if ref.lower() == branch.lower() or ref == "exp" or ref.startswith(f"{branch}/")]
    clash = next(iter([*clashing, *remote]), None)
    if clash == branch or remote:
        raise CkgitError(
            f"experiment {name} exists already, as branch {clash}",
            code=Exit.USAGE,
            state="nothing was written",
            next=f"choose another name, or go on with it: ckgit status {name}",
        )
    if clash:
        raise CkgitError(
            f"branch {branch} cannot be made beside branch {clash}: names must differ in more than case and nesting",
            code=Exit.USAGE,
            state="nothing was written",
            next=f"choose another name, or rename the other branch: git branch -m {clash} NEW",
        )


def _write_commit(lab: Lab, name: str, base: str, files: Mapping[str, bytes | None], message: str) -> str:
    """Write every object of the commit; nothing names it yet."""
    tree = plan_tree(lab.root, base, files, strict_under=f"experiments/{name}")
    write_objects(lab.root, tree.objects, len(base))
    return commit_tree(lab.root, tree.oid, base, message, Hand(must_sign=lab.config.signatures.required))
