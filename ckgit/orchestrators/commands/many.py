"""Several experiments advanced by one process, by turns: each scheduler is asked once a round for all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.scheduler import Scheduler
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands.advance import advancing
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.polling import Polling
from ckgit.orchestrators.engine.results import AdvanceResult


def advance_together(lab: Lab, names: Sequence[str], options: AdvanceOptions, events: Events) -> Mapping[str, AdvanceResult | CkgitError]:
    """Advance experiments as `advance` does each; what stops one of them stops no other, but an interrupt detaches from all.

    Returns:
        By name, what each came to, or the error that ended it.
    """
    going = {name: advancing(lab, name, options, events) for name in names}
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
