"""What a design names in the lab: model cards, data and task files, read from commits, measured and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.checks.data_profile import DataProfile, profile_data
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import typed
from ckgit.experiment.design.model import DataSet, Recorded, RecordedData, Summary, TaskSpec
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.formats.file_kinds import ELSEWHERE, foreign
from ckgit.formats.problem import Problem
from ckgit.formats.rows import DataError, Row, read_records, split_sizes
from ckgit.formats.task_source import Signature, task_functions
from ckgit.lab.git.objects import Files, read_files
from ckgit.lab.lab import Lab
from ckgit.lab.remotes.upstream import newer_branches
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.engine.plugins import preparation_for


class LabInputs(NamedTuple):
    """What was found in the lab."""

    recorded: Recorded
    cards: Mapping[str, ModelCard]
    tasks: Mapping[str, Signature]  # by name of the task
    sources: Mapping[str, bytes]  # task, data and card files of the lab, by path
    surveys: Mapping[str, DataProfile]  # by name of the data set
    problems: Sequence[Problem]


class SourceCommit(NamedTuple):
    """The commit in which a design's files are looked for."""

    lab: Lab
    commit: str
    branch: str  # for messages

    def read(self, paths: Sequence[str]) -> Files:
        """Those of the files that the commit has."""
        return read_files(self.lab.root, self.commit, paths)


def default_branch(lab: Lab) -> SourceCommit:
    """Where a new experiment begins."""
    return SourceCommit(lab, lab.base, lab.default_branch)


class _Finder:
    """One pass over what a summary names; collects problems instead of stopping at the first."""

    def __init__(self, place: SourceCommit, file: SummaryFile, cluster: Cluster) -> None:
        self.place = place
        self.file = file
        self.summary = file.summary
        self.sources, self.others = place.read(named_paths(file.summary))
        self.surveys: dict[str, DataProfile] = {}
        self.cluster = cluster
        self.problems: list[Problem] = []

    def add(self, path: str, message: str) -> None:
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

    def cards(self) -> dict[str, ModelCard]:
        from ckgit.lab.models.card_file import parse_card

        found = {}
        for position, name in enumerate(self.summary.models):
            path = card_path(name)
            content = self.sources.get(path)
            if content is None:
                self.add(f"models.{position}", self.absent(path, "model card", f"; make it with: ckgit models add {name} FOLDER"))
                continue
            if what := foreign(content):
                self.add(f"models.{position}", f"{path} is {what.what}; commit the card itself")
                continue
            try:
                found[name] = parse_card(content)
            except (CkgitError, ValueError) as error:
                self.add(f"models.{position}", f"{path} is no model card: {str(error).splitlines()[0]}")
        return found

    def data(self) -> dict[str, RecordedData]:
        found = {}
        for name, data_set in self.summary.data.items():
            content = self._content(name, data_set)
            if content is None:
                continue
            try:
                found[name], self.surveys[name] = measure(content, data_set)
            except DataError as error:
                self.add(f"data.{name}", f"{data_set.path}: {error}")
        return found

    def _content(self, name: str, data_set: DataSet) -> bytes | None:
        content = self.sources.get(data_set.path)
        outside = content is None
        if outside:
            content = self._outside(name, data_set)
        if content is None:
            return None
        digest = hashlib.sha256(content).hexdigest()
        if data_set.sha256 is None and outside:
            self.add(f"data.{name}", f"a data file outside the lab needs its digest in the design; write sha256: {digest}")
        if data_set.sha256 not in (None, digest):
            self.add(f"data.{name}.sha256", f"{data_set.path} has changed: its SHA-256 is {digest}, not the one given here")
        return content

    def _outside(self, name: str, data_set: DataSet) -> bytes | None:
        """A data file that the lab does not hold."""
        root = self.cluster.data_root
        if not root or data_set.path in self.others:
            remedy = "; a file outside the lab needs data_root in its cluster profile"
            self.add(f"data.{name}.path", self.absent(data_set.path, "file", remedy))
            return None
        try:
            return (self.place.lab.folder(root) / data_set.path).read_bytes()
        except OSError as error:
            self.add(f"data.{name}.path", f"{data_set.path} is neither in the lab nor readable under {root}: {error.strerror}")
            return None

    def tasks(self) -> dict[str, Signature]:
        found = {}
        for position, task in enumerate(self.summary.evaluation.tasks):
            path = task_place(position)
            content = self.sources.get(task.source)
            if content is None:
                self.add(f"{path}.file" if task.file else f"{path}.name", self.absent(task.source, "task file"))
                continue
            if what := foreign(content):
                self.add(path, f"{task.source} is {what.what}; commit the file itself")
                continue
            try:
                functions = task_functions(content)
            except ValueError as error:
                self.add(path, f"{task.source} is {error}")
                continue
            if task.entry not in functions:
                known = f"it has {', '.join(functions)}" if functions else "it has none"
                at = f"{path}.function" if task.function else f"{path}.name"
                self.add(at, f"{task.source} has no @task function {task.entry} ({known})")
                continue
            found[task.name] = functions[task.entry]
            for key, message in _argument_problems(task, functions[task.entry]):
                self.add(f"{path}.{key}", message)
        return found

    def compare(self, found: Recorded) -> None:
        """Files that are not those the summary says it was designed with; a later step refuses them, too."""
        summary, was = self.summary, self.summary.recorded
        cards = [(f"models.{i}", card_path(name), was.models.get(name), found.models.get(name)) for i, name in enumerate(summary.models)]
        sources = [task.source for task in summary.evaluation.tasks]
        tasks = [(task_place(i), path, was.tasks.get(path), found.tasks.get(path)) for i, path in enumerate(sources)]
        measured = [name for name in found.data if name in was.data]
        data = [(f"data.{name}", summary.data[name].path, was.data[name].sha256, found.data[name].sha256) for name in measured]
        onward = f"restore the file, or design with the new one: ckgit revise {summary.experiment.name}"
        for place, path, old, new in [*cards, *tasks, *data]:
            if old and new and old != new:
                self.add(place, f"{path} is not the file that was designed with (SHA-256 {new[:12]}, designed with {old[:12]}); {onward}")

    def recipes(self) -> dict[str, dict[str, Any]]:
        """Values of every base recipe that a run names.

        Raises:
            CkgitError: TOOL_MISSING.
        """
        found: dict[str, dict[str, Any]] = {}
        named = base_recipes(self.summary)
        worker = preparation_for(self.summary) if named else None
        for name, path in named.items():
            if worker is None:
                break
            try:
                values = typed(self.summary.parameters, worker.recipe_values(name))
                found[name] = values.model_dump(mode="json", exclude_none=True)
            except CkgitError as error:
                if error.code is not Exit.TOOL_MISSING:
                    self.add(path, f"{error.what}; {error.next}" if error.next else error.what)
                elif self.problems or self.file.problems:
                    return found  # these are to be mended first, and need no tool
                else:
                    raise
        return found


def look(place: SourceCommit, file: SummaryFile, cluster: Cluster, *, recipes: bool = True) -> LabInputs:
    """Find, check and measure everything that a summary names.

    Args:
        place: the commit that holds the files.
        file: a summary; of one with problems of its own, what can be read of it is looked for.
        cluster: its data_root is where data outside the lab lies.
        recipes: whether base recipes are looked up, which needs the tool itself.

    Raises:
        CkgitError: TOOL_MISSING, a base recipe is named and the tool is not installed.
    """
    finder = _Finder(place, file, cluster)
    sources = finder.sources
    cards, data, tasks = finder.cards(), finder.data(), finder.tasks()
    recorded = Recorded(
        data=data,
        models={name: _digest(sources[card_path(name)]) for name in cards},
        tasks={task.source: _digest(sources[task.source]) for task in file.summary.evaluation.tasks if task.source in sources},
        recipes=finder.recipes() if recipes else {},
    )
    finder.compare(recorded)
    return LabInputs(recorded, cards, tasks, sources, finder.surveys, finder.problems)


def measure(content: bytes, data_set: DataSet) -> tuple[RecordedData, DataProfile]:
    """Digest, size, and rows per split with the characters of their input and output; and the rows themselves.

    Raises:
        DataError: it is no data file.
    """
    records = read_records(content, suffix=PurePosixPath(data_set.path).suffix)
    found = profile_data(records, input_column=data_set.input_column, output_column=data_set.output_column)
    lengths = {split: list(map(_characters, rows)) for split, rows in found.rows.items() if rows}
    recorded = RecordedData(
        sha256=_digest(content),
        bytes=len(content),
        splits=split_sizes(found.rows),
        longest={split: max(counts) for split, counts in lengths.items()},
        mean={split: round(sum(counts) / len(counts), 1) for split, counts in lengths.items()},
    )
    return recorded, found


def named_paths(summary: Summary) -> list[str]:
    """Files of the lab that a summary names, each once."""
    paths = [*map(card_path, summary.models), *(data.path for data in summary.data.values())]
    return list(dict.fromkeys([*paths, *(task.source for task in summary.evaluation.tasks)]))


def base_recipes(summary: Summary) -> dict[str, str]:
    """Recipes that runs take defaults from, each with the place that names it first."""
    named = [(f"controls.{BASE_RECIPE}", summary.controls.given().get(BASE_RECIPE))]
    named += [(f"variables.{BASE_RECIPE}.{position}", name) for position, name in enumerate(summary.variables.get(BASE_RECIPE, ()))]
    written = enumerate(summary.runs)
    named += [(f"runs.{position}.parameters.{BASE_RECIPE}", run.parameters.given().get(BASE_RECIPE)) for position, run in written]
    return {name: path for path, name in reversed(named) if name and isinstance(name, str)}


def _read(lab: Lab, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
    return read_files(lab.root, commit, paths).contents


def _characters(row: Row) -> int:
    return len(row.input) + len(row.output)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
