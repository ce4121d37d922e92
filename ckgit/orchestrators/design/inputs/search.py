"""One pass over what a summary names: where it looks, what it has read so far, and what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ckgit.formats.file_kinds import ELSEWHERE
from ckgit.formats.problem import Problem
from ckgit.lab.git.objects import read_files
from ckgit.lab.lab import Lab
from ckgit.lab.remotes.upstream import newer_branches
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit, named_paths


class Search:
    """Collects problems instead of stopping at the first."""

    def __init__(self, place: SourceCommit, file: SummaryFile) -> None:
        self.place = place
        self.file = file
        self.summary = file.summary
        contents, self.others = place.read(named_paths(file.summary))
        self.sources = dict(contents)  # bytes by path; grows with what is found to be needed
        self.problems: list[Problem] = []

    def add(self, path: str, message: str) -> None:
        """Note what is wrong, at a place of the design."""
        self.problems.append(self.file.problem(path, message))

    def absent(self, path: str, kind: str, remedy: str = "") -> str:
        """What to say of a file that the commit does not hold."""
        lab, branch = self.place.lab, self.place.branch
        if path in self.others:
            instead = ELSEWHERE if kind == "file" else f"commit the {kind} itself"
            return f"{path} is {self.others[path]} on branch {branch}, and jobs get plain files only: {instead}"
        if branch != lab.default_branch and _read(lab, lab.base, [path]):
            return f"{path} is not on branch {branch} yet: git switch {branch}, then git merge {lab.default_branch}"
        if kind == "file" and self.place.read([f"{path}.dvc"]).contents:
            return f"{path} itself is not in git, where {path}.dvc points to it (dvc pull fetches it): {ELSEWHERE}"
        if (lab.root / path).is_file():
            return f"{path} is not committed on branch {branch}: git add {path}, then commit it there"
        for newer in newer_branches(lab):
            if _read(lab, newer.tip, [path]):
                return f"{path} is on {newer.name}, and not on branch {branch} yet: {newer.catch_up}"
        return f"there is no {kind} {path} on branch {branch}{remedy}"


def _read(lab: Lab, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
    return read_files(lab.root, commit, paths).contents


def digest_of(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()
