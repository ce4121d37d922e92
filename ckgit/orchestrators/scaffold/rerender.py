"""What a retry changes of its jobs' files: other batches with the same optimizer steps, and what the cluster profile has come to say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import newest
from ckgit.experiment.cluster import PROFILE, RenderedProfile
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Batch, FailureClass, Job
from ckgit.experiment.worker import Worker, reasons_against, scaffolded_by
from ckgit.lab.held import own_part
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import preparation_for

B = TypeVar("B", bytes, bytes | None)
WROTE = "WROTE"  # of a scaffolding log: a file and its digest


def wanted_batch(view: ExperimentView, job: Job, before: Attempt, asked: Resources) -> Batch | None:
    """How a new attempt divides the rows; None for as designed.

    Args:
        asked: what the retry asks for. More memory is an answer to a lack of it, and leaves the batch alone.

    Raises:
        CkgitError: the design, or what was asked for, cannot be had with the same optimizer steps.
    """
    worker = preparation_for(view.context.summary) if job.stage is Stage.TRAINING else None
    if worker is None:
        return None
    compute = view.context.summary.compute
    starved = before.failure is FailureClass.OUT_OF_MEMORY and compute.on_out_of_memory == "smaller_batch" and not asked.mem
    try:
        return worker.batch(view.context, job, before.batch, gpus=asked.gpus, starved=starved)
    except ValueError as error:
        raise CkgitError(
            f"{job.name} cannot be tried again so that it takes the same optimizer steps: {error}",
            code=Exit.USAGE,
            state="nothing was changed",
            next=f"ask for more memory: ckgit retry {view.name} --mem SIZE; or change the design: ckgit revise {view.name}",
        ) from None


def _rendered(view: ExperimentView, worker: Worker, job: Job, batch: Batch | None = None) -> Mapping[str, bytes]:
    """The files of a job's run, divided so (None: as designed), by path."""
    context = view.context
    dividing = preparation_for(context.summary) if batch else None
    plan = dividing.with_batch(context.plan, job.run, batch) if dividing and batch else context.plan
    return scaffolded_by(worker, context._replace(plan=plan), job.run)


def divided_anew(view: ExperimentView, workers: Mapping[Stage, Worker]) -> dict[str, bytes]:
    """The files of trainings whose newest attempts divide the rows otherwise than designed, by path."""
    training = workers.get(Stage.TRAINING)
    latest = newest(view.attempts)
    jobs = [(job, latest[job.name].batch) for job in (training.jobs(view.context) if training else ()) if job.name in latest]
    return {path: text for job, batch in jobs if training and batch for path, text in _rendered(view, training, job, batch).items()}


class RerenderedFiles(NamedTuple):
    """What is rendered anew for jobs that are tried again."""

    files: Mapping[str, bytes] = {}  # by path; only those that are not as on the branch
    notes: Sequence[str] = ()  # what is to be said of the jobs, one sentence each


def rendered_anew(
    view: ExperimentView, workers: Mapping[Stage, Worker], jobs: Sequence[Job], before: Mapping[str, Attempt], batches: Mapping[str, Batch]
) -> RerenderedFiles:
    """The files of jobs that are tried again, or were not submitted yet: with their new batches, and their scripts as the profile is now.

    What a script reads is what is compared. Where that would be written otherwise, too, the job stays as it was scaffolded.

    Args:
        before: newest attempts, by job; of one that was not submitted yet there is none.
        batches: of the new attempts, by job, where they are not as designed.
    """
    files, notes = dict[str, bytes](), list[str]()
    for group in _by_run(jobs):
        first, worker = group[0], workers[group[0].stage]
        made = _rendered(view, worker, first, batches.get(first.name))
        there = view.snapshot.read_many(made)
        changed = {path: content for path, content in made.items() if content != there.get(path)}
        latest = before.get(first.name)
        if first.name in batches or (latest and latest.batch):  # a training: it is the only job of its run
            files |= changed
            continue
        scripts = {job.script for job in worker.jobs(view.context)}
        settings = sorted(Path(path).name for path in changed.keys() - scripts)
        for job in group:
            if job.script in changed and settings:
                notes.append(
                    f"{job.name} stays as it was scaffolded: now {' and '.join(settings)} would be written otherwise, too, "
                    "because of other GPUs in the cluster profile, or another version of ckgit"
                )
            elif job.script in changed:
                files[job.script] = changed[job.script]
                notes.append(f"{job.name}: its script is rendered anew, for the cluster profile as it is now")
    return RerenderedFiles(files, notes)


def with_digests(view: ExperimentView, workers: Iterable[Worker], files: Mapping[str, B]) -> dict[str, B | bytes]:
    """Files that are rendered anew, the profile for which they are, and their workers' logs, which say what was written, with digests."""
    profile = RenderedProfile.of(view.context.cluster_name, view.context.cluster).dump()
    known: dict[str, B | bytes] = {**files, view.path(PROFILE): profile} if files else {}
    prefix = f"{view.context.folder}/"
    changed = {f"{WROTE} {path.removeprefix(prefix)}": content for path, content in files.items() if content}
    logs = view.snapshot.read_many([view.path(f"scaffold-{worker.label}.log") for worker in workers] if changed else [])
    for log, content in logs.items():
        lines = content.decode().splitlines()
        told = [line.rsplit(" ", 4)[0] for line in lines]  # of `WROTE name 123 bytes sha256 DIGEST` all but the last four words
        anew = [described(head, changed[head]) if head in changed else line for head, line in zip(told, lines, strict=True)]
        known |= {log: "".join(f"{line}\n" for line in anew).encode()} if anew != lines else {}
    return known


def described(name: str, content: bytes) -> str:
    """A file that was written, as a scaffolding log has it after what happened."""
    return f"{name} {len(content)} bytes sha256 {hashlib.sha256(content).hexdigest()}"


def _by_run(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs whose files are rendered together."""
    found: dict[tuple[Stage, str], list[Job]] = {}
    for job in jobs:
        found.setdefault((job.stage, job.run), []).append(job)
    return list(found.values())


def bring(view: ExperimentView, workers: Mapping[Stage, Worker], jobs: Sequence[Job], work: Path) -> None:
    """Have the work tree hold what retried jobs read, as the branch has it.

    Who committed a retry may have died before that, and a file that somebody has changed there would have every attempt refused.
    The bytes are the branch's: what would be rendered now may be something else, and is nobody's intent.

    Raises:
        CkgitError: they cannot be written.
    """
    one_of_each = {job.run: job for job in jobs}.values()
    # an older design may be none for this ckgit
    able = [worker for worker in workers.values() if not reasons_against(worker.check(view.context))]
    rendered = [path for job in one_of_each for worker in able for path in _rendered(view, worker, job)]
    committed = view.snapshot.read_many(dict.fromkeys([*(job.script for job in jobs), *rendered]))
    for path, content in {**committed, **view.context.sources}.items():
        file = work / path
        part = own_part(file)
        try:
            if not file.exists() or file.read_bytes() != content:
                file.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(content)
                part.replace(file)
        except OSError as error:
            raise CkgitError(
                f"the work tree cannot be brought to what the retry committed: {error.strerror}",
                code=Exit.COMMAND_FAILED,
                where=str(file),
                state="the new attempts are committed; none of them was handed over",
                next=f"mend this, then: ckgit advance {view.name}, and ckgit retry {view.name} for those that it refuses",
            ) from None
