"""The commits of run-experiment: what each writes and says. Pure: they can be shown without being made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ckgit.experiment.design import Stage
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Ledger, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.worker import Worker
from ckgit.orchestrators.attempts import Tally, describe, latest_attempts, new_attempt
from ckgit.orchestrators.collect import Judged
from ckgit.orchestrators.logs import now
from ckgit.orchestrators.standing import Standing, Step, prepare

PASSES: Mapping[Stage, Event] = {Stage.TRAINING: Event.TRAIN, Stage.EVALUATION: Event.EVALUATE}
VERBS: Mapping[Stage, str] = {Stage.TRAINING: "train", Stage.EVALUATION: "evaluate"}
LOG = "run-experiment.log"
_LISTED = 50  # lines of a message; all jobs are in jobs.json


def worker_log(worker: Worker) -> str:
    """Name of a worker's log."""
    return f"run-{worker.label}.log"


def submission(standing: Standing, event: Event, worker: Worker, jobs: Sequence[Job], ledger: Ledger, *, time: str) -> Step:
    """The intent to run jobs, each with a token of its own; for the first time, or again.

    Raises:
        CkgitError: a job's script is not on the branch.
    """
    scripts = standing.snapshot.read_many([job.script for job in jobs])
    if missing := [job.script for job in jobs if job.script not in scripts]:
        raise CkgitError(
            "the script of a job is not on the branch", code=Exit.EVIDENCE_MISSING, where=missing[0], next=f"ckgit revise {standing.name}"
        )
    before = latest_attempts(ledger)
    attempts = [new_attempt(standing.name, job, scripts[job.script], before.get(job.name), time) for job in jobs]
    again = " again" if event is Event.RETRY else ""
    text = f"{plural(len(jobs), f'{worker.stage} job')}{again} on cluster {ledger.cluster}"
    logs = {
        LOG: [(event.upper(), text)],
        worker_log(worker): [(event.upper(), f"{attempt.job} attempt {attempt.number} as {attempt.token}") for attempt in attempts],
    }
    body = paragraphs(f"{text} (scheduler {ledger.scheduler}).", listed(job.name for job in jobs))
    return prepare(standing, event, files={}, logs=logs, ledger=ledger.with_attempts(*attempts), body=body, time=time)


def failure(standing: Standing, stage: Stage, worker: Worker, judged: Sequence[Judged], count: Tally, ledger: Ledger, *, time: str) -> Step:
    """Jobs ended, and some that the stage needs have failed."""
    text = f"{len(count.failed)} of {plural(count.total, f'{stage} job')} failed"
    body = paragraphs(f"{text}.", [f"- {describe(attempt)}" for attempt in count.failed], listed(_good(judged), "Done:"))
    return prepare(
        standing, Event.FAIL, files=_files(judged), logs=_logs(worker, "FAILED", text, judged), ledger=ledger, body=body, time=time
    )


def passing(
    standing: Standing,
    stage: Stage,
    worker: Worker,
    judged: Sequence[Judged],
    count: Tally,
    over: Sequence[Job],
    ledger: Ledger,
    *,
    time: str,
) -> Step:
    """The stage is done; what was accepted as missing is named in full."""
    missing = [f"- {describe(attempt)}" for attempt in count.failed] + [f"- {job.name}: its run was not trained" for job in over]
    text = f"{len(count.done)} of {plural(count.total + len(over), f'{stage} job')} done"
    accepted = paragraphs("Accepted as missing:", missing) if missing else ""
    body = paragraphs(f"{text}.", listed(_good(judged)), accepted)
    logs = _logs(worker, f"{VERBS[stage].upper().removesuffix('E')}ED", text, judged)
    logs[LOG] += [("ACCEPTED", line.removeprefix("- ")) for line in missing]
    return prepare(standing, PASSES[stage], files=_files(judged), logs=logs, ledger=ledger, body=body, time=time)


def nothing_to_do(standing: Standing, stage: Stage, worker: Worker | None, over: Sequence[Job]) -> Step:
    """A stage without jobs is passed with a commit that says so."""
    if not worker:
        why = f"the design names no tool for {stage}"
    elif over:
        why = f"the training of all {plural(len(over), 'job')} was passed over by --accept-missing"
    else:
        why = "the design has no fine-tuned runs" if stage is Stage.TRAINING else "the design has no evaluations"
    text = f"nothing to {VERBS[stage]}: {why}"
    ledger = standing.ledger
    if ledger and over:
        names = dict.fromkeys([*ledger.accepted_missing, *(job.name for job in over)])
        ledger = ledger.model_copy(update={"accepted_missing": tuple(names)})
    return prepare(standing, PASSES[stage], files={}, logs={LOG: [("NOTHING", text)]}, ledger=ledger, body=f"{text}.", time=now())


def cancellation(standing: Standing, worker: Worker, attempts: Sequence[Attempt], ledger: Ledger, *, time: str) -> Step:
    """Jobs that are not wanted any more; committed before they are signalled."""
    update = {"phase": Phase.CANCELLED, "failure": FailureClass.CANCELLED, "reason": "cancelled by ckgit cancel", "ended": time}
    ended = [attempt.model_copy(update=update) for attempt in attempts]
    text = f"{plural(len(ended), f'{worker.stage} job')} cancelled"
    logs = {LOG: [("CANCEL", text)], worker_log(worker): [("CANCEL", f"{attempt.job} attempt {attempt.number}") for attempt in ended]}
    body = paragraphs(f"{text}.", listed(attempt.job for attempt in ended))
    return prepare(standing, Event.CANCEL, files={}, logs=logs, ledger=ledger.with_attempts(*ended), body=body, time=time)


def _files(judged: Sequence[Judged]) -> dict[str, bytes | None]:
    return {path: content for one in judged for path, content in one.files.items()}


def _logs(worker: Worker, event: str, text: str, judged: Sequence[Judged]) -> dict[str, list[tuple[str, str]]]:
    lines = [(one.attempt.phase.upper(), f"{one.text} (job {one.attempt.job_id or 'without id'})") for one in judged]
    lines += [("MASKED", f"a secret in what {one.attempt.job} printed: {place}") for one in judged for place in one.masked]
    return {LOG: [(event, text)], **({worker_log(worker): lines} if lines else {})}


def _good(judged: Sequence[Judged]) -> list[str]:
    return [one.text for one in judged if one.attempt.phase is Phase.DONE]


def plural(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def listed(lines: Iterable[str], heading: str = "") -> str:
    """A list, cut where it gets too long for a message."""
    items = list(lines)
    more = [f"- and {len(items) - _LISTED} more (jobs.json has them all)"] if len(items) > _LISTED else []
    return "\n".join([*([heading] if heading and items else []), *(f"- {item}" for item in items[:_LISTED]), *more])


def paragraphs(*parts: str | Sequence[str]) -> str:
    """Paragraphs of a commit's body; empty ones are left out."""
    texts = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return "\n\n".join(text for text in texts if text)
