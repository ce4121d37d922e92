"""What the workers of all trainers answer alike. Importing it imports no framework."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Plan, Run, Setting
from ckgit.experiment.jobs import Attempt, Batch, FailureClass, Job
from ckgit.experiment.worker import Context, Evidence, Preparation

if TYPE_CHECKING:
    from ckgit.experiment.results import CellResult, TrainingResult
    from ckgit.workers.training.outputs.evidence import Trainer


class TrainingWorker(Preparation):
    """A worker whose jobs train a model; one inherits from it."""

    stage = Stage.TRAINING

    @abstractmethod
    def trainer(self) -> Trainer:
        """How the files of its jobs are read."""

    @abstractmethod
    def needs(self) -> tuple[Sequence[str], str]:
        """Modules that its jobs import, and the extra of ckgit that brings them."""

    def needs_of(self, context: Context, job: Job) -> tuple[Sequence[str], str]:  # noqa: ARG002 - for those that override it
        """The same of one job, which may import more; several extras have commas between them."""
        return self.needs()

    def recipe_values(self, name: str) -> Mapping[str, Any]:
        """It has no base recipes, unless it overrides this."""
        raise NotImplementedError(name)

    def with_batch(self, plan: Plan, run: str, batch: Batch) -> Plan:
        """See `Preparation`."""
        from ckgit.workers.training.design.batches import with_batch

        return with_batch(plan, run, batch)

    def scaffolded(self, context: Context, run: Run, read: Callable[[str], bytes | None]) -> Mapping[str, Setting] | None:
        """See `Preparation`."""
        from ckgit.workers.training.setup import read_setup

        content = read(f"{context.run_folder(run.name)}/setup_finetune.yaml")
        return None if content is None else read_setup(content)

    def jobs(self, context: Context) -> Sequence[Job]:
        """See `Worker`."""
        from ckgit.workers.training.scaffold import jobs

        return jobs(context)

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        """Training waits for nothing but its inputs and its tools."""
        from ckgit.workers.installed import check_installed
        from ckgit.workers.training.scaffold import lacking

        check_installed(context.cluster, *self.needs_of(context, job))
        return lacking(context, job, work)

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        """See `Worker`."""
        from ckgit.workers.training.outputs.evidence import evidence

        return evidence(context, job, attempt, work, self.trainer())

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[TrainingResult | CellResult]:
        """See `Worker`."""
        from ckgit.workers.training.outputs.evidence import result

        found = result(context, context.plan.run(job.run), attempt, files, self.trainer())
        return [found] if found else []

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """See `Worker`."""
        from ckgit.workers.training.outputs.explain import explain

        return explain(log_tail, exit_code)
