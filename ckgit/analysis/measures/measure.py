"""What the answers of a cell come to, by what kind they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

from ckgit.analysis.measures.answered import ClassAnswers, answered_once, as_classes, as_numbers
from ckgit.analysis.measures.calibration import calibration_measures, reliability, with_probabilities
from ckgit.analysis.measures.classes import class_measures, confusion, share_of_rows
from ckgit.analysis.measures.numbers import number_measures
from ckgit.analysis.scores import clusters_of
from ckgit.analysis.statistics.intervals import wilson
from ckgit.experiment.measured.measures import CellMeasures, Measure
from ckgit.experiment.results import CellResult, Metric

CEILING, FLOOR = 0.98, 0.02
DEPENDENT = "rows belong together, or were answered several times: intervals allow for that (CR2)"


def measured(cell: CellResult, *, clusters: str | None = None) -> CellMeasures | None:
    """The measures of a cell; None where there are none, and nothing to remark.

    Args:
        clusters: the metadata column whose rows belong together.
    """
    belongs = _belongs(cell, clusters)
    together = [DEPENDENT] if belongs else []
    remarks = [*_bounds(cell.metrics)]
    if numbers := as_numbers(cell, belongs):
        found = list(number_measures(numbers, clustered=bool(belongs)))
        return CellMeasures(kind="numbers", measures=tuple(found), remarks=(*remarks, *_no_better(found), *together))
    if classes := as_classes(cell, belongs):
        table, told = confusion(classes), with_probabilities(classes)
        found = list(class_measures(table, classes.rows if belongs else ()))
        found += calibration_measures(told, clustered=bool(belongs)) if told else []
        remarks += [*_chance(classes, clustered=bool(belongs)), *_untold(classes, len(told)), *together]
        return CellMeasures(kind="classes", measures=tuple(found), confusion=table, reliability=reliability(told), remarks=tuple(remarks))
    return CellMeasures(kind="scores", remarks=tuple(remarks)) if remarks else None


def _belongs(cell: CellResult, clusters: str | None) -> Mapping[object, Hashable]:
    """By id what each row belongs to; answers to the same row belong together, too. Empty where each answer counts for itself."""
    if clusters:
        return clusters_of(cell, clusters)
    return {} if answered_once(cell) else {sample.id: sample.id for sample in cell.samples}


def _bounds(metrics: Sequence[Metric]) -> Iterator[str]:
    """Accuracies at their ends: where every model is, no comparison shows anything."""
    for metric in metrics:
        if metric.name == "accuracy" and metric.value is not None:
            if metric.value >= CEILING:
                yield f"{metric.scorer} accuracy {metric.value:.3g} is at its ceiling: a better model could hardly show it"
            elif metric.value <= FLOOR:
                yield f"{metric.scorer} accuracy {metric.value:.3g} is at its floor: a worse model could hardly show it"


def _chance(classes: ClassAnswers, *, clustered: bool) -> Iterator[str]:
    """Whether the share right is told from that of whoever always answers the commonest label."""
    label, most = Counter(row.target for row in classes.rows).most_common(1)[0]
    rows, right = len(classes.rows), sum(row.given == row.target for row in classes.rows)
    ends = share_of_rows(classes.rows) if clustered else wilson(right, rows)
    if (ends.low if ends else 0.0) <= most / rows < 1:
        yield f"its share right, {right / rows:.3f}, is not above that of always answering {label} ({most / rows:.3f}) beyond chance"


def _untold(classes: ClassAnswers, told: int) -> Iterator[str]:
    if 0 < told < len(classes.rows):
        yield f"calibration is of the {told:,} of {len(classes.rows):,} rows whose probabilities the log holds"


def _no_better(found: Sequence[Measure]) -> Iterator[str]:
    explained = next(each for each in found if each.name == "R²")
    if explained.value is not None and explained.value <= 0:
        yield "its errors are as large as those of always answering the targets' mean"
