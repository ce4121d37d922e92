"""The commit in which a design's files are looked for, and which files those are."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import card_path
from ckgit.experiment.design.files import declared_files
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.row_files import made_path
from ckgit.formats.listing import in_words
from ckgit.lab.git.objects import Files, read_files, tree_entries
from ckgit.lab.lab import Lab


class SourceCommit(NamedTuple):
    """The commit in which a design's files are looked for."""

    lab: Lab
    commit: str
    branch: str  # for messages
    instead: Mapping[str, bytes] = {}  # files that are taken instead of the commit's own, by path

    def read(self, paths: Sequence[str]) -> Files:
        """Those of the files that there are."""
        found = read_files(self.lab.root, self.commit, [path for path in paths if path not in self.instead])
        return found._replace(contents={**found.contents, **{path: self.instead[path] for path in paths if path in self.instead}})


def default_branch(lab: Lab) -> SourceCommit:
    """Where a new experiment begins."""
    return SourceCommit(lab, lab.base, lab.default_branch)


def updated(place: SourceCommit, summary: Summary, paths: Sequence[str]) -> SourceCommit:
    """The same, with files taken from the default branch.

    Raises:
        CkgitError: USAGE, the design does not name one of them, or the default branch does not have it.
    """
    lab, named = place.lab, named_paths(summary)
    there = read_files(lab.root, lab.base, [path for path in paths if path in named]).contents
    for path in paths:
        if path in named and path in there:
            continue
        what = "the design does not name it" if path not in named else f"{lab.default_branch} does not have it"
        onward = f"it names {in_words(named)}" if path not in named else f"commit it on {lab.default_branch}"
        raise CkgitError(f"--update {path}: {what}", code=Exit.USAGE, state="nothing was written", next=onward)
    return place._replace(instead={path: there[path] for path in paths})


def unmade(place: SourceCommit, summary: Summary) -> list[str]:
    """Data sets whose rows a generator has still to make."""
    paths = {made_path(summary.experiment.name, name): name for name, data in summary.data.items() if data.generator}
    there = place.read(list(paths)).contents if paths else {}
    return [name for path, name in paths.items() if path not in there]


def python_beside(place: SourceCommit, file: str) -> dict[str, bytes]:
    """A file of the lab, and the Python files of its folder, which it may import."""
    beside = tree_entries(place.lab.root, place.commit, f"{posixpath.dirname(file)}/", recursive=True)
    return dict(place.read([file, *(entry.path for entry in beside if entry.path.endswith(".py"))]).contents)


def named_paths(summary: Summary) -> list[str]:
    """Files of the lab that a summary names, each once, and those that design found its tasks to need."""
    paths = [*map(card_path, summary.models), *(path for data in summary.data.values() for path in data.paths)]
    paths += [data.generator.file for data in summary.data.values() if data.generator]
    paths += [*(task.source for task in summary.evaluation.tasks), *declared_files(summary), *summary.recorded.files]
    return list(dict.fromkeys(paths))
