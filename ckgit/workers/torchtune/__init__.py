"""torchtune as a worker: renders training jobs and reads what they left. Importing it imports no framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress
from ckgit.experiment.worker import Context, Evidence, Worker
from ckgit.formats.problem import Problem

if TYPE_CHECKING:
    from ckgit.experiment.results import CellResult, TrainingResult


class Torchtune:
    """Satisfies `ckgit.experiment.worker.Worker`."""

    tool = "torchtune"
    label = "torchtune"
    stage = Stage.TRAINING
    reads = "the design, model cards"
    writes = "setup_finetune.yaml, finetune.yaml and finetune.slurm of each fine-tuned run"
    leaves = "artifacts/epoch_N, training.log, tokens.json, checkpoints.json, starts.json and versions.json of each fine-tuned run"

    def check(self, context: Context) -> Sequence[Problem]:
        """See `Worker`."""
        from ckgit.workers.torchtune.check import check

        return check(context)

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """See `Worker`."""
        from ckgit.workers.torchtune.scaffold import scaffold

        return scaffold(context, run)

    def jobs(self, context: Context) -> Sequence[Job]:
        """See `Worker`."""
        from ckgit.workers.torchtune.scaffold import jobs

        return jobs(context)

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        """Training waits for nothing but its inputs and its tools."""
        from ckgit.workers.installed import check_installed
        from ckgit.workers.torchtune.scaffold import MODULES, inputs

        check_installed(context.cluster, MODULES)
        paths = [job.script, *inputs(context, context.plan.run(job.run))]
        return [f"{path} is not in the work tree" for path in paths if not (work / path).is_file()]

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        """See `Worker`."""
        from ckgit.workers.torchtune.outputs.evidence import evidence

        return evidence(context, job, attempt, work)

    def results(
        self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]
    ) -> Sequence[TrainingResult | CellResult]:
        """See `Worker`."""
        from ckgit.workers.torchtune.outputs.evidence import result

        found = result(context, job, attempt, files)
        return [found] if found else []

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:  # noqa: ARG002 the log says it all
        """See `Worker`."""
        from ckgit.workers.torchtune.outputs.logs import last_progress
        from ckgit.workers.torchtune.steps import planned_steps

        seen = last_progress(log_tail.encode(errors="replace"))
        steps = planned_steps(context, context.plan.run(job.run))
        return Progress(step=seen.step, steps=steps or 0, loss=seen.loss, rate=seen.rate) if seen else None

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """See `Worker`."""
        from ckgit.workers.torchtune.outputs.explain import explain

        return explain(log_tail, exit_code)


worker: Worker = Torchtune()
