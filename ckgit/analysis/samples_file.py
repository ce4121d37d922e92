"""`analysis/samples.parquet`: every answer of every evaluation, a row each. The same results give the same bytes."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator

from ckgit.analysis.scores import as_number
from ckgit.experiment.measured.answers import AnswerRow, Score
from ckgit.experiment.results import CellResult, Results, Sample

_AT_ONCE = 100_000  # rows of a group in the file
_IN_PYTHON = 1_000  # rows that are here as Python has them, which takes 50 times as much memory


def answer_rows(results: Results) -> Iterator[AnswerRow]:
    """The rows, in the order of the results."""
    for cell in (cell for run in results.runs for cell in run.cells):
        for sample in cell.samples:
            yield _row(cell, sample)


def _row(cell: CellResult, sample: Sample) -> AnswerRow:
    numbers = {name: as_number(score) for name, score in sorted(sample.scores.items())}
    texts = {name: str(sample.scores[name]) for name, number in numbers.items() if number is None and sample.scores[name] is not None}
    return AnswerRow(
        run=cell.run,
        task=cell.task,
        epoch=cell.epoch,
        checkpoint=cell.checkpoint,
        id=str(sample.id),
        repeat=sample.epoch,
        target=sample.target,
        answer=sample.answer,
        scores={name: number for name, number in numbers.items() if number is not None},
        score_texts=texts,
        probabilities=dict(sorted(sample.probabilities.items())),
        metadata={name: text for name, value in sorted(sample.metadata.items()) if (text := as_text(value)) is not None},
    )


def as_text(value: Score) -> str | None:
    """A text as it is, numbers and truths as in JSON; None where there is nothing."""
    return value if isinstance(value, str) or value is None else json.dumps(value)


def samples_file(results: Results) -> bytes | None:
    """The file; None where nothing was answered."""
    if not any(cell.samples for run in results.runs for cell in run.cells):
        return None
    import pyarrow as pa
    from pyarrow import parquet

    numbers, texts = pa.map_(pa.string(), pa.float64()), pa.map_(pa.string(), pa.string())
    types = {"epoch": pa.int64(), "repeat": pa.int64(), "scores": numbers, "probabilities": numbers}
    types |= {"score_texts": texts, "metadata": texts}
    schema = pa.schema([pa.field(name, types.get(name, pa.string())) for name in AnswerRow.model_fields])
    rows, parts = answer_rows(results), []
    while some := [row.model_dump() for row in itertools.islice(rows, _IN_PYTHON)]:
        parts.append([pa.array([_value(row[field.name]) for row in some], type=field.type) for field in schema])
    arrays = [pa.concat_arrays(column) for column in zip(*parts, strict=True)]
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd", compression_level=9, row_group_size=_AT_ONCE)
    return out.getvalue()


def _value(value: object) -> object:
    """As pyarrow has it: a map as its pairs, a text without halves of characters."""
    if isinstance(value, dict):
        return [(_value(key), _value(each)) for key, each in value.items()]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
