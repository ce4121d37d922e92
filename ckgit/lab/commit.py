"""One event, one commit, on the experiment's branch: objects first, the branch last, by compare and swap."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.lifecycle import Event, check_edge
from ckgit.experiment.state import State
from ckgit.lab.git import tips
from ckgit.lab.git.branch import commit_tree, move
from ckgit.lab.git.checkout import refuse_lagging
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.tips import KnownTips
from ckgit.lab.git.tree import plan_tree, write_objects
from ckgit.lab.lab import Lab
from ckgit.lab.remotes import authority
from ckgit.lab.secrets import refuse_unfit
from ckgit.lab.snapshot import Snapshot
from ckgit.lab.summary.state import state_in

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
    branch = lab.branch(name)
    refuse_lagging(branch)
    base = parent.tip if parent else lab.base
    new = _write_commit(lab, name, base, files, message)
    authority.refuse_behind(lab, name, parent.tip if parent else None, new)
    also = tips.updates(lab.root, name, KnownTips(parent.left if parent else tips.left_at(lab.root, name), base), new)
    move(branch, parent.tip if parent and parent.local else "", new, subject=message.splitlines()[0], also=also)
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
    return commit_tree(lab.root, tree.oid, base, message)
