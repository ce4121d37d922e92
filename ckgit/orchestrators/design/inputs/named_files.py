"""Model cards, tasks and further files that a summary names, and those that its tasks need."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.errors import CkgitError
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.design.files import declared_files, files_for, looked_for
from ckgit.experiment.design.model import TaskSpec
from ckgit.experiment.design.names import task_place
from ckgit.formats.file_kinds import foreign
from ckgit.formats.task_source import Signature, task_functions
from ckgit.orchestrators.design.inputs.search import Search, digest_of


def find_cards(search: Search) -> dict[str, ModelCard]:
    """Each model's card, by name."""
    from ckgit.lab.models.card_file import parse_card

    found = {}
    for position, name in enumerate(search.summary.models):
        path = card_path(name)
        content = search.sources.get(path)
        if content is None:
            search.add(f"models.{position}", search.absent(path, "model card", f"; make it with: ckgit models add {name} FOLDER"))
            continue
        if what := foreign(content):
            search.add(f"models.{position}", f"{path} is {what.what}; commit the card itself")
            continue
        try:
            found[name] = parse_card(content)
        except (CkgitError, ValueError) as error:
            search.add(f"models.{position}", f"{path} is no model card: {str(error).splitlines()[0]}")
    return found


def find_tasks(search: Search) -> dict[str, Signature]:
    """What each task's function takes, by name of the task."""
    found = {}
    for position, task in enumerate(search.summary.evaluation.tasks):
        path = task_place(position)
        content = search.sources.get(task.source)
        if content is None:
            search.add(f"{path}.file" if task.file else f"{path}.name", search.absent(task.source, "task file"))
            continue
        if what := foreign(content):
            search.add(path, f"{task.source} is {what.what}; commit the file itself")
            continue
        try:
            functions = task_functions(content)
        except ValueError as error:
            search.add(path, f"{task.source} is {error}")
            continue
        if task.entry not in functions:
            known = f"it has {', '.join(functions)}" if functions else "it has none"
            at = f"{path}.function" if task.function else f"{path}.name"
            search.add(at, f"{task.source} has no @task function {task.entry} ({known})")
            continue
        found[task.name] = functions[task.entry]
        for key, message in _argument_problems(task, functions[task.entry]):
            search.add(f"{path}.{key}", message)
    return found


def _argument_problems(task: TaskSpec, signature: Signature) -> Iterator[tuple[str, str]]:
    """What a design gives to a task function that does not take it."""
    for name in task.args:
        if not signature.accepts(name):
            listed = ", ".join(signature.parameters) or "none"
            yield f"args.{name}", f"the @task function {task.entry} has no parameter {name} (it has {listed})"
    for name in ("prompt", "system_prompt"):
        if getattr(task, name) is not None and not signature.accepts(name):
            yield name, f"the @task function {task.entry} has no parameter {name}, so it could not use this one"
    if task.scorers and not signature.accepts("scorers"):
        yield "scorers", f"the @task function {task.entry} has no parameter scorers, so it could not use these"


def find_files(search: Search) -> dict[str, str]:
    """Digest of each further file that jobs need, by path; the bytes of those that the design does not name are read, too."""
    for path, place in declared_files(search.summary).items():
        content = search.sources.get(path)
        if content is None:
            search.add(place, search.absent(path, "file"))
        elif what := foreign(content):
            search.add(place, f"{path} is {what.what}; commit the file itself")
    tasks, looked = search.summary.evaluation.tasks, set(search.sources)
    while new := {path for task in tasks for path in looked_for(search.summary, task, search.sources)} - looked:
        looked |= new
        search.sources.update(search.place.read(sorted(path for path in new if not path.startswith("../"))).contents)
    needed = {path for task in tasks for path in files_for(search.summary, task, search.sources)} | set(search.summary.files)
    return {path: digest_of(search.sources[path]) for path in sorted(needed) if path in search.sources}
