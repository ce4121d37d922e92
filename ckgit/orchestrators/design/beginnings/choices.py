"""What a lab has to design with: what an interview offers, and what a template is filled from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import card_path
from ckgit.experiment.checks.problems import value_problems
from ckgit.experiment.design.data import DataSet
from ckgit.experiment.design.model import TaskSpec
from ckgit.experiment.tools.by_tool import DEFAULT_TOOL, parameters_of
from ckgit.experiment.tools.workers import tools_with
from ckgit.formats.rows import DEFAULT_SPLIT, SUFFIXES, DataError, Shape, examples
from ckgit.formats.rows.tables import DICT_FILE, STATE_FILE
from ckgit.formats.task_source import task_functions
from ckgit.lab.git.objects import read_files, tree_entries
from ckgit.lab.lab import Lab
from ckgit.orchestrators.data.find import FoundFiles, folder_in, read

_INPUT = str(DataSet.model_fields["input_column"].default)
_OUTPUT = str(DataSet.model_fields["output_column"].default)
_INPUTS = (_INPUT, "question", "prompt", "instruction", "text", "sentence")  # what data of others calls it
_OUTPUTS = (_OUTPUT, "answer", "label", "response", "completion", "target")
OBJECTIVE, DPO = "objective", "dpo"
PAIRS_LR = 2e-5  # what answers are trained with is too much for preferences
SHARE = 0.2  # of rows that nothing divides, so many are evaluated
_EVALUATED = ("test", "validation", "valid", "dev", "eval")


def fractions(share: float) -> dict[str, float]:
    """How rows of one split are divided, when that share of them is evaluated and not trained on."""
    return {DEFAULT_SPLIT: round(1 - share, 10), _EVALUATED[0]: share}


class LabChoices(NamedTuple):
    """What a lab has to design with."""

    models: Sequence[str]
    bare: Sequence[str]  # those models that have no chat template
    data: Sequence[str]  # paths
    tasks: Sequence[TaskSpec]
    on_gpu: bool  # whether the cluster's profile asks for GPUs

    @property
    def device(self) -> str:
        """Where runs are trained and evaluated, as far as the lab tells."""
        return "cuda" if self.on_gpu else "cpu"


class DataChoice(NamedTuple):
    """What a data file has."""

    path: str
    columns: Sequence[str]
    splits: Mapping[str, int]  # rows by split
    first: Mapping[str, str]  # its first row as text, by column
    shape: Shape = Shape.COLUMNS  # how its rows hold their examples

    @property
    def whole(self) -> str:
        """The one split that it has, where it is to be divided; empty where it has several."""
        return next(iter(self.splits)) if len(self.splits) == 1 else ""

    @property
    def pairs(self) -> bool:
        """Whether a row has a better and a worse answer."""
        return self.shape is Shape.PREFERENCE

    @property
    def tool(self) -> str:
        """What trains on such rows: ckgit's default, or where they are pairs one that trains on these."""
        return next(_tools_for_pairs(), DEFAULT_TOOL) if self.pairs else DEFAULT_TOOL

    @property
    def trained(self) -> str:
        """The split that is probably to be trained on."""
        return DEFAULT_SPLIT if self.whole or DEFAULT_SPLIT in self.splits else next(iter(self.splits))

    @property
    def evaluated(self) -> str:
        """The split that is probably to be evaluated."""
        if self.whole:
            return _EVALUATED[0]
        held_out = [split for split in _EVALUATED if split in self.splits]
        return next(iter([*held_out, *(split for split in self.splits if split != self.trained)]))

    @property
    def input(self) -> str:
        """The column that is probably what the model is given."""
        return next((name for name in _INPUTS if name in self.columns), self.columns[0])

    @property
    def output(self) -> str:
        """The column that is probably what it should answer."""
        others = [name for name in self.columns if name != self.input]
        return next((name for name in _OUTPUTS if name in others), next(iter(others), self.input))


def for_pairs(data: DataChoice) -> Mapping[str, Any]:
    """The controls that rows with a better and a worse answer need; none for others."""
    return {OBJECTIVE: DPO, "lr": PAIRS_LR} if data.pairs else {}


def _tools_for_pairs() -> Iterator[str]:
    known = tools_with(OBJECTIVE, parameters_of(DEFAULT_TOOL))
    return (tool for tool in known if not list(value_problems(parameters_of(tool), OBJECTIVE, [DPO])))


def offers(lab: Lab) -> LabChoices:
    """Model cards, data files and @task functions of the default branch."""
    paths = [entry.path for folder in ("models/", "data/", "tasks/") for entry in tree_entries(lab.root, lab.base, folder, recursive=True)]
    models = [Path(path).stem for path in paths if path.startswith("models/") and path.endswith(".yaml") and path.count("/") == 1]
    data = _data([path for path in paths if path.startswith("data/")])
    files = [path for path in paths if path.startswith("tasks/") and path.endswith(".py")]
    named = PurePosixPath(data[0]).name.encode() if data else b""  # a task that names the data is meant for it
    written = sorted(read_files(lab.root, lab.base, files).contents.items(), key=lambda each: named not in each[1])
    tasks = [task for path, content in written for task in _offered(path, content)]
    cards = read_files(lab.root, lab.base, [card_path(name) for name in models]).contents
    models = sorted(models, key=lambda name: b"\ntrained:" in cards[card_path(name)])  # what the lab trained itself is no first choice
    bare = [name for name in models if _is_bare(cards[card_path(name)])]
    return LabChoices(models, bare, data, tasks, on_gpu=bool(lab.cluster().training.gpus))


def _data(paths: Sequence[str]) -> list[str]:
    """Files of rows, and folders that `datasets` saved; what is in these is no data of its own."""
    saved = [str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name in (DICT_FILE, STATE_FILE)]
    inside = tuple(f"{folder}/" for folder in saved)
    files = [path for path in paths if path.endswith(SUFFIXES) and not path.startswith(inside)]
    return [*files, *(folder for folder in dict.fromkeys(saved) if not folder.startswith(inside))]


def needed_offers(lab: Lab) -> LabChoices:
    """Like `offers`, where there must be something to train on.

    Raises:
        CkgitError: USAGE, the lab has no model card or no data file.
    """
    found = offers(lab)
    if not found.models:
        raise _lacking("the lab has no model card", "ckgit models add NAME FOLDER; for a model of the hub, ckgit models add NAME org/name")
    if not found.data:
        raise _lacking("there is no data file in data/", "add one, commit it, or use --from FILE")
    return found


def _lacking(what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was written", next=onward)


def look_at(lab: Lab, path: str) -> DataChoice:
    """Columns and splits of a data file of the default branch, or of a folder of Hugging Face datasets.

    Raises:
        CkgitError: USAGE, it cannot be read as rows.
    """
    try:
        content = read_files(lab.root, lab.base, [path]).contents.get(path)
        files = folder_in(lab.root, lab.base, path) if content is None else FoundFiles({path: content})
        found = read(files, DataSet(path=path))
        if found.shape and found.shape is not Shape.COLUMNS:
            row = examples(found.records, found.source.layout)[0].row
            first = {_INPUT: row.input, _OUTPUT: row.output}
            return DataChoice(path, (_INPUT, _OUTPUT), found.splits, first, found.shape)
    except DataError as error:
        raise CkgitError(f"no rows can be read in it: {error}", code=Exit.USAGE, where=path, next="mend it and commit it") from None
    columns = [name for name in found.columns if name != found.source.layout.split_column]
    first = next((record.raw for record in found.records.found if isinstance(record.raw, dict)), {})
    if not columns:
        raise CkgitError("its rows are no objects with columns", code=Exit.USAGE, where=path, next="mend it and commit it")
    return DataChoice(path, columns, found.splits, {name: str(value) for name, value in first.items()})


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
