"""What a step tells people, in its message and in the logs, is what its ledger says: it is told again, and compared without order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.worker import Worker
from ckgit.formats.listing import listed, paragraphs
from ckgit.lab.commit import CommitPlan
from ckgit.lab.history import cleanings
from ckgit.lab.history.commits import message_of
from ckgit.orchestrators.analyze.analyze import wrote
from ckgit.orchestrators.engine.logs import appended
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.evidence import results_of
from ckgit.orchestrators.review.verify.checks.ledger import begun, ended
from ckgit.orchestrators.review.verify.checks.step import Step
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import JobCounts, count_jobs
from ckgit.orchestrators.run.collect import JudgedAttempt, gist
from ckgit.orchestrators.run.stage import StageJobs, stage_jobs
from ckgit.orchestrators.scaffold import scaffold

Line = tuple[str, str]  # event and text
_LINE = re.compile(r"(\S+) (\S+) (.*)")
_RUNS = (Event.SUBMIT, Event.RETRY, Event.FAIL, Event.TRAIN, Event.EVALUATE, Event.CANCEL)
_COUNTS = 8  # selections of jobs that a failure may be about


class _Added(NamedTuple):
    """The lines that a step has added to a log."""

    times: frozenset[str]
    lines: Sequence[Line]


def told(step: Step) -> Iterator[Finding]:
    """Its subject, and of a step that this ckgit would make in the same words the rest of its message and its lines in the logs."""
    recorded, name = step.recorded, step.after.name
    subject, _, rest = message_of(step.lab.root, step.commit.oid).partition("\n")
    if subject != f"{recorded.event} {name}: {recorded.source} -> {recorded.target}":
        yield rules.MESSAGE.found(f"its subject says {subject[:80]!r}, which is not what it records", commit=step.commit.oid)
    if step.event is Event.CLOSE and not _lines(_without_trailers(rest, step)):
        yield rules.MESSAGE.found("it does not say why it was closed", commit=step.commit.oid)
    if step.event is Event.CLEAN and not cleanings.removed_in(rest):
        yield rules.MESSAGE.found("it does not say what was removed", commit=step.commit.oid)
    if not step.is_ours or step.before is None:
        return
    if step.event in _RUNS:
        yield from _of_jobs(step, rest)
    elif (body := _of_files(step)) is not None and _lines(body) != _lines(_without_trailers(rest, step)):
        yield rules.MESSAGE.found("its message is not what the step wrote", commit=step.commit.oid)


def _of_files(step: Step) -> str | None:
    """The message of a step that runs nothing; None where the branch does not tell it."""
    if step.event is Event.ANALYZE:
        there = [*step.after.list(f"{step.folder}/analysis"), ""]
        return wrote(there, f"{step.folder}/analysis/report.md")
    if step.event is Event.SCAFFOLD:
        log = (step.after.read(_path(step, scaffold.LOG)) or b"").decode(errors="replace").splitlines()
        counts = [(name, count) for name, _, count in (line.partition(" ") for line in log) if name not in ("BEGIN", "END")]
        return scaffold.told(step.view.context, counts)
    return None


def _of_jobs(step: Step, message: str) -> Iterator[Finding]:
    added = {path.removeprefix(f"{step.folder}/"): _added(step, path) for path in _logs(step)}
    times = frozenset(time for each in added.values() for time in each.times)
    if len(times) > 1:
        yield rules.LOG.found(f"lines of one step have {len(times)} times", commit=step.commit.oid, path=_path(step, commits.LOG))
    if wrong := [each for each in begun(step.ledger_before, step.ledger) if times and each.submitted not in times]:
        what = f"attempt {wrong[0].number} at {wrong[0].job} was submitted at {wrong[0].submitted}, and the logs say {min(times)}"
        yield rules.LEDGER.found(what, commit=step.commit.oid, path=_path(step, "jobs.json"))
    candidates = list(_expected(step, added))
    if not candidates:
        return
    fits = min(candidates, key=lambda each: len(list(_differing(each, added))))
    for log in _differing(fits, added):
        yield rules.LOG.found("its lines are not those of what the ledger says", commit=step.commit.oid, path=_path(step, log))
    if _lines(fits.body) != _lines(_without_trailers(message, step)):
        yield rules.MESSAGE.found("its message is not what its ledger says", commit=step.commit.oid)


def _path(step: Step, log: str) -> str:
    return f"{step.folder}/{log}"


def _differing(expected: commits.ToldStep, added: Mapping[str, _Added]) -> Iterator[str]:
    for log in sorted(expected.logs.keys() | added.keys()):
        if Counter(expected.logs.get(log, ())) != Counter(added[log].lines if log in added else ()):
            yield log


def _lines(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.splitlines() if line.strip())


def _without_trailers(message: str, step: Step) -> str:
    return message.replace(step.commit.trailers.strip(), "") if step.commit.trailers.strip() else message


# What is there


def _logs(step: Step) -> list[str]:
    inside = [path for path in step.commit.files if path.startswith(f"{step.folder}/run-")]
    return [path for path in inside if path.endswith(".log") and "/" not in path.removeprefix(f"{step.folder}/")]


def _added(step: Step, path: str) -> _Added:
    old = (step.before.read(path) if step.before else None) or b""
    return _parsed((step.after.read(path) or b"")[len(old) :])


def _parsed(content: bytes) -> _Added:
    found = [(line, _LINE.fullmatch(line)) for line in content.decode(errors="replace").splitlines()]
    times = frozenset(match[1] if match else "" for _, match in found)
    return _Added(times, [(match[2], match[3]) if match else ("", line) for line, match in found])


def _as_lines(lines: Iterable[Line]) -> list[Line]:
    return list(_parsed(appended(None, lines, time="-")).lines)


# What is to be there


def _expected(step: Step, added: Mapping[str, _Added]) -> Iterator[commits.ToldStep]:
    """What the step may say; nothing where that cannot be known, of which other checks tell."""
    here = added.get(commits.LOG, _Added(frozenset(), ()))
    if step.event is Event.CANCEL:
        yield from _cancelled(step)
        return
    over = ended(step.ledger_before, step.ledger)
    if len({attempt.job for attempt in over}) < len(over):
        return  # no step makes it so
    try:
        collected = _collected(step, over, added)
    except ValueError:
        return
    new = begun(step.ledger_before, step.ledger)
    if step.event in (Event.SUBMIT, Event.RETRY) and step.ledger:
        notes, own = ([text for event, text in here.lines if event == word] for word in ("RENDER", "OWN"))
        if new:
            yield _told(commits.submitted(step.event, _workers(step), new, step.ledger, notes, own, collected))
        else:
            yield _moved_or_left(step, here, collected)
        return
    work = stage_jobs(step.view_before)
    yield from (_of_plan(step, plan) for plan in _judged_plans(step, work, collected, here))


def _told(told: commits.ToldStep) -> commits.ToldStep:
    return told._replace(logs={log: _as_lines(lines) for log, lines in told.logs.items()})


def _of_plan(step: Step, plan: CommitPlan) -> commits.ToldStep:
    logs: dict[str, Sequence[Line]] = {}
    for path, content in plan.files.items():
        if path.startswith(f"{step.folder}/run-") and path.endswith(".log") and "/" not in path.removeprefix(f"{step.folder}/"):
            old = (step.before.read(path) if step.before else None) or b""
            logs[path.removeprefix(f"{step.folder}/")] = _parsed((content or b"")[len(old) :]).lines
    return commits.ToldStep(plan.body, logs)


def _judged_plans(step: Step, work: StageJobs, collected: commits.Collected, here: _Added) -> Iterator[CommitPlan]:
    view, ledger = step.view_before, step.ledger
    if step.event is not Event.FAIL:
        if not work.worker or not work.jobs or not ledger:
            yield commits.nothing_to_do(view, work.stage, work.worker, work.over)
        else:
            count = count_jobs(ledger.attempts, work.jobs)
            yield commits.passing(view, work.stage, work.workers, collected, count, work.over, ledger, time="-")
    elif ledger:
        for count in _counts(step, work, here):
            yield commits.failure(view, work.stage, work.workers, collected, count, ledger, time="-")


def _counts(step: Step, work: StageJobs, here: _Added) -> list[JobCounts]:
    """Of which jobs a failure may speak: those of the stage or of all, of one run or of all. The log's first words tell."""
    said = here.lines[0][1] if here.lines else ""
    attempts = step.ledger.attempts if step.ledger else ()
    found = []
    for run in [None, *dict.fromkeys(job.run for job in work.all)]:
        for jobs in ([job for job in work.all if run in (None, job.run)], work.selected(run)):
            count = count_jobs(attempts, jobs)
            if count.failed and said.startswith(" ".join(count.ended_badly("").split(" ")[:3])):
                found.append(count)
    return found[:_COUNTS] or [count_jobs(attempts, work.jobs)]


def _collected(step: Step, over: Sequence[Attempt], added: Mapping[str, _Added]) -> commits.Collected:
    lines = [line for each in added.values() for line in each.lines]
    counted = [part.split(" ", 1) for event, text in lines if event == "QUERIES" for part in text.split(", ")]
    queries = {name: int(count) for count, *rest in counted for name in rest if re.fullmatch(r"[0-9]{1,9}", count)}
    judged = [_judged(step, attempt, lines) for attempt in over]
    return commits.Collected(judged, {}, queries)


def _judged(step: Step, attempt: Attempt, lines: Sequence[Line]) -> JudgedAttempt:
    head = f"a secret in what {attempt.job} printed: "
    masked = [text.removeprefix(head) for event, text in lines if event == "MASKED" and text.startswith(head)]
    if attempt.phase is not Phase.DONE:
        return JudgedAttempt(attempt, {}, f"{attempt.job}: {attempt.failure}: {attempt.reason}", masked)
    late = f" (its exit code is {attempt.exit_code}; all was saved before)" if attempt.exit_code else ""
    return JudgedAttempt(attempt, {}, f"{attempt.job}: {gist(results_of(step, attempt))}{late}", masked)


def _workers(step: Step) -> Mapping[Stage, Worker]:
    return {stage: worker for stage in Stage if (worker := worker_for(step.view_before.context.summary, stage))}


def _moved_or_left(step: Step, here: _Added, collected: commits.Collected) -> commits.ToldStep:
    """Of a step that hands nothing over its own words are taken as they are: who knows them is the machine that it was made on."""
    told = commits.told_of(_workers(step), "", "", collected)
    event, text = here.lines[0] if here.lines else ("", "")
    notes = [text for event, text in here.lines if event in ("RENDER", "OWN")]
    body = paragraphs(f"{text[:1].upper() if event == 'MOVED' else text[:1]}{text[1:]}.", listed(notes), told.body)
    return _told(commits.ToldStep(body, {**told.logs, commits.LOG: here.lines}))


def _cancelled(step: Step) -> Iterator[commits.ToldStep]:
    before, attempts = step.ledger_before, ended(step.ledger_before, step.ledger)
    if not before:
        return
    lost = next((each.reason or "" for each in attempts if each.declared_lost), "").removeprefix("declared lost: ")
    for workers in (_workers(step), {}):
        for whole in (True, False):
            made = commits.cancellation(workers, attempts, before, time="-", whole=whole, lost=lost)
            yield _told(commits.ToldStep(made.body, made.logs))
