"""What a design names in the lab: model cards, data and task files, read from commits, measured and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import typed
from ckgit.experiment.design.files import declared_files
from ckgit.experiment.design.model import Recorded, Summary
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.formats.problem import Problem
from ckgit.formats.task_source import Signature
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.design.inputs.data_sets import DataSets
from ckgit.orchestrators.design.inputs.named_files import find_cards, find_files, find_tasks
from ckgit.orchestrators.design.inputs.search import Search, digest_of
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit
from ckgit.orchestrators.engine.plugins import preparation_for


class LabInputs(NamedTuple):
    """What was found in the lab."""

    recorded: Recorded
    cards: Mapping[str, ModelCard]
    tasks: Mapping[str, Signature]  # by name of the task
    sources: Mapping[str, bytes]  # task, data and card files of the lab, and what these need, by path
    surveys: Mapping[str, DataProfile]  # by name of the data set
    problems: Sequence[Problem]
    rows: Mapping[str, bytes]  # `.rows` files that the design's commit will have, by path


def look(place: SourceCommit, file: SummaryFile, cluster: Cluster, *, recipes: bool = True, make: bool = True) -> LabInputs:
    """Find, check and measure everything that a summary names.

    Args:
        place: the commit that holds the files.
        file: a summary; of one with problems of its own, what can be read of it is looked for.
        cluster: its data_root is where data outside the lab lies.
        recipes: whether base recipes are looked up, which needs the tool itself.
        make: whether generators are called; otherwise what they made must be committed, see `unmade`.

    Raises:
        CkgitError: TOOL_MISSING, a base recipe is named and the tool is not installed.
    """
    search = Search(place, file)
    data_sets, sources = DataSets(search, cluster, make=make), search.sources
    cards, data, tasks, files = find_cards(search), data_sets.measured(), find_tasks(search), find_files(search)
    recorded = Recorded(
        data=data,
        models={name: digest_of(sources[card_path(name)]) for name in cards},
        tasks={task.source: digest_of(sources[task.source]) for task in file.summary.evaluation.tasks if task.source in sources},
        files=files,
        recipes=_recipes(search) if recipes else {},
    )
    _compare(search, recorded)
    return LabInputs(recorded, cards, tasks, sources, data_sets.surveys, search.problems, data_sets.rows)


def base_recipes(summary: Summary) -> dict[str, str]:
    """Recipes that runs take defaults from, each with the place that names it first."""
    named = [(f"controls.{BASE_RECIPE}", summary.controls.given().get(BASE_RECIPE))]
    named += [(f"variables.{BASE_RECIPE}.{position}", name) for position, name in enumerate(summary.variables.get(BASE_RECIPE, ()))]
    written = enumerate(summary.runs)
    named += [(f"runs.{position}.parameters.{BASE_RECIPE}", run.parameters.given().get(BASE_RECIPE)) for position, run in written]
    return {name: path for path, name in reversed(named) if name and isinstance(name, str)}


def _recipes(search: Search) -> dict[str, dict[str, Any]]:
    """Values of every base recipe that a run names.

    Raises:
        CkgitError: TOOL_MISSING.
    """
    found: dict[str, dict[str, Any]] = {}
    named = base_recipes(search.summary)
    worker = preparation_for(search.summary) if named else None
    for name, path in named.items():
        if worker is None:
            break
        try:
            values = typed(search.summary.parameters, worker.recipe_values(name))
            found[name] = values.model_dump(mode="json", exclude_none=True)
        except CkgitError as error:
            if error.code is not Exit.TOOL_MISSING:
                search.add(path, f"{error.what}; {error.next}" if error.next else error.what)
            elif search.problems or search.file.problems:
                return found  # these are to be mended first, and need no tool
            else:
                raise
    return found


def _compare(search: Search, found: Recorded) -> None:
    """Files that are not those the summary says it was designed with; a later step refuses them, too."""
    summary, was = search.summary, search.summary.recorded
    cards = [(f"models.{i}", card_path(name), was.models.get(name), found.models.get(name)) for i, name in enumerate(summary.models)]
    sources = [task.source for task in summary.evaluation.tasks]
    tasks = [(task_place(i), path, was.tasks.get(path), found.tasks.get(path)) for i, path in enumerate(sources)]
    measured = [name for name in found.data if name in was.data]
    data = [(f"data.{name}", summary.data[name].named, was.data[name].sha256, found.data[name].sha256) for name in measured]
    files = [(declared_files(summary).get(path, "files"), path, was.files.get(path), digest) for path, digest in found.files.items()]
    onward = f"restore the file, or design with the new one: ckgit revise {summary.experiment.name}"
    for place, path, old, new in [*cards, *tasks, *data, *files]:
        if old and new and old != new:
            search.add(place, f"{path} is not the file that was designed with (SHA-256 {new[:12]}, designed with {old[:12]}); {onward}")
