"""Trainings of the lab that a new design need not repeat: they were made from the same, in another experiment, and are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import newest
from ckgit.experiment.design.kept import KeptJob, made_from_digest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Job, Phase
from ckgit.experiment.worker import Context, Worker
from ckgit.formats.plain_json import differing
from ckgit.lab.context import load_context
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.hand_edits import written
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import as_committed
from ckgit.lab.summary.file import FILE
from ckgit.orchestrators.design.touched import asked
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.kept import checkpoints_of, source
from ckgit.orchestrators.engine.plugins import worker_for


class FinishedTraining(NamedTuple):
    """A training of another experiment that is done."""

    view: ExperimentView
    job: Job
    attempt: Attempt
    made_from: Mapping[str, str]

    @property
    def in_words(self) -> str:
        """Which it is."""
        return f"{self.job.run} of {self.view.name}"


class Reusable(NamedTuple):
    """A training that a new design can take over."""

    job: Job
    kept: KeptJob
    files: Mapping[str, bytes]  # what the run's folder has of it, by path of the lab


def reusable(lab: Lab, name: str, context: Context) -> list[Reusable]:
    """For each training of a new design one that was made from the same and whose checkpoints this machine sees: the one that ended last.

    Args:
        name: of the experiment, which is not there yet.
    """
    worker = worker_for(context.summary, Stage.TRAINING)
    wanted = {job.name: (job, worker.made_from(context, job, lambda _: None)) for job in worker.jobs(context)} if worker else {}
    there: dict[str, FinishedTraining] = {}
    for each in finished(lab, name, context) if any(made for _, made in wanted.values()) else ():
        digest = made_from_digest(each.made_from)
        if digest not in there or str(there[digest].attempt.ended) < str(each.attempt.ended):
            there[digest] = each
    found = ((job, there.pop(made_from_digest(made), None)) for job, made in wanted.values() if made)  # each for one run
    return [taken_over(each, context, job) for job, each in found if each and _sees(each)]


def finished(lab: Lab, name: str, context: Context) -> Iterator[FinishedTraining]:
    """Every training of other experiments that is done, on the models and the data of a design. What cannot be read is left out."""
    for row in _likely(lab, name, context):
        try:
            snapshot = as_committed(lab.root, row.name, row.tip)
            ledger = snapshot.ledger()
            view = ExperimentView(lab, snapshot, load_context(lab, snapshot, ledger), ledger)
            worker = worker_for(view.context.summary, Stage.TRAINING)
            yield from _done(view, worker) if worker else ()
        except CkgitError:
            continue


def _likely(lab: Lab, name: str, context: Context) -> list[ExperimentRow]:
    """Experiments whose summary has the digests of a model and of a data set that the design uses: of many, few are read."""
    recorded = context.summary.recorded
    digests = [each.sha256.encode() for each in recorded.data.values()], [each.encode() for each in recorded.models.values()]
    rows = [row for row in list_experiments(lab, kept=True) if row.name != name]
    summaries = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/{FILE}" for row in rows], lenient=True)
    return [row for row, text in zip(rows, summaries, strict=True) if text and all(any(one in text for one in some) for some in digests)]


def _done(view: ExperimentView, worker: Worker) -> Iterator[FinishedTraining]:
    """Trainings whose files are as they were left."""
    edited = {edit.path for edit in written(view.snapshot).edits}
    attempts = newest(view.attempts)
    for job in worker.jobs(view.context):
        attempt = attempts.get(job.name)
        if not attempt or attempt.phase is not Phase.DONE or attempt.kept or edited.intersection(paths_of(view, worker, job)):
            continue
        if made := worker.made_from(view.context, job, view.snapshot.read):
            yield FinishedTraining(view, job, attempt, made)


def paths_of(view: ExperimentView, worker: Worker, job: Job) -> list[str]:
    """What a job was run from, and what its attempts left, on the branch."""
    left = [view.path(path) for attempt in view.attempts if attempt.job == job.name for path in attempt.files]
    return list(dict.fromkeys([*worker.renders(view.context, job), *left]))


def _sees(found: FinishedTraining) -> bool:
    view = found.view
    return checkpoints_of(view.lab, found.job.run, view.context.kept.get(found.job.name), view.ledger, view.name) is not None


def taken_over(found: FinishedTraining, context: Context, job: Job) -> Reusable:
    """What a design commits of a training that it takes over."""
    view, worker = found.view, worker_for(found.view.context.summary, Stage.TRAINING)
    was, now = (dict(asked(each, each.plan.run(run))) for each, run in ((view.context, found.job.run), (context, job.run)))
    kept = KeptJob(
        experiment=view.name,
        job=found.job.name,
        commit=view.snapshot.tip,
        token=found.attempt.token,
        design=view.context.design_of(found.job.name),
        made_from_sha256=made_from_digest(found.made_from),
        tasks=tuple(task for task, rows in now.items() if was.get(task) == rows),
    )
    folders = view.context.run_folder(found.job.run), context.run_folder(job.run)
    there = view.snapshot.read_many(paths_of(view, worker, found.job) if worker else ())
    return Reusable(job, kept, {path.replace(*folders, 1): content for path, content in there.items()})


def as_recorded(lab: Lab, kept: KeptJob, context: Context, job: Job) -> Reusable:
    """What a design that takes a training over has to hold, from the commit that it names.

    Raises:
        CkgitError: EVIDENCE_MISSING, that commit is not in this clone, or has no such training that is done and made from the same.
    """
    snapshot, ledger = source(lab, kept)
    view = ExperimentView(lab, snapshot, load_context(lab, snapshot, ledger), ledger)
    worker = worker_for(view.context.summary, Stage.TRAINING)
    found = next((each for each in (_done(view, worker) if worker else ()) if each.job.name == kept.job), None)
    now = worker.made_from(context, job, lambda _: None) if worker else {}
    if found is None or found.made_from != now:
        why = differing(found.made_from, now) if found else "it is not done there"
        raise CkgitError(f"{job.name} is taken over from {kept.job} of {kept.experiment}: {why}", code=Exit.EVIDENCE_MISSING)
    return taken_over(found, context, job)


class TrainingOrigin(NamedTuple):
    """Where a run's training is from: taken over, or its own, beside the training of the lab that is most like it."""

    kept: KeptJob | None = None
    like: FinishedTraining | None = None  # None where it is taken over, and where the lab has none on its model and data
    differs: Mapping[str, tuple[str | None, str | None]] = {}  # what of that one is otherwise: its value and this run's, as JSON

    def lines(self) -> list[str]:
        """What is told of it."""
        if self.kept:
            return [f"taken over: {self.kept.in_words}"]
        if self.like is None:
            return []
        if not self.differs:
            return [f"made from the same as {self.like.in_words}, which was not taken over"]
        made, now = ({name: text for name, pair in self.differs.items() if (text := pair[side]) is not None} for side in (0, 1))
        what = differing(made, now)
        return [f"not taken over: the most like it is {self.like.in_words}, which differs in {what}"]


def origin(view: ExperimentView, run: str) -> TrainingOrigin | None:
    """Where the training of a run is from; None of a run that is not trained."""
    worker = worker_for(view.context.summary, Stage.TRAINING)
    job = next((each for each in (worker.jobs(view.context) if worker else ()) if each.run == run), None)
    if worker is None or job is None:
        return None
    if kept := view.context.kept.get(job.name):
        return TrainingOrigin(kept)
    now = worker.made_from(view.context, job, view.snapshot.read)
    found = [(each, _differences(each.made_from, now)) for each in finished(view.lab, view.name, view.context)] if now else []
    if not found:
        return TrainingOrigin()
    like, differs = min(found, key=lambda each: (len(each[1]), each[0].view.name, each[0].job.name))
    return TrainingOrigin(None, like, differs)


def _differences(made: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    names = dict.fromkeys([*made, *now])
    return {name: (made.get(name), now.get(name)) for name in names if made.get(name) != now.get(name)}
