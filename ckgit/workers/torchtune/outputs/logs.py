"""Reads torchtune's logs. Any bytes give what is there; memory stays bounded whatever their size."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ckgit.experiment.results import LossPoint
from ckgit.workers.training.outputs.logs import TOKENS

LONGEST_LINE = 65_536
_STEP = re.compile(rb"Step (\d{1,12}) \| (.*)")
_FIELD = re.compile(rb"([a-z_]+):(\S+)")
# The progress line is drawn again and again; epochs count from 1 in it.
_PROGRESS = re.compile(rb"(\d{1,9})\|(\d{1,12})\|Loss: ([-+.\deEnainf]+)")
_RATE = re.compile(rb"[^\r\n]{0,400}?[ ,](\d{1,9}\.?\d{0,9})(it/s|s/it)\]")  # at the end of that line, as tqdm writes it


class ProgressLine(NamedTuple):
    """The last thing that the progress line said."""

    step: int
    loss: float | None
    rate: float | None = None  # steps a second, by tqdm


def loss_points(stream: BinaryIO) -> list[LossPoint]:
    """The lines of a DiskLogger's file, by step; of a step that is there twice, the last. Losses may be NaN."""
    points: dict[int, LossPoint] = {}
    for line in _lines(stream):
        if (match := _STEP.search(line)) and (point := _point(int(match[1]), match[2])):
            points[point.step] = point
    return [points[step] for step in sorted(points)]


def step_of(line: bytes) -> int | None:
    """The step that a whole line of a DiskLogger's file is about; None for anything else."""
    match = _STEP.match(line)
    return int(match[1]) if match and line.endswith(b"\n") and _point(int(match[1]), match[2]) else None


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(LONGEST_LINE):
        yield line


def _point(step: int, fields: bytes) -> LossPoint | None:
    values = {name.decode(): number(text) for name, text in _FIELD.findall(fields)}
    loss, lr = values.get("loss"), values.get("lr")
    if loss is None:
        return None
    tokens = values.get(TOKENS)
    metrics = {TOKENS: tokens} if tokens is not None and 0 <= tokens < math.inf else {}
    return LossPoint(step=step, loss=loss, lr=lr if lr is not None and math.isfinite(lr) else None, metrics=metrics)


def number(text: bytes) -> float | None:
    """A number as torchtune prints it (`6.05e-06`, `nan`), or None."""
    try:
        return float(text)
    except ValueError:
        return None


def last_progress(content: bytes) -> ProgressLine | None:
    """Step and loss of the last progress line in a piece of a job's output."""
    found = next(iter(deque(_PROGRESS.finditer(content), maxlen=1)), None)
    if not found:
        return None
    speed = _RATE.match(content, found.end())
    per, unit = (number(speed[1]) or 0.0, speed[2]) if speed else (0.0, b"")
    return ProgressLine(int(found[2]), number(found[3]), (per if unit == b"it/s" else 1 / per) if per else None)
