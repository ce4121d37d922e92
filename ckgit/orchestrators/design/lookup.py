"""What a design names in the lab: model cards, data and task files, read from commits, measured and checked."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.data import Generator
from ckgit.experiment.design.expand import typed
from ckgit.experiment.design.files import declared_files, files_for, looked_for
from ckgit.experiment.design.model import DataSet, Recorded, RecordedData, Summary, TaskSpec
from ckgit.experiment.design.names import task_place
from ckgit.experiment.design.parameters import BASE_RECIPE
from ckgit.experiment.design.row_files import made_path, source_path
from ckgit.formats.file_kinds import ELSEWHERE, foreign
from ckgit.formats.listing import in_words
from ckgit.formats.problem import Problem
from ckgit.formats.rows import DataError
from ckgit.formats.task_source import Signature, task_functions
from ckgit.lab.git.objects import FOLDER, Files, read_files, tree_entries
from ckgit.lab.lab import Lab
from ckgit.lab.remotes.upstream import newer_branches
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.data.find import FoundFiles, folder_in, measure, outside
from ckgit.orchestrators.engine.plugins import preparation_for
from ckgit.workers.generate import GeneratorError, generate


class LabInputs(NamedTuple):
    """What was found in the lab."""

    recorded: Recorded
    cards: Mapping[str, ModelCard]
    tasks: Mapping[str, Signature]  # by name of the task
    sources: Mapping[str, bytes]  # task, data and card files of the lab, and what these need, by path
    surveys: Mapping[str, DataProfile]  # by name of the data set
    problems: Sequence[Problem]
    rows: Mapping[str, bytes]  # `.rows` files that the design's commit will have, by path


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


class _Finder:
    """One pass over what a summary names; collects problems instead of stopping at the first."""

    def __init__(self, place: SourceCommit, file: SummaryFile, cluster: Cluster, *, make: bool) -> None:
        self.place = place
        self.make = make
        self.file = file
        self.summary = file.summary
        contents, self.others = place.read(named_paths(file.summary))
        self.sources = dict(contents)
        self.surveys: dict[str, DataProfile] = {}
        self.rows: dict[str, bytes] = {}
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
            files = self._files(name, data_set)
            if files is None:
                continue
            try:
                made = measure(files, data_set, self.summary.experiment.name, name)
            except DataError as error:
                self.add(f"data.{name}{'.path' if files.folder else ''}", f"{data_set.named}: {error}")
                continue
            code = {"generator": _digest(self.sources[data_set.generator.file])} if data_set.generator else {}
            found[name], self.surveys[name] = made.recorded.model_copy(update=code), made.profile
            if made.source:
                self.rows[source_path(self.summary.experiment.name, name)] = made.source
        return found

    def _files(self, name: str, data_set: DataSet) -> FoundFiles | None:
        """The bytes of a data set, held against the digest that the design gives; None where they are not all there."""
        if data_set.generator:
            return self._made(name, data_set.generator)
        try:
            files = self._in_lab(data_set)
        except DataError as error:
            self.add(f"data.{name}.path", str(error))
            return None
        is_outside = files is None
        if is_outside:
            files = self._outside(name, data_set)
        if files is None:
            return None
        self.sources |= files.contents if not is_outside else {}
        if data_set.sha256 is None and is_outside:
            self.add(f"data.{name}", f"a data file outside the lab needs its digest in the design; write sha256: {files.sha256}")
        if data_set.sha256 not in (None, files.sha256):
            changed = f"{data_set.named} has changed: its SHA-256 is {files.sha256}, not the one given here"
            self.add(f"data.{name}.sha256", changed)
        return files

    def _made(self, name: str, generator: Generator) -> FoundFiles | None:
        """Rows that a function makes now; or as they were committed, where nothing is to be executed."""
        path, place = made_path(self.summary.experiment.name, name), f"data.{name}.generator"
        if generator.file not in self.sources:
            self.add(place, self.absent(generator.file, "file with a function"))
            return None
        if not self.make:
            return FoundFiles({path: self.place.read([path]).contents[path]})
        try:
            content = generate(python_beside(self.place, generator.file), generator.function, generator.args, generator.seed)
        except GeneratorError as error:
            self.add(place, str(error))
            return None
        self.rows[path] = self.sources[path] = content
        return FoundFiles({path: content})

    def _in_lab(self, data_set: DataSet) -> FoundFiles | None:
        """A data set of the commit; None where it does not hold all of it."""
        if data_set.path and self.others.get(data_set.path) == FOLDER:
            return folder_in(self.place.lab.root, self.place.commit, data_set.path)
        if all(path in self.sources for path in data_set.paths):
            return FoundFiles({path: self.sources[path] for path in data_set.paths})
        return None

    def _outside(self, name: str, data_set: DataSet) -> FoundFiles | None:
        """A data set that the lab does not hold."""
        root = self.cluster.data_root
        lacking = [path for path in data_set.paths if path not in self.sources]
        place = f"data.{name}.path" if data_set.path else f"data.{name}.files"
        if not root or any(path in self.others for path in lacking):
            remedy = "; a file outside the lab needs data_root in its cluster profile"
            self.add(place, self.absent(lacking[0], "file", remedy))
            return None
        try:
            return outside(self.place.lab.folder(root), data_set.paths)
        except OSError as error:
            self.add(place, f"{lacking[0]} is neither in the lab nor readable under {root}: {error.strerror}")
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

    def files(self) -> dict[str, str]:
        """Digest of each further file that jobs need, by path; the bytes of those that the design does not name are read, too."""
        for path, place in declared_files(self.summary).items():
            content = self.sources.get(path)
            if content is None:
                self.add(place, self.absent(path, "file"))
            elif what := foreign(content):
                self.add(place, f"{path} is {what.what}; commit the file itself")
        tasks, looked = self.summary.evaluation.tasks, set(self.sources)
        while new := {path for task in tasks for path in looked_for(self.summary, task, self.sources)} - looked:
            looked |= new
            self.sources.update(self.place.read(sorted(path for path in new if not path.startswith("../"))).contents)
        needed = {path for task in tasks for path in files_for(self.summary, task, self.sources)} | set(self.summary.files)
        return {path: _digest(self.sources[path]) for path in sorted(needed) if path in self.sources}

    def compare(self, found: Recorded) -> None:
        """Files that are not those the summary says it was designed with; a later step refuses them, too."""
        summary, was = self.summary, self.summary.recorded
        cards = [(f"models.{i}", card_path(name), was.models.get(name), found.models.get(name)) for i, name in enumerate(summary.models)]
        sources = [task.source for task in summary.evaluation.tasks]
        tasks = [(task_place(i), path, was.tasks.get(path), found.tasks.get(path)) for i, path in enumerate(sources)]
        measured = [name for name in found.data if name in was.data]
        data = [(f"data.{name}", summary.data[name].named, was.data[name].sha256, found.data[name].sha256) for name in measured]
        files = [(declared_files(summary).get(path, "files"), path, was.files.get(path), digest) for path, digest in found.files.items()]
        onward = f"restore the file, or design with the new one: ckgit revise {summary.experiment.name}"
        for place, path, old, new in [*cards, *tasks, *data, *files]:
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
    finder = _Finder(place, file, cluster, make=make)
    sources = finder.sources
    cards, data, tasks, files = finder.cards(), finder.data(), finder.tasks(), finder.files()
    recorded = Recorded(
        data=data,
        models={name: _digest(sources[card_path(name)]) for name in cards},
        tasks={task.source: _digest(sources[task.source]) for task in file.summary.evaluation.tasks if task.source in sources},
        files=files,
        recipes=finder.recipes() if recipes else {},
    )
    finder.compare(recorded)
    return LabInputs(recorded, cards, tasks, sources, finder.surveys, finder.problems, finder.rows)


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


def base_recipes(summary: Summary) -> dict[str, str]:
    """Recipes that runs take defaults from, each with the place that names it first."""
    named = [(f"controls.{BASE_RECIPE}", summary.controls.given().get(BASE_RECIPE))]
    named += [(f"variables.{BASE_RECIPE}.{position}", name) for position, name in enumerate(summary.variables.get(BASE_RECIPE, ()))]
    written = enumerate(summary.runs)
    named += [(f"runs.{position}.parameters.{BASE_RECIPE}", run.parameters.given().get(BASE_RECIPE)) for position, run in written]
    return {name: path for path, name in reversed(named) if name and isinstance(name, str)}


def _read(lab: Lab, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
    return read_files(lab.root, commit, paths).contents


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
