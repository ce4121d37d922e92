"""inspect-ai as a worker: renders evaluation jobs and reads their logs. Importing it imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Cell
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress
from ckgit.experiment.worker import Audit, Context, Evaluator, Evidence
from ckgit.formats.problem import Problem

if TYPE_CHECKING:
    from ckgit.experiment.results import CellResult, TrainingResult


class InspectAI(Evaluator):
    """See `ckgit.experiment.worker.Evaluator`."""

    tool = "inspect-ai"
    label = "inspect"
    stage = Stage.EVALUATION
    reads = "the design, task files, model cards"
    writes = "eval/CELL.slurm and eval/CELL.yaml of each cell"
    leaves = "eval/logs/CELL.eval of each cell"

    def check(self, context: Context) -> Sequence[Problem]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.check import check

        return check(context)

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.scaffold import scaffold

        return scaffold(context, run)

    def asked(self, context: Context, cell: Cell, read: Callable[[str], bytes | None]) -> Mapping[str, Any]:
        """See `Evaluator`."""
        from ckgit.workers.inspect_ai.prompts import asked

        return asked(context, cell, read)

    def jobs(self, context: Context) -> Sequence[Job]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.scaffold import jobs

        return jobs(context)

    def renders(self, context: Context, job: Job) -> Sequence[str]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.scaffold import renders

        return renders(context, job)

    def made_from(self, context: Context, job: Job, read: Callable[[str], bytes | None]) -> Mapping[str, str]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.scaffold import made_from

        return made_from(context, job, read)

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        """A job waits for its inputs and, of a fine-tuned run, for a checkpoint that is whole."""
        from ckgit.workers.inspect_ai.ready import needs_of, ready
        from ckgit.workers.installed import check_installed

        needs = needs_of(context, job)
        check_installed(context.cluster, needs.modules, needs.extra)
        return ready(context, job, work)

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.logs.evidence import evidence

        found = evidence(context, job, attempt, work)
        return found._replace(results=_of_the_job(found.results, job, attempt))

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[TrainingResult | CellResult]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.logs.evidence import results

        return _of_the_job(results(context, job, attempt, files), job, attempt)

    def audit(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Audit:
        """See `Evaluator`."""
        from ckgit.workers.inspect_ai.logs.audit import audit

        return audit(context, job, attempt, files)

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.logs.output import progress
        from ckgit.workers.inspect_ai.ready import cells_of

        del work  # the log tells
        return progress(log_tail, [cell.expected_samples or 0 for cell in cells_of(context, job)])

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """See `Worker`."""
        from ckgit.workers.inspect_ai.logs.output import explain

        return explain(log_tail, exit_code)


def _of_the_job(found: Sequence[TrainingResult | CellResult], job: Job, attempt: Attempt) -> Sequence[TrainingResult | CellResult]:
    """A cell of its own job with that job's duration, as training has it: the log's leaves out the start of Python and the loading."""
    return [each.model_copy(update={"seconds": attempt.seconds}) for each in found] if found and len(job.tasks) == 1 else found


worker: Evaluator = InspectAI()
