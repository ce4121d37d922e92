"""inspect-ai as a worker: renders evaluation jobs and reads their logs. Importing it imports no framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ckgit.experiment.design import Stage
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.experiment.worker import Context, Evidence, Worker


class InspectAI:
    """Satisfies `ckgit.experiment.worker.Worker`."""

    tool = "inspect-ai"
    label = "inspect"
    stage = Stage.EVALUATION
    reads = "the design, task files, model cards, checkpoints"
    writes = "eval/CELL.slurm and eval/CELL.yaml of each cell; eval/logs/CELL.eval"

    def check(self, context: Context) -> Sequence[str]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.check import check

        return check(context)

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.scaffold import scaffold

        return scaffold(context, run)

    def jobs(self, context: Context) -> Sequence[Job]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.scaffold import jobs

        return jobs(context)

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        """A job waits for its inputs and, of a fine-tuned run, for a checkpoint that is whole."""
        from ckgit.workers.inspect_ai.ready import ready

        return ready(context, job, work)

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.evidence import evidence

        found = evidence(context, job, attempt, work)
        return found._replace(result=_of_the_job(found.result, attempt)) if isinstance(found.result, CellResult) else found

    def result(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> TrainingResult | CellResult | None:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.evidence import result

        found = result(context, job, attempt, files)
        return found and _of_the_job(found, attempt)

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.output import progress

        del context, job, work  # the log tells
        return progress(log_tail)

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.output import explain

        return explain(log_tail, exit_code)


def _of_the_job(found: CellResult, attempt: Attempt) -> CellResult:
    """With the job's duration, as training has it: the log's own leaves out the start of Python and the loading of the model."""
    return found.model_copy(update={"seconds": attempt.seconds})


worker: Worker = InspectAI()
