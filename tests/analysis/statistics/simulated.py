"""Experiments as they might have come out: rows that are harder than others, settings, and seeds that differ by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ckgit.analysis.statistics.contrast import ScoredSetting

_HARDER, _BY_SETTING, _BY_SEED = 1.2, 0.5, 0.6  # standard deviations on the logit scale
_SLOPE = 0.17  # of the probability in the logit, on average over rows like these


class Truth(NamedTuple):
    """How settings are made: the logit of an easy row, and how far seeds are apart in the share of right answers."""

    logits: Sequence[float]
    seed_sd: float
    rows: int
    seeds: Sequence[int]
    untrained: int = 0  # so many of the first settings have no seeds


def settings(truth: Truth, random: np.random.Generator) -> list[ScoredSetting]:
    """One experiment: the rows' scores of each setting's runs."""
    difficulty = random.normal(0, _HARDER, truth.rows)
    return [_setting(truth, random, difficulty, number) for number in range(len(truth.logits))]


def _setting(truth: Truth, random: np.random.Generator, difficulty: np.ndarray, number: int) -> ScoredSetting:
    trained = number >= truth.untrained
    own = truth.logits[number] + difficulty + random.normal(0, _BY_SETTING, truth.rows)
    runs = []
    for _ in range(truth.seeds[number] if trained else 1):
        shift = random.normal(0, truth.seed_sd / _SLOPE) if trained else 0.0
        logit = own + shift + (random.normal(0, _BY_SEED, truth.rows) if trained else 0.0)
        runs.append(tuple((random.random(truth.rows) < 1 / (1 + np.exp(-logit))).astype(float).tolist()))
    return ScoredSetting(tuple(runs), trained)


def true_share(logit: float, seed_sd: float, *, trained: bool = True) -> float:
    """The share of right answers of a setting, over all rows and seeds that there might be."""
    spread = _HARDER**2 + _BY_SETTING**2 + ((seed_sd / _SLOPE) ** 2 + _BY_SEED**2 if trained else 0.0)
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    shares = 1 / (1 + np.exp(-(logit + np.sqrt(spread) * points)))
    return float((weights * shares).sum() / weights.sum())
