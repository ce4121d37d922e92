"""Whether a second execution of a job left the same as the first one. Pure.

Logs hold times, tokens and machines, which are never the same. So of a training its losses, the tokens that it saw and the digests of what
evaluation loads of its checkpoints are compared; of an evaluation each row's answer, target and scores, its metrics, tokens and weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ckgit.experiment.cluster import ReproduceConfig
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.reproduction.record import Sameness
from ckgit.experiment.results import CellResult, Checkpoint, LossPoint, Metric, Sample, TokenCheck, TrainingResult
from ckgit.formats.listing import plural

NAMED = 5  # differences that a record names
_SHOWN = 80  # characters of an answer


class Difference(NamedTuple):
    """Something in which two executions differ."""

    text: str
    tolerable: bool  # whether it is within what was stated


class Compared(NamedTuple):
    """What came of holding one job against another."""

    sameness: Sameness
    compared: str
    differences: Sequence[str] = ()  # the first one first
    more: int = 0
    uncompared: Sequence[str] = ()


def compare(
    first: Sequence[TrainingResult | CellResult],
    again: Sequence[TrainingResult | CellResult],
    tolerances: ReproduceConfig,
    failed: str = "",
) -> Compared:
    """Hold what a job has left against what is recorded of it.

    Args:
        first: as recorded.
        again: of the second execution.
        failed: why that one failed; then what it did not leave says nothing against the record.
    """
    counted, found, uncompared, lacking = list[str](), list[Difference](), list[str](), False
    others = {_key(each): each for each in again}
    for one in first:
        other = others.get(_key(one))
        if other is None and failed:
            lacking = True
        elif other is None:
            found.append(Difference(f"there is no result of {_key(one)}", tolerable=False))
        elif isinstance(one, TrainingResult) and isinstance(other, TrainingResult):
            found += _training(one, other, tolerances.loss_tolerance)
            counted += [_losses_in_words(one), plural(len(one.checkpoints), "checkpoint")]
            uncompared += _unrecorded(one)
        elif isinstance(one, CellResult) and isinstance(other, CellResult):
            found += _cell(one, other, tolerances.score_tolerance)
            counted.append(f"{plural(len(one.samples), 'row')} of {one.task}")
            uncompared += _outside(one)
    intolerable = any(not each.tolerable for each in found)
    if lacking and not intolerable:
        return Compared(Sameness.FAILED, ", ".join(counted), [failed], 0, uncompared)
    sameness = Sameness.DIFFERENT if intolerable else Sameness.WITHIN_TOLERANCE if found else Sameness.SAME_BYTES
    told = [each.text for each in found if not each.tolerable] if intolerable else [each.text for each in found]
    return Compared(sameness, ", ".join(counted), told[:NAMED], max(0, len(told) - NAMED), uncompared)


def surroundings(first: Mapping[str, str], again: Mapping[str, str]) -> list[str]:
    """In what two executions' machines and versions differ; what one of them did not record is left out."""
    return [f"{name} {first[name]} then, {again[name]} now" for name in first if again.get(name, first[name]) != first[name]]


def _losses_in_words(one: TrainingResult) -> str:
    count = len(one.losses) + len(one.validation)
    return "1 loss" if count == 1 else f"{count} losses"


def _key(result: TrainingResult | CellResult) -> str:
    if isinstance(result, TrainingResult):
        return "training"
    place = f"epoch {result.epoch}" if result.epoch is not None else result.checkpoint or ""
    return f"{result.task} {place}".rstrip()


def _training(one: TrainingResult, other: TrainingResult, tolerance: float | None) -> Iterator[Difference]:
    yield from _losses("loss", one.losses, other.losses, tolerance)
    yield from _losses("validation loss", one.validation, other.validation, tolerance)
    if one.steps != other.steps:
        yield Difference(f"{other.steps} steps, and {one.steps} are recorded", tolerable=False)
    yield from _tokens(one.tokens, other.tokens)
    saved = {each.path: each for each in other.checkpoints}
    for each in one.checkpoints:
        yield from _checkpoint(each, saved.get(each.path), tolerable=tolerance is not None)


def _losses(name: str, one: Sequence[LossPoint], other: Sequence[LossPoint], tolerance: float | None) -> Iterator[Difference]:
    found = {point.step: point.loss for point in other}
    for point in one:
        loss = found.pop(point.step, None)
        if loss is None:
            yield Difference(f"step {point.step}: no {name}, and {point.loss} is recorded", tolerable=False)
        elif not _equal(loss, point.loss):
            yield Difference(f"step {point.step}: {name} {loss}, and {point.loss} is recorded", _within(loss, point.loss, tolerance))
    for step, loss in found.items():
        yield Difference(f"step {step}: {name} {loss}, and none is recorded", tolerable=False)


def _tokens(one: Mapping[str, TokenCheck], other: Mapping[str, TokenCheck]) -> Iterator[Difference]:
    for name, check in one.items():
        if name in other and (check.rows, check.sha256) != (other[name].rows, other[name].sha256):
            yield Difference(f"it saw other tokens of {name} than are recorded", tolerable=False)


def _checkpoint(one: Checkpoint, other: Checkpoint | None, *, tolerable: bool) -> Iterator[Difference]:
    name = one.path.rpartition("/artifacts/")[2]
    if other is None:
        yield Difference(f"there is no checkpoint {name}", tolerable=False)
        return
    changed = [file for file, digest in one.files.items() if file not in other.files or other.files[file].sha256 != digest.sha256]
    if one.sha256 != other.sha256 or changed:
        files = f" ({', '.join(changed[:NAMED])})" if changed else ""
        yield Difference(f"checkpoint {name} has other bytes than are recorded{files}", tolerable)
    if (one.prompt, one.system_prompt) != (other.prompt, other.system_prompt):
        yield Difference(f"checkpoint {name} has another prompt than is recorded", tolerable=False)


def _cell(one: CellResult, other: CellResult, tolerance: float | None) -> Iterator[Difference]:
    """Answers and scores row by row. Where a tolerance is stated, they may differ as long as no metric differs by more."""
    metrics = {(each.scorer, each.name): each for each in other.metrics}
    pairs = [(each, metrics.get((each.scorer, each.name))) for each in one.metrics]
    off = [Difference(f"{one.task}: {text}", near) for pair in pairs for text, near in _metric(*pair, tolerance)]
    tolerable = tolerance is not None and all(each.tolerable for each in off)
    yield from _tokens({one.task: one.tokens} if one.tokens else {}, {one.task: other.tokens} if other.tokens else {})
    found = {(each.id, each.epoch): each for each in other.samples}
    for row in one.samples:
        same = found.pop((row.id, row.epoch), None)
        if same is None:
            yield Difference(f"{one.task}: no answer to row {_place(row)}", tolerable=False)
        else:
            yield from (Difference(f"{one.task}: row {_place(row)}: {text}", tolerable) for text in _row(row, same))
    if found:
        yield Difference(f"{one.task}: {plural(len(found), 'row')} of which nothing is recorded", tolerable=False)
    yield from off
    if one.weights and other.weights and one.weights != other.weights:
        yield Difference(f"{one.task}: it evaluated other weights than are recorded", tolerance is not None)


def _metric(one: Metric, other: Metric | None, tolerance: float | None) -> Iterator[tuple[str, bool]]:
    """In what it differs, and whether that is within the tolerance."""
    if other is None:
        yield f"there is no metric {one.name} of {one.scorer}", False
    elif not _equal(one.value, other.value):
        yield f"{one.name} of {one.scorer} is {other.value}, and {one.value} is recorded", _within(one.value, other.value, tolerance)


def _row(one: Sample, other: Sample) -> Iterator[str]:
    """In what the answers to a row differ, in one clause."""
    if one.target != other.target:
        yield f"its target is {_short(other.target)}, and {_short(one.target)} is recorded"
    elif one.answer != other.answer:
        yield f"it answers {_short(other.answer)}, and {_short(one.answer)} is recorded"
    elif scores := [name for name, score in one.scores.items() if not _equal(score, other.scores.get(name))]:
        yield f"{scores[0]} is {other.scores.get(scores[0])!r}, and {one.scores[scores[0]]!r} is recorded"


def _place(row: Sample) -> str:
    return f"{row.id}, epoch {row.epoch}" if row.epoch > 1 else str(row.id)


def _short(text: str | None) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _equal(one: Score, other: Score) -> bool:
    return one == other or (isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other))


def _within(one: Score, other: Score, tolerance: float | None) -> bool:
    numbers = [each for each in (one, other) if isinstance(each, int | float)]
    return tolerance is not None and len(numbers) == 2 and abs(numbers[0] - numbers[1]) <= tolerance  # noqa: PLR2004


def _unrecorded(one: TrainingResult) -> Iterator[str]:
    for each in islice((each for each in one.checkpoints if not each.files), 1):
        yield f"of {each.path.rpartition('/')[2]} one digest is recorded, and not that of each file"


def _outside(one: CellResult) -> Iterator[str]:
    if one.log_bytes:
        yield f"{one.task}: its log stayed in the work tree, as it was too large; its extract has answers and scores, and no transcript"
    if one.samples and all(sample.answer is None for sample in one.samples):
        yield f"{one.task}: no answers are recorded, and scores alone were compared"
