"""Several experiments advanced by one process, by turns: each scheduler is asked once a round for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.scheduler import Scheduler
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands.advance import advancing
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Polling
from ckgit.orchestrators.engine.reporter import Talk
from ckgit.orchestrators.engine.results import AdvanceResult


def advance_together(
    lab: Lab, names: Sequence[str], *, to: State | None, options: AdvanceOptions, talk: Talk, cluster: str | None = None
) -> Mapping[str, AdvanceResult | CkgitError]:
    """Advance experiments as `advance` does each; what stops one of them stops no other, but an interrupt detaches from all.

    Returns:
        By name, what each came to, or the error that ended it.
    """
    chorus = _Chorus(talk, width=max(map(len, names)))
    going = {name: advancing(lab, name, to=to, options=options, talk=chorus.voice(name), cluster=cluster) for name in names}
    schedulers = {scheduler.name: scheduler for name in names if (scheduler := _scheduler(lab, name))}
    ended: dict[str, AdvanceResult | CkgitError] = {}
    interrupted = False
    while going:
        naps: list[float] = []
        with ExitStack() as round_:
            for scheduler in schedulers.values():
                round_.enter_context(scheduler.shared_poll())
            for name, work in list(going.items()):
                found = _step(name, work, interrupted=interrupted)
                if isinstance(found, float):
                    naps.append(found)
                else:
                    ended[name] = found
                    del going[name]
                    # it may have come in this one's turn, which told it in its own words
                    interrupted |= isinstance(found, CkgitError) and found.code is Exit.INTERRUPTED
        chorus.draw()
        try:
            time.sleep(min(naps, default=0.0))
        except KeyboardInterrupt:
            interrupted = True
    return {name: ended[name] for name in names}


def _scheduler(lab: Lab, name: str) -> Scheduler | None:
    """That of an experiment; none where it cannot be told, which its own turn will explain."""
    try:
        return scheduler_for(open_experiment(lab, name).context.cluster)
    except CkgitError:
        return None


def _step(name: str, work: Polling[AdvanceResult], *, interrupted: bool) -> float | AdvanceResult | CkgitError:
    """One turn: how long it needs no other, or what it came to."""
    try:
        return work.throw(KeyboardInterrupt()) if interrupted else next(work)
    except StopIteration as end:
        result: AdvanceResult = end.value
        return result
    except KeyboardInterrupt:
        return CkgitError(
            "interrupted", code=Exit.INTERRUPTED, state="what was committed stands", next=f"ckgit advance {name} goes on from there"
        )
    except CkgitError as error:
        return error


class _Chorus:
    """Several experiments speak in turn, each line with its name; their progress is drawn together."""

    def __init__(self, talk: Talk, width: int) -> None:
        self._talk, self._width = talk, width
        self._lines: dict[str, Callable[[], Sequence[str]]] = {}

    def voice(self, name: str) -> Talk:
        return _Voice(self, name)

    def say(self, name: str, text: str) -> None:
        self._talk.say(f"{name}: {text}")

    def progress(self, name: str, lines: Callable[[], Sequence[str]] | None) -> None:
        self._lines.pop(name, None)
        if lines:
            self._lines[name] = lines

    def draw(self) -> None:
        self._talk.progress(self._all if self._lines else None)

    def _all(self) -> list[str]:
        return [f"{name:<{self._width}}  {line}" for name, lines in sorted(self._lines.items()) for line in lines()]


class _Voice:
    """One of them."""

    def __init__(self, chorus: _Chorus, name: str) -> None:
        self._chorus, self._name = chorus, name

    def say(self, text: str) -> None:
        self._chorus.say(self._name, text)

    def progress(self, lines: Callable[[], Sequence[str]] | None) -> None:
        self._chorus.progress(self._name, lines)
