"""What somebody is about to commit on an experiment's branch, as the index has it. Files of the work tree are not looked at."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.lab.git.branch import empty_tree
from ckgit.lab.git.command import git, git_lines, run_git
from ckgit.lab.git.objects import read_object
from ckgit.lab.lab import BRANCHES, CONFIG, Lab, open_at


class ChangedFile(NamedTuple):
    """A file that a commit changes, as it is after it."""

    path: str
    mode: str  # zeros where it is gone
    oid: str

    @property
    def gone(self) -> bool:
        """Whether the commit removes it."""
        return not self.mode.strip("0")


class Staged(NamedTuple):
    """A commit that is being made on an experiment's branch."""

    root: Path
    name: str  # of the experiment
    head: str  # empty before the branch's first commit
    merged: tuple[str, ...]  # the commits that it merges in
    files: tuple[ChangedFile, ...]  # as no parent has them

    @property
    def folder(self) -> str:
        """The experiment's folder, relative to the lab."""
        return f"experiments/{self.name}"

    @property
    def parents(self) -> tuple[str, ...]:
        """Commits that the new one stands on."""
        return tuple(filter(None, (self.head, *self.merged)))


def in_repository(folder: Path) -> bool:
    """Whether a folder belongs to a repository at all."""
    return run_git(folder, ("rev-parse", "--git-dir")).returncode == 0


def lab_of_hook(folder: Path) -> Lab | None:
    """The lab whose hook runs in `folder`, which git calls with the top of the checkout or the bare repository; None where it is none."""
    try:
        git_dir = git_lines(folder, "rev-parse", "--path-format=absolute", "--git-common-dir")[0]
        return open_at(folder.absolute(), Path(git_dir))
    except CkgitError as error:
        if error.code is Exit.USAGE:
            return None
        raise


def staged(folder: Path) -> Staged | None:
    """What is about to be committed; None where that is not on an experiment's branch, or this is no lab."""
    place = run_git(folder, ("rev-parse", "--absolute-git-dir", "--show-cdup"))
    if place.returncode:
        return None
    lines = place.stdout.decode(errors="surrogateescape").split("\n")
    git_dir, folder = Path(lines[0]), folder / lines[1]
    name = _branch(folder, git_dir).removeprefix(BRANCHES)
    if "/" in name or name_problem(name):
        return None
    head = run_git(folder, ("rev-parse", "--quiet", "--verify", "HEAD^{commit}")).stdout.decode().strip()
    if not (head and read_object(folder, f"{head}:{CONFIG}")) and lab_of_hook(folder) is None:  # a clone may lack the default branch
        return None
    merged = tuple(_text(git_dir / "MERGE_HEAD").split())
    return Staged(folder, name, head, merged, _files(folder, head, merged))


def staged_content(commit: Staged, path: str) -> bytes | None:
    """A file as the commit will have it; None where it has none."""
    found = git_lines(commit.root, "ls-files", "--stage", "-z", "--", path)
    oids = {entry.partition("\t")[0].split(" ")[1] for entry in found if entry.startswith("100") and entry.partition("\t")[2] == path}
    return read_object(commit.root, oids.pop()) if len(oids) == 1 else None


def _branch(folder: Path, git_dir: Path) -> str:
    """The branch that a commit is for; in a rebase, the one that is rebased."""
    head = run_git(folder, ("symbolic-ref", "--quiet", "HEAD")).stdout.decode(errors="surrogateescape").strip()
    return head or _text(git_dir / "rebase-merge/head-name") or _text(git_dir / "rebase-apply/head-name")


def _text(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="surrogateescape").strip()
    return ""


def _files(root: Path, head: str, merged: tuple[str, ...]) -> tuple[ChangedFile, ...]:
    first, *others = [_changes(root, parent) for parent in (head or empty_tree(root), *merged)]
    return tuple(file for file in first if all(file in each for each in others))


def _changes(root: Path, parent: str) -> dict[ChangedFile, None]:
    """Files that the index has otherwise than a commit, in its order."""
    options = ("--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
    fields = git(root, "diff-index", *options, parent, "--").decode(errors="surrogateescape").split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return dict.fromkeys(ChangedFile(path, raw.split(" ")[1], raw.split(" ")[3]) for raw, path in pairs)
