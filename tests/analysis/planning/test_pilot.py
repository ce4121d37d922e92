"""The variance components of earlier results are those of an analysis of variance, and of what was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ckgit.analysis.planning.pilot import pilot_of
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.model import RunType
from ckgit.experiment.results import CellResult, Metric, Results, RunRow, Sample, TrainingResult

DIGEST = "0123456789abcdef" * 4
CLAIM = Claim(metric="accuracy", task="t", left={"lora_rank": 4}, right={"lora_rank": 16}, direction="less")


def row(name: str, varied: dict[str, str], scores: list[float]) -> RunRow:
    samples = tuple(Sample(id=at, scores={"match": score}) for at, score in enumerate(scores))
    metric = Metric(scorer="match", name="accuracy", value=sum(scores) / len(scores), samples=len(scores), asked=len(scores))
    cell = CellResult(run=name, task="t", epoch=0, log="x.eval", log_sha256=DIGEST, seconds=1, metrics=(metric,), samples=samples)
    return RunRow(
        name=name,
        type=RunType.FINE_TUNED,
        varied=varied,
        training=TrainingResult(run=name, steps=1, seconds=1.0),
        cells=(cell,),
    )


def results(scores: dict[tuple[str, str], list[float]]) -> Results:
    runs = tuple(row(f"r{rank}s{seed}", {"lora_rank": rank, "seed": seed}, each) for (rank, seed), each in scores.items())
    return Results(experiment="earlier", question="Q?", design=DIGEST, runs=runs)


def drawn(seeds: int, rows: int, random: np.random.Generator) -> dict[tuple[str, str], list[float]]:
    difficulty = random.normal(0, 0.3, rows)
    found = {}
    for rank in ("4", "16"):
        own = random.normal(0, 0.2, rows)
        for seed in range(seeds):
            chance = random.normal(0, 0.05) + random.normal(0, 0.4, rows)
            found[rank, str(seed)] = (0.5 + difficulty + own + chance).tolist()
    return found


def test_they_are_the_mean_squares_of_an_analysis_of_variance() -> None:
    scores = drawn(3, 40, np.random.default_rng(1))
    found = pilot_of(results(scores), CLAIM)
    assert found is not None
    within = []
    for rank in ("4", "16"):
        long = pd.DataFrame(
            [(seed, at, score) for (of, seed), each in scores.items() if of == rank for at, score in enumerate(each)],
            columns=["seed", "row", "score"],
        )
        within.append(anova_lm(ols("score ~ C(seed) + C(row)", long).fit()).loc["Residual", "mean_sq"])
    assert found.spread.within == pytest.approx(np.mean(within))
    runs = np.mean([np.var([np.mean(scores[rank, seed]) for seed in "012"], ddof=1) for rank in ("4", "16")])
    assert found.spread.seeds**2 == pytest.approx(max(runs - np.mean(within) / 40, 0))
    assert (found.experiment, found.settings, found.runs) == ("earlier", 2, 6)


def test_what_was_planted_is_found() -> None:
    found = pilot_of(results(drawn(30, 2_000, np.random.default_rng(2))), CLAIM)
    assert found is not None
    assert found.spread.within == pytest.approx(0.16, rel=0.03)
    assert found.spread.seeds == pytest.approx(0.05, rel=0.25)
    assert found.spread.between == pytest.approx(0.08, rel=0.1)


def test_one_seed_or_another_metric_is_no_pilot() -> None:
    scores = drawn(2, 20, np.random.default_rng(3))
    assert pilot_of(results({key: each for key, each in scores.items() if key[1] == "0"}), CLAIM) is None
    assert pilot_of(results(scores), CLAIM.model_copy(update={"metric": "f1"})) is None
    assert pilot_of(results(scores), CLAIM.model_copy(update={"task": "u"})) is None
