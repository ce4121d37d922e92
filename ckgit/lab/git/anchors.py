"""Anchors: what the repository that others push to attests of an experiment's steps, by its own clock and hand.

`refs/ckgit/anchors/NAME/EVENT/COMMIT` is a commit of that repository's own, made when the step COMMIT arrived, whose only parent is
that step. So the step is kept, whatever becomes of its branch, and whoever fetches the anchor has it. Nobody pushes anchors.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.lifecycle import Event
from ckgit.formats.listing import escaped
from ckgit.formats.times import of_git, utc
from ckgit.lab.git.branch import Hand, author, commit_tree
from ckgit.lab.git.command import DURABLE, git, git_lines, git_text

ANCHORS = "refs/ckgit/anchors/"
# What is designed, what is handed over, and that results were there: who has them all cannot choose one by another.
ATTESTED = (Event.DESIGN, Event.REVISE, Event.SUBMIT, Event.EVALUATE)
# Where servers say who pushes: GitLab, gitolite, Gitea and Forgejo, git over HTTP; else the account.
_PUSHERS = ("GL_USERNAME", "GL_USER", "GITEA_PUSHER_NAME", "REMOTE_USER", "USER", "LOGNAME")


class Anchor(NamedTuple):
    """A step that was attested."""

    ref: str
    oid: str  # of the anchor itself
    event: str
    commit: str  # the step
    by: str  # who attests it, as a commit's author is told
    when: str  # by the clock of whoever attests it, in UTC


def anchors(root: Path, name: str) -> list[Anchor]:
    """The anchors of an experiment that are here, oldest first; what is none of that shape does not count."""
    form = "--format=%(refname)%00%(objectname)%00%(parent)%00%(committername) %(committeremail)%00%(committerdate:unix)%00"
    answer = git(root, "for-each-ref", "--sort=committerdate", form, f"{ANCHORS}{name}/").decode(errors="replace")
    fields = answer.split("\0")
    found = []
    for at in range(0, len(fields) - 5, 5):
        ref, oid, parent, by, seconds = fields[at : at + 5]
        event, _, commit = ref.strip().removeprefix(f"{ANCHORS}{name}/").partition("/")
        if commit and commit == parent:
            found.append(Anchor(ref.strip(), oid, event, commit, escaped(by), utc(of_git(seconds))))
    return found


def is_any(root: Path) -> bool:
    """Whether anything of this repository was ever attested."""
    return bool(git_lines(root, "for-each-ref", "--count=1", "--format=%(refname)", ANCHORS))


def lost(root: Path, known: Sequence[Anchor], tip: str) -> list[Anchor]:
    """Those whose step is not in the history of a commit."""
    beyond = set(git_lines(root, "rev-list", *{each.commit for each in known}, f"^{tip}", "--")) if known else set()
    return [each for each in known if each.commit in beyond]


def attest(root: Path, name: str, steps: Sequence[tuple[str, str]]) -> None:
    """Make anchors of an experiment's steps, each with its event and commit, signed where this repository's user signs.

    Raises:
        CkgitError: COMMAND_FAILED, git's own failure; or what is signed by cannot be used.
    """
    there = {each.commit for each in anchors(root, name)}
    lines = [f"create {ANCHORS}{name}/{event}/{oid} {_made(root, name, event, oid)}" for event, oid in steps if oid not in there]
    if lines:
        git(root, *DURABLE, "update-ref", "--stdin", stdin="".join(f"{line}\n" for line in lines).encode())


def _made(root: Path, name: str, event: str, commit: str) -> str:
    pusher = next((os.environ[each] for each in _PUSHERS if os.environ.get(each)), "")
    told = f"anchor {name}: {event}\n\nThe step {commit} arrived here, and was attested.\n"
    message = f"{told}\nCkgit-Anchor: {name} {event}\n" + (f"Ckgit-Pusher: {escaped(pusher)}\n" if pusher else "")
    tree = git_text(root, "rev-parse", f"{commit}^{{tree}}")
    now = f"@{int(time.time())} +0000"
    own = {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}  # whatever the one who pushes had set
    if not author(root):
        own |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _server().items()}
    return commit_tree(root, tree, commit, message, Hand(own))


def _server() -> dict[str, str]:
    """Who attests where git does not know who works here."""
    return {"NAME": "ckgit", "EMAIL": f"ckgit@{socket.gethostname()}"}
