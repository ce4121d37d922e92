"""TRL and PEFT as a worker: renders training jobs and reads what they left. Importing it imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.experiment.design.plan import Run
from ckgit.experiment.estimates.guess import Fact, Guess, Steps
from ckgit.experiment.jobs import Batch, Job, Progress
from ckgit.experiment.worker import Context, Preparation
from ckgit.formats.problem import Problem
from ckgit.workers.training.worker import TrainingWorker
from ckgit.workers.trl.design.parameters import TrlParameters
from ckgit.workers.trl.outputs.merged import TrlTraining

if TYPE_CHECKING:
    from ckgit.experiment.results import TrainingResult
    from ckgit.workers.training.outputs.evidence import Trainer


class Trl(TrainingWorker):
    """See `ckgit.experiment.worker.Preparation`."""

    tool = "trl"
    label = "trl"
    reads = "the design, model cards"
    writes = "setup_finetune.yaml, rows.yaml, finetune.yaml and finetune.slurm of each fine-tuned run"
    leaves = "artifacts/epoch_N, training.jsonl and tokens, packing, checkpoints, merged, starts and versions.json of each fine-tuned run"

    parameters = TrlParameters
    result = TrlTraining

    def steps(self, context: Context, run: Run) -> Steps | None:
        """See `Preparation`."""
        from ckgit.workers.trl.design.steps import steps

        return steps(context, run)

    def estimate(self, context: Context, run: Run) -> Guess:
        """See `Preparation`."""
        from ckgit.workers.trl.design.steps import estimate

        return estimate(context, run)

    def facts(self, context: Context, run: Run) -> Sequence[Fact]:
        """See `Preparation`."""
        from ckgit.workers.training.design.counted import train_rows
        from ckgit.workers.training.design.facts import Seen, facts
        from ckgit.workers.trl.design.steps import expected

        divided = expected(context, run)
        seen = train_rows(context, run) if run["packing_length"] else divided and divided.seen
        return tuple(facts(context, run, divided and Seen(divided.total, (seen or 0) * divided.epochs)))

    def batch(self, context: Context, job: Job, before: Batch | None, *, gpus: int | None, starved: bool) -> Batch | None:
        """See `Preparation`."""
        from ckgit.workers.training.design.counted import train_rows
        from ckgit.workers.trl.design.batches import another
        from ckgit.workers.trl.design.world import World

        run = context.plan.run(job.run)
        rows = None if run["packing_length"] else train_rows(context, run)  # nobody knows how many sequences there are
        return another(run, rows, World.of(context, run), before, gpus=gpus, starved=starved)

    def check(self, context: Context) -> Sequence[Problem]:
        """See `Worker`."""
        from ckgit.workers.trl.check import check

        return check(context)

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """See `Worker`."""
        from ckgit.workers.trl.scaffold import scaffold

        return scaffold(context, run)

    def renders(self, context: Context, job: Job) -> Sequence[str]:
        """See `Worker`."""
        from ckgit.workers.trl.scaffold import renders

        return renders(context, job)

    def made_from(self, context: Context, job: Job, read: Callable[[str], bytes | None]) -> Mapping[str, str]:
        """See `Worker`."""
        from ckgit.workers.trl.scaffold import made_from

        return made_from(context, job, read)

    def needs(self) -> tuple[Sequence[str], str]:
        """See `TrainingWorker`."""
        from ckgit.workers.trl.scaffold import EXTRA, MODULES

        return MODULES, EXTRA

    def needs_of(self, context: Context, job: Job) -> tuple[Sequence[str], str]:
        """See `TrainingWorker`."""
        from ckgit.workers.trl.scaffold import needs

        found = needs(context, context.plan.run(job.run))
        return found.modules, found.extra

    def trainer(self) -> Trainer:
        """See `TrainingWorker`."""
        from ckgit.workers.trl.outputs.evidence import TRAINER

        return TRAINER

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:  # noqa: ARG002 its own log says more
        """See `Worker`."""
        from ckgit.experiment.results import MARGINS
        from ckgit.workers.training.outputs.logs import read_bounded
        from ckgit.workers.training.scaffold import artifacts
        from ckgit.workers.trl.design.steps import planned_steps
        from ckgit.workers.trl.outputs.log import LOG_NAME, loss_points
        from ckgit.workers.trl.outputs.packing import sequences_in

        run = context.plan.run(job.run)
        place = work / artifacts(context, run)
        points = loss_points(read_bounded(place / LOG_NAME) or b"")
        if not points:
            return None
        margin = points[-1].metrics.get(MARGINS)
        note = "" if margin is None else f"margin {margin:.3g}"
        steps = planned_steps(context, run, sequences_in(context, run, place)) or 0
        return Progress(step=points[-1].step, steps=steps, loss=points[-1].loss, note=note)

    def report(self, result: TrainingResult) -> str:
        """See `Preparation`."""
        told = TrlTraining.model_validate(result.own, strict=False)
        return " ".join(filter(None, [told.packed.sentence if told.packed else "", self._merged(told)]))

    @staticmethod
    def _merged(told: TrlTraining) -> str:
        """What became of the adapters."""
        if told.loaded_by is not None:
            what = "The adapter is evaluated beside its base of 4 bits, as it was trained: loaded so, it differs"
            return f"{what} from what was trained by {told.loaded_by:.2g} of the largest logit."
        merged = told.merged_by
        return f"Merged models differ from adapter and base by at most {max(merged):.2g} of the largest logit." if merged else ""


worker: Preparation = Trl()
