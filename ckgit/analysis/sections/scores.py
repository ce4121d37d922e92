"""Scores: by setting where several seeds were trained, and every metric of every evaluation, those that are missing too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckgit.analysis.comparing.same_rows import asked_again
from ckgit.analysis.score_text import LEGEND, rows, score
from ckgit.analysis.sections.claims import scores_text
from ckgit.analysis.statistics.design_effect import LEAST_CLUSTERS
from ckgit.experiment.claims.verdicts import Quantity
from ckgit.experiment.design.plan import Cell
from ckgit.experiment.measured.compared import RowClusters, SettingSummary
from ckgit.experiment.results import CellResult, Results, RunRow
from ckgit.experiment.worker import Context
from ckgit.formats.listing import in_words, plural
from ckgit.formats.markdown import NOTHING, foreign, number, table, with_ends
from ckgit.formats.numbers import duration

MOST_ROWS = 120  # of one task's table
_NAMED = 4  # runs that are left out
_MANY = 0.05  # share of rows that ask what others ask, from which on that is said
_CHANCE = {Quantity.SETTINGS: "rows and seeds", Quantity.ROWS: "seeds", Quantity.MODELS: "rows"}
IN_RESULTS = "`results.json` has them all"
_HEADER = ("run", "epoch", "scorer", "metric", "value [95 % over rows]", "rows", "duration")


class _Place(NamedTuple):
    """Which cell of a run."""

    run: str
    task: str
    epoch: int | None
    checkpoint: str | None


def scores_section(context: Context, results: Results, pictures: Mapping[str, str]) -> Iterator[str]:
    """Parts of the section; none where nothing was to be evaluated.

    Args:
        pictures: what each picture shows in words, by file name.
    """
    tasks = list(dict.fromkeys([cell.task.name for cell in context.plan.cells] + [c.task for run in results.runs for c in run.cells]))
    if not tasks:
        return
    shown = [f"![{foreign(pictures[name], 2000)}]({name})" for name in ("design.svg", "scores.svg") if name in pictures]
    yield "\n\n".join(["## Scores", *shown[:1]])
    for task in tasks:
        yield f"### {foreign(task)}\n\n{_of_task(task, context, results)}"
    yield LEGEND if any(run.cells for run in results.runs) else ""
    if shown[1:]:
        yield f"### Every metric\n\n{shown[1]}"


def _of_task(task: str, context: Context, results: Results) -> str:
    settings = [each for each in results.settings if each.task == task]
    parts = [_settings_table(settings)] if any(len(each.runs) + len(each.missing) + len(each.again) > 1 for each in settings) else []
    listed = list(_rows(task, context, results.runs))
    parts += [_together(each) for each in results.clustering if each.task == task]
    cells = [cell for run in results.runs for cell in run.cells if cell.task == task and not cell.clusters]
    parts += [text for cell in cells[:1] if (text := _asked_again(cell))]
    parts.append(table(_HEADER, listed[:MOST_ROWS]))
    if len(listed) > MOST_ROWS:
        parts.append(f"{plural(len(listed) - MOST_ROWS, 'further row')} of {task} are left out here; {IN_RESULTS}.")
    return "\n\n".join(parts)


def _asked_again(cell: CellResult) -> str:
    """What copies of rows tell no more than once."""
    again, rows_asked = asked_again(cell), len({sample.id for sample in cell.samples})
    if again <= _MANY * rows_asked:
        return ""
    said = f"{again:,} of {rows_asked:,} rows ask what another one asks, too, and intervals take each for one that stands alone"
    return f"{said}: they may be too narrow. A column by which such rows belong together is named as `clusters` of the task."


def _together(each: RowClusters) -> str:
    """How much less rows tell that belong together."""
    said = f"{each.rows:,} rows belong together by {foreign(each.column)}, in {plural(each.clusters, 'cluster')}"
    alike = f" (rows of a cluster are alike by an intraclass correlation of {number(each.icc)})" if each.icc is not None else ""
    told = f"of differences between settings they tell as much as {each.rows / max(each.effect, 1.0):,.0f} rows that each stand alone"
    few = f"; so few clusters hardly tell that: {LEAST_CLUSTERS} or more would" if each.clusters < LEAST_CLUSTERS else ""
    return f"{said}: {told}: design effect {number(each.effect)}{alike}{few}."


def _settings_table(settings: Sequence[SettingSummary]) -> str:
    """By setting, over its seeds."""
    named = f"{settings[0].metric} ({settings[0].scorer})"
    text = "Over all runs of each setting, with whose chance its interval has; seed SD is the standard deviation between its runs."
    listed = [_setting_row(each) for each in settings[:MOST_ROWS]]
    more = [f"{plural(len(settings) - MOST_ROWS, 'further setting')} are left out here; {IN_RESULTS}."] if len(settings) > MOST_ROWS else []
    header = ("setting", f"mean {named} [95 %]", "interval of", "seed SD", "scores of its runs", "missing, left out")
    return "\n\n".join([text, table(header, listed), *more])


def _setting_row(each: SettingSummary) -> list[str]:
    mean = NOTHING if each.mean is None else with_ends(each.mean, each.low, each.high)
    missing = [f"{len(each.missing)} of {len(each.missing) + len(each.runs)}"] if each.missing else []
    again = [f"{in_words(each.again, _NAMED)}: left out, as its seed is there already"] if each.again else []
    chance = _CHANCE[each.quantity] if each.quantity and each.low is not None else NOTHING
    return [each.setting, mean, chance, number(each.sd), scores_text(each.scores) or NOTHING, "; ".join([*missing, *again]) or NOTHING]


def _rows(task: str, context: Context, runs: Sequence[RunRow]) -> Iterator[list[str]]:
    """A row for each metric of each evaluation, run by run; one that was planned and is not there says why."""
    planned: dict[str, list[Cell]] = {}
    for cell in context.plan.cells:
        if cell.task.name == task:
            planned.setdefault(cell.run, []).append(cell)
    for run in runs:
        own = [cell for cell in run.cells if cell.task == task]
        there = {_Place(cell.run, task, cell.epoch, cell.checkpoint) for cell in own}
        for made in own:
            yield from _metric_rows(made)
        for wanted in planned.get(run.name, ()):
            if _Place(run.name, task, wanted.epoch, wanted.named) not in there:
                yield _missing_row(wanted, run)


def _missing_row(wanted: Cell, run: RunRow) -> list[str]:
    epoch = wanted.named or NOTHING if wanted.epoch is None else str(wanted.epoch)
    of_job = [text.removeprefix(f"{wanted.job}: ") for text in run.missing if text.startswith(f"{wanted.job}: ")]
    of_cell = [text.removeprefix(f"{wanted.name}: ") for text in of_job if text.startswith(f"{wanted.name}: ")]
    why = next(iter([*of_cell, *of_job]), "nothing is recorded of it")
    return [wanted.run, epoch, NOTHING, NOTHING, f"{NOTHING} missing: {why}", NOTHING, NOTHING]


def _metric_rows(cell: CellResult) -> list[list[str]]:
    epoch = (cell.checkpoint or NOTHING) if cell.epoch is None else str(cell.epoch)
    took = duration(cell.seconds)
    listed = [[cell.run, epoch, m.scorer, m.name, score(cell, m), rows(cell, m), took] for m in cell.metrics]
    return listed or [[cell.run, epoch, NOTHING, NOTHING, NOTHING, f"{len(cell.samples):,}", took]]
