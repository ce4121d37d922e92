"""What is about to be pushed: which branches move, and the commits that they get."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.experiment.design.names import name_problem
from ckgit.lab.git.command import git, git_lines, is_ancestor
from ckgit.lab.git.objects import read_object, read_objects, sizes
from ckgit.lab.git.tips import CLOSED
from ckgit.lab.git.trailers import LOG_ATOM, Trailers, parse_trailers
from ckgit.lab.hooks.staged import ChangedFile, lab_of_hook
from ckgit.lab.lab import BRANCHES, CONFIG, Lab

Attempts = Mapping[str, Mapping[str, Any]]  # of a ledger, by token


class RefUpdate(NamedTuple):
    """A ref of the repository that is pushed to."""

    ref: str
    old: str  # empty where there was none, or where nobody knows it here
    new: str  # empty where it is deleted

    @property
    def name(self) -> str:
        """The experiment whose branch this is; empty where it is none's."""
        name = self.ref.removeprefix(BRANCHES)
        return "" if name == self.ref or "/" in name or name_problem(name) else name

    @property
    def closed(self) -> str:
        """The experiment whose closed branch this keeps; empty where it is none's."""
        name = self.ref.removeprefix(CLOSED).partition("/")[0].partition("@")[0]
        return "" if not self.ref.startswith(CLOSED) or name_problem(name) else name


class PushedCommit(NamedTuple):
    """A commit that a branch gets, or loses."""

    oid: str
    parents: tuple[str, ...]
    recorded: Trailers | None  # None: it is the user's


def received(stdin: bytes) -> list[RefUpdate]:
    """The refs that pre-receive is told of, `OLD NEW REF` a line."""
    lines = (line.split(" ", 2) for line in stdin.decode(errors="surrogateescape").split("\n") if line)
    return [RefUpdate(ref, _known(old), _known(new)) for old, new, ref in lines]


def to_push(root: Path, stdin: bytes) -> list[RefUpdate]:
    """The refs that pre-push is told of, `LOCAL-REF NEW REMOTE-REF OLD` a line; an old commit that is not here is nobody's."""
    lines = [line.split(" ") for line in stdin.decode(errors="surrogateescape").split("\n") if line]
    found = [RefUpdate(ref, _known(old), _known(new)) for *_, new, ref, old in lines]
    here = sizes(root, [update.old for update in found if update.old])
    return [update if update.old in here else update._replace(old="") for update in found]


def _known(oid: str) -> str:
    return oid if oid.strip("0") else ""


def lab_of_push(folder: Path, updates: Sequence[RefUpdate]) -> Lab | None:
    """The lab that is pushed to, or that this push makes; None where it is none.

    Where nobody can tell the default branch, as before the first push of it, it has none: both its name and `base` are empty.
    """
    if lab := lab_of_hook(folder):
        return lab
    branches = [update for update in updates if update.ref.startswith(("refs/heads/", CLOSED)) and (update.new or update.old)]
    for update in sorted(branches, key=lambda each: bool(each.name or each.closed)):  # the default branch first
        if (toml := read_object(folder, f"{update.new or update.old}:{CONFIG}")) is not None:
            branch, base = ("", "") if update.name or update.closed else (update.ref.removeprefix("refs/heads/"), update.new)
            return Lab(folder, folder, folder, branch, base, toml)
    return None


def commits_between(root: Path, name: str, new: str, *without: str) -> list[PushedCommit]:
    """The commits of a branch without the history of others, parents first."""
    form = f"--format=%H%x00%P%x00{LOG_ATOM}%x00"
    command = ("rev-list", "--no-commit-header", "--topo-order", "--reverse", form, new, *(f"^{each}" for each in without if each))
    fields = git(root, *command, "--").decode(errors="replace").split("\0")
    records = zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    return [PushedCommit(oid.strip(), tuple(parents.split()), parse_trailers(trailers, name)) for oid, parents, trailers in records]


def changed_files(root: Path, commits: Sequence[str]) -> dict[str, list[ChangedFile]]:
    """What each of some commits changes; merges are left out, whose parents have it."""
    options = ("--stdin", "-r", "--root", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
    answer = git(root, "diff-tree", *options, stdin="".join(f"{oid}\n" for oid in commits).encode())
    found: dict[str, list[ChangedFile]] = {}
    fields = iter(answer.decode(errors="surrogateescape").split("\0"))
    files: list[ChangedFile] = []
    for field in fields:
        if field.startswith(":"):
            files.append(ChangedFile(next(fields), field.split(" ")[1], field.split(" ")[3]))
        elif field:
            files = found.setdefault(field, [])
    return found


def ledgers(root: Path, name: str, commits: Sequence[str]) -> dict[str, Attempts]:
    """The attempts that commits have recorded, by commit; none where there is no ledger that can be read."""
    path = f"experiments/{name}/jobs.json"
    names = "".join(f"{commit}:{path}\n" for commit in commits).encode()
    answer = git(root, "cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=names).decode().splitlines() if commits else []
    oids = [line.removeprefix("blob ") if line.startswith("blob ") else "" for line in answer]
    wanted = sorted({oid for oid in oids if oid})
    contents = {oid: _attempts(content) for oid, content in zip(wanted, read_objects(root, wanted), strict=True)}
    return {commit: contents.get(oid, {}) for commit, oid in zip(commits, oids, strict=True)}


def _attempts(content: bytes | None) -> Attempts:
    try:
        found = json.loads(content or b"{}")["attempts"]
        return {str(each["token"]): each for each in found}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def is_kept(lab: Lab, commit: str, updates: Sequence[RefUpdate], closed: str = "") -> bool:
    """Whether a commit stays after a push: in the default branch's history, or in what is kept as closed.

    Args:
        closed: the experiment that was kept as closed by it; its branch keeps it, too.
    """
    keeping = (*([f"refs/heads/{lab.default_branch}"] if lab.default_branch else []), CLOSED)
    keeping += (f"{BRANCHES}{closed}",) if closed else ()
    refs = git_lines(lab.root, "for-each-ref", f"--contains={commit}", "--format=%(refname)", *keeping)
    moved = {update.ref: update.new for update in updates}
    if any(ref not in moved for ref in refs):
        return True
    after = [new for ref, new in moved.items() if new and (ref in keeping or ref.startswith(CLOSED))]
    return any(is_ancestor(lab.root, commit, new) for new in after)
