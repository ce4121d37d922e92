"""Who hears what a command does: the terminal of the user, and a program that reads lines of JSON."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

from ckgit.cli.common import note, printable
from ckgit.cli.streams import draws, json_text, say
from ckgit.errors import CkgitError
from ckgit.experiment.events import (
    Committed,
    EngineEvent,
    Finished,
    JobEnded,
    JobProgress,
    JobStateChanged,
    Noted,
    Progressed,
    Refused,
    Waiting,
)
from ckgit.formats.listing import NAMED, in_words
from ckgit.formats.numbers import clock
from ckgit.formats.secret_patterns import masked
from ckgit.orchestrators.engine.results import AdvanceResult


class Terminal:
    """Speaks on standard error; on a terminal the lines of progress are drawn over those before."""

    def __init__(self, experiments: Sequence[str] = ()) -> None:
        """Of several experiments, each line is told with its name."""
        self._named = max(map(len, experiments)) if len(experiments) > 1 else 0
        self._running: dict[str, Progressed] = {}
        self._drawn = 0
        self.progress = draws(sys.stderr)

    def __call__(self, event: EngineEvent) -> None:
        """A line to keep, above the progress; or the progress, anew."""
        if isinstance(event, Progressed):
            self._running[event.experiment] = event
            self._draw()
        else:
            lines = list(lines_of(event))
            if lines:
                self._clear()
            for line in lines:
                self._say(f"{event.experiment}: {line}" if self._named else line)

    def _say(self, text: str) -> None:
        note(printable(masked(text, os.environ)))

    def _draw(self) -> None:
        if not self.progress:  # without a terminal there is nothing to draw on
            return
        self._clear()
        columns, rows = shutil.get_terminal_size()
        lines = [
            f"{name:<{self._named}}  {line}" if self._named else line
            for name, found in sorted(self._running.items())
            for line in progress_lines(found)
        ]
        shown = [printable(masked(line, os.environ))[: columns - 1] for line in lines[: max(1, rows - 2)]]
        for line in shown:
            note(line)
        self._drawn = len(shown)

    def _clear(self) -> None:
        if self.progress:  # from the start of the line: Ctrl-C leaves ^C there
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            say(f"\r{up}\x1b[J", err=True, nl=False)
        self._drawn = 0


class JsonLines:
    """Writes each event on standard output, one JSON document a line."""

    progress = True

    def __call__(self, event: EngineEvent) -> None:
        """Write it at once: whoever reads may act on it."""
        say(masked(json_text(event.model_dump(mode="json"), indent=None), os.environ))


def lines_of(event: EngineEvent) -> Iterator[str]:
    """What people are told of an event; nothing of those that only programs want."""
    if isinstance(event, Committed):
        yield f"{event.records} {event.experiment}: {event.source} -> {event.target} ({event.commit[:12]})"
    elif isinstance(event, JobStateChanged):
        yield from _each(event.jobs, event.state + (f" ({event.detail})" if event.detail else ""))
    elif isinstance(event, JobEnded):
        ended = f"ended with exit code {event.exit_code}" if event.exit_code is not None else f"{event.failure}: {event.reason}"
        yield from _each(event.jobs, ended)
    elif isinstance(event, Waiting):
        yield event.what
    elif isinstance(event, Noted):
        yield event.text


def _each(jobs: Sequence[str], text: str) -> Iterator[str]:
    """A line for each job, or one for all where many jobs have the same."""
    yield from (f"{names}: {text}" for names in (jobs if len(jobs) <= NAMED else [in_words(jobs)]))


def progress_lines(event: Progressed) -> list[str]:
    """A line for each running job: step, loss, time left."""
    width = max((len(each.job) for each in event.jobs), default=0)
    return [f"{each.job:<{width}}  {_progress(each)}" for each in event.jobs]


def _progress(found: JobProgress) -> str:
    if not found.steps:
        return f"started {clock(found.elapsed)} ago"
    parts = [f"{found.step}/{found.steps}"]
    parts += [f"loss {found.loss:.4g}"] if found.loss is not None else []
    parts += [f"{clock(found.seconds_left)} left"] if found.seconds_left is not None else []
    return "  ".join([*parts, *([found.note] if found.note else [])])


def ending(name: str, found: AdvanceResult | CkgitError) -> EngineEvent:
    """The last event of an experiment: what the command came to, or the error that ended it."""
    if isinstance(found, CkgitError):
        return Refused(experiment=name, code=found.code, what=found.what, where=found.where, state=found.state, next=found.next)
    return Finished(experiment=name, state=found.state, code=found.code, message=found.message, next=found.next)
