"""What a lab has to design with: what an interview offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.card import card_path
from ckgit.experiment.design.model import TaskSpec
from ckgit.formats.task_source import task_functions
from ckgit.lab.git.objects import read_files, tree_entries
from ckgit.lab.lab import Lab


class LabChoices(NamedTuple):
    """What a lab has to design with."""

    models: Sequence[str]
    bare: Sequence[str]  # those models that have no chat template
    data: Sequence[str]  # paths
    tasks: Sequence[TaskSpec]


def offers(lab: Lab) -> LabChoices:
    """Model cards, data files and @task functions of the default branch."""
    paths = [entry.path for folder in ("models/", "data/", "tasks/") for entry in tree_entries(lab.root, lab.base, folder, recursive=True)]
    models = [Path(path).stem for path in paths if path.startswith("models/") and path.endswith(".yaml") and path.count("/") == 1]
    data = [path for path in paths if path.startswith("data/") and path.endswith((".json", ".jsonl"))]
    files = [path for path in paths if path.startswith("tasks/") and path.endswith(".py")]
    tasks = [task for path, content in read_files(lab.root, lab.base, files).contents.items() for task in _offered(path, content)]
    cards = read_files(lab.root, lab.base, [card_path(name) for name in models]).contents
    return LabChoices(models, [name for name in models if _is_bare(cards[card_path(name)])], data, tasks)


def _is_bare(card: bytes) -> bool:
    from ckgit.lab.models.card_file import parse_card

    try:
        return parse_card(card).template is None
    except ValueError:
        return False  # a broken card says so when it is used


def _offered(path: str, content: bytes) -> list[TaskSpec]:
    try:
        functions = list(task_functions(content))
    except ValueError:
        return []  # a file that is not Python offers nothing; naming it in a design is an error of its own
    return [TaskSpec(name=name, file=None if path == f"tasks/{name}.py" else path) for name in functions]
