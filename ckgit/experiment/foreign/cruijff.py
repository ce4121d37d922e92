"""The design in an `experiment_summary.yaml` of cruijff_kit, and what of that file a design has nothing for.

Each key that is known is taken over as it is. Each other key is named with its place, and nothing is made up in its stead.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from ckgit.experiment.checks.messages import NOT_SUPPORTED, SYNONYMS
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.model import SCHEMA_VERSION, Generation, RunType
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.design.parameters import Parameters
from ckgit.formats.problem import Problem
from ckgit.formats.yaml.document import Document, Path

FILE = "experiment_summary.yaml"
_PROFILE = "the cluster profile in ckgit.toml says where and how jobs run"
_OUTPUT = "ckgit decides where files go: `ckgit status` names the work tree, and the branch has the rest"
_MEASURED = "design measures it"
_VALUES = {("dataset_type", "chat_completion"): "chat"}  # both are the model's own chat template
_EMPTY: tuple[Any, ...] = (None, [], {})  # what says nothing
_NOTHING_LIKE_IT = "a design has nothing like it"
_WHY: Mapping[str, str] = {  # by the name of a key, wherever it stands
    **dict.fromkeys(("slurm", "compute", "cluster", "environment", "conda_env", "account", "partition", "constraint", "gpus"), _PROFILE),
    **dict.fromkeys(("output", "outputs", "paths", "directory", "output_dir", "output_dir_base"), _OUTPUT),
    **dict.fromkeys(("size_gb", "size_kb", "splits", "format"), _MEASURED),
}


class Imported(NamedTuple):
    """A design as plain values, and what was not taken over: each with its place, in the file's order."""

    design: Mapping[str, Any]
    left: list[Problem]


def from_cruijff(document: Document, parameters: type[Parameters]) -> Imported:
    """Turn a parsed summary into a design.

    Args:
        document: of a mapping, without problems.
        parameters: what a run of the design may set.
    """
    return _Importer(document, parameters).convert()


class _Importer:
    """One file: what was taken from it, and why the rest was not."""

    def __init__(self, document: Document, parameters: type[Parameters]) -> None:
        self.document = document
        self.parameters = parameters
        self.taken: set[Path] = set()
        self.why: dict[Path, str] = {}
        self.data: dict[str, Any] = {}

    def convert(self) -> Imported:
        """The design, and what is left."""
        models = list(self._models())
        self._data_sets()
        runs = [run for at in self._items(("runs",)) if (run := self._run(at, models))]
        evaluation = self._evaluation([run["name"] for run in runs])  # which may bring data sets of its own
        design = {
            "schema_version": SCHEMA_VERSION,
            "experiment": self._texts(("experiment",), "name", "question", "date", "hypothesis", "purpose"),
            "tools": self._texts(("tools",), "preparation", "evaluation"),
            "models": models,
            "data": self.data,
            "controls": self._parameters(("controls",)),
            "variables": self._variables(runs),
            "runs": runs,
            "evaluation": evaluation,
            "compute": self._compute(),
        }
        return Imported(_given(design), list(self._left()))

    def _get(self, at: Path) -> Any:
        value = self.document.value
        for key in at:
            if isinstance(value, Mapping):
                value = value.get(key)
            else:
                value = value[key] if isinstance(value, list) and isinstance(key, int) else None
        return value

    def _items(self, at: Path) -> list[Path]:
        """Where the items of a list are, or the values of a mapping; none of anything else."""
        value = self._get(at)
        keys = list(value) if isinstance(value, Mapping) else range(len(value)) if isinstance(value, list) else ()
        return [(*at, key) for key in keys]

    def _take(self, at: Path) -> Any:
        """A value that the design has, too."""
        self.taken.add(at)
        return self._get(at)

    def _text(self, at: Path) -> str | None:
        """A text; anything else stays where it is."""
        return str(self._take(at)) if isinstance(self._get(at), str) and self._get(at) else None

    def _texts(self, at: Path, *names: str) -> dict[str, str]:
        return {name: text for name in names if (text := self._text((*at, name)))}

    def _file(self, at: Path, folder: str) -> str | None:
        """Where the lab has a file that lies somewhere on the other project's disk."""
        if not (text := self._text(at)):
            return None
        here = f"{folder}/{PurePosixPath(text).name}"
        if text != here:
            self.why[at] = f"the design has it as {here.partition('@')[0]}: copy the file there, and commit it"
        return here

    def _models(self) -> Iterator[str]:
        """Names of models, from `models: {base: [{name, path}]}` or a plain list of either."""
        groups = self._items(("models",))
        for at in [item for group in groups for item in (self._items(group) if isinstance(self._get(group), list) else [group])]:
            if name := self._text(at) or self._text((*at, "name")):
                yield name
                if folder := self._get((*at, "path")):
                    self.why[(*at, "path")] = f"a model is known by its card: ckgit models add {name} {shlex.quote(str(folder))}"

    def _data_sets(self) -> None:
        """Data sets by their label, where that can be a name, or by their key."""
        for at in self._items(("data",)):
            if path := self._file((*at, "path"), "data"):
                label = self._get((*at, "label"))
                named = isinstance(label, str) and not name_problem(label)
                name = str(self._take((*at, "label")) if named else at[-1])
                self.data[name] = {"path": path, **self._texts(at, "input_column", "output_column")}

    def _parameters(self, at: Path) -> dict[str, Any]:
        """The parameters of a run, or of all of them, by the names that they have here."""
        given = [(name, self._take(key)) for key in self._items(at) if (name := self._parameter(key))]
        return {name: _VALUES.get((name, value), value) if isinstance(value, str) else value for name, value in given if value is not None}

    def _parameter(self, at: Path) -> str | None:
        """What a parameter is called here; where there is none like it, why."""
        key = str(at[-1])
        known = self.parameters.model_fields
        name = next((name for name in (key, self.parameters.synonyms.get(key), SYNONYMS.get(key)) if name in known), None)
        if name is None or isinstance(self._get(at), Mapping):
            advice = self.parameters.not_supported.get(key) or NOT_SUPPORTED.get(key) or _WHY.get(key)
            self.why[at] = advice or f"no run has a parameter {key}"
            return None
        return name

    def _variables(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        """Where no run is written out, what the design makes them from."""
        if not runs:
            return {name: value for name, value in self._parameters(("variables",)).items() if isinstance(value, list)}
        for at in self._items(("variables",)):
            self.why[at] = "the runs are written out, each with its value"
        return {}

    def _run(self, at: Path, models: list[str]) -> dict[str, Any] | None:
        name, kind = self._get((*at, "name")), self._get((*at, "type"))
        if not name or kind not in list(RunType):
            self.why[at] = f"the run is left out: it needs a name, and as its type {' or '.join(RunType)}"
            return None
        run = self._texts(at, "name", "type")
        model = self._text((*at, "model"))
        parameters = {**({"model": model} if model and len(models) > 1 else {}), **self._parameters((*at, "parameters"))}
        if kind == RunType.EVAL_ONLY:
            self.why[(*at, "type")] = "an eval-only run needs a checkpoint: the name of a card that `ckgit models add` wrote"
        return {**run, **({"parameters": parameters} if parameters else {})}

    def _evaluation(self, runs: list[str]) -> dict[str, Any]:
        at = ("evaluation",)
        generation = self._settings(at) | self._settings((*at, "generation"))
        prompts = self._prompts(at)
        tasks = [prompts | task for place in self._items((*at, "tasks")) if (task := self._task(place))]
        matrix = [row for place in self._items((*at, "matrix")) if (row := self._row(place, runs))]
        return _given({"tasks": tasks, "matrix": matrix, "scorers": self._scorers(at), "generation": generation})

    def _prompts(self, at: Path) -> dict[str, str]:
        """The prompts of all tasks, where they are not those of training."""
        given = {key: self._take((*at, key)) for key in ("system_prompt", "prompt") if isinstance(self._get((*at, key)), str)}
        trained = {**self.parameters.all_defaults(), **(self._get(("controls",)) or {})}
        return {key: text for key, text in given.items() if text != trained[key]}

    def _settings(self, at: Path) -> dict[str, Any]:
        """Settings of generation."""
        return {name: self._take((*at, name)) for name in Generation.model_fields if self._get((*at, name)) is not None}

    def _scorers(self, at: Path) -> list[dict[str, Any]]:
        """From `scorer: match`, `scorers: [match]`, or either with arguments."""
        keys = [(*at, key) for key in ("scorer", "scorers")]
        listed = [place for key in keys if isinstance(self._get(key), list) for place in self._items(key)]
        named = [(place, self._text(place) or self._text((*place, "name"))) for place in [*keys, *listed]]
        arguments = {place: self._take((*place, "args")) or self._take((*place, "params")) for place, name in named if name}
        return [_given({"name": name, "args": arguments[place]}) for place, name in named if name]

    def _task(self, at: Path) -> dict[str, Any] | None:
        if not (task := self._texts(at, "name", "split", "function", "system_prompt", "prompt")):
            return None
        script = (*at, "script") if self._get((*at, "script")) else (*at, "file")
        if file := self._file(script, "tasks"):
            task["file"], _, function = file.partition("@")
            task |= {"function": function} if function else {}
        dataset = (*at, "dataset") if self._get((*at, "dataset")) else (*at, "data")
        if self._get(dataset) in self.data:
            task["data"] = self._take(dataset)
        elif path := self._file(dataset, "data"):
            task["data"] = self._data_of(path)
        return _given(task | {"scorers": self._scorers(at), "limit": self._take((*at, "limit")), "args": self._take((*at, "args"))})

    def _data_of(self, path: str) -> str:
        """The data set of a path; a new one, named by the file, where there is none."""
        known = next((name for name, data in self.data.items() if data["path"] == path), None)
        name = known or PurePosixPath(path).stem
        self.data.setdefault(name, {"path": path})
        return name

    def _row(self, at: Path, runs: list[str]) -> dict[str, Any] | None:
        """A row of the matrix; epochs are copied as they are."""
        run = self._get((*at, "run"))
        named = self._take((*at, "runs")) if self._get((*at, "runs")) else [self._take((*at, "run"))] if run else []
        if not isinstance(named, list) or not set(named) <= set(runs):
            self.why[at] = "the row is left out: it names a run that is not among the runs"
            return None
        row = {"runs": named, "tasks": self._take((*at, "tasks")), "epochs": self._take((*at, "epochs"))}
        return _given(row)

    def _compute(self) -> dict[str, Any]:
        """What jobs ask for, where it is said of each stage."""
        asked = {
            stage: {name: self._take((*at, name)) for name in Resources.model_fields if self._get((*at, name)) is not None}
            for stage in ("training", "evaluation")
            for at in [("compute", stage)]
        }
        return _given(asked)

    def _left(self) -> Iterator[Problem]:
        """Every key that was not taken, or not as it was, in the file's order. One in which nothing was taken stands for all in it."""
        told: set[Path] = set()
        for at, begins in sorted(self.document.values.items(), key=lambda entry: (entry[1], len(entry[0]))):
            above = {at[:length] for length in range(len(at) + 1)}
            silent = not at or at[-1] == "" or self._get(at) in _EMPTY or (above - {at}) & told or isinstance(at[-1], int)
            if at in self.why or not (silent or above & self.taken or self._has_some(at)):
                told.add(at)
                line, column = self.document.keys.get(at, begins)
                place = ".".join(map(str, at))
                yield Problem(f"{place}: {self.why.get(at) or _WHY.get(str(at[-1]), _NOTHING_LIKE_IT)}", place, line, column)

    def _has_some(self, at: Path) -> bool:
        """Whether something in it was taken, or is named for itself."""
        return any(path[: len(at)] == at for path in (*self.taken, *self.why))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What says anything."""
    return {key: value for key, value in values.items() if value not in _EMPTY}
