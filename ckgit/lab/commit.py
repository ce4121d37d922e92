"""One event, one commit, on the experiment's branch: objects first, the branch last, by compare and swap."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ckgit import __version__
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event, check_edge
from ckgit.experiment.names import name_problem
from ckgit.experiment.state import State
from ckgit.lab import authority, checkout
from ckgit.lab.git import DURABLE, GitError, git, git_lines, git_ok, git_text
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.secrets import refuse_unfit
from ckgit.lab.snapshot import Snapshot
from ckgit.lab.states import state_in
from ckgit.lab.tree import plan_tree, write_objects

# Waiting for a ref that another process holds is better than failing: it holds it for a millisecond.
_PATIENT = ("-c", "core.filesRefLockTimeout=2000", "-c", "core.packedRefsTimeout=5000")

# Letters, digits, spaces and . _ - +; no part begins with a hyphen or is '.', '..' or '.git'.
_PART = r"(?!-|\.{1,2}(?:/|$)|\.git(?:/|$))[A-Za-z0-9._+ -]+"
_PLAIN_PATH = re.compile(rf"{_PART}(?:/{_PART})*", re.IGNORECASE)


def record(
    lab: Lab,
    *,
    name: str,
    event: Event,
    parent: Snapshot | None,
    files: Mapping[str, bytes | None],
    design_digest: str,
    body: str,
) -> str:
    """Commit an event, and return the new commit's id.

    HEAD, index, stash and all checkouts stay as they are, apart from a clean checkout of this very branch, which follows.

    Args:
        parent: what the event starts from; None begins a new branch at the tip of the default branch.
        files: contents by path in the lab, all in the experiment's folder; None deletes.
        design_digest: the design hash, for the trailer.
        body: what a person should know of the event.

    Raises:
        CkgitError: ILLEGAL_TRANSITION; BRANCH_MOVED, somebody else was faster, or the user's work is in the way; USAGE, a
            secret, a file over the limit, a link, or a name that clashes; COMMAND_FAILED, git's own failure.
    """
    target = check_edge(event, parent.state if parent else None)
    _check(name, files, target, parent)
    message = _message(name, event, parent, target, design_digest, body)
    refuse_unfit({**files, "commit message": message.encode()})
    if parent is None:
        _refuse_clash(lab, name)
    authority.refuse_behind(lab, name, parent.tip if parent else None)
    checkout.refuse_lagging(lab, name)
    old = parent.tip if parent else ""
    new = _write_commit(lab, name, old or lab.base, files, message)
    _swap(lab, name, old, new, message.splitlines()[0])
    authority.push(lab, name, new)
    return new


def preview(name: str, event: Event, parent: Snapshot | None, files: Mapping[str, bytes | None], design_digest: str, body: str) -> str:
    """What `record` would commit: the message, and each path with its size. Nothing is written.

    Raises:
        CkgitError: as `record`, as far as it can be told beforehand.
    """
    target = check_edge(event, parent.state if parent else None)
    _check(name, files, target, parent)
    message = _message(name, event, parent, target, design_digest, body)
    refuse_unfit({**files, "commit message": message.encode()})
    paths = [f"  delete {p}" if content is None else f"  write  {p} ({len(content)} bytes)" for p, content in sorted(files.items())]
    return "\n".join([f"would commit to exp/{name}:", *(f"    {line}".rstrip() for line in message.splitlines()), *paths]) + "\n"


def _check(name: str, files: Mapping[str, bytes | None], target: State, parent: Snapshot | None) -> None:
    """Mistakes of the caller; a user should never see these.

    Raises:
        ValueError: a path outside of the experiment's folder, or a summary that does not say the new state.
    """
    if problem := name_problem(name):
        raise CkgitError(f"{name!r} is not a name of an experiment: {problem}", code=Exit.USAGE, state="nothing was written")
    for path in files:
        if not path.startswith(f"experiments/{name}/") or not _PLAIN_PATH.fullmatch(path):
            raise ValueError(f"{path!r} is not a path in experiments/{name}")
    path = f"experiments/{name}/experiment_summary.md"
    summary = files.get(path) or (parent.summary_bytes() if parent else b"")
    if (written := state_in(summary, path)) is not target:
        raise ValueError(f"the summary says {written}, but the step leads to {target}")


def _message(name: str, event: Event, parent: Snapshot | None, target: State, design_digest: str, body: str) -> str:
    source = parent.state if parent else None
    subject = f"{event} {name}: {source or 'none'} -> {target}"
    trailers = {
        "Ckgit-Experiment": name,
        "Ckgit-Event": event,
        "Ckgit-From": source or "none",
        "Ckgit-To": target,
        "Ckgit-Design": design_digest,
        "Ckgit-Version": __version__,
    }
    paragraphs = [subject, _for_people(body), "\n".join(f"{key}: {value}" for key, value in trailers.items())]
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _for_people(body: str) -> str:
    """The body without control characters, which a terminal would obey."""
    return re.sub(r"[^\n\t\x20-\x7e\u00a0-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", body).strip()


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
    return commit_tree(lab, tree.oid, base, message)


def commit_tree(lab: Lab, tree: str, parent: str, message: str) -> str:
    """Write a commit object.

    Raises:
        CkgitError: USAGE, when git does not know who commits.
    """
    settings = ("-c", "user.useConfigOnly=true", "-c", "i18n.commitEncoding=UTF-8")
    try:
        new = git(lab.root, *DURABLE, *settings, "commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode()).decode().strip()
    except GitError as error:
        if "Please tell me who you are" not in error.stderr:
            raise
        raise no_identity() from None
    if not re.fullmatch(rf"[0-9a-f]{{{len(parent)}}}", new):
        raise CkgitError(f"git commit-tree answered {new!r}, which is no commit id", code=Exit.COMMAND_FAILED, state="nothing was committed")
    return new


def no_identity() -> CkgitError:
    """The error for a user whom git does not know."""
    return CkgitError(
        "git does not know who you are, so nothing can be committed",
        code=Exit.USAGE,
        state="nothing was written",
        next='git config --global user.name "Your Name" && git config --global user.email you@example.org',
    )


def _swap(lab: Lab, name: str, old: str, new: str, subject: str) -> None:
    """Move the branch from `old` (empty: it must not exist) to `new`, and checkouts of it along."""
    places = checkout.checkouts(lab, name)
    if places and not old:
        raise CkgitError(
            f"exp/{name} is checked out without a commit yet",
            code=Exit.BRANCH_MOVED,
            where=str(places[0]),
            state="nothing was committed",
            next=f"git -C {places[0]} switch {lab.default_branch}, then try again",
        )
    for place in places:
        checkout.refuse_dirty(place, name, checkout.changes_between(lab.root, old, new))
    with checkout.promised(lab, name, places, old, new):
        try:
            git(lab.root, *DURABLE, *_PATIENT, "update-ref", "--create-reflog", "-m", f"ckgit: {subject}", BRANCHES + name, new, old)
        except GitError as error:
            _explain_lost_swap(lab, name, old, new, error)
        seen = _tip(lab, name)
        if seen != new and not git_ok(lab.root, "merge-base", "--is-ancestor", new, seen):
            raise _moved(name, new, seen)


def _tip(lab: Lab, name: str) -> str:
    return git_text(lab.root, "for-each-ref", "--format=%(objectname)", BRANCHES + name)


def _explain_lost_swap(lab: Lab, name: str, old: str, new: str, error: GitError) -> None:
    """Tell a lost race from git's other failures; a swap that was made although git failed is none."""
    seen = _tip(lab, name)
    if seen == new:
        return
    if seen != old:
        raise _moved(name, old, seen) from error
    raise error


def _moved(name: str, old: str, seen: str) -> CkgitError:
    return CkgitError(
        f"somebody else moved the branch: it was at {old[:12] or 'no commit'}, and is now at {seen[:12] or 'no commit'}",
        code=Exit.BRANCH_MOVED,
        where=f"exp/{name}",
        state="nothing of yours was committed",
        next=f"ckgit status {name} shows where it stands now",
    )
