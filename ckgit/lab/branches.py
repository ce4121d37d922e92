"""The branch of an experiment as git knows it: where it is, here and on remotes, and what ckgit's commits on it have recorded."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import NO_STATE, is_closed
from ckgit.formats.listing import nearest
from ckgit.formats.times import of_git
from ckgit.lab.experiments import list_experiments, where_merged
from ckgit.lab.git.command import git, git_lines, has_commit
from ckgit.lab.git.tips import CLOSED, TIPS, deleted, is_lost
from ckgit.lab.git.trailers import LOG_ATOM, REF_ATOM, Trailers, parse_trailers
from ckgit.lab.lab import BRANCHES, Lab


class DeletedError(CkgitError):
    """The branch of an experiment was deleted; `left` is the commit at which ckgit left it."""

    def __init__(self, lab: Lab, name: str, left: str) -> None:
        self.name, self.left = name, left
        merged = not is_lost(lab.root, left, lab.base)
        how = f"was merged into {lab.default_branch} and deleted" if merged else "was deleted"
        held = where_merged(lab, name)
        back = f"ckgit delete {name} --undo" if left in deleted(lab.root, name) else f"git branch exp/{name} {left[:12]}"
        super().__init__(
            f"the branch of experiment {name} {how}; ckgit left it at {left[:12]}",
            code=Exit.USAGE,
            where=f"exp/{name}",
            state="its commits are kept",
            next=f"{f'{held} shows what {lab.default_branch} holds; ' if held else ''}{back} brings it back",
        )


class TipOfBranch(NamedTuple):
    """The commit that a branch is at."""

    commit: str
    recorded: Trailers | None  # None: it is the user's
    time: datetime.datetime


def all_tips(lab: Lab, name: str) -> dict[str, TipOfBranch]:
    """Local and remote branches of an experiment, where ckgit left it, and what is kept of it as closed, by ref."""
    form = f"--format=%(refname)%00%(objectname)%00%(committer)%00{REF_ATOM}%00"
    refs = (f"{BRANCHES}{name}", f"refs/remotes/*/exp/{name}", f"{TIPS}{name}", f"{CLOSED}{name}")
    fields = git(lab.root, "for-each-ref", form, *refs).decode(errors="replace").split("\0")
    records = [fields[at : at + 4] for at in range(0, len(fields) - 4, 4)]
    return {ref.strip(): _tip(name, *record) for ref, *record in records if ref.strip().endswith(f"/{name}")}


def _tip(name: str, commit: str, date: str, trailers: str) -> TipOfBranch:
    return TipOfBranch(commit, parse_trailers(trailers, name), of_git(date))


def remote_ref(lab: Lab, name: str, refs: Sequence[str], left: str) -> str:
    """The remote's branch that stands for a local one that is not there.

    Args:
        refs: remotes' branches of that name.
        left: commit at which ckgit left the branch here; empty where it never made one.

    Raises:
        DeletedError: there was one, and there is none any more.
        CkgitError: USAGE, there is no such experiment, or several remotes have it.
    """
    if not refs and left:
        raise DeletedError(lab, name, left)
    if not refs and (held := where_merged(lab, name)):
        what = f"experiment {name} has no branch here; {lab.default_branch} holds its files"
        raise CkgitError(what, code=Exit.USAGE, where=str(lab.root), next=f"{held} shows them; ckgit list shows all")
    if not refs:
        near = nearest(name, [row.name for row in list_experiments(lab)])
        advice = f"did you mean {near}? ckgit list shows all" if near else f"ckgit list shows all; {_elsewhere(lab, name)}"
        raise CkgitError(f"there is no experiment {name}", code=Exit.USAGE, where=str(lab.root), next=advice)
    preferred = [ref for ref in refs if ref in (f"refs/remotes/{remote}/exp/{name}" for remote in (lab.config.authority, "origin"))]
    if len(refs) > 1 and not preferred:
        remotes = ", ".join(ref.split("/")[2] for ref in refs)
        raise CkgitError(f"{name} is on several remotes ({remotes})", code=Exit.USAGE, next=f"git branch exp/{name} REMOTE/exp/{name}")
    return (preferred or refs)[0]


def _elsewhere(lab: Lab, name: str) -> str:
    """How to come by an experiment that is not here: another clone may have it, where there is a remote."""
    remotes = git_lines(lab.root, "remote")
    preferred = [remote for remote in (lab.config.authority, "origin") if remote in remotes]
    for remote in [*preferred, *remotes][:1]:
        branch = f"git fetch {remote} +{BRANCHES}{name}:refs/remotes/{remote}/exp/{name} gets one that {remote} has"
        return f"{branch}, and git fetch {remote} '{CLOSED}*:{CLOSED}*' those that were closed"
    return f"ckgit design {name} makes one"


def stands_for_branch(lab: Lab, name: str, closed: TipOfBranch, branches: Mapping[str, TipOfBranch], *, every: bool) -> bool:
    """Whether what is kept of a closed experiment stands for its branch: that is gone, and what is left of it on remotes is behind.

    Args:
        every: also where somebody kept it by hand, and no step closed it.
    """
    if f"{BRANCHES}{name}" in branches or any(is_lost(lab.root, each.commit, closed.commit) for each in branches.values()):
        return False
    recorded = closed.recorded or last_recorded(lab.root, name, closed.commit)[1]
    return every or bool(recorded and is_closed(recorded.standing))


def last_recorded(root: Path, name: str, tip: str) -> tuple[str, Trailers | None]:
    """The newest step of ckgit's for this experiment that a commit stands on, and what it recorded; empty where there is none.

    It is that of the branch itself, which is followed by first parents: what was merged in may be another experiment that had this
    name. A merge may also have brought steps that go on from that one, as `git pull` does; then it is the newest of those, unless
    they have gone on in two ways.
    """
    own = next(_recorded(root, name, "--first-parent", tip), None)
    if not own or own[0] == tip or not git_lines(root, "rev-list", "--merges", "--max-count=1", f"{own[0]}..{tip}", "--"):
        return own or ("", None)
    brought = next(_recorded(root, name, "--topo-order", "--ancestry-path", f"{own[0]}..{tip}"), None)
    if not brought or next(_recorded(root, name, "--ancestry-path", f"{own[0]}..{tip}", f"^{brought[0]}"), None):
        return own
    return brought


def last_merged(lab: Lab, name: str, at: str = "") -> tuple[str, Trailers | None]:
    """The newest step of ckgit's for an experiment that the default branch holds, mostly merged in; empty where there is none.

    Args:
        at: a commit of the default branch; empty for its tip.
    """
    return next(_recorded(lab.root, name, "--topo-order", at or lab.base), ("", None))


def steps_in(root: Path, *commits: str) -> list[str]:
    """Names of the experiments that have steps among some commits, as their trailers call them."""
    command = ("rev-list", "--no-commit-header", "--grep=^Ckgit-To: ", f"--format={LOG_ATOM}%x00")
    text = git(root, *command, *commits, "--").decode(errors="replace")
    return list(dict.fromkeys(re.findall(r"^Ckgit-Experiment: ([^\n]+)$", text, re.MULTILINE)))


def steps_of(root: Path, name: str, tip: str) -> list[tuple[str, Trailers]]:
    """Each step of ckgit's for an experiment on a branch at a commit, and what it recorded, newest first, from where it last began."""
    found = list(_recorded(root, name, "--topo-order", tip))
    first = next((index for index, (_, step) in enumerate(found) if step.source == NO_STATE), len(found))
    return found[: first + 1]


def _recorded(root: Path, name: str, *commits: str) -> Iterator[tuple[str, Trailers]]:
    """Steps of ckgit's for an experiment among some commits, and what they recorded, newest first."""
    command = ("rev-list", "--no-commit-header", "--grep=^Ckgit-To: ", f"--format=%H%x00{LOG_ATOM}%x00")
    found = git(root, *command, *commits, "--").decode(errors="replace").split("\0")
    for commit, text in zip(found[::2], found[1::2], strict=False):
        if recorded := parse_trailers(text, name):
            yield commit.strip(), recorded


def design_of(root: Path, name: str, commit: str) -> str | None:
    """Design hash that a commit of ckgit's named; None where it is not there, or none of ckgit's."""
    if not has_commit(root, commit):
        return None
    commits = ("rev-list", "--no-commit-header", "--max-count=1")
    text = git(root, *commits, f"--format={LOG_ATOM}", commit, "--").decode(errors="replace")
    recorded = parse_trailers(text, name)
    return recorded.design if recorded else None
