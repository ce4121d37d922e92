"""What follows from what is seen of an experiment: the one decision, for every command that moves one on, and for a dry run.

It reads nothing but the commit that it is given: an observation and the user's options say what is next. Times and tokens apart, the same
observation gives the same plan.
"""

from __future__ import annotations

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import left_by_in_words
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.lifecycle import ORDER, Event, refuse_closed
from ckgit.experiment.scheduler import JobState
from ckgit.experiment.stage import STAGES
from ckgit.experiment.state import State
from ckgit.orchestrators.commands.observe import Observation
from ckgit.orchestrators.engine.experiment import prepare
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.engine.results import AdvanceResult
from ckgit.orchestrators.run.decisions import Commit, Decision, Finish, Poll, Refuse, Subject
from ckgit.orchestrators.scaffold.scaffold import scaffold


def plan(seen: Observation, options: AdvanceOptions) -> Decision:
    """What is next for an experiment."""
    try:
        decision = _ask_first(seen, options) or _change(seen, options) or _goal(seen, options) or _step(seen, options)
        return _at_its_end(seen, options, decision) if isinstance(decision, Commit) else decision
    except CkgitError as error:
        return Refuse(error)


def _at_its_end(seen: Observation, options: AdvanceOptions, decision: Commit) -> Commit:
    """A commit by which the goal is reached ends the command."""
    name, state = seen.view.name, decision.commit.target
    stays = state is seen.view.snapshot.state and decision.commit.event is not Event.ANALYZE
    if decision.result or stays or ORDER.index(state) < ORDER.index(_target(seen, options)):
        return decision
    return decision._replace(result=AdvanceResult(name, state, Exit.DONE, [], f"{name} is {state}", onward(name, state)))


def _ask_first(seen: Observation, options: AdvanceOptions) -> Decision | None:
    """Whether an experiment in this state, or left to another job, is any matter of the command."""
    name, state = seen.view.name, seen.view.snapshot.state
    refuse_closed(name, seen.view.snapshot.standing)
    if options.begins and seen.begun not in options.begins:
        return Refuse(
            CkgitError(
                f"{name} is {state}; this needs it to be {' or '.join(options.begins)}",
                code=Exit.ILLEGAL_TRANSITION,
                state="nothing was changed",
                next=f"ckgit status {name}",
            )
        )
    if options.worker and not seen.own and (why := _not_its_turn(seen, options)):
        return Refuse(CkgitError(why, code=Exit.ILLEGAL_TRANSITION, state="nothing was changed", next=f"ckgit status {name}"))
    if not _is_replaced(seen, options):
        return None
    if seen.successor is JobState.UNKNOWN:
        cluster = seen.view.context.cluster
        return Poll(Subject.SUCCESSOR, after=cluster.poll_seconds or scheduler_for(cluster).poll_seconds)
    return Finish(_nothing_to_do(seen, f"{name} is not left to this job any more"))


def _is_replaced(seen: Observation, options: AdvanceOptions) -> bool:
    """Whether the one who asks is a job that the experiment was left to, and is not any more."""
    detached = seen.view.ledger.detached if seen.view.ledger else None
    if options.token is None or seen.own:
        return False
    if detached and options.token == detached.token:
        return False
    # unseen: this job was ended after it had named the next one, and before it handed that over
    return not detached or detached.by != options.token or seen.successor is not JobState.UNSEEN


def _change(seen: Observation, options: AdvanceOptions) -> Decision | None:
    """What the user wants changed first: the cluster, or new attempts at what failed."""
    ledger = seen.view.ledger
    if isinstance(seen.move, CkgitError):
        return Refuse(seen.move)
    if seen.move:
        replaced = [[attempt] for attempt in reversed(ledger.detached.attempts)] if ledger and ledger.detached else []
        return Commit(seen.move, replaces=replaced, cluster=options.cluster)
    if isinstance(seen.retry, CkgitError):
        return Refuse(seen.retry)
    if seen.retry and ledger and ledger.detached and not options.detach and not options.take_over:
        left = left_by_in_words(ledger.detached.left_by)
        return Refuse(
            CkgitError(
                f"{seen.view.name} is left to job {ledger.detached.token}, which a retry would end; {left}",
                code=Exit.IN_FLIGHT,
                state="nothing was changed",
                next=f"ckgit retry {seen.view.name} --detach leaves it to another one; with --take-over nobody goes on but you",
            )
        )
    if seen.retry and options.detach:
        _check_detachable(seen.view.name, seen.view.context.cluster)
    if seen.retry:  # a job that was cancelled, but not ended, writes to the same files as the new one
        return Commit(seen.retry.step, seen.retry.jobs, ends=[seen.retry.before])
    return None


def _check_detachable(name: str, cluster: Cluster) -> None:
    """Raise where the scheduler of a cluster cannot start a job when others have ended."""
    if not scheduler_for(cluster).detaches:
        raise CkgitError(
            f"scheduler {cluster.scheduler} cannot go on by itself when jobs have ended",
            code=Exit.USAGE,
            state="nothing was changed",
            next=f"ckgit advance {name} waits, and Ctrl-C leaves the jobs running",
        )


def _goal(seen: Observation, options: AdvanceOptions) -> Decision | None:
    """Whether there is anything left to do."""
    name, state = seen.view.name, seen.view.snapshot.state
    if options.to is seen.begun:
        return Finish(_nothing_to_do(seen, f"{name} is {state}"))
    _target(seen, options)  # refuses where there is none
    if options.detach:
        _check_detachable(seen.view.name, seen.view.context.cluster)
    return None


def _nothing_to_do(seen: Observation, why: str) -> AdvanceResult:
    name, state = seen.view.name, seen.view.snapshot.state
    return AdvanceResult(name, state, Exit.DONE, [], f"nothing to do: {why}", onward(name, state))


def onward(name: str, state: State) -> str:
    """The next command."""
    return f"ckgit show {name}" if state is State.ANALYZED else f"ckgit advance {name}"


def _target(seen: Observation, options: AdvanceOptions) -> State:
    """The state to reach: from analyzed it is the same, with the report as it would be written now.

    Raises:
        CkgitError: it lies behind.
    """
    name, begun, to = seen.view.name, seen.begun, options.to
    position = ORDER.index(begun)
    if to is not None and ORDER.index(to) < position:
        raise CkgitError(
            f"{name} is {begun}, which is past {to}",
            code=Exit.ILLEGAL_TRANSITION,
            state="nothing was changed",
            next=f"ckgit revise {name} takes it back to designed",
        )
    return to or ORDER[min(position + 1, len(ORDER) - 1)]


def _step(seen: Observation, options: AdvanceOptions) -> Decision:
    """The next transition, or as much of it as can be made now."""
    if isinstance(seen.stage, CkgitError):
        return Refuse(seen.stage)
    if seen.stage:
        from ckgit.orchestrators.run.plan import plan_stage  # a transition without jobs has a quarter of a second in all

        return plan_stage(seen.stage, options)
    return Commit(scaffold(seen.view)) if seen.view.snapshot.state is State.DESIGNED else _analysis(seen)


def _not_its_turn(seen: Observation, options: AdvanceOptions) -> str:
    """Why a worker that is run alone has nothing to run; empty where it has."""
    if isinstance(seen.stage, CkgitError):
        return ""  # which says why
    work = seen.stage.work if seen.stage else None
    what = f"{seen.view.name} is {seen.view.snapshot.state}"
    if not work:
        return f"{what}; jobs run when it is {' or '.join(STAGES)}"
    if not work.worker or work.worker.label != options.worker:
        return f"{what}, and run-{options.worker} does not do {work.stage}"
    return "" if work.selected(options.run) else f"run {options.run} has no {work.stage} job"


def _analysis(seen: Observation) -> Decision:
    """The commit with the report; of an analyzed experiment only where it would be another one."""
    from ckgit.orchestrators.analyze.analyze import analyze, outdated, wrote

    view = seen.view._replace(ledger=seen.ledger)
    files = analyze(view)
    if view.snapshot.state is State.ANALYZED and not outdated(view.snapshot, files):
        return Finish(_nothing_to_do(seen, f"{view.name} is analyzed, and its report is what this ckgit would write"))
    changed = {**dict.fromkeys(outdated(view.snapshot, files)), **files}
    text = wrote(files, view.path("analysis/report.md"))
    return Commit(prepare(view, Event.ANALYZE, files=changed, logs={}, ledger=view.ledger, body=text, time=now()))
