"""The ledger from one step to the next: what was attempted stays, ends once, and is what was handed over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from ckgit.experiment.classify import classify, newest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Job, Ledger, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.orchestrators.engine.kept import has_source, kept_attempts
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.recorded import recorded
from ckgit.orchestrators.review.verify.checks.step import Step
from ckgit.orchestrators.run.attempts import is_token_of

_SUBMITS = (Event.SUBMIT, Event.RETRY)
_GROWS = frozenset({"usage", "job_id"})  # what accounting tells later of an attempt that has ended
_PLACE = ("cluster", "scheduler", "slurm_cluster", "command_prefix", "design", "commit", "tree", "work_tree", "host", "moved_from")
_IDENTITY = ("job", "stage", "number", "token", "script_sha256", "submitted", "resources", "batch")


def ledger(step: Step) -> Iterator[Finding]:
    """Everything that the ledgers before and after a step say of it."""
    path = f"{step.folder}/jobs.json"
    for what in _sentences(step):
        yield rules.LEDGER.found(what, commit=step.commit.oid, path=path)


def ended(before: Ledger | None, after: Ledger | None) -> list[Attempt]:
    """The attempts that ended between two ledgers."""
    open_before = {attempt.token for attempt in (before.open() if before else ())}
    known = {attempt.token for attempt in (before.attempts if before else ())}
    found = after.attempts if after else ()
    return [each for each in found if not classify(each).is_open and (each.token in open_before or each.token not in known)]


def begun(before: Ledger | None, after: Ledger | None) -> list[Attempt]:
    """The attempts of which a ledger before does not know."""
    known = {attempt.token for attempt in (before.attempts if before else ())}
    return [each for each in (after.attempts if after else ()) if each.token not in known]


def _sentences(step: Step) -> Iterator[str]:
    before, after = step.ledger_before, step.ledger
    if after is None:
        if before is not None:
            yield "the ledger is gone, with every attempt in it"
        return
    old = {attempt.token: attempt for attempt in (before.attempts if before else ())}
    new = {attempt.token: attempt for attempt in after.attempts}
    yield from (f"attempt {attempt.number} at {attempt.job} is gone" for token, attempt in old.items() if token not in new)
    if len(new) != len(after.attempts):
        yield "two attempts have one token"
    if after.design and after.design != step.recorded.design:
        yield f"it is of another design ({after.design[:12]})"
    yield from (why for token, attempt in old.items() if token in new and (why := _changed(step.event, attempt, new[token])))
    yield from _begun(step, before, after, begun(before, after))
    yield from _numbered(after)
    yield from _tree(step, before, after)
    yield from _passed(step, after)
    if before and step.event not in _SUBMITS:
        moved = [name for name in _PLACE if getattr(before, name) != getattr(after, name)]
        yield from (f"its {name} was changed, and nothing was submitted" for name in moved)
    if step.is_ours:
        yield from recorded(step, before, after)


def _changed(event: Event, before: Attempt, after: Attempt) -> str:
    """How an attempt is not what it was, in a way that no step makes it."""
    what = f"attempt {before.number} at {before.job}"
    if others := [name for name in _IDENTITY if getattr(before, name) != getattr(after, name)]:
        return f"{what} has another {others[0]} than when it was submitted"
    if not classify(before).is_open:
        kept, now = (each.model_dump(exclude=set(_GROWS)) for each in (before, after))
        return f"{what} had ended, and its {next(key for key in kept if kept[key] != now[key])} was changed" if kept != now else ""
    if classify(after).is_open:
        return ""
    if event is Event.CANCEL and after.phase is Phase.DONE:
        return f"{what} is done by a step that cancels"
    if after.phase is Phase.DONE and not (after.started and after.ended and after.exit_code is not None and after.job_id):
        return f"{what} is done, and does not say when, as which job, and with which exit code"
    return ""


def _begun(step: Step, before: Ledger | None, after: Ledger, attempts: list[Attempt]) -> Iterator[str]:
    """New attempts are the intent to run planned jobs, with the scripts of this very commit."""
    jobs = _jobs(step)
    scripts = step.after.read_many({jobs[each.job].script for each in attempts if each.job in jobs})
    last = newest(before.attempts if before else ())
    yield from _kept(step, [each for each in attempts if each.kept])
    for attempt in (each for each in attempts if not each.kept):
        what = f"attempt {attempt.number} at {attempt.job}"
        if attempt.job not in jobs:
            yield f"{what}: the design has no such job"
        elif step.event not in _SUBMITS or attempt.phase is not Phase.SUBMITTED:
            yield f"{what} was never submitted: it first appears as {attempt.phase}, in a step that records {step.event}"
        elif attempt.job in last and not classify(last[attempt.job]).is_bad:
            yield f"{what} repeats one that is {last[attempt.job].phase}"
        elif hashlib.sha256(scripts.get(jobs[attempt.job].script, b"")).hexdigest() != attempt.script_sha256:
            yield f"{what}: its script is not the one that is committed"
        elif attempt.stage is not jobs[attempt.job].stage:
            yield f"{what} is of {attempt.stage}, and its job is of {jobs[attempt.job].stage}"
        elif not is_token_of(attempt.token, step.after.name, attempt.job, attempt.number):
            yield f"{what}: its token is another job's"
    if attempts and after.work_tree and not after.commit:
        yield "it names no scaffold commit"


def _kept(step: Step, attempts: list[Attempt]) -> Iterator[str]:
    """Attempts that are taken over when an experiment is scaffolded are those of the commit that kept.json names."""
    kept = step.view.context.kept if step.event is Event.SCAFFOLD else {}
    here = {name: job for name, job in kept.items() if has_source(step.lab, job)}
    wanted = kept_attempts(step.lab, step.after.name, here)
    others = newest(each for each in attempts if each.job not in here)  # the check of what is kept tells that nobody can look there
    if {job: each.token for job, each in others.items()} != {name: job.token for name, job in kept.items() if name not in here}:
        yield "attempts are taken over that kept.json does not name, or not all that it names"
    if [each for each in attempts if each.job in here] != wanted:
        yield "attempts are taken over from another commit, or are not as that one has them"


def _numbered(after: Ledger) -> Iterator[str]:
    """Attempts at a job are numbered from 1, in order: none that failed is left out."""
    numbers: dict[str, list[int]] = {}
    for attempt in after.attempts:
        numbers.setdefault(attempt.job, []).append(attempt.number)
    for job, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            yield f"attempts at {job} are numbered {', '.join(map(str, found))}"


def _tree(step: Step, before: Ledger | None, after: Ledger) -> Iterator[str]:
    """The folder that jobs run from is the one that was committed just before they were submitted, or it came from the one before."""
    if after.moved_from and after.moved_from not in ((before.moved_from, before.work_tree) if before else ()):
        yield f"it came from {after.moved_from}, where it never was"
    if after.tree and after.tree != (before.tree if before else "") and step.before and after.tree != step.before.tree:
        yield f"its jobs run from another folder ({after.tree[:12]}) than the branch had when they were submitted"


def _passed(step: Step, after: Ledger) -> Iterator[str]:
    """A stage is passed when each of its jobs is done, or was accepted as missing."""
    stage = next((each for each in Stage if each.row.event is step.event), None)
    if stage is None:
        return
    done = {attempt.job for attempt in after.attempts if attempt.phase is Phase.DONE}
    left = [job.name for job in _jobs(step).values() if job.stage is stage and job.name not in {*done, *after.accepted_missing}]
    untrained = {job.partition("/")[0] for job in after.accepted_missing}
    for job in left:
        if job.partition("/")[0] not in untrained:
            yield f"{step.event} is recorded, and {job} is not done"


def _jobs(step: Step) -> Mapping[str, Job]:
    context = step.view.context
    workers = filter(None, (worker_for(context.summary, stage) for stage in Stage))
    return {job.name: job for worker in workers for job in worker.jobs(context)}
