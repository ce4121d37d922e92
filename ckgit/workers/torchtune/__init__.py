"""torchtune as a worker: renders training jobs and reads what they left. Importing it imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Plan, Run, Setting
from ckgit.experiment.estimates.guess import Fact, Guess, Steps
from ckgit.experiment.jobs import Attempt, Batch, FailureClass, Job, Progress
from ckgit.experiment.worker import Context, Evidence, Preparation
from ckgit.formats.problem import Problem
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters

if TYPE_CHECKING:
    from ckgit.experiment.results import CellResult, TrainingResult


class Torchtune(Preparation):
    """See `ckgit.experiment.worker.Preparation`."""

    tool = "torchtune"
    label = "torchtune"
    stage = Stage.TRAINING
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
        from ckgit.workers.torchtune.design.estimate import estimate

        return estimate(context, run)

    def facts(self, context: Context, run: Run) -> Sequence[Fact]:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.facts import facts

        return tuple(facts(context, run))

    def batch(self, context: Context, job: Job, before: Batch | None, *, gpus: int | None, starved: bool) -> Batch | None:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.batches import another
        from ckgit.workers.torchtune.design.steps import division

        designed = division(context, context.plan.run(job.run), nproc=max(1, job.resources.gpus or 1))
        return another(designed, before, gpus=gpus, starved=starved) if designed else None

    def with_batch(self, plan: Plan, run: str, batch: Batch) -> Plan:
        """See `Preparation`."""
        from ckgit.workers.torchtune.design.batches import with_batch

        return with_batch(plan, run, batch)

    def scaffolded(self, context: Context, run: Run, read: Callable[[str], bytes | None]) -> Mapping[str, Setting] | None:
        """See `Preparation`."""
        from ckgit.workers.torchtune.setup import read_setup

        content = read(f"{context.run_folder(run.name)}/setup_finetune.yaml")
        return None if content is None else read_setup(content)

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

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[TrainingResult | CellResult]:
        """See `Worker`."""
        from ckgit.workers.torchtune.outputs.evidence import result

        found = result(context, job, attempt, files)
        return [found] if found else []

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:  # noqa: ARG002 the log says it all
        """See `Worker`."""
        from ckgit.workers.torchtune.design.steps import planned_steps
        from ckgit.workers.torchtune.outputs.logs import last_progress

        seen = last_progress(log_tail.encode(errors="replace"))
        steps = planned_steps(context, context.plan.run(job.run))
        return Progress(step=seen.step, steps=steps or 0, loss=seen.loss, rate=seen.rate) if seen else None

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """See `Worker`."""
        from ckgit.workers.torchtune.outputs.explain import explain

        return explain(log_tail, exit_code)


worker: Preparation = Torchtune()
