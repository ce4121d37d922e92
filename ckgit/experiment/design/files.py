"""Files of the lab that an experiment needs beside its data, its model cards and its task files. Pure: sources are read as text.

Some are declared: `files` of the design or of a task, and the files of scorers. The others are found in the text of task files and
scorers, which open them by literal paths, or import them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from ckgit.experiment.design.model import Summary, TaskSpec
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.plan import scorers
from ckgit.experiment.design.row_files import paths_of
from ckgit.formats.python.opened_files import opened_files


def declared_files(summary: Summary) -> dict[str, str]:
    """Files that a design names itself, each with the place that names it first."""
    named = [(path, f"files.{number}") for number, path in enumerate(summary.files)]
    named += [(each.source, f"evaluation.scorers.{n}.name") for n, each in enumerate(summary.evaluation.scorers) if each.source]
    for position, task in enumerate(summary.evaluation.tasks):
        named += [(path, task_place(position, "files", str(number))) for number, path in enumerate(task.files)]
        named += [(each.source, task_place(position, "scorers", str(n), "name")) for n, each in enumerate(task.scorers) if each.source]
    return dict(reversed(named))


def files_for(summary: Summary, task: TaskSpec, sources: Mapping[str, bytes]) -> list[str]:
    """Every file that a task needs beside its own and its data, as far as `sources` has them; sorted.

    Args:
        sources: files of the lab by path, those of tasks and scorers among them.
    """
    given = {path for name in summary.data for path in paths_of(summary, name)} | {task.source}
    reached = _reached(summary, task, sources)
    return sorted((reached.keys() & sources.keys()) - given)


def looked_for(summary: Summary, task: TaskSpec, sources: Mapping[str, bytes]) -> list[str]:
    """The same with those that `sources` does not have, most of which are no files of the lab: an import may be of any package."""
    return list(_reached(summary, task, sources))


def lacking(summary: Summary, task: TaskSpec, sources: Mapping[str, bytes]) -> dict[str, str]:
    """Files that a task opens by literal paths and that its jobs will not have, each with the file that opens it."""
    given = {path for name in summary.data for path in paths_of(summary, name)}
    reached = _reached(summary, task, sources)
    opened = {path: by for path, (by, imported) in reached.items() if by and not imported}
    return {path: by for path, by in opened.items() if path not in sources and path not in given}


def _reached(summary: Summary, task: TaskSpec, sources: Mapping[str, bytes]) -> dict[str, tuple[str, bool]]:
    """All that a task names, and what that names in turn: who does, and whether by an import; of what the design declares, nobody."""
    own = [each.source for each in scorers(summary, task) if each.source]
    found: dict[str, tuple[str, bool]] = dict.fromkeys((*summary.files, *task.files, *own), ("", False))
    left = [task.source, *found]
    while left:
        path = left.pop()
        for other, imported in _named_by(sources.get(path, b""), path, posixpath.dirname(task.source)):
            if other not in found and other != task.source:
                found[other] = (path, imported)
                left.append(other)
    return found


def _named_by(content: bytes, path: str, folder: str) -> Iterator[tuple[str, bool]]:
    if content and path.endswith(".py"):
        named = opened_files(content, path, folder)
        yield from ((other, False) for other in named.opened)
        yield from ((other, True) for other in named.imported)
