"""Looking at an experiment for a command: all that `plan` decides from. It reads, and changes nothing.

What runs jobs is imported where a job is looked at: a transition without jobs has a quarter of a second in all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ckgit.errors import CkgitError
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.scheduler import JobState
from ckgit.experiment.stage import STAGES
from ckgit.experiment.state import State
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for

if TYPE_CHECKING:
    from ckgit.orchestrators.commands.retry import RetryPlan
    from ckgit.orchestrators.run.observation import StageObservation
    from ckgit.orchestrators.run.observe import StageObserver

T = TypeVar("T")


class Observation(NamedTuple):
    """What is seen now of an experiment."""

    view: ExperimentView
    begun: State  # as the command found it
    own: bool  # whether the command has made the commit that is looked at
    ledger: Ledger | None  # with what accounting has come to know since the last jobs ended
    stage: StageObservation | CkgitError | None = None  # where jobs run next; or why it cannot be looked at
    successor: JobState | None = None  # where a job of ours asks: how the one stands that it has named to go on after it
    move: CommitPlan | CkgitError | None = None  # to another cluster, where one is asked for and it is another; or what is against it
    retry: RetryPlan | CkgitError | None = None  # where one is asked for; or what is against it


class Observer:
    """Looks at an experiment from one commit of its branch, as often as it is asked."""

    def __init__(
        self,
        view: ExperimentView,
        options: AdvanceOptions,
        events: Events,
        *,
        begun: State | None = None,
        own: bool = False,
        asked: Mapping[str, int] = {},
    ) -> None:
        """Look from a commit.

        Args:
            begun: state in which the command found the experiment; None for the present one.
            own: whether the commit is one that this command has made.
            asked: calls of the scheduler's commands that no commit tells of yet.
        """
        self.view, self.options, self.events = view, options, events
        self._begun, self._own, self._asked = begun or view.snapshot.state, own, asked
        self._stage: StageObserver | None = None
        self._successor: JobState | None = None

    @property
    def stage(self) -> StageObserver:
        """Who looks at the stage that comes next.

        Raises:
            CkgitError: no jobs run from this state, or their worker is not installed.
        """
        from ckgit.orchestrators.run.observe import StageObserver

        self._stage = self._stage or StageObserver(self.view, self.options, self.events, self._asked)
        return self._stage

    @property
    def follows(self) -> bool:
        """Whether jobs are followed."""
        return bool(self._stage and self._stage.monitor)

    def from_commit(self, view: ExperimentView, asked: Mapping[str, int]) -> Observer:
        """An observer of the same experiment from another commit, which someone else has made."""
        return Observer(view, self.options, self.events, begun=self._begun, asked=asked)

    def observe(self) -> Observation:
        """What is seen now."""
        view, options = self.view, self.options
        if not self._own and options.token and not self._successor:
            self.look_at_successor()
        there = options.to is self._begun  # and nothing is to be done
        return Observation(
            view,
            self._begun,
            self._own,
            view.ledger if there else _accounted(view),
            stage=_or_error(self._observe_stage) if view.snapshot.state in STAGES and not there else None,
            successor=self._successor,
            move=_or_error(partial(_move, view, options.cluster)) if options.cluster else None,
            retry=_or_error(partial(_retry, view, options)) if options.retry else None,
        )

    def _observe_stage(self) -> StageObservation:
        from ckgit.lab.history.hand_edits import refuse_edited

        if not self._own and not self._stage:
            refuse_edited(self.view.snapshot)
        return self.stage.observe()

    def look_at_successor(self) -> None:
        """Where a job of ours asks: see how the job stands that it has named in the ledger to go on after it."""
        from ckgit.orchestrators.run.continuation.job import look_at
        from ckgit.orchestrators.run.work_tree import find_work_tree

        ledger = self.view.ledger
        detached = ledger.detached if ledger else None
        if ledger and detached and detached.by == self.options.token:
            found = look_at(detached, self.view.context.cluster, find_work_tree(ledger))
            self._successor = found.statuses[detached.token].state


def _move(view: ExperimentView, cluster: str) -> CommitPlan | None:
    from ckgit.orchestrators.run.change_cluster import change_cluster

    return change_cluster(view, cluster)


def _retry(view: ExperimentView, options: AdvanceOptions) -> RetryPlan:
    from ckgit.orchestrators.commands.retry import plan_retry

    return plan_retry(view, options)


def _or_error(look: Callable[[], T]) -> T | CkgitError:
    try:
        return look()
    except CkgitError as error:
        return error


def _accounted(view: ExperimentView) -> Ledger | None:
    """The ledger, for the report; as it is where accounting cannot be asked from here."""
    ledger = view.ledger
    if view.snapshot.state is not State.EVALUATED or not ledger:
        return ledger
    from ckgit.orchestrators.run.usage import filled, lacking

    ledger = ledger.model_copy(update={"detached": None})
    if not (late := lacking(ledger.attempts)) or not Path(ledger.work_tree).is_dir():
        return ledger
    cluster = view.context.cluster
    accounted = scheduler_for(cluster).usage(cluster, Path(ledger.work_tree), late).usage
    return ledger.with_attempts(*filled(ledger.attempts, accounted))
