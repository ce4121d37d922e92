"""torchtune as a worker: renders training jobs and reads what they left. Importing it imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.plan import Run
from ckgit.experiment.estimates.guess import Fact, Guess, Steps
from ckgit.experiment.jobs import Batch, Job, Progress
from ckgit.experiment.worker import Context, Preparation
from ckgit.formats.problem import Problem
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from ckgit.workers.training.worker import TrainingWorker

if TYPE_CHECKING:
    from ckgit.workers.training.outputs.evidence import Trainer


class Torchtune(TrainingWorker):
    """See `ckgit.experiment.worker.Preparation`."""

    tool = "torchtune"
    label = "torchtune"
    reads = "the design, model cards"
    writes = "setup_finetune.yaml, finetune.yaml and finetune.slurm of each fine-tuned run"
    leaves = "artifacts/epoch_N, training.log, tokens.json, checkpoints.json, starts.json and versions.json of each fine-tuned run"

    parameters = TorchtuneParameters

    def refuses(self, card: ModelCard) -> Sequence[str]:
        """See `Preparation`."""
        from ckgit.workers.torchtune.families import model_refusals

        return tuple(model_refusals(card))

    def recipes_missing(self) -> str:
        """See `Preparation`."""
        return "" if find_spec("torchtune") else "torchtune is not installed here"  # without importing it: most designs name no recipe

    def recipe_values(self, name: str) -> Mapping[str, Any]:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.recipes import recipe_values

        return recipe_values(name)

    def steps(self, context: Context, run: Run) -> Steps | None:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.steps import steps

        return steps(context, run)

    def estimate(self, context: Context, run: Run) -> Guess:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.steps import estimate

        return estimate(context, run)

    def facts(self, context: Context, run: Run) -> Sequence[Fact]:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.steps import division
        from ckgit.workers.training.design.facts import Seen, facts

        divided = division(context, run)
        return tuple(facts(context, run, divided and Seen(divided.total, divided.total * divided.effective), cut="max_steps_per_epoch"))

    def batch(self, context: Context, job: Job, before: Batch | None, *, gpus: int | None, starved: bool) -> Batch | None:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.batches import another
        from ckgit.workers.torchtune.design.steps import division

        designed = division(context, context.plan.run(job.run), nproc=max(1, job.resources.gpus or 1))
        return another(designed, before, gpus=gpus, starved=starved) if designed else None

    def check(self, context: Context) -> Sequence[Problem]:
        """See `Worker`."""
        from ckgit.workers.torchtune.check import check

        return check(context)

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """See `Worker`."""
        from ckgit.workers.torchtune.scaffold import scaffold

        return scaffold(context, run)

    def renders(self, context: Context, job: Job) -> Sequence[str]:
        """See `Worker`."""
        from ckgit.workers.training.scaffold import renders

        return renders(context, job)

    def made_from(self, context: Context, job: Job, read: Callable[[str], bytes | None]) -> Mapping[str, str]:
        """See `Worker`."""
        from ckgit.workers.torchtune.scaffold import made_from

        return made_from(context, job, read)

    def needs(self) -> tuple[Sequence[str], str]:
        """See `TrainingWorker`."""
        from ckgit.jobs.script import RUN
        from ckgit.workers.torchtune.scaffold import MODULES

        return MODULES, RUN

    def trainer(self) -> Trainer:
        """See `TrainingWorker`."""
        from ckgit.workers.torchtune.outputs.evidence import TRAINER

        return TRAINER

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:  # noqa: ARG002 the log says it all
        """See `Worker`."""
        from ckgit.workers.torchtune.design.steps import planned_steps
        from ckgit.workers.torchtune.outputs.logs import last_progress

        seen = last_progress(log_tail.encode(errors="replace"))
        steps = planned_steps(context, context.plan.run(job.run))
        return Progress(step=seen.step, steps=steps or 0, loss=seen.loss, rate=seen.rate) if seen else None


worker: Preparation = Torchtune()
