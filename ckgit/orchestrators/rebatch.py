"""What a retry changes of a training's batches: less memory or other GPUs, and the same optimizer steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ckgit.experiment.batches import Division, halved, over, with_batch
from ckgit.experiment.compute import Resources
from ckgit.experiment.design import Stage
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.estimate import processes
from ckgit.experiment.jobs import Attempt, Batch, FailureClass, Job
from ckgit.experiment.worker import Worker
from ckgit.orchestrators.standing import Standing


def wanted_batch(standing: Standing, job: Job, before: Attempt, asked: Resources) -> Batch | None:
    """How a new attempt divides the rows; None for as designed.

    Args:
        asked: what the retry asks for. More memory is an answer to a lack of it, and leaves the batch alone.

    Raises:
        CkgitError: the design, or what was asked for, cannot be had with the same optimizer steps.
    """
    designed = _division(standing, job)
    if designed is None:
        return None
    last = designed._replace(batch=before.batch) if before.batch else designed
    compute = standing.context.summary.compute
    starved = before.failure is FailureClass.OUT_OF_MEMORY and compute.on_out_of_memory == "smaller_batch" and not asked.mem
    try:
        if asked.gpus is not None and last.batch.processes > 1 and asked.gpus != last.batch.processes:
            last = last._replace(batch=over(last, max(asked.gpus, 1)))
        if starved:
            last = last._replace(batch=halved(last))
    except ValueError as error:
        raise CkgitError(
            f"{job.name} cannot be tried again so that it takes the same optimizer steps: {error}",
            code=Exit.USAGE,
            state="nothing was changed",
            next=f"ask for more memory: ckgit retry {standing.name} --mem SIZE; or change the design: ckgit revise {standing.name}",
        ) from None
    return None if last.batch == designed.batch else last.batch


def _division(standing: Standing, job: Job) -> Division | None:
    """As the design divides the rows of a training; None for an evaluation, and where the rows were not counted."""
    if job.stage is not Stage.TRAINING:
        return None
    run, recorded = standing.context.plan.run(job.run), standing.context.summary.recorded.data
    splits = recorded[run["data"]].splits if run["data"] in recorded else {}
    rows = splits.get(run["train_split"])
    return Division.of(run, rows, processes(job.resources)) if rows else None


def rendered(standing: Standing, worker: Worker, job: Job, batch: Batch | None) -> Mapping[str, bytes]:
    """The files of a job's run, divided so (None: as designed), by path."""
    context = standing.context
    plan = with_batch(context.plan, job.run, batch) if batch else context.plan
    return worker.scaffold(context._replace(plan=plan), job.run)


def bring(standing: Standing, work: Path, files: Mapping[str, bytes]) -> None:
    """Have the work tree hold files that a retry has committed.

    Raises:
        CkgitError: they cannot be written.
    """
    for path, content in files.items():
        file = work / path
        part = file.with_name(f"{file.name}.part")
        try:
            if not file.exists() or file.read_bytes() != content:
                part.write_bytes(content)
                part.replace(file)
        except OSError as error:
            raise CkgitError(
                f"the work tree cannot be brought to what the retry committed: {error.strerror}",
                code=Exit.COMMAND_FAILED,
                where=str(file),
                state="the new attempts are committed; none of them was handed over",
                next=f"mend this, then: ckgit advance {standing.name}, and ckgit retry {standing.name} for those that it refuses",
            ) from None
