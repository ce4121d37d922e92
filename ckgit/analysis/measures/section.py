"""The report's sections on measures of answers and on groups of rows, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ckgit.experiment.measured.measures import GroupedScores, GroupScore, Measure
from ckgit.experiment.results import CellResult, Results, place_of_checkpoint
from ckgit.formats.markdown import NOTHING, UNDEFINED, foreign, number, table, table_of_markdown, with_ends

RELIABILITY_PLOT = "reliability.svg"
_SHORT = 60  # characters of a label or a group
_MOST_CONFUSIONS = 6  # runs of a task whose confusion matrix stands in the report
_MOST_RUNS = 8  # of a table of groups
_TITLES = {"classes": "answers as classes", "numbers": "answers as numbers", "scores": "its scores"}


def measures_section(results: Results, pictures: Mapping[str, str] = MappingProxyType({})) -> str:
    """What ckgit computed of each task's answers; empty where there is nothing.

    Args:
        pictures: what each picture beside the report shows in words, by file name.
    """
    cells = [cell for run in results.runs for cell in run.cells if cell.measures]
    parts = [text for task in dict.fromkeys(cell.task for cell in cells) for text in _of_task([c for c in cells if c.task == task])]
    if not parts:
        return ""
    said = "Brackets: 95 % interval over rows. A number without them has none that is known to hold; results.json says why."
    drawn = [f"![{foreign(pictures[RELIABILITY_PLOT], 2000)}]({RELIABILITY_PLOT})"] if RELIABILITY_PLOT in pictures else []
    return "\n\n".join(["## Measures", said, *parts, *drawn])


def _of_task(cells: Sequence[CellResult]) -> Iterator[str]:
    kinds = dict.fromkeys(cell.measures.kind for cell in cells if cell.measures)
    yield f"### {foreign(cells[0].task)}: {' and '.join(_TITLES[kind] for kind in kinds)}"
    overall = [measure for cell in cells if cell.measures for measure in cell.measures.measures if measure.label is None]
    names = list(dict.fromkeys(measure.name for measure in overall))
    if names:
        yield table(["run", *names, "rows"], (_overall(cell, names) for cell in cells if cell.measures and cell.measures.measures))
    if classes := [line for cell in cells for line in _by_class(cell)]:
        yield table_of_markdown(["run", "class", "precision", "recall", "F1"], classes)
    tables = [text for cell in cells[-_MOST_CONFUSIONS:] for text in _confusion(cell)]
    yield from tables
    if left := sum(bool(cell.measures and cell.measures.confusion) for cell in cells) - len(tables):
        yield f"results.json has the confusion matrices of {left:,} more."
    if remarks := [f"- {_place(cell)}: {foreign(text)}" for cell in cells if cell.measures for text in cell.measures.remarks]:
        yield "\n".join(remarks)
    if notes := list(dict.fromkeys(f"- {measure.name}: {measure.note}" for measure in overall if measure.note)):
        yield "\n".join(notes)


def _place(found: CellResult | GroupedScores) -> str:
    place = place_of_checkpoint(found.epoch, found.checkpoint)
    return f"{found.run}, {place}" if place else found.run


def _shown(measure: Measure | None) -> str:
    if measure is None:
        return NOTHING
    return UNDEFINED if measure.value is None else with_ends(measure.value, measure.low, measure.high)


def _overall(cell: CellResult, names: Sequence[str]) -> list[str]:
    found = {measure.name: measure for measure in (cell.measures.measures if cell.measures else ()) if measure.label is None}
    rows = max((measure.rows for measure in found.values()), default=0)
    return [_place(cell), *(_shown(found.get(name)) for name in names), f"{rows:,}"]


def _by_class(cell: CellResult) -> Iterator[list[str]]:
    found = [measure for measure in (cell.measures.measures if cell.measures else ()) if measure.label is not None]
    for label in dict.fromkeys(measure.label for measure in found):
        of_label = {measure.name: measure for measure in found if measure.label == label}
        yield [foreign(_place(cell)), foreign(label or "", _SHORT), *(_shown(of_label.get(name)) for name in ("precision", "recall", "F1"))]


def _confusion(cell: CellResult) -> Iterator[str]:
    found = cell.measures.confusion if cell.measures else None
    if found:
        labels = [foreign(label, _SHORT) for label in found.labels]
        lines = [[label, *map(str, counts)] for label, counts in zip(labels, found.counts, strict=True) if sum(counts)]
        yield f"{foreign(_place(cell))}, targets down, answers across:\n\n" + table_of_markdown(["target", *labels, "no label"], lines)


def groups_section(found: Sequence[GroupedScores]) -> str:
    """Scores by groups of rows; empty where there are none."""
    if not found:
        return ""
    said = (
        "Exploratory: no claim of the design is about these. Brackets: 95 % interval over rows of one group; that of a gap allows for all "
        "gaps that were looked at (Bonferroni). A gap says that rows of two groups are answered differently well, not why."
    )
    parts = ["## Groups of rows", said]
    for task in dict.fromkeys(each.task for each in found):
        parts.append(f"### {foreign(task)}: groups")
        of_task = [each for each in found if each.task == task]
        for column in dict.fromkeys(each.column for each in of_task):
            parts += _grouped([each for each in of_task if each.column == column])
    return "\n\n".join(parts)


def _grouped(found: Sequence[GroupedScores]) -> Iterator[str]:
    """A table of one column: a line for each group, a column for each run."""
    shown = found[:_MOST_RUNS]
    column, metric = foreign(found[0].column, _SHORT), foreign(found[0].metric)
    yield f"**{metric} by {column}**"
    values = sorted({group.value for each in shown for group in each.groups})
    by_run = [{group.value: group for group in each.groups} for each in shown]
    header = [column, "rows", *(foreign(_place(each)) for each in shown)]
    if values:
        yield table_of_markdown(header, ([foreign(value, _SHORT), *_group_row([of.get(value) for of in by_run])] for value in values))
    gaps = [f"- {foreign(_place(each))}: {text}" for each in shown if (text := _gap(each))]
    left = [f"- {foreign(_place(each))}: {each.left_out:,} rows are in no group that is shown" for each in shown if each.left_out]
    more = [f"- results.json has {len(found) - len(shown):,} more runs"] if len(found) > len(shown) else []
    if lines := [*gaps, *left, *more]:
        yield "\n".join(lines)


def _group_row(groups: Sequence[GroupScore | None]) -> Iterator[str]:
    counts = sorted({group.rows for group in groups if group})
    yield f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    yield from (with_ends(group.score, group.low, group.high) if group else NOTHING for group in groups)


def _gap(found: GroupedScores) -> str:
    gap = found.gap
    if gap is None:
        return ""
    what = f"largest gap {foreign(gap.first, _SHORT)} less {foreign(gap.second, _SHORT)} {with_ends(gap.difference, gap.low, gap.high)}"
    looked = f"one of {gap.looked_at:,} that were looked at" if gap.looked_at > 1 else "the only one"
    if gap.low is None:
        return f"{what}, {looked}; no interval is known to hold"
    return f"{what}, {looked}; {'more than chance would give' if gap.low > 0 else 'chance alone may give it'}"


def left_out_section(results: Results) -> str:
    """That the table of answers is not committed, where it was too large."""
    if results.samples_left_out is None:
        return ""
    sizes = f"{results.samples_left_out:,} bytes, and `max_log_bytes` of ckgit.toml is {number(results.max_bytes)}"
    return f"`samples.parquet`, every answer, is not committed: it would have {sizes}."
