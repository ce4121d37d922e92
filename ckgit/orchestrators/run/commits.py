"""The commits of run-experiment: what each writes and says. Pure: they can be shown without being made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import place
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Detached, FailureClass, Job, Ledger, Phase, Usage
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.worker import Worker
from ckgit.formats.listing import listed, paragraphs, plural
from ckgit.jobs.own_setup import in_words, reads_own_setup
from ckgit.lab.commit import CommitPlan
from ckgit.orchestrators.engine.experiment import ExperimentView, prepare
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.run.attempts import AttemptOptions, JobCounts, describe, describe_missing, new_attempts
from ckgit.orchestrators.run.collect import JudgedAttempt
from ckgit.orchestrators.run.usage import filled

LOG = "run-experiment.log"


def worker_log(worker: Worker) -> str:
    """Name of a worker's log."""
    return f"run-{worker.label}.log"


class Collected(NamedTuple):
    """What is known of the jobs that were submitted, beyond what is committed."""

    judged: Sequence[JudgedAttempt] = ()  # those that ended
    job_ids: Mapping[str, str] = {}  # by token
    queries: Mapping[str, int] = {}  # calls of the scheduler's commands since the last commit
    usage: Mapping[str, Usage] = {}  # by token, of attempts that ended now or before

    def enter(self, ledger: Ledger) -> Ledger:
        """The ledger with what ended jobs left and took."""
        new = [attempt for attempt in ledger.open() if attempt.job_id is None and attempt.token in self.job_ids]
        ids = [attempt.model_copy(update={"job_id": self.job_ids[attempt.token]}) for attempt in new]
        entered = ledger.with_attempts(*ids, *(one.attempt for one in self.judged))
        return entered.with_attempts(*filled(entered.attempts, self.usage))


NOTHING = Collected()


def submission(
    view: ExperimentView,
    event: Event,
    workers: Mapping[Stage, Worker],
    jobs: Sequence[Job],
    ledger: Ledger,
    tries: AttemptOptions,
    *,
    collected: Collected = NOTHING,
    detached: Detached | None = None,
) -> CommitPlan:
    """The intent to run jobs, each with a token of its own; for the first time, or again. What others left comes along.

    Raises:
        CkgitError: a job's script is not on the branch.
    """
    scripts = view.snapshot.read_many([job.script for job in jobs])
    if missing := [job.script for job in jobs if job.script not in scripts]:
        raise CkgitError(
            "the script of a job is not on the branch", code=Exit.EVIDENCE_MISSING, where=missing[0], next=f"ckgit revise {view.name}"
        )
    attempts = new_attempts(view.name, jobs, {**scripts, **tries.files}, tries)
    own = in_words(view.context.cluster.own, setup=any(reads_own_setup({**scripts, **tries.files}[job.script]) for job in jobs))
    ledger = ledger.with_attempts(*attempts).model_copy(update={"detached": detached, **place(view.context.cluster)})
    told = submitted(event, workers, attempts, ledger, tries.notes, own, collected)
    files = {**_files(collected), **tries.files}
    return prepare(view, event, files=files, logs=told.logs, ledger=ledger, body=told.body, time=tries.time)


class ToldStep(NamedTuple):
    """What a step says to people."""

    body: str
    logs: Mapping[str, Sequence[tuple[str, str]]]  # by name of the log


def submitted(
    event: Event,
    workers: Mapping[Stage, Worker],
    attempts: Sequence[Attempt],
    ledger: Ledger,
    notes: Sequence[str],
    own: Sequence[str],
    collected: Collected,
) -> ToldStep:
    """What is said of attempts that are submitted.

    Args:
        ledger: with them.
        notes: on what was rendered anew for them.
        own: what a person's own configuration adds.
    """
    again = " again" if event is Event.RETRY else ""
    kinds = [plural(count, f"{stage} job") for stage in Stage if (count := sum(attempt.stage is stage for attempt in attempts))]
    text = f"{' and '.join(kinds)}{again} on cluster {ledger.cluster}"
    logs = _logs(workers, event.upper(), text, collected)
    for attempt in attempts:
        asked = f", {attempt.changed}" if attempt.changed else ""
        line = (event.upper(), f"{attempt.job} attempt {attempt.number} as {attempt.token}{asked}")
        logs.setdefault(worker_log(workers[attempt.stage]), []).append(line)
    logs[LOG] += [("RENDER", note) for note in notes]
    logs[LOG] += [("OWN", each) for each in own]
    detached = ledger.detached
    later = f"When they have ended, job {detached.token} takes the experiment on to {detached.to}." if detached else ""
    what = [listed(map(_asked, attempts)), listed(notes)]
    body = paragraphs(f"{text} (scheduler {ledger.scheduler}).", *what, listed(own), listed(_good(collected), "Done:"), later)
    return ToldStep(body, logs)


def left(
    view: ExperimentView, workers: Mapping[Stage, Worker], collected: Collected, ledger: Ledger, detached: Detached | None
) -> CommitPlan:
    """An experiment is left to a job of ours; what jobs left until now comes along."""
    text = f"left to job {detached.token}, up to {detached.to}" if detached else "left to nobody"
    own = in_words(view.context.cluster.own, setup=True) if detached else []
    body = paragraphs(f"{text}.", listed(own), listed(_good(collected), "Done:"))
    ledger = collected.enter(ledger).model_copy(update={"detached": detached})
    logs = _logs(workers, "LEFT", text, collected)
    logs[LOG] += [("OWN", each) for each in own]
    return prepare(view, Event.SUBMIT, files=_files(collected), logs=logs, ledger=ledger, body=body, time=now())


def told_of(workers: Mapping[Stage, Worker], event: str, text: str, collected: Collected) -> ToldStep:
    """What is said of jobs that have ended."""
    return ToldStep(listed(_good(collected), "Done:"), _logs(workers, event, text, collected))


def _asked(attempt: Attempt) -> str:
    return attempt.job + (f" ({attempt.changed})" if attempt.changed else "")


def failure(
    view: ExperimentView,
    stage: Stage,
    workers: Mapping[Stage, Worker],
    collected: Collected,
    count: JobCounts,
    ledger: Ledger,
    *,
    time: str,
) -> CommitPlan:
    """Jobs ended, and some that are needed have failed."""
    kind = f"{stage} job" if all(attempt.stage is stage for attempt in count.failed) else "job"
    text = count.ended_badly(kind)
    body = paragraphs(f"{text}.", listed(map(describe, count.failed)), listed(_good(collected), "Done:"))
    logs = _logs(workers, "FAILED", text, collected)
    return prepare(view, Event.FAIL, files=_files(collected), logs=logs, ledger=ledger, body=body, time=time)


def passing(
    view: ExperimentView,
    stage: Stage,
    workers: Mapping[Stage, Worker],
    collected: Collected,
    count: JobCounts,
    over: Sequence[Job],
    ledger: Ledger,
    *,
    time: str,
) -> CommitPlan:
    """The stage is done; what was accepted as missing is named in full."""
    failed = {attempt.job for attempt in count.failed}
    cells = {job: each for job, each in ledger.cells().items() if job in failed}
    missing = [f"- {line}" for attempt in count.failed for line in describe_missing(attempt, cells.get(attempt.job, {}))]
    missing += [f"- {job.name}: its run was not trained" for job in over]
    text = _passed(view, count, cells) if cells else f"{len(count.done)} of {plural(count.total + len(over), f'{stage} job')} done"
    accepted = paragraphs("Accepted as missing:", missing) if missing else ""
    body = paragraphs(f"{text}.", listed(_good(collected)), accepted)
    logs = _logs(workers, f"{stage.row.verb.upper().removesuffix('E')}ED", text, collected)
    logs[LOG] += [("ACCEPTED", line.removeprefix("- ")) for line in missing]
    return prepare(view, stage.row.event, files=_files(collected), logs=logs, ledger=ledger, body=body, time=time)


def _passed(view: ExperimentView, count: JobCounts, failed: Mapping[str, Mapping[str, str]]) -> str:
    """How many evaluations are done, where cells of a job that failed count."""
    done, planned = {attempt.job for attempt in count.done}, view.context.plan.cells
    counting = sum(cell.job in done for cell in planned) + sum(not why for cells in failed.values() for why in cells.values())
    return f"{counting} of {plural(len(planned), 'evaluation')} done"


def nothing_to_do(view: ExperimentView, stage: Stage, worker: Worker | None, over: Sequence[Job]) -> CommitPlan:
    """A stage without jobs is passed with a commit that says so."""
    if not worker:
        why = f"the design names no tool for {stage}"
    elif over:
        why = f"the training of all {plural(len(over), 'job')} was passed over by --accept-missing"
    else:
        why = stage.row.nothing
    text = f"nothing to {stage.row.verb}: {why}"
    ledger = view.ledger
    if ledger and over:
        names = dict.fromkeys([*ledger.accepted_missing, *(job.name for job in over)])
        ledger = ledger.model_copy(update={"accepted_missing": tuple(names)})
    return prepare(view, stage.row.event, files={}, logs={LOG: [("NOTHING", text)]}, ledger=ledger, body=f"{text}.", time=now())


class Cancellation(NamedTuple):
    """Jobs that are not wanted any more, as they are committed before they are signalled."""

    ledger: Ledger
    logs: Mapping[str, Sequence[tuple[str, str]]]
    body: str


def cancellation(
    workers: Mapping[Stage, Worker], attempts: Sequence[Attempt], ledger: Ledger, *, time: str, whole: bool, lost: str = ""
) -> Cancellation:
    """What is recorded of jobs that are cancelled, or declared lost.

    Args:
        workers: those whose logs are to say it; none where the design cannot be read.
        whole: whether nobody is to go on with others.
        lost: why they are declared lost, in their user's words; empty where they are cancelled.
    """
    what, told = ("declared lost", f" declared lost: {lost}") if lost else ("cancelled", " cancelled")
    update: dict[str, Any] = {"phase": Phase.CANCELLED, "failure": FailureClass.CANCELLED, "reason": "cancelled by ckgit cancel"}
    if lost:
        update = {"phase": Phase.FAILED, "failure": FailureClass.LOST, "reason": f"declared lost: {lost}", "declared_lost": True}
    ended = [attempt.model_copy(update={**update, "ended": time}) for attempt in attempts]
    text = f"{plural(len(ended), 'job')}{told}" + ("; nothing goes on by itself any more" if ledger.detached and whole else "")
    logs = {LOG: [("CANCEL", text)]}
    for attempt in ended:
        if attempt.stage in workers:
            line = ("CANCEL", f"{attempt.job} attempt {attempt.number} {what}" if lost else f"{attempt.job} attempt {attempt.number}")
            logs.setdefault(worker_log(workers[attempt.stage]), []).append(line)
    body = paragraphs(f"{text}.", listed(attempt.job for attempt in ended))
    return Cancellation(ledger.with_attempts(*ended).model_copy(update={"detached": None if whole else ledger.detached}), logs, body)


def _files(collected: Collected) -> dict[str, bytes | None]:
    return {path: content for one in collected.judged for path, content in one.files.items()}


def _logs(workers: Mapping[Stage, Worker], event: str, text: str, collected: Collected) -> dict[str, list[tuple[str, str]]]:
    logs = {LOG: [(event, text)]}
    for one in collected.judged:
        lines = logs.setdefault(worker_log(workers[one.attempt.stage]), [])
        lines.append((one.attempt.phase.upper(), f"{one.text} (job {one.attempt.job_id or 'without id'})"))
        lines += [("MASKED", f"a secret in what {one.attempt.job} printed: {place}") for place in one.masked]
    if collected.queries:
        logs[LOG].append(("QUERIES", ", ".join(f"{count} {command}" for command, count in sorted(collected.queries.items()))))
    return logs


def _good(collected: Collected) -> list[str]:
    return [one.text for one in collected.judged if one.attempt.phase is Phase.DONE]
