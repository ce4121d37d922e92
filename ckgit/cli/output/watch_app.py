"""What `ckgit watch` shows: experiments, the jobs of the one that is marked, and what has happened since. On the library `textual`."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, RichLog, Static
from textual.worker import get_current_worker

from ckgit.cli.output.progress import cells, headline
from ckgit.cli.output.tables import printable
from ckgit.experiment.classify import counted
from ckgit.formats.listing import plural
from ckgit.formats.times import local
from ckgit.orchestrators.dashboard.news import news
from ckgit.orchestrators.dashboard.now import UNREADABLE, ExperimentNow, LabNow, Unread

_BAR = 10  # characters of a bar
_MOST_JOBS = 200  # lines of one experiment
Read = Callable[[LabNow | None], LabNow]  # given what is known: what is there now, the same where nothing has changed


def plain(words: str, style: str = "") -> Text:
    """Text of others' without markup or anything that steers a terminal."""
    return Text(printable(words), style=style, no_wrap=True, overflow="ellipsis")


class ExperimentTable(DataTable[Text]):  # type: ignore[misc] # textual need not be installed where types are checked
    """Every experiment, a row each."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Open")]


class ExperimentScreen(Screen[None]):  # type: ignore[misc]
    """One experiment: all that `ckgit status` says of it, always as it is now."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,backspace,left", "app.pop_screen", "Back"), Binding("q", "app.quit", "Quit")]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.experiment = name

    def compose(self) -> ComposeResult:
        """What it is made of."""
        with VerticalScroll():
            yield Static(id="whole", markup=False)
        yield Footer()

    def show(self, found: ExperimentNow | None) -> None:
        """Draw it anew."""
        gone = Text(f"{printable(self.experiment)}: its branch is gone")
        self.query_one("#whole", Static).update(Text("\n").join(_whole(found)) if found else gone)


class WatchApp(App[None]):  # type: ignore[misc]
    """The lab. It reads in a thread of its own, so that keys are answered meanwhile."""

    CSS = """
    #title { height: 1; background: $panel; }
    #experiments { height: 2fr; overflow-x: hidden; }
    #jobs { height: 1fr; border-top: solid $panel; }
    #events { height: 1fr; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("r", "look", "Read now"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, read: Read, seconds: float, opened: str | None = None) -> None:
        """A lab that is read by a function.

        Args:
            seconds: between two looks.
            opened: experiment that is shown at once.
        """
        super().__init__()
        self._read, self._seconds, self._opened = read, seconds, opened
        self._now: LabNow | None = None

    @property
    def _lab(self) -> Screen[None]:
        """The screen of the lab, which may lie below an experiment's."""
        return self.screen_stack[0]

    def compose(self) -> ComposeResult:
        """What it is made of."""
        yield Static("reading the lab …", id="title", markup=False)
        yield ExperimentTable(id="experiments", cursor_type="row", zebra_stripes=True)
        with VerticalScroll(id="jobs", can_focus=False):
            yield Static(id="of-one", markup=False)
        yield RichLog(id="events", markup=False, wrap=True, max_lines=1000)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        table = self._lab.query_one(DataTable)
        for name, width in (("experiment", 18), ("state", 11), ("jobs", 28), ("note", None)):
            table.add_column(name, width=width, key=name)
        self._lab.query_one("#events").can_focus = False
        table.focus()
        self.set_interval(self._seconds, self.action_look)
        self.action_look()

    def action_look(self) -> None:
        """Read the lab, unless it is being read."""
        if not any(worker.name == "_look" and worker.is_running for worker in self.workers):
            self._look()

    @work(thread=True)  # type: ignore[untyped-decorator]
    def _look(self) -> None:
        try:
            found = self._read(self._now)
        except UNREADABLE as error:
            self.call_from_thread(self._say, f"the lab cannot be read now: {Unread.of(error).what}")
            return
        if found is not self._now and not get_current_worker().is_cancelled:
            self.call_from_thread(self.show, found)

    def _say(self, words: str) -> None:
        self._lab.query_one("#title", Static).update(plain(words))

    def show(self, now: LabNow) -> None:
        """Draw what was read, and tell what is new."""
        before, self._now = self._now, now
        running = sum(len(each.overview.progress.jobs) for each in now.out if each.overview and each.overview.progress)
        unread = sum(each.overview is None for each in now.experiments)
        parts = [f"lab {now.name}", plural(len(now.experiments), "experiment"), f"{plural(running, 'job')} running"]
        self._say(" · ".join([*parts, *([f"{unread} unreadable"] if unread else []), local(now.time)[11:16]]))
        self._fill(now)
        events = self._lab.query_one(RichLog)
        for line in news(before, now) if before else [problem.what for problem in now.problems]:
            events.write(Text(f"{datetime.datetime.now().astimezone():%H:%M:%S}  {printable(line)}"))
        self._draw_one()
        if self._opened:
            opened, self._opened = self._opened, None
            self.push_screen(ExperimentScreen(opened))
        self.call_after_refresh(self._draw_screen)

    def _fill(self, now: LabNow) -> None:
        """The table, without moving the mark."""
        table = self._lab.query_one(DataTable)
        rows = {each.name: _row(each) for each in sorted(now.experiments, key=_rank)}
        if [row.key.value for row in table.ordered_rows] == [*rows]:
            for name, row in rows.items():
                for column, cell in zip(("experiment", "state", "jobs", "note"), row, strict=True):
                    table.update_cell(name, column, cell)
            return
        marked = self.marked
        table.clear()
        for name, row in rows.items():
            table.add_row(*row, key=name)
        if marked in rows:
            table.move_cursor(row=[*rows].index(marked))

    @property
    def marked(self) -> str:
        """Name of the experiment that is marked; empty where there is none."""
        table = self._lab.query_one(DataTable)
        return str(table.ordered_rows[table.cursor_row].key.value) if 0 <= table.cursor_row < table.row_count else ""

    def _found(self, name: str) -> ExperimentNow | None:
        return next((each for each in self._now.experiments if each.name == name), None) if self._now else None

    def on_data_table_row_highlighted(self) -> None:
        """The mark has moved."""
        self._draw_one()

    def on_data_table_row_selected(self) -> None:
        """Enter was pressed."""
        self.push_screen(ExperimentScreen(self.marked))
        self.call_after_refresh(self._draw_screen)

    def _draw_one(self) -> None:
        found = self._found(self.marked)
        self._lab.query_one("#of-one", Static).update(Text("\n").join(_jobs(found)) if found else "")

    def _draw_screen(self) -> None:
        if isinstance(self.screen, ExperimentScreen):
            self.screen.show(self._found(self.screen.experiment))


def _rank(experiment: ExperimentNow) -> tuple[bool, bool, float]:
    """Those with jobs first, then those that are open, the newest first."""
    found = experiment.overview
    return not experiment.is_out, bool(found and found.closing), -experiment.row.date.timestamp()


def _row(experiment: ExperimentNow) -> list[Text]:
    found = experiment.overview
    if found is None:
        return [plain(experiment.name), plain("unreadable", "bold red"), plain(""), plain(experiment.problems[0].what)]
    state = "closed" if found.closing else str(found.state)
    jobs = headline(found.progress) if found.progress else counted(job.condition for job in found.jobs) if found.jobs else ""
    notes = [f"{len(found.failed)} failed" if found.failed and not found.closing else "", found.broken or "", experiment.row.note]
    return [plain(experiment.name), plain(state), plain(jobs, "bold" if experiment.is_out else ""), plain("; ".join(filter(None, notes)))]


def _jobs(experiment: ExperimentNow) -> list[Text]:
    """The marked experiment's running jobs, a line each; of one where nothing runs, what comes next."""
    found = experiment.overview
    if found is None:
        return [Text(printable(problem.what)) for problem in experiment.problems]
    running = [*_running(experiment)]
    failed = [plain(f"{each.condition}: {each.attempt.job}: {each.attempt.reason or 'no reason is known'}", "red") for each in found.failed]
    return [*running, *failed, plain(f"next: {found.next}")]


def _running(experiment: ExperimentNow) -> Iterator[Text]:
    progress = experiment.overview.progress if experiment.overview else None
    for job in progress.jobs if progress else ():
        told = cells(job)
        share = job.step / job.steps if job.step is not None and job.steps else 0.0
        full = round(_BAR * min(share, 1.0))
        bar = "█" * full + "░" * (_BAR - full)
        yield plain("  ".join(filter(None, [bar, told.job, told.step, told.loss, told.rate, told.left])))


def _whole(experiment: ExperimentNow) -> Sequence[Text]:
    found = experiment.overview
    lines = [Text(printable(f"{experiment.name}: {found.state if found else 'unreadable'}"), style="bold")]
    lines += [Text(printable(problem.what), style="red") for problem in experiment.problems]
    if found is None:
        return [*lines, *(Text(printable(f"next: {problem.next}")) for problem in experiment.problems if problem.next)]
    lines += [Text(printable(f"closed: {found.closing.because}"))] if found.closing else []
    lines += [Text(f"commit {found.commit[:12]} of {local(found.time)}{f', {found.event}' if found.event else ''}"), Text("")]
    lines += [Text(headline(found.progress))] if found.progress else []
    lines += [*_running(experiment)]
    told = [f"{job.condition}: {job.attempt.job}{f': {job.attempt.reason}' if job.attempt.reason else ''}" for job in found.jobs]
    lines += [Text(printable(line)) for line in told[:_MOST_JOBS]]
    lines += [Text(f"and {len(told) - _MOST_JOBS} more jobs")] if len(told) > _MOST_JOBS else []
    beside = [found.broken, found.problem, *found.ahead, *(f"not as ckgit wrote it: {edit}" for edit in found.edited)]
    lines += [Text(printable(line)) for line in beside if line]
    return [*lines, Text(""), Text(printable(f"next: {found.next}"))]
