"""`training.jsonl`: what each step came to, a line of JSON each, in full precision. Any bytes give what is there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ckgit.experiment.results import LossPoint
from ckgit.formats.plain_json import read_json

LOG_NAME = "training.jsonl"
VALIDATION_LOG = "validation.jsonl"  # the same of rows that are held out
READ = "tokens_read"  # of sequences into which rows are packed, trained on or not, since the line before
_OWN = ("step", "loss", "lr")


def loss_points(content: bytes) -> list[LossPoint]:
    """Its lines, by step; of a step that is there twice, the last. Losses may be NaN."""
    points = {point.step: point for line in content.splitlines() for point in _points(line)}
    return [points[step] for step in sorted(points)]


def measured(artifacts: Path) -> list[LossPoint]:
    """The losses of rows that are held out, as far as a training has come."""
    log = artifacts / VALIDATION_LOG
    return loss_points(log.read_bytes()) if log.exists() else []


def _points(line: bytes) -> Iterator[LossPoint]:
    try:
        found = read_json(line)
    except ValueError:
        return
    if isinstance(found, Mapping) and type(found.get("step")) is int and _is_number(found.get("loss")):
        numbers = {str(name): float(value) for name, value in found.items() if _is_number(value)}
        metrics = {name: value for name, value in numbers.items() if name not in _OWN and math.isfinite(value)}
        yield LossPoint(step=found["step"], loss=numbers["loss"], lr=numbers.get("lr"), metrics=metrics)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
