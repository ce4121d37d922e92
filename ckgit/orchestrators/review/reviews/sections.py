"""A review as Markdown: the answer in a few lines, and sections that say why. Pure.

Text of others' is shown as it stands, and no markup comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckgit.analysis.accounting import ESTIMATE_HEADER, TOTALS_HEADER, estimate_rows, totals_rows
from ckgit.analysis.score_text import LEGEND, OF_CLAIMS, OVER_ROWS, difference, judged, rows, score, stated
from ckgit.experiment.claims.verdicts import Judgement
from ckgit.experiment.outputs.findings import Finding, Severity
from ckgit.experiment.outputs.review.reviewed import Budget, LikeExperiment, ReviewedExperiment, ReviewedRun, ReviewSubject
from ckgit.experiment.results import CellResult, place_of_checkpoint
from ckgit.formats.listing import first_of, plural
from ckgit.formats.markdown import NOTHING, foreign, number, size, table, table_of_markdown
from ckgit.formats.numbers import rough_duration
from ckgit.orchestrators.review.reviews.weaknesses import in_words, powers_in_words

_MOST = 40  # lines of a list or table
_FEW = 12  # that need no folding
_BARS = "▁▂▃▄▅▆▇█"
_POINTS = 30  # of a curve


class Section(NamedTuple):
    """A part of a review."""

    title: str
    text: str  # Markdown
    folded: bool = True


def title(found: ReviewedExperiment) -> str:
    """What a reader has to know first."""
    return f"{foreign(found.experiment)}: {_verdict(found)}"


def _verdict(found: ReviewedExperiment) -> str:
    if found.problems:
        return "the design cannot be read or run"
    if not found.holds:
        return "what is recorded does not follow from what is in git"
    if found.closed:
        return f"closed, {foreign(found.closed)}"
    if found.subject is ReviewSubject.RESULTS:
        return _claims(found) or "the results are there, and nothing was claimed"
    if found.subject is ReviewSubject.JOBS:
        return "its jobs were submitted, and there is no report yet"
    return "a design that needs an approval" if found.needs_approval else "a design; no job was submitted yet"


def _claims(found: ReviewedExperiment) -> str:
    counts = Counter(verdict.judgement for verdict in found.claims)
    told = [f"{counts[kind]} {kind}" for kind in Judgement if counts[kind]]
    return f"of {plural(len(found.claims), 'claim')}, {', '.join(told)}" if told else ""


def lead(found: ReviewedExperiment) -> list[str]:
    """At most four lines under the title, as Markdown."""
    lines = [f"**{foreign(found.question)}**"] if found.question else []
    lines += [f"{foreign(text)}" for text in first_of(found.problems, 1)]
    if found.subject is ReviewSubject.DESIGN and not found.problems:
        lines += [_expected(found), *_budget_lines(found)]
    elif not found.problems:
        lines += [*_answers(found), _taken(found)]
    return [*lines, _verified(found)]


def _expected(found: ReviewedExperiment) -> str:
    cells = sum(len(run.evaluations) for run in found.runs)
    what = f"{plural(len(found.runs), 'run')} and {plural(cells, 'evaluation')}"
    if not (cost := found.cost):
        return f"{what}; what they cost could not be estimated here."
    waits = f"; jobs here waited {rough_duration(cost.queue_seconds)} (median)" if cost.queue_seconds else ""
    time = f"{number(cost.gpu_hours)} GPU-hours, {rough_duration(cost.seconds)} one after the other"
    return f"{what}, expected to take {time}, {size(cost.disk_bytes)} of checkpoints{waits}.{_known(found)}"


def _known(found: ReviewedExperiment) -> str:
    """How many of its runs the lab has already, in whichever other experiment has the most."""
    most = max(found.duplicates, key=lambda each: len(each.same_runs), default=None)
    return f" **{len(most.same_runs)} of its runs are in {_other(most)} already.**" if most else ""


def _budget_lines(found: ReviewedExperiment) -> list[str]:
    if not found.budgets:
        return []
    exceeded = [budget for budget in found.budgets if budget.is_exceeded]
    if not exceeded:
        return [f"Within the budget: {'; '.join(map(_budget, found.budgets))}."]
    by = f"approved by {', '.join(map(foreign, found.approved_by))}" if found.approved_by else "**it takes an approver of the lab**"
    return [f"Over the budget, {by}: {'; '.join(map(_budget, exceeded))}."]


def _budget(budget: Budget) -> str:
    spent = f" beside {number(budget.spent)} that were used" if budget.spent else ""
    return f"{number(budget.expected)}{spent}, of {number(budget.limit)} GPU-hours for {foreign(budget.of)}"


def _answers(found: ReviewedExperiment) -> list[str]:
    told = [f"{foreign(stated(each.claim))}: **{each.judgement}**, {difference(each)}" for each in found.claims]
    return [f"{'; '.join(first_of(told, 2))}."] if told else []


def _taken(found: ReviewedExperiment) -> str:
    total = next((costs for costs in found.accounting.costs if costs.stage is None), None)
    hours = f"{number(total.gpu_hours.value)} GPU-hours in " if total and total.gpu_hours.value is not None else ""
    ended = len(found.accounting.attempts)
    text = f"It took {hours}{plural(ended, 'attempt')}" if ended else "No job of it has ended yet"
    ratio = next((each.ratio for each in found.accounting.estimate if each.stage is None and each.ratio), None)
    beside = f", {ratio:.2g} times the estimate" if ratio else ""
    return f"{text}{beside}; failed or missing: {len(found.failed)}." if found.failed else f"{text}{beside}."


def _verified(found: ReviewedExperiment) -> str:
    counts = Counter(str(each.severity) for each in found.findings)
    told = ", ".join(plural(counts[kind], kind) for kind in ("error", "warning", "note") if counts[kind])
    against = "" if counts["error"] or counts["warning"] else "nothing against it"
    said = f"Verified at `{found.commit[:12]}`: {', '.join(filter(None, [against, told]))}"
    looks = plural(len(found.remarks), "remark")
    return f"{said}. {looks}." if found.remarks else f"{said}."


def sections(found: ReviewedExperiment) -> Iterator[Section]:
    """Everything else; a section of which there is nothing to say is left out."""
    wanted = (*_wrong(found), *(_of_results(found) if found.subject is not ReviewSubject.DESIGN else _of_design(found)))
    listed = (section for section in wanted if section.text)
    yield from listed
    if found.unchecked:
        yield Section("Not looked at", _list(map(foreign, found.unchecked)), folded=False)


def _wrong(found: ReviewedExperiment) -> Iterator[Section]:
    yield Section("Problems", _list(map(foreign, found.problems)), folded=False)
    if found.findings:
        notes_alone = all(each.severity is Severity.NOTE for each in found.findings)
        yield Section("What verification found", _findings(found.findings), folded=notes_alone)
    yield Section("Worth a second look", _list(map(foreign, found.remarks)), folded=found.subject is not ReviewSubject.DESIGN)


def _of_design(found: ReviewedExperiment) -> Iterator[Section]:
    yield from (Section(f"Runs that {_other(each)} has already", _same(each), folded=False) for each in found.duplicates)
    yield Section("Runs", _runs(found.runs) if found.runs else "", folded=len(found.runs) > _FEW)
    yield Section("What its rows can show", _list(foreign(in_words(each)) for each in found.smallest))
    yield Section("What its claims can show, four times in five", _list(map(foreign, powers_in_words(found.powers))))
    if found.like:
        places = _list(map(foreign, found.like.differences)) or "It is the same design."
        yield Section(f"Beside {_other(found.like)}, which it is most like", places)
    yield Section("Where the estimate comes from", _list(map(foreign, found.cost.sources if found.cost else ())))


def _of_results(found: ReviewedExperiment) -> Iterator[Section]:
    if found.claims:
        yield Section("Claims", _table(["verdict", "claim", OF_CLAIMS, "why"], _claim_rows(found)), folded=False)
    if found.cells:
        yield Section("Scores", f"{_table(_SCORES, _score_rows(found.cells))}\n\n{LEGEND}")
    if found.losses:
        yield Section("Training loss", _table(["run", "first", "last", "from the first step to the last"], _curves(found)))
    if found.accounting.attempts:
        yield Section("What it took", _cost(found))
    yield Section("What failed", _list(map(foreign, found.failed)))


def _other(each: LikeExperiment) -> str:
    return f"{foreign(each.experiment)} ({foreign(each.standing)})"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in first_of(lines, _MOST))


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    known = list(lines)
    more = f"\n\nand {len(known) - _MOST:,} more" if len(known) > _MOST else ""
    return table_of_markdown(header, known[:_MOST]) + more


def _findings(findings: Sequence[Finding]) -> str:
    return _table(["", "rule", "where", "what", "what to do"], map(_finding, findings))


def _finding(each: Finding) -> list[str]:
    place = ":".join(filter(None, [each.path, str(each.line or "")]))
    where = " ".join(filter(None, [f"`{each.commit[:12]}`" if each.commit else "", foreign(place) if place else ""]))
    return [str(each.severity), f"`{each.rule}`", where or NOTHING, foreign(each.message), foreign(each.advice) if each.advice else NOTHING]


def _claim_rows(found: ReviewedExperiment) -> Iterator[list[str]]:
    for each in found.claims:
        yield [foreign(judged(each)), foreign(stated(each.claim)), difference(each), foreign(each.reason)]


_SCORES = ["task", "run", "checkpoint", "metric", f"value {OVER_ROWS}", "rows"]


def _score_rows(cells: Sequence[CellResult]) -> Iterator[list[str]]:
    for cell in cells:
        place = place_of_checkpoint(cell.epoch, cell.checkpoint) or NOTHING
        for each in cell.metrics:
            name = foreign(f"{each.scorer}/{each.name}")
            yield [foreign(cell.task), foreign(cell.run), place, name, score(cell, each), rows(cell, each)]


def _curves(found: ReviewedExperiment) -> Iterator[list[str]]:
    every = [loss for losses in found.losses.values() for loss in losses]
    for run, losses in found.losses.items():
        yield [foreign(run), number(losses[0]), number(losses[-1]), _curve(losses, min(every), max(every))]


def _curve(losses: Sequence[float], low: float, high: float) -> str:
    """A curve of bars, of which all runs have the same scale."""
    width = (len(losses) + _POINTS - 1) // _POINTS
    means = [sum(part) / len(part) for at in range(0, len(losses), width) if (part := losses[at : at + width])]
    return "".join(_BARS[round((mean - low) / ((high - low) or 1.0) * (len(_BARS) - 1))] for mean in means)


def _runs(listed: Sequence[ReviewedRun]) -> str:
    varied = list(dict.fromkeys(name for run in listed for name in run.varied))
    header = ["run", "type", *map(foreign, varied), "model", "data", "steps", "evaluations", "GPU-hours"]
    return _table(header, ([*_run(run, varied)] for run in listed))


def _run(run: ReviewedRun, varied: Sequence[str]) -> list[str]:
    values = [foreign(run.varied.get(name, NOTHING), 40) for name in varied]
    steps = f"{'about ' if run.steps_about else ''}{run.steps:,}" if run.steps is not None else NOTHING
    named = [foreign(run.run), run.type, *values, foreign(run.model), foreign(run.data)]
    return [*named, steps, str(len(run.evaluations)), number(run.gpu_hours)]


def _same(other: LikeExperiment) -> str:
    pairs = other.same_runs.items()
    return _list(f"{foreign(mine)} is its {foreign(theirs)}" if mine != theirs else foreign(mine) for mine, theirs in pairs)


def _cost(found: ReviewedExperiment) -> str:
    tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]] = (
        (TOTALS_HEADER, totals_rows(found.accounting)),
        (ESTIMATE_HEADER, estimate_rows(found.accounting)),
    )
    return "\n\n".join(table(header, lines) for header, lines in tables if lines)


