"""Histories that lie: an honest branch is written again, with something else in some of its commits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Told(NamedTuple):
    """A commit as it is told again."""

    tree: str  # id
    message: str
    parents: Sequence[str]
    event: str  # which it recorded; empty for one by hand


Edits = Mapping[str, bytes | None]  # new contents by path of the lab; None takes a file away


class Liar:
    """Writes the branch of an experiment again."""

    def __init__(self, root: Path, name: str = "demo") -> None:
        self.root, self.branch, self.folder = root, f"exp/{name}", f"experiments/{name}"

    def git(self, *words: str, stdin: bytes = b"", **variables: str) -> bytes:
        return subprocess.run(
            ["git", *words], cwd=self.root, input=stdin, env={**os.environ, **variables}, check=True, capture_output=True
        ).stdout

    def text(self, *words: str) -> str:
        return self.git(*words).decode().strip()

    def commits(self) -> list[str]:
        """Of the branch, oldest first."""
        return self.text("rev-list", "--reverse", "--first-parent", f"main..{self.branch}").split()

    def event(self, commit: str) -> str:
        return self.text("log", "-1", "--format=%(trailers:key=Ckgit-Event,valueonly,separator=%x2C)", commit)

    def read(self, commit: str, path: str) -> bytes:
        return self.git("show", f"{commit}:{self.folder}/{path}")

    def at(self, event: str) -> int:
        """Which commit recorded an event first."""
        return next(index for index, commit in enumerate(self.commits()) if self.event(commit) == event)

    def tree(self, commit: str, edits: Edits) -> str:
        """The tree of a commit with other contents."""
        index = {"GIT_INDEX_FILE": str(self.root / ".git" / "liar-index")}
        self.git("read-tree", commit, **index)
        lines = []
        for path, content in edits.items():
            if content is None:
                lines.append(f"0 {'0' * 40}\t{path}\n")
                continue
            blob = self.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()
            lines.append(f"100644 {blob}\t{path}\n")
        self.git("update-index", "--index-info", stdin="".join(lines).encode(), **index)
        return self.git("write-tree", **index).decode().strip()

    def tell(self, change: Callable[[int, str, Told], Told | None], order: Sequence[int] | None = None) -> None:
        """Write all commits again. `change` says what each becomes (None: it is left out)."""
        commits = self.commits()
        parent = self.text("rev-parse", f"{commits[0]}^")
        for index in order if order is not None else range(len(commits)):
            commit = commits[index]
            message = self.git("log", "-1", "--format=%B", commit).decode()
            told = change(index, commit, Told(self.text("rev-parse", f"{commit}^{{tree}}"), message, [parent], self.event(commit)))
            if told:
                parents = [word for each in told.parents for word in ("-p", each)]
                when = self.text("log", "-1", "--format=%aI%x00%cI", commit).split("\0")
                dates = {"GIT_AUTHOR_DATE": when[0], "GIT_COMMITTER_DATE": when[1]}
                parent = self.git("commit-tree", told.tree, *parents, stdin=told.message.encode(), **dates).decode().strip()
        self.git("update-ref", f"refs/heads/{self.branch}", parent)
        self.git("update-ref", "-d", f"refs/ckgit/tips/{self.branch.removeprefix('exp/')}")  # another clone, which never saw the honest one

    def edit(self, since: int, edits: Callable[[str], Mapping[str, bytes | None]]) -> None:
        """In the commit `since` and each after it, give files of the experiment's folder other contents."""

        def change(index: int, commit: str, told: Told) -> Told:
            if index < since:
                return told
            wanted = {f"{self.folder}/{path}": content for path, content in edits(commit).items()}
            return told._replace(tree=self.tree(commit, wanted))

        self.tell(change)

    def replaced(self, path: str, old: bytes, new: bytes) -> Callable[[str], Mapping[str, bytes | None]]:
        """Edits that replace a text in a file, where a commit has it."""

        def edits(commit: str) -> Mapping[str, bytes | None]:
            content = self.read(commit, path)
            return {path: content.replace(old, new)} if old in content else {}

        return edits

    def by_hand(self, edits: Edits, message: str = "A change of mine") -> None:
        """A commit on top."""
        tip = self.text("rev-parse", self.branch)
        tree = self.tree(tip, {f"{self.folder}/{path}": content for path, content in edits.items()})
        commit = self.git("commit-tree", tree, "-p", tip, stdin=message.encode()).decode().strip()
        self.git("update-ref", f"refs/heads/{self.branch}", commit)
