"""Comparisons that nobody claimed, corrected for how many they are; and whether what is compared had the same chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.analysis.sections.claims import ABOUT
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.measured.compared import PairComparison, UnequalTrait
from ckgit.experiment.results import Results
from ckgit.formats.listing import in_words, plural
from ckgit.formats.markdown import NOTHING, foreign, table, with_ends

MOST_ROWS = 60  # of one task's table
_ERROR = 0.05
_NAMED = 5  # runs beside a value
_LEAST = 0.001  # a smaller p-value is not written out


def comparisons_section(results: Results) -> str:
    """The section; empty where nothing is compared."""
    if not results.comparisons and not results.not_compared:
        return ""
    text = (
        "Exploratory: nobody claimed these before the results. Each difference is paired by row, and corrected for all comparisons of its "
        "task: the intervals hold together in 95 %, and p is Holm's. What may well be chance is called within noise, which does not mean "
        "that there is no difference."
    )
    parts = ["## Comparisons", text]
    for task in dict.fromkeys(each.task for each in results.comparisons):
        parts += _of_task([each for each in results.comparisons if each.task == task])
    return "\n\n".join([*parts, *([_list(results.not_compared)] if results.not_compared else [])])


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {foreign(line)}" for line in lines)


def _of_task(pairs: Sequence[PairComparison]) -> Iterator[str]:
    first = pairs[0]
    yield f"### {foreign(first.task)}: {foreign(first.metric)} ({foreign(first.scorer)})"
    about = {each.quantity for each in pairs if each.quantity}
    said = " / ".join(ABOUT[each] for each in Quantity if each in about)
    yield f"{plural(len(pairs), 'comparison')}; what they are about: {said or 'nothing that has an interval'}."
    ordered = sorted(pairs, key=lambda each: 1.0 if each.adjusted is None else each.adjusted) if len(pairs) > MOST_ROWS else pairs
    level = f"{100 * first.level:.4g} %"
    yield table(("left", "right", f"left minus right [{level}]", "p (Holm)", "rows", "runs", "in words"), map(_row, ordered[:MOST_ROWS]))
    if len(pairs) > MOST_ROWS:
        yield f"{plural(len(pairs) - MOST_ROWS, 'further comparison')} with larger p are left out here; `results.json` has them all."


def _row(pair: PairComparison) -> list[str]:
    shown = NOTHING if pair.difference is None else with_ends(pair.difference, pair.low, pair.high)
    seeds = " + ".join(map(str, pair.seeds)) if pair.seeds else NOTHING
    rows = NOTHING if pair.rows is None else f"{pair.rows:,}"
    return [pair.left, pair.right, shown, p_text(pair.adjusted), rows, seeds, words(pair)]


def p_text(value: float | None) -> str:
    """A p-value as a table shows it."""
    return NOTHING if value is None else f"< {_LEAST}" if value < _LEAST else f"{value:.3f}"


def words(pair: PairComparison) -> str:
    """What a comparison says: which is higher, or that it may well be chance."""
    if pair.why_not:
        return f"not compared: {pair.why_not}"
    if pair.low is None or pair.high is None or pair.difference is None:
        return "no interval is known"
    apart = not pair.low <= 0 <= pair.high
    if pair.adjusted is None:
        found = apart
    elif (found := pair.adjusted < _ERROR) and not apart:
        return f"{_higher(pair)}, barely: the interval, which is wider than Holm's test, includes 0"
    if apart and not found:
        return "within noise by Holm's test, barely: the interval leaves out 0"
    return _higher(pair) if found else "within noise"


def _higher(pair: PairComparison) -> str:
    return f"{pair.left if (pair.difference or 0) > 0 else pair.right} is higher"


def named_by_hypothesis(results: Results) -> list[PairComparison]:
    """The comparisons whose both sides the hypothesis names, by run, setting or a varied value; of one with claims, none."""
    if results.claims or not results.hypothesis:
        return []
    names = {setting.setting: _names(results, setting.setting) for setting in results.settings}
    names |= {run.name: {run.name} for run in results.runs}
    text = results.hypothesis.casefold()
    told = {name for name, known in names.items() if any(_stands_in(each.casefold(), text) for each in known)}
    told |= {run.name for run in results.runs if run.setting in told}
    return [pair for pair in results.comparisons if {pair.left, pair.right} <= told]


def _names(results: Results, setting: str) -> set[str]:
    varied = next((each.varied for each in results.settings if each.setting == setting), {})
    values = {text for name, value in varied.items() for text in (f"{name} {value}", f"{name.rpartition('_')[2]} {value}")}
    return {setting, *values, *(run.name for run in results.runs if run.setting == setting)}


def _stands_in(name: str, text: str) -> bool:
    """Whether a text names it as a word."""
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(name) : at + len(name) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(name, at + 1)
    return False


def fairness_section(results: Results) -> str:
    """Whether what is compared had the same chance; empty where nothing was looked at."""
    if not results.fairness_of:
        return ""
    looked = f"Looked at: {foreign(in_words(results.fairness_of, 30), 1000)}."
    asked = "Generation settings belong to a task, so they are the same for all runs of it."
    if not results.fairness:
        return f"## Fair?\n\nNothing was found in which compared runs differ, beside what the design varies. {looked} {asked}"
    differing = [each for each in results.fairness if each.known]
    unknown = [each for each in results.fairness if not each.known]
    parts = ["## Fair?"]
    if differing:
        lines = "\n".join(f"- **{foreign(each.trait)}** differs ({foreign(each.compared)}): {_values(each)}" for each in differing)
        parts.append(f"A difference between these runs may also come from what the design does not vary:\n\n{lines}")
    if unknown:
        lines = "\n".join(f"- {foreign(each.trait)} ({foreign(each.compared)}): {_values(each)}" for each in unknown)
        parts.append(f"Not known to be equal:\n\n{lines}")
    return "\n\n".join([*parts, f"{looked} {asked}"])


def _values(unequal: UnequalTrait) -> str:
    return "; ".join(f"{foreign(value)}: {foreign(in_words(runs, _NAMED))}" for value, runs in unequal.values.items())
