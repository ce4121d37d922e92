"""Computes the metrics of a log again from its samples. Nothing of the task's own is executed: the log is data, whoever wrote it.

Each metric of inspect's own is computed by inspect, with the reducers that the log names; a plain mean and its standard error also by a
sum of ours. A metric that comes from elsewhere would have to be imported: it is named as one that was not computed again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from ckgit.experiment.worker import Audit
from ckgit.formats.listing import in_words
from ckgit.workers.inspect_ai.logs.sums import OWN, sums

_DRAWN = ("bootstrap_stderr",)  # computed from random draws: no second time is like the first
# What makes reducers in a task file. The log has their names alone, and not what they were given.
_REDUCERS = {"score_reducer", "mean_score", "median_score", "mode_score", "max_score", "at_least", "pass_at", "pass_k"}
_CLOSE = 1e-9  # relative: other versions of numpy add up in another order
_NAMED = 5
_WHY = "is not one of inspect's: it is not computed again"


class Number(NamedTuple):
    """One number of a log."""

    scorer: str
    score: str  # the scorer's name, or the key of one of its values
    reducer: str | None
    group: str  # of a metric that gives several numbers; otherwise its name
    name: str
    value: float

    @property
    def short(self) -> str:
        """The metric's name without the package that it comes from."""
        return self.group.rpartition("/")[2]

    @property
    def place(self) -> str:
        """What it is called in a sentence."""
        scorer = self.scorer if self.scorer == self.score else f"{self.scorer}.{self.score}"
        name = self.name if self.group == self.name else f"{self.group} {self.name}"
        return f"{scorer} {name}" + (f" ({self.reducer})" if self.reducer else "")


def recomputed(header: Any, samples: Sequence[Any], called: frozenset[str]) -> Audit:
    """What of a log does not follow from its samples.

    Args:
        header: the log without its samples, as inspect reads it; with its reductions.
        samples: all of them, by epoch and in order.
        called: names of what the task's file calls.
    """
    kept, unchecked = _computable(header)
    differences = [*_miscounted(header, samples), *_edited(samples)]
    reducers = header.eval.config.epochs_reducer or []
    if reducers and (called & _REDUCERS or not all(map(_is_known, reducers))):
        why = "its reducers are of the task's own, or were given what a log does not hold: its metrics are not computed again"
        return Audit(differences, [why])
    scores: list[Any] = []
    reductions: list[Any] = []
    for scorer in kept:
        try:
            again = _by_inspect(header, samples, scorer)
        except Exception as error:  # noqa: BLE001 - whatever a metric makes of values that no scorer gave
            differences.append(f"the metrics of {scorer.name} cannot be computed again: {_line(error)}")
            unchecked[scorer.name, ""] = ""
            continue
        scores += again.results.scores
        reductions += again.reductions or []
    found = [*_metrics(header, scores, sums(header, samples, kept), unchecked), *_reductions(header, reductions)]
    differences += [f"{each}{_by_another(header)}" for each in found]
    return Audit(differences, _told(unchecked))


def _told(unchecked: _Unchecked) -> list[str]:
    """Why what is not computed again, in one sentence for all metrics of a scorer of which the same is to be said."""
    found: dict[tuple[str, str], list[str]] = {}
    for (scorer, metric), why in unchecked.items():
        found.setdefault((scorer, why), []).append(metric)
    return [f"{scorer} {in_words(metrics)} {why}" if metrics != [""] else why for (scorer, why), metrics in found.items() if why]


def _is_known(reducer: str) -> bool:
    """Whether it is one of inspect's; the log has `at_least_2` for `at_least` of 2."""
    from inspect_ai._util.registry import registry_lookup

    return any(registry_lookup("score_reducer", f"{OWN}{name}") for name in (reducer, re.sub(r"_\d+$", "", reducer)))


def _by_another(header: Any) -> str:
    then, now = header.eval.packages.get("inspect_ai"), version("inspect_ai")
    return "" if then == now else f" (by inspect-ai {now}; the log is of {then})"


# What is computed again.


# by scorer and metric; of all of a scorer's, the metric is ""
_Unchecked = dict[tuple[str, str], str]


def _computable(header: Any) -> tuple[list[Any], _Unchecked]:
    """The scorers with those of their metrics that can be computed again; why others cannot."""
    from inspect_ai.scorer._scorer import unique_scorer_name

    kept: list[Any] = []
    without: _Unchecked = {}
    names: list[str] = []
    for scorer in header.eval.scorers or []:
        names.append(unique_scorer_name(scorer.name.rpartition("/")[2], names))
        found = _selected(scorer.metrics or [], names[-1], without)
        kept.append(scorer.model_copy(update={"name": names[-1], "metrics": found}))
    for score in header.results.scores:
        if score.scorer not in names:
            without[score.scorer, ""] = f"the log does not name the metrics of {score.scorer}: they are not computed again"
    return kept, without


def _selected(metrics: Any, scorer: str, without: _Unchecked) -> Any:
    if isinstance(metrics, Mapping):
        return {key: _selected(each, scorer, without) for key, each in metrics.items()}
    selected = []
    for metric in metrics:
        if isinstance(metric, Mapping):
            selected.append(_selected(metric, scorer, without))
        elif why := _why_not(metric):
            short = metric.name.removeprefix(OWN).rpartition("/")[2]
            without[scorer, short] = why
        else:
            selected.append(metric)
    return selected


def _why_not(metric: Any) -> str:
    """Why a metric cannot be computed again; empty where it can."""
    from inspect_ai._util.registry import registry_lookup

    options = metric.options or {}
    if not metric.name.startswith(OWN) or registry_lookup("metric", metric.name) is None:
        return _WHY
    if metric.name.removeprefix(OWN) in _DRAWN or options.get("method") == "bootstrap":
        return "is made of random draws: it is not computed again"
    if "to_float" in options or any(isinstance(value, Mapping | list) for value in options.values()):
        return "was given what a log does not hold: it is not computed again"
    return ""


def _by_inspect(header: Any, samples: Sequence[Any], scorer: Any) -> Any:
    """The same log with one scorer, whose metrics and reductions inspect computes now. Told of no task file, it imports none."""
    from inspect_ai.log import EvalLog, recompute_metrics

    # of a scorer that is not listed, inspect would look for the metrics in a file of its name
    alone = [sample.model_copy(update={"scores": {scorer.name: found}}) for sample in samples if (found := _score(sample, scorer.name))]
    spec = header.eval.model_copy(update={"task_file": None, "metrics": None, "headline_metric": None, "scorers": [scorer]})
    again = EvalLog.model_construct(**{**dict(header), "eval": spec, "samples": alone, "reductions": None})
    with _quiet():
        recompute_metrics(again)
    return again


def _score(sample: Any, scorer: str) -> Any:
    return (sample.scores or {}).get(scorer)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without inspect's warnings: there is one for each value that is no number, with that value."""
    logger = logging.getLogger("inspect_ai")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


# What is compared.


def _miscounted(header: Any, samples: Sequence[Any]) -> Iterator[str]:
    results, epochs = header.results, header.eval.config.epochs or 1
    without_error = sum(sample.error is None for sample in samples)
    if results.total_samples != len(samples):
        yield f"it says that there are {results.total_samples} samples, and has {len(samples)}"
    if results.completed_samples != without_error:
        yield f"it says that {results.completed_samples} samples were completed; {without_error} of those in it were"
    asked = Counter((str(sample.id), sample.epoch) for sample in samples)
    if twice := [f"{id_} (epoch {epoch})" for (id_, epoch), times in asked.items() if times > 1]:
        yield f"it has several samples of one id: {in_words(twice, _NAMED)}"
    ids = dict.fromkeys(str(sample.id) for sample in samples)
    planned = {(id_, epoch) for id_ in ids for epoch in range(1, epochs + 1)}
    if planned != asked.keys():
        yield f"not each of its sample ids was asked {epochs} times"


def _edited(samples: Sequence[Any]) -> Iterator[str]:
    for sample in samples:
        for scorer, score in (sample.scores or {}).items():
            if score.history:
                yield f"the score that {scorer} gave sample {sample.id} was edited afterwards"


def _metrics(header: Any, scores: Sequence[Any], by_sum: Mapping[Any, float], unchecked: _Unchecked) -> Iterator[str]:
    recorded, computed = _numbers(header.results.scores), _numbers(scores)
    for key in dict.fromkeys([*recorded, *computed]):
        found, again = recorded.get(key), computed.get(key)
        metric = found or again
        if metric is None or unchecked.keys() & {(metric.scorer, ""), (metric.scorer, metric.short)}:
            continue
        if found is None:
            if not math.isnan(metric.value):
                yield f"{metric.place} is not in the log; computed from its samples, it is {metric.value:.10g}"
        elif again is None:
            yield f"{metric.place} is not among the metrics that the log names for its scorer"
        elif not _same(found.value, again.value):
            yield f"{metric.place} is {found.value:.10g} in the log; computed again from its samples, it is {again.value:.10g}"
        elif not _same(found.value, sum_ := by_sum.get((metric.scorer, metric.score, metric.name), found.value)):
            yield f"{metric.place} is {found.value:.10g} in the log; the sum over its samples gives {sum_:.10g}"
    yield from _scored(header.results.scores, scores)


def _scored(recorded: Sequence[Any], computed: Sequence[Any]) -> Iterator[str]:
    counts = {(score.scorer, score.name, _reducer(score.reducer)): score.scored_samples for score in computed}
    for score in recorded:
        now = counts.get((score.scorer, score.name, _reducer(score.reducer)))
        if None not in (now, score.scored_samples) and now != score.scored_samples:
            yield f"{score.name} says that {score.scored_samples} samples have a score; {now} have"


def _reductions(header: Any, reductions: Sequence[Any]) -> Iterator[str]:
    computed = {(each.scorer, _reducer(each.reducer)): each for each in reductions}
    for each in header.reductions or []:
        now = computed.get((each.scorer, _reducer(each.reducer)))
        if now is not None and not _same(_by_id(each), _by_id(now)):
            yield f"what the log says of each sample id by {each.scorer} is not what its samples say"


def _by_id(reductions: Any) -> dict[str, Any]:
    return {str(each.sample_id): each.value for each in reductions.samples}


def _numbers(scores: Sequence[Any]) -> dict[tuple[Any, ...], Number]:
    """Each number, by all that tells it from others; of several alike, also by their order."""
    found: dict[tuple[Any, ...], Number] = {}
    alike: Counter[tuple[Any, ...]] = Counter()
    for score in scores:
        for metric in score.metrics.values():
            number = Number(score.scorer, score.name, score.reducer, metric.group or metric.name, metric.name, metric.value)
            key = (*number[:2], _reducer(number.reducer), *number[3:5])
            found[*key, alike[key]] = number
            alike[key] += 1
    return found


def _reducer(name: str | None) -> str:
    return name or "mean"  # inspect's own, which it names where there are others


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-12)
    return bool(one == other)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return json.dumps(lines[0][:200]) if lines else type(error).__name__
