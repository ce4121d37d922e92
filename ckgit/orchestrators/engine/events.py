"""Who hears what happens. The engine prints nothing: it emits events, and does not know who listens."""

from __future__ import annotations

from typing import Protocol

from ckgit.experiment.outputs.events import EngineEvent, Noted
from ckgit.orchestrators.engine.logs import now


class Subscriber(Protocol):
    """Somebody who listens: a terminal, a log, a program that drives ckgit."""

    progress: bool  # whether it wants `Progressed`, for which the output of each running job is read

    def __call__(self, event: EngineEvent) -> None:
        """Take note of an event."""


class Events:
    """Hands each event to all subscribers. One that fails is left out from then on, and stops nothing."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers = list(subscribers)

    @property
    def progress(self) -> bool:
        """Whether anybody wants the progress of running jobs."""
        return any(each.progress for each in self._subscribers)

    def emit(self, event: EngineEvent) -> None:
        """Hand over an event, with the time."""
        event = event.model_copy(update={"time": now()})
        for each in list(self._subscribers):
            try:
                each(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, the experiment goes on
                self._subscribers.remove(each)
                why = f"{type(error).__name__}: {error}"
                self.emit(Noted(experiment=event.experiment, text=f"{type(each).__name__} gets no more events: {why}"))
