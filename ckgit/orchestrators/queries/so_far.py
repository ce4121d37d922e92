"""What there is of a run beside what its stage committed: weights in the work tree, jobs that ended since, and a few answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ckgit.analysis.scores import score_of
from ckgit.errors import CkgitError
from ckgit.experiment.classify import newest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.measured.compared import RowKind
from ckgit.experiment.results import MANIFEST, CellResult, Checkpoint, Results, TrainingResult, read_manifest
from ckgit.experiment.worker import Worker
from ckgit.jobs.folder import is_there, read_status
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.kept import checkpoints_of, source
from ckgit.orchestrators.engine.plugins import worker_for

_EXAMPLES = 3  # answers of an evaluation


class KeptWeights(NamedTuple):
    """A checkpoint of a run, where the work tree has it or had it."""

    name: str
    path: Path
    there: bool | None  # on this machine, now; None where that cannot be seen, as another user may have it for themselves


class EndedSince(NamedTuple):
    """A job that ended, and of which nothing is committed yet: its stage has not judged it."""

    job: str
    results: Sequence[TrainingResult | CellResult]
    problems: Sequence[str]  # why it, or a cell of it, would not count


class AnsweredRow(NamedTuple):
    """A row with what one run made of it."""

    task: str
    id: int | str
    kind: RowKind | None  # why it is worth reading; None where it is only one of the first
    input: str
    target: str | None
    output: str
    score: Score


class SoFar(NamedTuple):
    """What there is of a run."""

    weights: Sequence[KeptWeights]
    ended: Sequence[EndedSince]
    examples: Sequence[AnsweredRow]


def so_far(view: ExperimentView, run: str, results: Results | None) -> SoFar:
    """What there is of a run now. Where its work tree is not on this machine, that is what is committed.

    Raises:
        CkgitError: a worker is not installed.
    """
    ended = [*_ended(view, run)]
    cells = [result for each in ended for result in each.results if isinstance(result, CellResult)]
    return SoFar([*_weights(view, run)], ended, [*_chosen(results, run), *(row for cell in cells for row in _first(cell))])


def _weights(view: ExperimentView, run: str) -> Iterator[KeptWeights]:
    if not view.ledger:
        return
    kept = view.context.kept.get(view.context.plan.run(run).job)
    found = checkpoints_of(view.lab, run, kept, view.ledger, view.name)  # a kept training may have left them in an earlier work tree
    work = Path(view.ledger.work_tree or (source(view.lab, kept)[1].work_tree if kept else ""))
    for each in _manifest(view, run, work):
        if each.prompt is None:  # of a tool that leaves prompts there are no weights
            place = found / PurePosixPath(each.path).name if found else work / each.path
            yield KeptWeights(_name(each), place, _is_there(place))


def _is_there(folder: Path) -> bool | None:
    try:
        return is_there(folder)
    except CkgitError:
        return None


def _manifest(view: ExperimentView, run: str, work: Path) -> Sequence[Checkpoint]:
    """As committed; before that as the job left it. One that cannot be read is told of by `ckgit verify`."""
    committed, left = f"{view.context.run_folder(run)}/{MANIFEST}", work / view.context.artifacts(run) / MANIFEST
    try:
        return read_manifest(view.snapshot.read(committed) or left.read_bytes())
    except (OSError, ValueError):
        return ()


def _name(checkpoint: Checkpoint) -> str:
    place = f"epoch {checkpoint.epoch}" if checkpoint.epoch is not None else f"step {checkpoint.step}"
    return place + (" (best)" if checkpoint.best else "")


def _ended(view: ExperimentView, run: str) -> Iterator[EndedSince]:
    """Jobs that the ledger has as submitted, and that have said how they ended."""
    attempts = newest(view.attempts)
    for worker in filter(None, (worker_for(view.context.summary, stage) for stage in Stage)):
        for job in worker.jobs(view.context):
            attempt = attempts.get(job.name)
            if job.run == run and attempt and attempt.phase is Phase.SUBMITTED and view.ledger:
                yield from _read(view, worker, job, attempt, Path(view.ledger.work_tree))


def _read(view: ExperimentView, worker: Worker, job: Job, attempt: Attempt, work: Path) -> Iterator[EndedSince]:
    try:
        if status := read_status(work, attempt.token):
            times = {"started": status.started, "ended": status.ended, "exit_code": status.exit_code}
            found = worker.evidence(view.context, job, attempt.model_copy(update=times), work)
            yield EndedSince(job.name, found.results, found.reasons)
    except ModuleNotFoundError as error:
        yield EndedSince(job.name, (), [f"it has ended; what it left cannot be read here, as {error.name} is not installed"])
    except (OSError, ValueError) as error:
        yield EndedSince(job.name, (), [f"what it left cannot be read: {error}"])


def _chosen(results: Results | None, run: str) -> Iterator[AnsweredRow]:
    for row in results.rows if results else ():
        for answer in row.answers:
            if answer.run == run:
                yield AnsweredRow(row.task, row.id, row.kind, row.input, row.target, answer.output, answer.score)


def _first(cell: CellResult) -> Iterator[AnsweredRow]:
    scorer = cell.metrics[0].scorer if cell.metrics else ""
    samples = {sample.id: sample for sample in cell.samples if sample.epoch == 1}
    for text in cell.texts[:_EXAMPLES]:
        if sample := samples.get(text.id):
            yield AnsweredRow(cell.task, text.id, None, text.input, sample.target, text.output, score_of(sample, scorer))
