"""data show: the rows of a data set as they are read, and what of them a run's model is sent and trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import card_path
from ckgit.experiment.design.data import DataSet
from ckgit.experiment.design.plan import Run
from ckgit.experiment.worker import Context
from ckgit.formats.listing import choose
from ckgit.formats.rows import DataError, RawRow, RawRows, Row, examples
from ckgit.lab.context import load_context
from ckgit.lab.git.objects import read_object
from ckgit.lab.lab import Lab
from ckgit.lab.models.find import find_model
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.data.find import FoundFiles, ReadData, outside, read
from ckgit.workers.rendering import IGNORED, Renderer, RenderError

INSTALL = 'pip install "ckgit[run]"'


class Token(NamedTuple):
    """A token of a rendered row."""

    id: int
    text: str
    trained: bool  # otherwise it is sent, and its loss is masked


class SeenRow(NamedTuple):
    """An example, and where it stands."""

    split: str
    place: str
    raw: Mapping[str, Any]  # all its columns
    row: Row | None  # None where it is not said which columns are meant
    tokens: Sequence[Token] | None  # None where it is not rendered
    rejected: Sequence[Token] | None  # the same of a preference's other answer


class SeenData(NamedTuple):
    """A data set as it is read."""

    name: str | None  # in the design
    path: str
    sha256: str
    found: ReadData
    splits: Mapping[str, int]  # examples; or rows, where it is not said which columns are meant
    rows: Sequence[SeenRow]


class WantedRows(NamedTuple):
    """What of a data set is asked for."""

    most: int  # rows of each split
    split: str | None = None
    rendered: str | None = None  # the run for which rows are rendered


def look_at_path(lab: Lab, path: str, wanted: WantedRows) -> SeenData:
    """The data set in a file or folder of the lab's checkout, or of the cluster's data_root.

    Raises:
        CkgitError: USAGE, there is none, or it cannot be read.
    """
    kept = lab.cluster().data_root
    roots = [lab.root, *([lab.folder(kept)] if kept else [])]
    root = next((each for each in roots if (each / path).exists()), None)
    if root is None:
        where = "in the lab or under its data_root" if kept else "in the lab"
        raise _unknown(f"there is no file or folder {path} {where}", "name a path in the lab; with --experiment, a data set")
    try:
        return _seen(None, DataSet.model_construct(path=path), outside(root, [path]), wanted, None)
    except (DataError, OSError) as error:
        raise _unknown(f"{path}: {error}", "docs/your-data.md has each form that is read") from None


def look_at_experiment(lab: Lab, experiment: str, name: str, wanted: WantedRows) -> SeenData:
    """A data set of an experiment, as its branch has it.

    Raises:
        CkgitError: the branch cannot be read; USAGE, it has no such data set or run, or the rows cannot be read or rendered.
    """
    snapshot = take_snapshot(lab, experiment)
    context = load_context(lab, snapshot)
    known = context.summary.data
    if name not in known:
        raise _unknown(f"{experiment} has no data set {name}", choose(name, known) or "its design names none")
    try:
        render = _renderer(lab, snapshot, context, wanted.rendered) if wanted.rendered else None
        return _seen(name, known[name], _files(lab, context, name), wanted, render)
    except (DataError, OSError) as error:
        raise _unknown(f"data {name}: {error}", f"ckgit validate {experiment} says what is wrong with its data") from None


def _files(lab: Lab, context: Context, name: str) -> FoundFiles:
    data, recorded = context.summary.data[name], context.summary.recorded.data.get(name)
    paths = list(recorded.files) if recorded and recorded.files else list(data.paths)
    if all(path in context.sources for path in paths):
        return FoundFiles({path: context.sources[path] for path in paths}, data.path if data.path and recorded and recorded.files else "")
    return outside(lab.folder(context.cluster.data_root), data.paths)


def _seen(name: str | None, data: DataSet, files: FoundFiles, wanted: WantedRows, render: Renderer | None) -> SeenData:
    found = read(files, data)
    known = examples(found.records, found.source.layout) if found.is_known else ()
    made: list[tuple[RawRow, Row | None]] = [*known] if known else [(raw, None) for raw in found.records.found]
    splits = dict(Counter(raw.split for raw, _ in made))
    if wanted.split is not None and wanted.split not in splits:
        raise DataError(f"there is no split {wanted.split} (splits: {', '.join(splits)})")
    rows: list[SeenRow] = []
    for split in splits if wanted.split is None else [wanted.split]:
        first = islice((one for one in made if one[0].split == split), wanted.most)
        rows += [_row(found.records, raw, row, render) for raw, row in first]
    return SeenData(name, data.named, files.sha256, found, splits, rows)


def _row(records: RawRows, raw: RawRow, row: Row | None, render: Renderer | None) -> SeenRow:
    tokens = _tokens(render, row) if render and row else None
    other = _tokens(render, row._replace(output=row.rejected)) if render and row and row.rejected is not None else None
    return SeenRow(raw.split, records.where(raw), raw.raw if isinstance(raw.raw, dict) else {}, row, tokens, other)


def _tokens(render: Renderer, row: Row) -> list[Token]:
    try:
        made = render.tokens(row)
    except RenderError as error:
        raise DataError(str(error)) from None
    texts = (render.tokenizer.decode([token]) for token in made.tokens)
    labelled = zip(made.tokens, texts, made.labels, strict=True)
    return [Token(token, text, label != IGNORED) for token, text, label in labelled]


def _renderer(lab: Lab, snapshot: Snapshot, context: Context, name: str) -> Renderer:
    """What renders a run's rows, in training as in evaluation."""
    run = _run(context, name)
    card = context.cards[run.model]
    content = read_object(lab.root, f"{snapshot.tip}:{card_path(run.model)}") or b""
    folder = find_model(lab, context.cluster, card, content)
    settings = {key: run[key] for key in ("dataset_type", "prompt", "system_prompt", "template_date")}
    try:
        return Renderer(Path(folder), **settings)
    except ImportError:
        raise CkgitError("rows are rendered by transformers, which is not installed", code=Exit.TOOL_MISSING, next=INSTALL) from None
    except RenderError as error:
        raise DataError(str(error)) from None


def _run(context: Context, name: str) -> Run:
    try:
        return context.plan.run(name)
    except KeyError:
        raise _unknown(f"there is no run {name}", choose(name, (run.name for run in context.plan.runs))) from None


def _unknown(what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was changed", next=onward)
