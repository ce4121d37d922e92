"""`packing.json`: how long the rows of a training are in tokens, so that anybody can tell again how many sequences they are packed into.

A design cannot know that: it has counted rows, and no tokens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from ckgit.experiment.design.fields import PositiveInt
from ckgit.experiment.design.model import Frozen
from ckgit.experiment.design.plan import Run
from ckgit.experiment.results import LossPoint
from ckgit.experiment.worker import Context
from ckgit.workers.training.design.counted import train_rows
from ckgit.workers.training.outputs.evidence import MOST_LOG, read_record
from ckgit.workers.training.outputs.logs import read_bounded
from ckgit.workers.trl.design.sequences import GROUP, histograms, sequences
from ckgit.workers.trl.design.steps import RowSteps
from ckgit.workers.trl.outputs.log import LOG_NAME, READ

PACKING = "packing.json"


class PackedRows(Frozen):
    """The rows of a split, and what they are packed into."""

    rows: PositiveInt
    tokens: PositiveInt = Field(description="Of all rows together.")
    sequences: PositiveInt
    lengths: tuple[dict[Annotated[int, Field(gt=0)], PositiveInt], ...] = Field(
        description="Of each group of a thousand rows, which are packed by themselves: the number of rows by their length in tokens."
    )

    @classmethod
    def of(cls, lengths: Sequence[int], packing_length: int) -> "PackedRows":
        """Of rows of such lengths, in order."""
        groups = histograms(lengths)
        return cls(rows=len(lengths), tokens=sum(lengths), sequences=sequences(groups, packing_length), lengths=tuple(map(dict, groups)))


class PackingRecord(Frozen):
    """What a training's rows are packed into."""

    packing_length: PositiveInt
    train: PackedRows
    validation: PackedRows | None = None

    @classmethod
    def of(cls, packing_length: int, train: Sequence[int], validation: Sequence[int]) -> "PackingRecord":
        """Of rows of such lengths, in order."""
        held_out = PackedRows.of(validation, packing_length) if validation else None
        return cls(packing_length=packing_length, train=PackedRows.of(train, packing_length), validation=held_out)


_OF = TypeAdapter(PackingRecord)


def read_packing(artifacts: Path) -> PackingRecord:
    """What `write_packing` has left."""
    return PackingRecord.model_validate_json((artifacts / PACKING).read_bytes())


def write_packing(artifacts: Path, record: PackingRecord) -> None:
    """Write `packing.json`."""
    (artifacts / PACKING).write_text(record.model_dump_json() + "\n", encoding="utf-8")


def sequences_in(context: Context, run: Run, artifacts: Path) -> int | None:
    """How many sequences the rows of a running job were packed into; None for rows that are not, and where it does not tell yet."""
    content = read_bounded(artifacts / PACKING, MOST_LOG)
    try:
        found = packing_of(context, run, {} if content is None else {PACKING: content})
    except ValueError:
        return None
    return found.train.sequences if found else None


def packing_of(context: Context, run: Run, files: Mapping[str, bytes]) -> PackingRecord | None:
    """What a run's records say that its rows were packed into; None for a run whose rows are not packed.

    Args:
        files: its records, by name.

    Raises:
        ValueError: they do not say it, or contradict the design or themselves.
    """
    if not run["packing_length"]:
        return None
    if PACKING not in files:
        raise ValueError(f"run {run.name}: {PACKING} is missing, which says how many sequences its rows were packed into")
    found = read_record(run, PACKING, _OF, files[PACKING])
    if found.packing_length != run["packing_length"]:
        planned = f"packing_length {run['packing_length']} was planned"
        raise ValueError(f"run {run.name}: {PACKING} is of sequences of {found.packing_length} tokens; {planned}")
    _check(run, "train", found.train, found.packing_length, train_rows(context, run))
    recorded, split = context.summary.recorded.data.get(run["data"]), run["validation_split"]
    if (found.validation is not None) != bool(split):
        raise ValueError(f"run {run.name}: {PACKING} has {'rows' if found.validation else 'no rows'} that are held out")
    if found.validation:
        _check(run, "validation", found.validation, found.packing_length, recorded.splits.get(split) if recorded else None)
    return found


def check_read(run: Run, packed: PackedRows, divided: RowSteps, losses: Sequence[LossPoint]) -> None:
    """Each epoch has read all tokens of the rows, and of several processes some sequences once more.

    Raises:
        ValueError: the log has read others.
    """
    epochs = losses[-1].step // divided.per_epoch
    read = [point.metrics.get(READ, 0.0) for point in losses if point.step <= epochs * divided.per_epoch]
    if len(read) * run["log_every_n_steps"] != epochs * divided.per_epoch:
        return  # a line has steps of two epochs
    most = packed.tokens + (divided.seen - divided.rows) * run["packing_length"]
    if epochs and not packed.tokens <= sum(read) / epochs <= most:
        told = f"{sum(read):.0f} tokens were read in {epochs} epochs"
        raise ValueError(f"run {run.name}: {LOG_NAME} says that {told}, and by {PACKING} its rows have {packed.tokens}")


def _check(run: Run, what: str, packed: PackedRows, length: int, planned: int | None) -> None:
    """The numbers must follow from the lengths, and these be of as many rows as the design counted."""
    rows = [sum(group.values()) for group in packed.lengths]
    wrong = ""
    if planned is not None and packed.rows != planned:
        wrong = f"has {packed.rows} rows, and design counted {planned}"
    elif sum(rows) != packed.rows or any(each != GROUP for each in rows[:-1]) or max(rows, default=0) > GROUP:
        wrong = f"lists the lengths of {sum(rows)} rows in groups that {packed.rows} rows do not make"
    elif longest := max((max(group) for group in packed.lengths if max(group) > length), default=0):
        wrong = f"has a row of {longest} tokens, and none is longer than packing_length {length}"
    elif packed.tokens != (tokens := sum(each * count for group in packed.lengths for each, count in group.items())):
        wrong = f"has {packed.tokens} tokens, and its lengths come to {tokens}"
    elif packed.sequences != (made := sequences(packed.lengths, length)):
        wrong = f"has {packed.sequences} sequences, and its rows are packed into {made}"
    if wrong:
        raise ValueError(f"run {run.name}: {PACKING}, {what}: it {wrong}")
