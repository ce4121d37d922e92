"""From a job that ended to what is committed of it: phase, reason, evidence and its tool log."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.analysis.score_text import OVER_ROWS, score
from ckgit.analysis.scores import means, with_intervals
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Phase, Status, Usage
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.scheduler import JobEnding
from ckgit.experiment.worker import Context, Evidence, Worker
from ckgit.jobs.folder import job_folder
from ckgit.lab.secrets import refuse_unfit, without_secrets
from ckgit.orchestrators.engine.logs import bounded, last_lines, tail
from ckgit.orchestrators.run.usage import used
from ckgit.workers.explain import full_disk

_LAST = 10  # lines of an output in which a tool says what ended it


class EndedAttempt(NamedTuple):
    """A job that is over, before it is judged."""

    attempt: Attempt
    status: Status | None  # None: it was lost or refused
    reason: str = ""  # why there is no status
    failure: FailureClass | None = None
    job_id: str | None = None
    ending: JobEnding | None = None  # what the scheduler says of it
    usage: Usage | None = None  # what the scheduler's accounting says it took

    @property
    def seconds(self) -> float | None:
        """From its start to its end, where it wrote that down."""
        return self.status.seconds if self.status else None


class JudgedAttempt(NamedTuple):
    """A job that is over, with what is to be committed of it."""

    attempt: Attempt
    files: Mapping[str, bytes]
    text: str  # one line for people
    masked: Sequence[str] = ()  # secrets of its tool log: place, rule and masked value


Foreign = Callable[[Sequence[TrainingResult | CellResult]], str]  # why results are not this experiment's; empty where they are


def judge(
    worker: Worker,
    context: Context,
    job: Job,
    ended: EndedAttempt,
    work: Path,
    *,
    limit: int,
    taken: frozenset[str],
    foreign: Foreign = lambda _: "",
) -> JudgedAttempt:
    """What a job that is over is worth.

    Args:
        limit: bytes of its tool log that are committed.
        taken: paths of earlier attempts' logs: process ids are used again.
        foreign: asked of what counts by the worker's word.

    Raises:
        CkgitError: UNKNOWN, what it left cannot be read now; USAGE, a file of it must not be committed.
    """
    try:
        judged = _fit(_judge(worker, context, job, ended, work, limit=limit, taken=taken, foreign=foreign), job, work)
        return judged._replace(attempt=judged.attempt.model_copy(update={"files": _digests(context, judged.files)}))
    except OSError as error:
        raise CkgitError(
            f"what {job.name} left cannot be read: {error}",
            code=Exit.UNKNOWN,
            state="nothing was judged",
            next="run the same command again",
        ) from error


def _digests(context: Context, files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of what is committed of a job, by path in the experiment's folder."""
    return {path.removeprefix(f"{context.folder}/"): hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}


def _judge(
    worker: Worker, context: Context, job: Job, ended: EndedAttempt, work: Path, *, limit: int, taken: frozenset[str], foreign: Foreign
) -> JudgedAttempt:
    output = job_folder(work, ended.attempt.token) / "output"
    files: dict[str, bytes] = {}
    attempt = _with_accounting(context, ended, job, work)
    log = bounded(output, limit)
    if log is not None:
        path = _log_path(job, attempt, taken)
        files[path] = log
        attempt = attempt.model_copy(update={"log": path})
    if not ended.status:
        return _failed(attempt, files, ended.failure or FailureClass.LOST, ended.reason)
    evidence = worker.evidence(context, job, attempt, work)
    files |= evidence.files
    if not evidence.results or evidence.reasons or (attempt.exit_code and not evidence.complete):
        failure, reason, cells = _cause(worker, evidence, ended, attempt, tail(output))
        rows = rows_of(evidence.results) if any(not why for why in cells.values()) else None
        return _failed(attempt.model_copy(update={"cells": cells, "rows": rows}), files, failure, reason)
    if why := foreign(evidence.results):
        return _failed(attempt, files, FailureClass.INPUT_CHANGED, why)
    late = f" (its exit code is {attempt.exit_code}; all was saved before)" if attempt.exit_code else ""
    found = {"reason": early(evidence.results), "rows": rows_of(evidence.results)}
    done = attempt.model_copy(update={"phase": Phase.DONE, **found})
    return JudgedAttempt(done, files, f"{job.name}: {gist(evidence.results)}{late}")


def without_status(work: Path, token: str, ending: JobEnding | None = None) -> tuple[FailureClass, str]:
    """Why a job that is gone left no status: as its scheduler says, or else as far as its files tell."""
    if ending and ending.failure:
        return ending.failure, ending.sentence
    folder = job_folder(work, token)
    said = full_disk(_last_words(folder / "output"))
    signs = [f"its output ends with: {said}"] if said else []
    signs += ["it could not write how it ended"] if _is_cut(folder / "status.part") else []
    if not signs:
        return FailureClass.LOST, "it is gone and left no status: it was killed, or its machine stopped"
    why = f"the disk was full, most likely ({', and '.join(signs)}); make room in {work} first"
    return FailureClass.LOST, f"it is gone and left no status: {why}"


def _last_words(output: Path) -> str:
    """The last lines that a job printed; empty where they cannot be read."""
    try:
        return "\n".join(last_lines(tail(output), _LAST))
    except OSError:
        return ""


def _is_cut(part: Path) -> bool:
    """Whether a status was begun and is not whole."""
    try:
        return not part.read_bytes().endswith(b"}\n")
    except OSError:
        return False


def _with_accounting(context: Context, ended: EndedAttempt, job: Job, work: Path) -> Attempt:
    """The attempt with what status file and accounting say of its times and costs."""
    attempt, status = ended.attempt, ended.status
    update: dict[str, object] = {"job_id": ended.job_id or attempt.job_id}
    if status:
        update = {"started": status.started, "ended": status.ended, "exit_code": status.exit_code, "host": status.host}
        update["job_id"] = status.job_id
    attempt = attempt.model_copy(update=update)
    device = str(context.plan.run(job.run)["device"])
    return attempt.model_copy(update={"usage": used(attempt, job, ended.usage, job_folder(work, attempt.token), device=device)})


def _cause(worker: Worker, evidence: Evidence, ended: EndedAttempt, attempt: Attempt, log: str) -> tuple[FailureClass, str, dict[str, str]]:
    """Why a job that ended does not count, and which of its cells. Where the scheduler made it end, the tool's last words are no reason."""
    cells = dict(evidence.cells)
    counting = sum(not why for why in cells.values())
    rest = f" ({counting} of its {len(cells)} cells count)" if counting else ""
    if ended.ending and ended.ending.failure and attempt.exit_code:
        sentence = ended.ending.sentence
        return ended.ending.failure, sentence + rest, {cell: why and sentence for cell, why in cells.items()}
    guess, sentence = worker.explain(log, attempt.exit_code)
    return evidence.failure or guess, ("; ".join(evidence.reasons) or sentence) + rest, cells


def _fit(judged: JudgedAttempt, job: Job, work: Path) -> JudgedAttempt:
    """Secrets are masked in what the tool printed; in any other file they are refused, where the file lies in the work tree."""
    log, files = judged.attempt.log, dict(judged.files)
    content, found = without_secrets(log, files.pop(log)) if log in files else (None, [])
    refuse_unfit({_source(path, job, work): each for path, each in files.items()})
    if content is not None and log:
        files[log] = content
    # the reason of a failure is taken from what the tool printed
    reason = judged.attempt.reason and _plain(judged.attempt.reason)
    cells = {cell: why and _plain(why) for cell, why in judged.attempt.cells.items()}
    attempt = judged.attempt.model_copy(update={"reason": reason, "cells": cells})
    return JudgedAttempt(attempt, files, _plain(judged.text), [str(finding) for finding in found])


def _plain(text: str) -> str:
    return without_secrets("", text.encode())[0].decode()


def _source(path: str, job: Job, work: Path) -> str:
    """The file in the work tree that a committed file is a copy of; it may lie deeper."""
    copies = [work / path, *sorted((work / job.folder).rglob(Path(path).name))]
    return next((str(copy) for copy in copies if copy.is_file()), path)


def _log_path(job: Job, attempt: Attempt, taken: frozenset[str]) -> str:
    name = attempt.job_id or f"attempt{attempt.number}"
    path = f"{job.folder}/slurm-{name}.out"
    return path if path not in taken else f"{job.folder}/slurm-{name}.{attempt.number}.out"


def _failed(attempt: Attempt, files: Mapping[str, bytes], failure: FailureClass, reason: str) -> JudgedAttempt:
    phase = Phase.CANCELLED if failure is FailureClass.CANCELLED else Phase.FAILED
    failed = attempt.model_copy(update={"phase": phase, "failure": failure, "reason": reason})
    return JudgedAttempt(failed, files, f"{attempt.job}: {failure}: {reason}")


def rows_of(results: Sequence[TrainingResult | CellResult]) -> dict[str, str] | None:
    """By task a sketch of the rows that it asked; None where no evaluator says."""
    return {each.task: each.rows for each in results if isinstance(each, CellResult) and each.rows is not None} or None


def foreign_starts(attempts: Sequence[Attempt], job: Job, found: Sequence[TrainingResult | CellResult]) -> str:
    """Why a training is not this experiment's: jobs took part in it that are no attempts at it; empty where there are none."""
    own = {attempt.token for attempt in attempts if attempt.job == job.name}
    starts = [token for result in found if isinstance(result, TrainingResult) for token in result.starts]
    others = sorted(set(starts) - own)
    return f"it goes on with what {', '.join(others)} began, which is no attempt at {job.name}" if others else ""


def early(results: Sequence[TrainingResult | CellResult]) -> str | None:
    """Why the training that a job left made fewer steps than planned; None where it made all."""
    ended = next((result for result in results if isinstance(result, TrainingResult) and result.ended), None)
    return f"stopped early at step {ended.steps} of {ended.planned_steps}: {ended.ended}" if ended else None


def gist(results: Sequence[TrainingResult | CellResult]) -> str:
    """What one job left, in a few words."""
    if len(results) == 1:
        return _gist(results[0])
    return "; ".join(f"{result.task}: {_gist(result)}" for result in results if isinstance(result, CellResult))


def _gist(result: TrainingResult | CellResult) -> str:
    if isinstance(result, TrainingResult):
        loss = f", final loss {result.final_loss:.4g}" if result.final_loss is not None else ""
        steps = f"{result.steps} of {result.planned_steps}" if result.planned_steps else str(result.steps)
        early = f"; stopped early: {result.ended}" if result.ended else ""
        return f"{steps} steps{loss}, {result.seconds:.0f} s{early}"
    cell = with_intervals(result, means([result]))
    metrics = ", ".join(f"{metric.name} {score(cell, metric)}" for metric in cell.metrics)
    about = f"; {OVER_ROWS}" if any(metric.interval for metric in cell.metrics) else ""
    return f"{metrics or 'no metrics'}, {len(result.samples)} samples, {result.seconds:.0f} s{about}"
