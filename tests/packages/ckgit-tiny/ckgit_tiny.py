"""A trainer and an evaluator that need bash alone, as a package of their own would bring them.

Where a set-up line of the cluster profile exports a folder TINY, tests steer jobs by files in it: `hold` makes them wait, `hold-JOB`
one of them, `fail-JOB` makes one fail and print what is in it, e.g. `failure: diverged`, `early-JOB` makes a training stop early,
`lack-JOB-CELL` leave no log of one cell; each execution adds its token to `executions`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.claims.rows import sketch_of
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Cell, Run, resources
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress
from ckgit.experiment.results import CellResult, Checkpoint, LossPoint, Metric, Sample, TrainingResult
from ckgit.experiment.worker import Context, Evaluator, Evidence, Preparation
from ckgit.formats.plain_json import leaves
from ckgit.formats.problem import Problem
from ckgit.jobs.script import job_script
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters

_STEER = """\
echo "$CKGIT_JOB" >>"${TINY:-.}/executions"
exec 9<> <(:)  # nothing comes there: to wait for it takes no process, as `sleep` would
while test -e "${TINY:-.}/hold" -o -e "${TINY:-.}/hold-$1"; do read -rt 0.02 -u 9 || true; done
if test -e "${TINY:-.}/fail-$1"; then cat "${TINY:-.}/fail-$1"; echo "the tool says no"; exit 1; fi
"""
_TRAIN = f"""{_STEER}
rm -rf "$2/artifacts"
mkdir -p "$2/artifacts"
steps="1 2 3"
if test -e "${{TINY:-.}}/early-$1"; then steps="1 2"; fi
for step in $steps; do echo "Step $step | loss:0.$((5 - step))" >>"$2/artifacts/training.log"; done
for epoch in $(seq 0 "$3"); do mkdir "$2/artifacts/epoch_$epoch"; echo "weights of $1" >"$2/artifacts/epoch_$epoch/weights"; done
"""
_EVALUATE = f"""{_STEER}
mkdir -p "$2/eval/logs"
for cell in "${{@:4}}"; do
    if test -e "$2/eval/logs/$cell.json" -o -e "${{TINY:-.}}/lack-$1-$cell"; then continue; fi
    echo "evaluates $cell"
    printf '{{"accuracy": %s}}\\n' "$3" >"$2/eval/logs/$cell.json"
done
"""


def _script(context: Context, job: Job, program: str, *words: str) -> bytes:
    source = f"{context.folder}/{job.run}/setup.txt"
    return job_script(
        title=f"{job.name} of {context.summary.experiment.name}",
        script=job.script,
        resources=job.resources,
        cluster=context.cluster,
        inputs={source: hashlib.sha256(_setup(context, job.run)).hexdigest()},
        programs=["bash"],
        commands=[["bash", "-euc", program, "tiny", job.name.replace("/", "-"), context.run_folder(job.run), *words]],
    )


def _setup(context: Context, run: str) -> bytes:
    return f"lr {context.plan.run(run)['lr']}\n".encode()


def _explain(log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
    said = re.search(r"^failure: (.+)$", log_tail, re.MULTILINE)
    kind = FailureClass.INPUT_CHANGED if exit_code == 65 else FailureClass(said[1]) if said else FailureClass.ERROR
    return kind, f"the tool ended with exit code {exit_code}: {(log_tail.splitlines() or ['no output'])[-1]}"


class Trainer(Preparation):
    """Three steps, and a file that stands for weights. Its parameters are those of torchtune."""

    parameters = TorchtuneParameters

    tool, label, stage = "tiny-trainer", "tiny-trainer", Stage.TRAINING
    reads, writes = "the design", "setup.txt and finetune.slurm for each run"
    leaves = "training.log and checkpoints"

    def check(self, context: Context) -> Sequence[Problem]:
        many = [run for run in context.plan.training if run["epochs"] > 9]
        return [Problem(f"run {run.name}: {run['epochs']} epochs are too many", place_of(context.summary, run, "epochs")) for run in many]

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        files = {f"{context.run_folder(r.name)}/setup.txt": _setup(context, r.name) for r in context.plan.runs if run in (None, r.name)}
        for job in self.jobs(context):
            if run in (None, job.run):
                files[job.script] = _script(context, job, _TRAIN, str(context.plan.run(job.run)["epochs"] - 1))
        return files

    def jobs(self, context: Context) -> Sequence[Job]:
        return [self._job(context, run) for run in context.plan.training]

    def _job(self, context: Context, run: Run) -> Job:
        folder = context.run_folder(run.name)
        asked = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
        return Job(
            name=f"{run.name}/finetune",
            stage=Stage.TRAINING,
            run=run.name,
            script=f"{folder}/finetune.slurm",
            folder=folder,
            resources=asked,
        )

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        return [] if (work / job.script).is_file() else ["its script is missing"]

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        log = work / context.run_folder(job.run) / "artifacts" / "training.log"
        if attempt.exit_code:
            return Evidence((), [], None, {})
        if not log.exists():
            return Evidence((), ["it ended well and left no training log"], FailureClass.OUTPUT_MISSING, {})
        files = {f"{context.run_folder(job.run)}/training.log": log.read_bytes()}
        return Evidence(self.results(context, job, attempt, files), [], None, files)

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[TrainingResult]:
        content = files.get(f"{context.run_folder(job.run)}/training.log")
        if content is None:
            return []
        losses = tuple(
            LossPoint(step=n, loss=float(line.split("loss:")[1])) for n, line in enumerate(content.decode().splitlines(), start=1)
        )
        saved = tuple(self._checkpoint(context, job, epoch) for epoch in range(context.plan.run(job.run)["epochs"]))
        made = {"steps": len(losses), "final_loss": losses[-1].loss, "seconds": 1.0, "losses": losses, "checkpoints": saved}
        early = {"planned_steps": 3, "ended": "the loss fell no more"} if len(losses) < 3 else {}
        return [TrainingResult(run=job.run, **made, **early)]

    def _checkpoint(self, context: Context, job: Job, epoch: int) -> Checkpoint:
        content = f"weights of {job.run}-finetune\n".encode()
        path = f"{context.run_folder(job.run)}/artifacts/epoch_{epoch}/weights"
        return Checkpoint(epoch=epoch, path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        return Progress(1, 3, 0.4)

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        return _explain(log_tail, exit_code)


class TinyEvaluator(Evaluator):
    """One number for a cell: 0.9 for a trained run, 0.5 for others."""

    tool, label, stage = "tiny-evaluator", "tiny-evaluator", Stage.EVALUATION
    reads, writes = "the design and setup.txt", "eval/TASK_epochN.slurm for each cell"
    leaves = "eval/logs/CELL.json"

    def check(self, context: Context) -> Sequence[Problem]:
        return []

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        return {
            job.script: _script(context, job, _EVALUATE, self._score(cells[0]), *(cell.name for cell in cells))
            for job, cells in zip(self.jobs(context), context.plan.evaluation_jobs.values(), strict=True)
            if run in (None, job.run)
        }

    def _score(self, cell: Cell) -> str:
        return "0.5" if cell.epoch is None else "0.9"

    def jobs(self, context: Context) -> Sequence[Job]:
        return [self._job(context, name, cells) for name, cells in context.plan.evaluation_jobs.items()]

    def _job(self, context: Context, name: str, cells: Sequence[Cell]) -> Job:
        cell = cells[0]
        folder = f"{context.run_folder(cell.run)}/eval"
        asked = resources(context.summary, context.plan.run(cell.run), Stage.EVALUATION, context.cluster.evaluation)
        return Job(
            name=name,
            stage=Stage.EVALUATION,
            run=cell.run,
            tasks=tuple(cell.task.name for cell in cells),
            epoch=cell.epoch,
            script=f"{folder}/{Path(name).name}.slurm",
            folder=folder,
            resources=asked,
        )

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        weights = work / context.artifacts(job.run) / f"epoch_{job.epoch}" / "weights"
        lacking = [f"epoch {job.epoch} has no weights"] if job.epoch is not None and not weights.exists() else []
        card = context.cards[context.plan.run(job.run).model]
        files = [f"models/{card.name}/{name}" for name in card.files]
        return [*lacking, *(f"{path} is not in the work tree" for path in files if not (work / path).is_file())]

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        if attempt.exit_code:
            return Evidence((), [], None, {})
        logs = self._logs(context, job)
        files = {path: (work / path).read_bytes() for path in logs if (work / path).exists()}
        cells = {Path(path).stem: "" if path in files else "there is no log of it" for path in logs}
        reasons = [f"{cell}: {why}" for cell, why in cells.items() if why]
        told = cells if reasons and len(cells) > 1 else {}
        return Evidence(self.results(context, job, attempt, files), reasons, FailureClass.OUTPUT_MISSING if reasons else None, files, told)

    def _logs(self, context: Context, job: Job) -> Sequence[str]:
        return [f"{job.folder}/logs/{cell.name}.json" for cell in context.plan.evaluation_jobs[job.name]]

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[CellResult]:
        logs = zip(job.tasks, self._logs(context, job), strict=True)
        return [self._result(context, job, task, path, files[path]) for task, path in logs if path in files]

    def _result(self, context: Context, job: Job, task: str, path: str, content: bytes) -> CellResult:
        value = float(json.loads(content)["accuracy"])
        return CellResult(
            run=job.run,
            task=task,
            epoch=job.epoch,
            log=path,
            log_sha256=hashlib.sha256(content).hexdigest(),
            seconds=1.0,
            metrics=(Metric(scorer="match", name="accuracy", value=value, stderr=0.1, samples=2),),
            samples=tuple(Sample(id=number, scores={"match": score}) for number, score in enumerate(_answers(value))),
            rows=_rows(context, job.run, task),
        )

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        return None

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        return _explain(log_tail, exit_code)


def _rows(context: Context, run: str, task: str) -> str | None:
    """A sketch of what a task asks, of a data set that is one file."""
    asked = next(each for each in context.summary.evaluation.tasks if each.name == task)
    data = context.summary.data.get(str(asked.data or context.plan.run(run)["data"]))
    content = context.sources.get(data.path or "") if data else None
    return sketch_of(row["input"] for row in json.loads(content)[asked.split][: asked.limit]) if content else None


def _answers(value: float) -> Iterable[str]:
    return ("C", "C") if value > 0.8 else ("C", "I")


class TellingTrainer(Trainer):
    """One that tells what decides the weights: the learning rate and the number of epochs."""

    tool, label = "telling-trainer", "telling-trainer"

    def renders(self, context: Context, job: Job) -> Sequence[str]:
        return [f"{job.folder}/setup.txt", job.script]

    def made_from(self, context: Context, job: Job, read: Callable[[str], bytes | None]) -> Mapping[str, str]:
        setup = read(f"{job.folder}/setup.txt") or _setup(context, job.run)
        run = context.plan.run(job.run)
        return {"setup": json.dumps(setup.decode()), **{name: json.dumps(run[name]) for name in ("epochs", "lora_rank")}}


class TellingEvaluator(TinyEvaluator):
    """One that tells what decides the answers: the task's file and the data."""

    tool, label = "telling-evaluator", "telling-evaluator"

    def renders(self, context: Context, job: Job) -> Sequence[str]:
        return [job.script]

    def made_from(self, context: Context, job: Job, read: Callable[[str], bytes | None]) -> Mapping[str, str]:
        tasks = [task for task in context.summary.evaluation.tasks if task.name in job.tasks]
        files = {f"file {task.source}": json.dumps(hashlib.sha256(context.sources[task.source]).hexdigest()) for task in tasks}
        return {**files, **{place: json.dumps(value) for task in tasks for place, value in leaves(task.model_dump(mode="json"))}}


trainer = Trainer()
evaluator = TinyEvaluator()
telling_trainer = TellingTrainer()
telling_evaluator = TellingEvaluator()
