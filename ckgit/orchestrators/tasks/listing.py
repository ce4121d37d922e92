"""The tasks that a checkout has, by their functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckgit.experiment.design.model import TaskSpec
from ckgit.formats.task_source import Signature, task_functions
from ckgit.lab.git.objects import read_files
from ckgit.lab.lab import Lab


class LabTask(NamedTuple):
    """A @task function of the checkout."""

    name: str
    spec: TaskSpec  # as a design would name it
    signature: Signature
    committed: bool  # whether the default branch has the file as it is here


def tasks_of(lab: Lab) -> list[LabTask]:
    """Every @task function in tasks/, sorted. Files that are not Python have none; nothing of them is executed."""
    files = sorted((lab.root / "tasks").rglob("*.py"))
    paths = [file.relative_to(lab.root).as_posix() for file in files if file.is_file()]
    committed = read_files(lab.root, lab.base, paths).contents if paths else {}
    found = [task for path in paths for task in _tasks(path, (lab.root / path).read_bytes(), committed.get(path))]
    return sorted(found, key=lambda task: (task.name, task.spec.source))


def _tasks(path: str, content: bytes, committed: bytes | None) -> Iterator[LabTask]:
    try:
        functions = task_functions(content)
    except ValueError:
        return
    for name, signature in functions.items():
        spec = TaskSpec(name=name, file=None if path == f"tasks/{name}.py" else path)
        yield LabTask(name, spec, signature, content == committed)
