"""A branch as a list of commits in memory, written to git by one process: what lies are told with when there are hundreds."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER = "experiments/demo"


class Commit(NamedTuple):
    """A commit with all its files."""

    message: str
    author: str  # as git stores it, e.g. `Ada <ada@example.org> 1795000000 +0000`
    committer: str
    files: Mapping[str, bytes]  # of the whole lab, by path

    @property
    def event(self) -> str:
        """What it recorded; empty for one by hand."""
        return next((line.partition(": ")[2] for line in self.message.splitlines() if line.startswith("Ckgit-Event: ")), "")

    def own(self) -> dict[str, bytes]:
        """The files of the experiment's folder, by path in it."""
        return {path.removeprefix(f"{FOLDER}/"): content for path, content in self.files.items() if path.startswith(f"{FOLDER}/")}

    def put(self, changed: Mapping[str, bytes | None]) -> Commit:
        """The same with other contents in the experiment's folder; None takes a file away."""
        gone = {f"{FOLDER}/{path}" for path, content in changed.items() if content is None}
        new = {f"{FOLDER}/{path}": content for path, content in changed.items() if content is not None}
        return self._replace(files={path: content for path, content in {**self.files, **new}.items() if path not in gone})


History = Sequence[Commit]


def _commit(content: str, files: Mapping[str, bytes]) -> Commit:
    """A commit of git's own words."""
    head, _, message = content.partition("\n\n")
    fields = dict(line.split(" ", 1) for line in head.splitlines())
    return Commit(message, fields["author"], fields["committer"], files)


class Branch:
    """The branch of experiment `demo`, read once and written again and again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = self.git("rev-parse", "main").decode().strip()
        self.oids = self.git("rev-list", "--reverse", "--first-parent", f"{self.base}..exp/demo").decode().split()
        listed = {commit: self._listed(commit) for commit in (self.base, *self.oids)}
        contents = self._contents(sorted({*self.oids, *(blob for blobs in listed.values() for blob in blobs.values())}))
        files = {commit: {path: contents[blob] for path, blob in blobs.items()} for commit, blobs in listed.items()}
        self.honest: History = [_commit(contents[oid].decode(), files[oid]) for oid in self.oids]
        self._beginning = files[self.base]
        self.git("update-ref", "-d", "refs/ckgit/tips/demo")  # another clone, which never saw the honest one

    def git(self, *words: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(["git", *words], cwd=self.root, input=stdin, check=True, capture_output=True).stdout

    def _listed(self, commit: str) -> dict[str, str]:
        """The id of each of its files."""
        lines = [line.split("\t") for line in self.git("ls-tree", "-r", "-z", commit).decode().split("\0") if line]
        return {path: head.split()[2] for head, path in lines}

    def _contents(self, oids: Sequence[str]) -> dict[str, bytes]:
        """Of objects by id, from one process."""
        answer, contents = io.BytesIO(self.git("cat-file", "--batch", stdin="\n".join(oids).encode())), dict[str, bytes]()
        for _ in oids:
            oid, _kind, size = answer.readline().decode().split()
            contents[oid] = answer.read(int(size))
            answer.read(1)
        return contents

    def write(self, history: History) -> list[str]:
        """Tell it as the branch; the ids of its commits."""
        words, before = list[bytes](), self._beginning
        for number, commit in enumerate(history, start=1):
            message = commit.message.encode()
            parent = self.base if number == 1 else f":{number - 1}"
            head = f"commit refs/heads/exp/demo\nmark :{number}\nauthor {commit.author}\ncommitter {commit.committer}\n"
            words.append(f"{head}data {len(message)}\n".encode() + message + f"\nfrom {parent}\n".encode())
            words += [f"D {path}\n".encode() for path in before if path not in commit.files]
            for path, content in commit.files.items():
                if before.get(path) != content:
                    words.append(f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")
            before = commit.files
        asked = "".join(f"get-mark :{number}\n" for number in range(1, len(history) + 1))
        command = ("-c", "fastimport.unpackLimit=100000", "fast-import", "--quiet", "--force", "--date-format=raw")
        return self.git(*command, stdin=b"".join(words) + asked.encode()).decode().split()
