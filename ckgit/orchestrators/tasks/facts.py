"""What a new task asks, as an experiment or a data file tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.data import DataSet
from ckgit.formats.rows import DataError, Row, rows_of
from ckgit.lab.lab import Lab
from ckgit.lab.tasks.new import TaskFacts
from ckgit.orchestrators.data.find import FoundFiles, outside, read
from ckgit.orchestrators.engine.experiment import open_experiment

_MOST_LABELS = 26  # more are no choice, but free text


def facts_of_experiment(lab: Lab, name: str) -> TaskFacts:
    """What an experiment asks its first run.

    Raises:
        CkgitError: it cannot be read, or has no data.
    """
    context = open_experiment(lab, name).context
    run = context.plan.runs[0]
    data = context.summary.data.get(run["data"] or "")
    if data is None:
        what, advice = f"experiment {name} has no data", "ckgit task new NAME --data PATH"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was written", next=advice)
    return _of_rows(lab, data)._replace(prompt=run["prompt"], system_prompt=run["system_prompt"])


def facts_of_data(lab: Lab, data: DataSet) -> TaskFacts:
    """What the rows of a data set tell.

    Raises:
        CkgitError: USAGE, it cannot be read.
    """
    return _of_rows(lab, data)


def _found(lab: Lab, data: DataSet) -> FoundFiles:
    """The files of a data set in the checkout, or under the cluster's data_root."""
    root = lab.cluster().data_root
    for place in (lab.root, *([lab.folder(root)] if root else [])):
        if data.paths and all((place / path).exists() for path in data.paths):
            return outside(place, data.paths)
    where = ", ".join(data.paths) or "rows that a generator makes"
    raise CkgitError("there is no such data file", code=Exit.USAGE, where=where, state="nothing was written", next="name a file of the lab")


def _of_rows(lab: Lab, data: DataSet) -> TaskFacts:
    try:
        found = read(_found(lab, data), data)
        splits = rows_of(found.records, found.source.layout)
    except DataError as error:
        advice = "--input-column and --output-column name the columns of its rows"
        raise CkgitError(str(error), code=Exit.USAGE, where=data.paths[0], state="nothing was written", next=advice) from None
    return TaskFacts(
        data=data.paths[0],
        split="test" if "test" in splits else next(reversed(splits), "test"),
        input_column=data.input_column,
        output_column=data.output_column,
        labels=_labels(splits),
    )


def _labels(splits: Mapping[str, Sequence[Row]]) -> tuple[str, ...]:
    """The outputs of the rows, where they are so few that they are labels; sorted."""
    rows = [row for split in splits.values() for row in split]
    found = {row.output for row in rows}
    return tuple(sorted(found)) if 1 < len(found) <= min(_MOST_LABELS, len(rows) // 2) else ()
