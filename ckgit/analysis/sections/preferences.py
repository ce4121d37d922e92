"""Runs that were trained on preferences: what rewards their training came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ckgit.analysis.sections.scores import IN_RESULTS
from ckgit.analysis.sections.training import MOST_ROWS
from ckgit.experiment.results import ACCURACIES, CHOSEN, MARGINS, REJECTED, LossPoint, RunRow, TrainingResult
from ckgit.formats.listing import plural
from ckgit.formats.markdown import NOTHING, foreign, number, table

MARGINS_PLOT = "margins.svg"
_NOTE = """\
The reward of an answer is beta times the logarithm of how much more probable it has become than it was to the model before training;
the margin is that of the chosen answer less that of the rejected one, and “above 0” the share of pairs in which it is positive. Of the
training: means over the last twentieth of its logged steps, each measured on that step's pairs before it was taken. Held-out: the
last measurement, a mean of batches. Margins of runs with different beta are in different units."""


def preferences_section(runs: Sequence[RunRow], pictures: Mapping[str, str]) -> str:
    """The section; empty where no run was trained on preferences.

    Args:
        pictures: what each picture shows in words, by file name.
    """
    found = [(run.name, run.training) for run in runs if run.training and any(MARGINS in point.metrics for point in run.training.losses)]
    if not found:
        return ""
    validated = any(training.validation for _, training in found)
    ends = ["held-out margin", "held-out above 0"] if validated else []
    header = ["run", "chosen", "rejected", "margin", "above 0", *ends]
    parts = ["## Preferences", table(header, [_row(name, training, validated=validated) for name, training in found[:MOST_ROWS]])]
    parts += [f"{plural(len(found) - MOST_ROWS, 'further run')} are left out here; {IN_RESULTS}."] if len(found) > MOST_ROWS else []
    parts += [f"![{foreign(pictures[MARGINS_PLOT], 2000)}]({MARGINS_PLOT})"] if MARGINS_PLOT in pictures else []
    return "\n\n".join([*parts, _NOTE])


def _row(name: str, training: TrainingResult, *, validated: bool) -> list[str]:
    last = training.losses[-max(1, len(training.losses) // 20) :]
    held_out = training.validation[-1:]
    ends = [_mean(held_out, MARGINS), _share(held_out)] if validated else []
    return [name, *(_mean(last, metric) for metric in (CHOSEN, REJECTED, MARGINS)), _share(last), *ends]


def _mean(points: Sequence[LossPoint], metric: str) -> str:
    found = [point.metrics[metric] for point in points if metric in point.metrics]
    return number(math.fsum(found) / len(found)) if found else NOTHING


def _share(points: Sequence[LossPoint]) -> str:
    found = [point.metrics[ACCURACIES] for point in points if ACCURACIES in point.metrics]
    return f"{math.fsum(found) / len(found):.0%}" if found else NOTHING
