"""The lines that are drawn anew while jobs run. With rich, so this is imported only where jobs are followed on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ckgit.cli.output.progress import JobCells, cells, headline
from ckgit.experiment.outputs.events import JobProgress, OverallProgress

_GAP = 2  # columns between two cells
_NAME, _BAR, _WIDEST_BAR = 16, 8, 24  # columns: least for a name and for a bar, and most for a bar
_STYLES = JobCells(job="", step="", loss="", rate="dim", left="cyan")

_USUAL = {"loss": 13, "rate": 7, "left": 10}  # columns that these take mostly, so that bars keep their length


class Screen:
    """Renders for the terminal that standard error is. rich heeds NO_COLOR."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)

    def styled(self, text: str, style: str) -> str:
        """A line with the terminal's codes for a style."""
        with self._console.capture() as capture:
            self._console.print(Text(text, style=style), soft_wrap=True, end="")
        return capture.get()

    def drawn(self, experiments: Mapping[str, OverallProgress], *, named: bool = False) -> list[str]:
        """The lines of one experiment, or of several, each with its name; as many as fit."""
        width, height = self._width, self._console.height - 2
        lines: list[str] = []
        for name, found in experiments.items():
            head = Text(f"{name}: {headline(found)}" if named else headline(found), style="bold")
            head.truncate(width, overflow="ellipsis")
            lines += [self._rendered(head), *self._rendered(_table(found.jobs, width)).splitlines()]
        hidden = len(lines) - max(height, 1)
        return [*lines[: max(height - 1, 1)], f"and {hidden + 1} more lines"] if hidden > 0 else lines

    @property
    def _width(self) -> int:
        return self._console.width - 1  # the last column is for the cursor

    def _rendered(self, what: Text | Table) -> str:
        with self._console.capture() as capture:
            self._console.print(what, end="", no_wrap=True, overflow="ellipsis", width=self._width)
        return capture.get()


def _table(jobs: Sequence[JobProgress], width: int) -> Table:
    """A line for each job. Where it is narrow, the bar goes first, then the rate, then the loss; the name is cut last."""
    rows = [cells(job) for job in jobs]
    widths = dict(zip(JobCells._fields, (max(map(cell_len, column), default=0) for column in zip(*rows, strict=True)), strict=False))
    shown = [name for name in ("step", "loss", "rate", "left") if widths.get(name)]
    widths |= {name: max(widths[name], _USUAL.get(name, 0)) for name in shown}
    for name in ("rate", "loss"):
        if _room(width, widths, shown) < min(_NAME, widths.get("job", 0)) and name in shown:
            shown.remove(name)
    room = max(_room(width, widths, shown), 1)
    named = min(widths.get("job", 0), room if room - _GAP - _BAR < _NAME else max(_NAME, room - _GAP - _BAR))
    bar = min(room - _GAP - named, _WIDEST_BAR)
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for _ in range(1 + (bar >= _BAR) + len(shown)):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for job, row in zip(jobs, rows, strict=True):
        parts = [Text(getattr(row, name), style=getattr(_STYLES, name)) for name in shown]
        table.add_row(_cut(row.job, named), *([_bar(job, bar)] if bar >= _BAR else []), *parts)
    return table


def _room(width: int, widths: Mapping[str, int], shown: Sequence[str]) -> int:
    """Columns for the name and the bar."""
    return width - sum(widths[name] + _GAP for name in shown)


def _cut(name: str, width: int) -> Text:
    """A name as a cell of so many columns. Both its ends tell it from others, so the middle goes."""
    if cell_len(name) <= width:
        return Text(set_cell_size(name, width))
    head, tail = (width - 1) // 2, width // 2
    return Text(set_cell_size(f"{name[:head]}…{name[len(name) - tail :]}", width))


def _bar(job: JobProgress, width: int) -> ProgressBar | Text:
    if not job.steps:
        return Text(" " * width)
    return ProgressBar(total=job.steps, completed=job.step or 0, width=width, complete_style="green", finished_style="green")
