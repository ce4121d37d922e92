"""What follows from what is seen of a stage: the one decision for advance, retry, one worker alone, a dry run and a job that goes on.

Pure: an observation and the user's options say what is next. Times and tokens apart, the same observation gives the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Ledger, Phase
from ckgit.experiment.lifecycle import ORDER
from ckgit.experiment.scheduler import JobStatus
from ckgit.formats.listing import first_of
from ckgit.orchestrators.engine.experiment import CommitPlan, ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import JobCounts, count_jobs, describe
from ckgit.orchestrators.run.commits import NOTHING, Collected
from ckgit.orchestrators.run.detach import detached_of
from ckgit.orchestrators.run.stage import StageJobs, due_jobs, submission


class StageObservation(NamedTuple):
    """What is seen now of a stage of an experiment: the branch, the work tree, the scheduler and what jobs left."""

    view: ExperimentView
    work: StageJobs
    tree: Ledger | None  # the ledger with the work tree that there is, or that would be made; None where no job is ever to run
    against: CkgitError | None = None  # why the jobs that are due must not be handed over
    looked: bool = False  # whether the scheduler was asked
    awaited: Sequence[Attempt] = ()  # open attempts whose end is waited for
    unknown: Sequence[JobStatus] = ()  # of those that nothing can be said of
    open: Mapping[str, int] = {}  # open attempts by state
    collected: Collected = NOTHING  # what ended jobs left


class Refuse(NamedTuple):
    """Nothing can be done."""

    error: CkgitError


class Record(NamedTuple):
    """A commit; where jobs are named, they are handed over after it."""

    commit: CommitPlan
    jobs: Sequence[Job] = ()
    result: AdvanceResult | None = None  # what the command has come to by it; None where it goes on
    ends_detached: bool = False  # whether the job that was to go on is ended first


class Look(NamedTuple):
    """The scheduler is to be asked; again, after a while, where it was."""


class Leave(NamedTuple):
    """The experiment is to be left to a job of ours."""


class Finish(NamedTuple):
    """The command is at its end."""

    result: AdvanceResult


Decision = Refuse | Record | Look | Leave | Finish


def plan_stage(seen: StageObservation, options: AdvanceOptions) -> Decision:
    """What is next for a stage."""
    view, work = seen.view, seen.work
    if not work.worker or not work.jobs or not seen.tree:
        return Record(commits.nothing_to_do(view, work.stage, work.worker, work.over), result=passed(view))
    ledger = seen.collected.enter(seen.tree)
    if seen.looked and not seen.awaited and (options.accept_missing or not count_jobs(ledger, work.jobs).failed):
        return _conclusion(seen, options)  # the stage is passed at once
    if any(one.attempt.phase is Phase.FAILED for one in seen.collected.judged):
        return Record(_failure(seen, options, ledger))
    if due := due_jobs(view, work, options, ledger):
        return Refuse(seen.against) if seen.against else Record(submission(view, work, options, due, ledger, seen.collected), due)
    if not seen.looked:
        return _first_look(seen, options)
    if not seen.awaited:
        return _conclusion(seen, options)
    if options.wait:
        return Look()
    return Leave() if options.detach else Finish(in_flight(seen))


def _first_look(seen: StageObservation, options: AdvanceOptions) -> Decision:
    """From now on this command goes on, and not the job that the experiment was left to."""
    view = seen.view
    if view.ledger and view.ledger.detached and not options.detach:
        return Record(commits.left(view, seen.work.workers, NOTHING, view.ledger, None), ends_detached=True)
    return Look()


def _failure(seen: StageObservation, options: AdvanceOptions, ledger: Ledger) -> CommitPlan:
    """What failed is recorded without waiting for the others, so that it can be retried."""
    view, work = seen.view, seen.work
    count = count_jobs(ledger, [job for job in work.all if options.run in (None, job.run)])
    ledger = ledger.model_copy(update={"detached": detached_of(view.name, options.leave, now(), by=options.token)})
    return commits.failure(view, work.stage, work.workers, seen.collected, count, ledger, time=now())


def _conclusion(seen: StageObservation, options: AdvanceOptions) -> Decision:
    """No job is waited for any more."""
    view, work = seen.view, seen.work
    ledger = seen.collected.enter(seen.tree or Ledger(cluster="", scheduler=""))
    own, whole = count_jobs(ledger, work.selected(options.run)), count_jobs(ledger, work.jobs)
    if own.failed and not options.accept_missing:
        ledger = ledger.model_copy(update={"detached": None})
        if not seen.collected.judged:
            return Finish(failed(view, own))
        step = commits.failure(view, work.stage, work.workers, seen.collected, own, ledger, time=now())
        return Record(step, result=failed(view, own))
    if whole.open or whole.unsubmitted or (whole.failed and not options.accept_missing):
        done = f"{len(own.done)} of {whole.total} {work.stage} jobs are done and wait for the others"
        return Finish(AdvanceResult(view.name, view.snapshot.state, Exit.DONE, [], done, f"ckgit advance {view.name}"))
    accepted = dict.fromkeys([*ledger.accepted_missing, *(attempt.job for attempt in whole.failed), *(job.name for job in work.over)])
    # who goes on after this stage is still the one who passes it, also when it is killed and started again
    goes_on = options.detach and ORDER.index(options.detach) > ORDER.index(view.snapshot.state) + 1
    ledger = ledger.model_copy(update={"accepted_missing": tuple(accepted), "detached": ledger.detached if goes_on else None})
    step = commits.passing(view, work.stage, work.workers, seen.collected, whole, work.over, ledger, time=now())
    return Record(step, result=passed(view))


def passed(view: ExperimentView) -> AdvanceResult:
    """The stage is done."""
    return AdvanceResult(view.name, view.snapshot.state, Exit.DONE, [], "")


def failed(view: ExperimentView, count: JobCounts) -> AdvanceResult:
    """Jobs of the stage have failed."""
    lines = [f"{count.ended_badly()}:", *(f"  {line}" for line in first_of(map(describe, count.failed)))]
    name = view.name
    again = f"ckgit why {name}, then ckgit retry {name} (or ckgit advance {name} --accept-missing)"
    if any(attempt.failure is FailureClass.INPUT_CHANGED for attempt in count.failed):  # it will fail again
        again = f"bring back what has changed, then ckgit retry {name}; or start anew: ckgit revise {name}, then ckgit advance {name}"
    return AdvanceResult(view.name, view.snapshot.state, Exit.JOBS_FAILED, [], "\n".join(lines), again)


def in_flight(seen: StageObservation) -> AdvanceResult:
    """Jobs go on, and nobody waits for them."""
    name, state = seen.view.name, seen.view.snapshot.state
    if seen.unknown:
        return AdvanceResult(
            name,
            state,
            Exit.UNKNOWN,
            [],
            f"nothing can be said now of {len(seen.unknown)} jobs ({seen.unknown[0].detail}); unknown means wait",
            f"ckgit advance {name} looks again; ckgit cancel {name} gives them up",
        )
    return AdvanceResult(name, state, Exit.IN_FLIGHT, [], f"jobs are in flight: {in_words_of(seen.open)}", f"ckgit advance {name}")


def in_words_of(states: Mapping[str, int]) -> str:
    """How many jobs are open, by state."""
    return ", ".join(f"{number} {state}" for state, number in states.items()) or "none open"
