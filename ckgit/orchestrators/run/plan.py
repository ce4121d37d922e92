"""What follows from what is seen of a stage whose jobs run.

Pure: an observation and the user's options say what is next. Times and tokens apart, the same observation gives the same plan.
"""

from __future__ import annotations

from ckgit.errors import Exit
from ckgit.experiment.classify import left_by_in_words, named
from ckgit.experiment.jobs import FailureClass, Ledger, Phase
from ckgit.experiment.lifecycle import ORDER
from ckgit.experiment.scheduler import JobState
from ckgit.formats.listing import first_of
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import JobCounts, count_jobs, describe, detached_of
from ckgit.orchestrators.run.commits import NOTHING
from ckgit.orchestrators.run.continuation.plan import plan_continuation
from ckgit.orchestrators.run.decisions import Commit, Decision, Finish, Poll, Refuse, Subject, Submit
from ckgit.orchestrators.run.monitor.seen import JobsSeen
from ckgit.orchestrators.run.observation import PATIENCE, StageObservation
from ckgit.orchestrators.run.stage import due_jobs, submission


def plan_stage(seen: StageObservation, options: AdvanceOptions) -> Decision:
    """What is next for a stage."""
    view, work, jobs = seen.view, seen.work, seen.jobs
    if not work.worker or not work.jobs or not seen.tree:
        return Commit(commits.nothing_to_do(view, work.stage, work.worker, work.over))
    if others := _whose_it_is(seen, options):
        return others
    if jobs and jobs.submission.attempts:
        return Submit(jobs.submission)
    if jobs and not options.wait and (again := _look_thoroughly(jobs, options)):
        return again
    ledger = seen.collected.enter(seen.tree)
    return _judge(seen, options, ledger) or _submit(seen, options, ledger) or _wait(seen, options, ledger)


def _whose_it_is(seen: StageObservation, options: AdvanceOptions) -> Decision | None:
    """Whether a job of ours goes on with the experiment: who left it to that is not to lose it by a command of another one."""
    view = seen.view
    detached = view.ledger.detached if view.ledger else None
    if not detached or options.detach or options.take_over:
        return None
    if not seen.continuation:
        return Poll(Subject.CONTINUATION)
    if seen.continuation.status.state in (JobState.GONE, JobState.UNSEEN):
        return None
    told = f"{view.name} is left to job {detached.token} ({named(seen.continuation.status.state)}), which takes it on to {detached.to}"
    told += f"; {left_by_in_words(detached.left_by)}"
    onward = f"ckgit status {view.name}; ckgit advance {view.name} --take-over goes on in its place"
    return Finish(AdvanceResult(view.name, view.snapshot.state, Exit.IN_FLIGHT, [], told, onward))


def _look_thoroughly(jobs: JobsSeen, options: AdvanceOptions) -> Poll | None:
    """The next look of a command that does not wait: until no more can be handed over, and what has gone has left what it leaves."""
    if jobs.staggering:
        return Poll()
    if jobs.settling:
        return Poll(after=jobs.nap)
    # a job of ours has nobody to tell that it knows nothing
    return Poll(after=jobs.poll_seconds) if options.token and jobs.unknown and jobs.polls <= PATIENCE else None


def _judge(seen: StageObservation, options: AdvanceOptions, ledger: Ledger) -> Decision | None:
    """What is to be recorded of jobs that have ended: the stage is passed at once, and what failed waits for no other job."""
    whole = count_jobs(ledger.attempts, seen.work.jobs)
    if seen.jobs and not seen.jobs.awaited and (options.accept_missing or not whole.failed):
        return _conclusion(seen, options, ledger)
    if any(one.attempt.phase is Phase.FAILED for one in seen.collected.judged):
        return Commit(_failure(seen, options, ledger))
    return None


def _submit(seen: StageObservation, options: AdvanceOptions, ledger: Ledger) -> Decision | None:
    """The intent to run the jobs that are due."""
    due = due_jobs(seen.view, seen.work, options, ledger.attempts)
    if not due:
        return None
    if seen.against:
        return Refuse(seen.against)
    name, cluster = seen.view.name, seen.view.context.cluster_name
    changed = f"cluster profile {cluster} has changed, and jobs go out as they were scaffolded"
    remarks = [f"{changed}: ckgit advance {name} --cluster {cluster} gives those that follow what it says now"] if seen.outdated else []
    return Commit(submission(seen.view, seen.work, options, due, ledger, seen.collected), due, remarks=remarks)


def _wait(seen: StageObservation, options: AdvanceOptions, ledger: Ledger) -> Decision:
    """Jobs are out, or there is none that is waited for."""
    jobs = seen.jobs
    if not jobs:
        kept = seen.view.ledger  # with nothing but results that were kept, no work tree is made
        return _conclusion(seen, options, kept) if kept and not kept.work_tree else _first_look(seen, options)
    if not jobs.awaited:
        return _conclusion(seen, options, ledger)
    if options.wait:
        return Poll(after=jobs.nap)
    onward = plan_continuation(seen, options, jobs) if options.continuation and seen.view.ledger else None
    return onward or Finish(in_flight(seen, options, jobs))


def _first_look(seen: StageObservation, options: AdvanceOptions) -> Decision:
    """From now on this command goes on, and not the job that the experiment was left to."""
    view = seen.view
    if view.ledger and view.ledger.detached and not options.detach:
        alone = commits.left(view, seen.work.workers, NOTHING, view.ledger, None)
        return Commit(alone, replaces=[[attempt] for attempt in reversed(view.ledger.detached.attempts)])
    return Poll()


def _failure(seen: StageObservation, options: AdvanceOptions, ledger: Ledger) -> CommitPlan:
    """What failed is recorded without waiting for the others, so that it can be retried."""
    view, work = seen.view, seen.work
    count = count_jobs(ledger.attempts, [job for job in work.all if options.run in (None, job.run)])
    own = count_jobs(ledger.attempts, work.selected(options.run))
    count = own if len(own.failed) == len(count.failed) else count  # evaluations that go ahead are no part of what is counted
    ledger = ledger.model_copy(update={"detached": detached_of(view.name, options, ledger.detached, now())})
    return commits.failure(view, work.stage, work.workers, seen.collected, count, ledger, time=now())


def _conclusion(seen: StageObservation, options: AdvanceOptions, ledger: Ledger) -> Decision:
    """No job is waited for any more."""
    view, work = seen.view, seen.work
    own, whole = count_jobs(ledger.attempts, work.selected(options.run)), count_jobs(ledger.attempts, work.jobs)
    if own.failed and not options.accept_missing:
        ledger = ledger.model_copy(update={"detached": None})
        if not seen.collected.judged:
            return Finish(failed(view, own))
        step = commits.failure(view, work.stage, work.workers, seen.collected, own, ledger, time=now())
        return Commit(step, result=failed(view, own))
    if whole.open or whole.unsubmitted or (whole.failed and not options.accept_missing):
        done = f"{len(own.done)} of {whole.total} {work.stage} jobs are done and wait for the others"
        return Finish(AdvanceResult(view.name, view.snapshot.state, Exit.DONE, [], done, f"ckgit advance {view.name}"))
    accepted = dict.fromkeys([*ledger.accepted_missing, *(attempt.job for attempt in whole.failed), *(job.name for job in work.over)])
    # who goes on after this stage is still the one who passes it, also when it is killed and started again
    goes_on = options.continuation and ORDER.index(options.continuation.to) > ORDER.index(view.snapshot.state) + 1
    ledger = ledger.model_copy(update={"accepted_missing": tuple(accepted), "detached": ledger.detached if goes_on else None})
    return Commit(commits.passing(view, work.stage, work.workers, seen.collected, whole, work.over, ledger, time=now()))


def failed(view: ExperimentView, count: JobCounts) -> AdvanceResult:
    """Jobs of the stage have failed."""
    lines = [f"{count.ended_badly()}:", *(f"  {line}" for line in first_of(map(describe, count.failed)))]
    name = view.name
    again = f"ckgit why {name}, then ckgit retry {name} (or ckgit advance {name} --accept-missing)"
    if any(attempt.failure is FailureClass.INPUT_CHANGED for attempt in count.failed):  # it will fail again
        again = f"bring back what has changed, then ckgit retry {name}"
        again += f"; or start anew: ckgit revise {name} --anew, then ckgit advance {name}"
    return AdvanceResult(view.name, view.snapshot.state, Exit.JOBS_FAILED, [], "\n".join(lines), again, count.failed)


def in_flight(seen: StageObservation, options: AdvanceOptions, jobs: JobsSeen) -> AdvanceResult:
    """Jobs go on, and nobody waits for them."""
    name, state = seen.view.name, seen.view.snapshot.state
    if jobs.unknown:
        what = f"nothing can be said now of {len(jobs.unknown)} jobs ({jobs.unknown[0].detail}); unknown means wait"
        return AdvanceResult(name, state, Exit.UNKNOWN, [], what, f"ckgit advance {name} looks again; ckgit cancel {name} gives them up")
    what = f"jobs are in flight: {jobs.in_words}"
    if options.continuation:
        left = f"{name} is left to its cluster, which takes it on to {options.continuation.to}: {what}"
        return AdvanceResult(name, state, Exit.DONE, [], left, f"ckgit status {name}; ckgit cancel {name} ends it")
    return AdvanceResult(name, state, Exit.IN_FLIGHT, [], what, f"ckgit advance {name}")
