"""Who hears what a command does: the terminal of the user, and a program that reads lines of JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ckgit.cli.output.streams import NOTES, draws, json_text, say
from ckgit.cli.output.tables import printable
from ckgit.cli.shared.common import note
from ckgit.errors import CkgitError
from ckgit.experiment.classify import named
from ckgit.experiment.outputs.events import (
    Committed,
    EngineEvent,
    Finished,
    JobEnded,
    JobStateChanged,
    Noted,
    OverallProgress,
    Progressed,
    Refused,
    Waiting,
)
from ckgit.formats.advice import commands
from ckgit.formats.listing import NAMED, in_words
from ckgit.formats.numbers import clock
from ckgit.formats.secret_patterns import masked
from ckgit.orchestrators.engine.results import AdvanceResult

if TYPE_CHECKING:
    from ckgit.cli.output.live import Screen


class Terminal:
    """Speaks on standard error; on a terminal the lines of progress are drawn over those before. With `--json` it keeps what is noted."""

    def __init__(self, experiments: Sequence[str] = (), *, quiet: bool = False) -> None:
        """Of several experiments, each line is told with its name.

        Args:
            quiet: whether nothing is said of an experiment before something is committed.
        """
        self._named = len(experiments) > 1
        self._quiet, self._heard = quiet, set[str]()
        self._running: dict[str, OverallProgress] = {}
        self._drawn = 0
        self.progress = draws(sys.stderr) and not quiet and NOTES.kept is None

    @property
    def silent(self) -> bool:
        """Whether nothing has happened, and nothing is to be said."""
        return self._quiet and not self._heard

    def __call__(self, event: EngineEvent) -> None:
        """A line to keep, above the progress; or the progress, anew."""
        if isinstance(event, Committed):
            self._heard.add(event.experiment)
        if self._quiet and event.experiment not in self._heard:
            return
        if NOTES.kept is not None and not isinstance(event, Noted):
            return  # the document tells the rest
        if isinstance(event, Progressed):
            self._running = {name: found for name, found in self._running.items() if name != event.experiment}
            self._running |= {event.experiment: event.progress} if event.progress else {}
            self._draw()
        elif lines := list(lines_of(event)):
            self._clear()
            for line in lines:
                self._say(f"{event.experiment}: {line}" if self._named else line, _style(event))

    @cached_property
    def _screen(self) -> Screen:
        from ckgit.cli.output.live import Screen  # which takes rich

        return Screen()

    def _say(self, text: str, style: str) -> None:
        told = printable(masked(text, os.environ))
        note(self._screen.styled(told, style) if style and self.progress else told)

    def _draw(self) -> None:
        if not self.progress:  # without a terminal there is nothing to draw on
            return
        self._clear()
        lines = self._screen.drawn(dict(sorted(self._running.items())), named=self._named) if self._running else []
        for line in lines:
            note(line)
        self._drawn = len(lines)

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
        yield from _each(event.jobs, named(event.seen) + (f" ({event.detail})" if event.detail else ""))
    elif isinstance(event, JobEnded):
        yield from _each(event.jobs, *_ended(event))
    elif isinstance(event, Waiting):
        yield event.what
    elif isinstance(event, Noted):
        yield event.text


def _each(jobs: Sequence[str], all_of_them: str, each: Sequence[str] = ()) -> Iterator[str]:
    """A line for each job, or one for all where many jobs have the same."""
    if len(jobs) > NAMED:
        yield f"{in_words(jobs)}: {all_of_them}"
    else:
        yield from (f"{job}: {text}" for job, text in zip(jobs, each or [all_of_them] * len(jobs), strict=True))


def _ended(event: JobEnded) -> tuple[str, list[str]]:
    """How jobs ended, of all together and of each."""
    if event.exit_code is None:
        return f"{event.failure}: {event.reason}", []
    known = [seconds for seconds in event.seconds if seconds is not None]
    after = (
        clock(max(known))
        if known and clock(min(known)) == clock(max(known))
        else f"{clock(min(known))} to {clock(max(known))}"
        if known
        else ""
    )
    return _how(event.exit_code, after), [_how(event.exit_code, "" if each is None else clock(each)) for each in event.seconds]


def _how(exit_code: int, time: str) -> str:
    """`done in 1:10`, or `failed after 0:12 with exit code 1`."""
    if exit_code:
        return f"failed{f' after {time}' if time else ''} with exit code {exit_code}"
    return f"done in {time}" if time else "done"


def _style(event: EngineEvent) -> str:
    """How a terminal shows a line, in rich's words."""
    if isinstance(event, JobEnded):
        return "red" if event.exit_code != 0 else "green"
    return "bold" if isinstance(event, Committed) else ""


def ending(name: str, found: AdvanceResult | CkgitError) -> EngineEvent:
    """The last event of an experiment: what the command came to, or the error that ended it."""
    if isinstance(found, CkgitError):
        return Refused(
            experiment=name,
            code=found.code,
            what=found.what,
            where=found.where,
            state=found.state,
            advice=found.next,
            next=tuple(commands(found.next)),
        )
    return Finished(
        experiment=name,
        lifecycle_state=found.state,
        code=found.code,
        message=found.message,
        advice=found.next,
        next=tuple(commands(found.next)),
    )
