"""What a revised design touches: which jobs have left what they would leave again, and which must run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.classify import newest
from ckgit.experiment.cluster import PROFILE, RenderedProfile
from ckgit.experiment.design.kept import KeptJob, KeptJobs, made_from_digest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, prompts
from ckgit.experiment.jobs import Attempt, Batch, Job, Phase
from ckgit.experiment.worker import Context, Worker
from ckgit.formats.listing import in_words
from ckgit.formats.plain_json import differing
from ckgit.lab.branches import last_recorded
from ckgit.lab.context import load_context
from ckgit.lab.git.objects import tree_entries
from ckgit.lab.history.hand_edits import written
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import snapshot_at
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.kept import checkpoints_of, kept_attempts
from ckgit.orchestrators.engine.plugins import preparation_for, worker_for

_NAMED = 3  # files that a reason names


class JobFate(NamedTuple):
    """What becomes of a job's results."""

    job: Job
    kept: KeptJob | None = None  # None: it runs
    why: str = ""  # why it runs though it had run; empty where it is kept, or is new
    files: Sequence[str] = ()  # what stays of it on the branch, by path


class Touched(NamedTuple):
    """What becomes of the results of each job of a revised design."""

    fates: Sequence[JobFate]
    design: str  # hash of the revised design

    @property
    def kept(self) -> list[JobFate]:
        """Those that need not run."""
        return [fate for fate in self.fates if fate.kept]

    @property
    def files(self) -> frozenset[str]:
        """What stays on the branch."""
        return frozenset(path for fate in self.fates for path in fate.files)

    def dump(self) -> bytes | None:
        """The bytes of kept.json; None where nothing is kept."""
        jobs = {fate.job.name: fate.kept for fate in self.fates if fate.kept}
        return KeptJobs(design=self.design, jobs=jobs).dump() if jobs else None

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Of each run its name, what becomes of its training and of its evaluations, and the first reason why a job runs again."""
        runs = dict.fromkeys(fate.job.run for fate in self.fates)
        return [(run, *_of_run([fate for fate in self.fates if fate.job.run == run])) for run in runs]


def _of_run(fates: Sequence[JobFate]) -> tuple[str, str, str]:
    trained, evaluated = ([fate for fate in fates if fate.job.stage is stage] for stage in (Stage.TRAINING, Stage.EVALUATION))
    return _counted(trained), _counted(evaluated), next((fate.why for fate in fates if fate.why), "")


def _counted(fates: Sequence[JobFate]) -> str:
    """`kept`, `again`, `new`, or of several that differ `2 kept, 1 again`."""
    counts = Counter("kept" if fate.kept else "again" if fate.why else "new" for fate in fates)
    return next(iter(counts), "") if len(counts) < 2 else ", ".join(f"{count} {what}" for what, count in counts.items())  # noqa: PLR2004


def touched(
    lab: Lab, snapshot: Snapshot, context: Context, tip: str, *, instead: Collection[str] = (), anew: bool = False, here: bool = True
) -> Touched:
    """Hold a revised design against what jobs have left for the one before.

    The cluster profile is that which the jobs were scaffolded for: what it says today changes nothing of them.

    Args:
        snapshot: the branch before it is revised.
        context: of the revised design.
        tip: commit with the files of the lab that it takes, but for those of `instead`, which are named by the design.
        anew: whether all jobs are to run in any case.
        here: whether checkpoints that are still needed must be seen by this machine; without it, git alone is read.
    """
    workers = {stage: worker for stage in Stage if (worker := worker_for(context.summary, stage))}
    before = "all is to run anew" if anew else _before(lab, snapshot)
    if isinstance(before, str):
        fates = [JobFate(job, why=before) for worker in workers.values() for job in worker.jobs(context)]
        return Touched(fates, context.summary.digest)
    before, context = before._replace(context=_as_scaffolded(before, before.context)), _as_scaffolded(before, context)
    beside = [path for path in _beside(lab, before, tip) if path not in instead]
    found = _Comparison(before, context, frozenset(edit.path for edit in written(snapshot).edits), beside)
    training = workers.get(Stage.TRAINING)
    trained = {fate.job.run: fate for fate in map(found.fate, training.jobs(context) if training else ())}
    evaluation = workers.get(Stage.EVALUATION)
    evaluated = [_after(trained.get(job.run), found.fate(job)) for job in (evaluation.jobs(context) if evaluation else ())]
    for run, fate in trained.items():
        needed = here and fate.kept and any(each.job.run == run and not each.kept for each in evaluated)
        if needed and not found.has_checkpoints(run):
            gone = "its checkpoints are not where they were made, as far as this machine sees"
            trained[run] = JobFate(fate.job, why=gone)
            evaluated = [_after(trained[run], each) if each.job.run == run else each for each in evaluated]
    return Touched([*trained.values(), *evaluated], context.summary.digest)


def _after(training: JobFate | None, fate: JobFate) -> JobFate:
    """What becomes of an evaluation, by what becomes of its run's training."""
    if training is None or training.kept or not fate.kept:
        return fate
    return JobFate(fate.job, why="its run is trained again")


def _before(lab: Lab, snapshot: Snapshot) -> ExperimentView | str:
    """The experiment as ckgit's last step left it; or why nothing of it can be kept."""
    at, recorded = last_recorded(lab.root, snapshot.name, snapshot.tip)
    if recorded is None:
        return "nothing has run"
    try:
        left = snapshot_at(lab, snapshot.name, at, recorded, at)
        ledger = left.ledger()
        return ExperimentView(lab, left, load_context(lab, left, ledger), ledger)
    except CkgitError as error:
        return f"what it was made from cannot be told: {error.what.splitlines()[0]}"


def _as_scaffolded(view: ExperimentView, context: Context) -> Context:
    """A context with the profile for which an experiment was scaffolded, where it is still for that cluster."""
    content = view.snapshot.read(view.path(PROFILE))
    profile = RenderedProfile.model_validate_json(content) if content else None
    same = profile is not None and profile.cluster == context.cluster_name
    return context._replace(cluster=profile.profile) if profile and same else context


def _beside(lab: Lab, before: ExperimentView, tip: str) -> list[str]:
    """Files of tasks/ that jobs get, that nothing names, and that are not as they were: some task may open them all the same.

    What is Python or a page is left out: a task's own is named, and what it imports is found.
    """
    ran = before.ledger.commit if before.ledger else ""
    was, now = ({e.path: e.oid for e in tree_entries(lab.root, at, "tasks/", recursive=True)} for at in (ran or before.snapshot.tip, tip))
    named = {*before.context.sources, *before.context.summary.recorded.files}
    changed = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path) and path not in named)
    return [path for path in changed if not path.endswith((".py", ".md"))]


class _Comparison:
    """An experiment as it was, beside its revised design."""

    def __init__(self, before: ExperimentView, context: Context, edited: frozenset[str], beside: Sequence[str]) -> None:
        self.before, self.context, self.edited, self.beside = before, context, edited, beside
        self.workers = {stage: worker for stage in Stage if (worker := worker_for(before.context.summary, stage))}
        self.jobs = {job.name: job for worker in self.workers.values() for job in worker.jobs(before.context)}

    @cached_property
    def attempts(self) -> Sequence[Attempt]:
        """All of them; of a design that is not scaffolded yet, those that it keeps."""
        return self.before.attempts or kept_attempts(self.before.lab, self.before.name, self.before.context.kept)

    @cached_property
    def latest(self) -> Mapping[str, Attempt]:
        return newest(self.attempts)

    @cached_property
    def there(self) -> frozenset[str]:
        """Paths of the experiment's files on the branch."""
        return frozenset(self.before.snapshot.list(self.before.snapshot.folder))

    @cached_property
    def scaffolded(self) -> Mapping[str, bytes]:
        """The files that jobs were run from, by path: of many jobs they are read at once."""
        jobs = [(self.workers[job.stage], job) for job in self.jobs.values()]
        return self.before.snapshot.read_many(path for worker, job in jobs for path in worker.renders(self.before.context, job))

    def has_checkpoints(self, run: str) -> bool:
        """Whether the checkpoints of a run that was trained are to be had."""
        view = self.before
        kept = view.context.kept.get(self.context.plan.run(run).job)
        return checkpoints_of(view.lab, run, kept, view.ledger, view.name) is not None

    def fate(self, job: Job) -> JobFate:
        """What becomes of a job, as far as it alone tells."""
        was, attempt = self.jobs.get(job.name), self.latest.get(job.name)
        worker = worker_for(self.context.summary, job.stage)
        if was is None or attempt is None or worker is None:
            return JobFate(job)
        if attempt.phase is not Phase.DONE:
            return JobFate(job, why=f"its last attempt is {attempt.phase}")
        files = self._files(worker, was)
        if changed := sorted(self.edited.intersection(files)):
            return JobFate(job, why=f"{in_words(changed, _NAMED)} {'was' if len(changed) == 1 else 'were'} changed by hand")
        if missing := [path for path in files if path not in self.there]:
            return JobFate(job, why=f"{in_words(missing, _NAMED)} is not on the branch")
        now = worker.made_from(self._as_divided(attempt, job), job, lambda _: None)
        made = worker.made_from(self.before.context, was, self.scaffolded.get)
        if job.stage is Stage.EVALUATION and self.beside:
            return JobFate(job, why=f"{in_words(self.beside, _NAMED)} is another now, and files: names no task that reads it")
        if not now or not made:
            return JobFate(job, why=f"{worker.label} does not tell what decides its results")
        if now != made:
            return JobFate(job, why=differing(made, now))
        return JobFate(job, self._kept(job, attempt, made_from_digest(now)), files=files)

    def _files(self, worker: Worker, job: Job) -> list[str]:
        """What a job was run from, and what its attempts left, on the branch."""
        folder = f"{self.before.snapshot.folder}/"
        left = [f"{folder}{path}" for attempt in self.attempts if attempt.job == job.name for path in attempt.files]
        return list(dict.fromkeys([*worker.renders(self.before.context, job), *left]))

    def _as_divided(self, attempt: Attempt, job: Job) -> Context:
        """The revised design with the rows divided as a retry did, which takes the same optimizer steps."""
        dividing = preparation_for(self.context.summary) if job.stage is Stage.TRAINING and attempt.batch else None
        was, now = (context.plan.run(job.run) for context in (self.before.context, self.context))
        if not dividing or not attempt.batch or any(was[name] != now[name] for name in Batch.model_fields):
            return self.context
        return self.context._replace(plan=dividing.with_batch(self.context.plan, job.run, attempt.batch))

    def _kept(self, job: Job, attempt: Attempt, digest: str) -> KeptJob:
        before = self.before
        earlier = before.context.kept.get(job.name)
        # its attempts are where that says, and so is the folder that its manifest names
        if earlier and (not before.ledger or earlier.experiment != before.name):
            return earlier.model_copy(update={"tasks": self._tasks(job, earlier)})
        return KeptJob(
            experiment=before.name,
            job=job.name,
            commit=before.snapshot.tip,
            token=attempt.token,
            design=before.context.design_of(job.name),
            made_from_sha256=digest,
            tasks=self._tasks(job, earlier),
        )

    def _tasks(self, job: Job, earlier: KeptJob | None) -> tuple[str, ...]:
        """Of a training: tasks whose rows it compared with its own, and that ask the same rows now."""
        if job.stage is not Stage.TRAINING:
            return ()
        was, now = (dict(asked(context, context.plan.run(job.run))) for context in (self.before.context, self.context))
        return tuple(task for task, rows in now.items() if was.get(task) == rows and (earlier is None or task in earlier.tasks))


def asked(context: Context, run: Run) -> Iterator[tuple[str, Any]]:
    """What each task of a run asks: data, split, rows and prompts."""
    summary = context.summary
    for task in {cell.task.name: cell.task for cell in context.plan.cells_of(run.name)}.values():
        name = task.data or run["data"]
        data, recorded = summary.data.get(name), summary.recorded.data.get(name)
        yield task.name, (data, recorded and recorded.sha256, task.split, task.limit, prompts(run, task), run["template_date"])
