"""Runs with planted effects: what each parameter adds, what two of them add together, and what a seed does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ckgit.analysis.bisecting.attribute import Attribution, attribute
from ckgit.analysis.bisecting.corners import REST, Corner, Cube, PlacedRun, cube_of
from ckgit.analysis.bisecting.gaps import ScoredRun
from ckgit.experiment.results import CellResult, Metric, Sample
from tests.analysis.build import DIGEST

A: dict[str, Any] = {"lora_rank": 4, "lr": 1e-4, "epochs": 1, "batch_size": 8}
B: dict[str, Any] = {"lora_rank": 16, "lr": 1e-3, "epochs": 3, "batch_size": 8}


def placed(name: str, setting: Mapping[str, Any], seed: int | None = None, *, trained: bool = True) -> PlacedRun:
    experiment, _, run = name.partition("/")
    return PlacedRun(experiment, run, setting, seed, trained)


def between(names: Iterable[str]) -> dict[str, Any]:
    """A's setting with B's value of some parameters."""
    return {**A, **{name: B[name] for name in names}}


def cell(
    run: str, scores: Sequence[float | None], *, metric: str = "mean", targets: str = "t", clusters: tuple[int, ...] | None = None
) -> CellResult:
    known = [score for score in scores if score is not None]
    made = Metric(scorer="match", name=metric, value=sum(known) / len(known) if known else None, samples=len(known))
    samples = tuple(Sample(id=at, scores={"match": score}, target=targets) for at, score in enumerate(scores))
    return CellResult(run=run, task="t", log="x", log_sha256=DIGEST, seconds=1.0, metrics=(made,), samples=samples, clusters=clusters)


def numbers(level: float, *, rows: int = 300, seed: str = "", spread: float = 0.2) -> list[float]:
    """Scores of rows of which some are harder for every run."""
    hard, own = random.Random("rows"), random.Random(f"{seed} {level}")  # noqa: S311 - test data
    return [level + hard.gauss(0, spread) + own.gauss(0, spread / 4) for _ in range(rows)]


def answers(level: float, *, rows: int = 300, seed: str = "") -> list[float]:
    """The same, right or wrong."""
    hard, own = random.Random("rows"), random.Random(f"{seed} {level}")  # noqa: S311 - test data
    return [float(hard.random() * 0.7 + own.random() * 0.3 < level) for _ in range(rows)]


def scored(name: str, scores: Sequence[float | None], *, together: bool = False, **options: Any) -> ScoredRun:
    found = cell(name, scores, **options)
    return ScoredRun(name, found, found.metrics[0], trained=True, together=together)


def told(
    runs: Mapping[PlacedRun | str, Any], scores: Mapping[str, Sequence[float | None]], rest: str = REST, **options: Any
) -> Attribution:
    """What is told of runs; the first is A, the last B.

    Args:
        runs: setting by name.
        rest: see `cube_of`.
    """
    made = [placed(str(name), setting, at) for at, (name, setting) in enumerate(runs.items())]
    cube = cube_of(made[0], made[-1], made, A.__contains__, rest)
    return attribute(cube, at_corners(cube, scores, **options), "mean")


def at_corners(cube: Cube, scores: Mapping[str, Sequence[float | None]], **options: Any) -> dict[Corner, list[ScoredRun]]:
    return {corner: [scored(run.name, scores[run.name], **options) for run in runs] for corner, runs in cube.runs.items()}
