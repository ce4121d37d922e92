"""An evaluator without inspect-ai, as another package would bring it: a design names it by `tools: {evaluation: exact-count}`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Cell, prompts, resources
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress
from ckgit.experiment.results import CellResult, Metric, Sample
from ckgit.experiment.worker import Context, Evaluator, Evidence
from ckgit.formats.problem import Problem
from ckgit.jobs.script import job_script


class ExactCount(Evaluator):
    """Counts answers that are right to the letter."""

    tool = "exact-count"
    label = "exact-count"
    stage = Stage.EVALUATION
    reads = "the design, data, checkpoints"
    writes = "eval/CELL.slurm and eval/CELL.json of each cell"
    leaves = "eval/counts/CELL.json"

    def check(self, context: Context) -> Sequence[Problem]:
        scored = [(position, task) for position, task in enumerate(context.summary.evaluation.tasks) if task.scorers]
        return [Problem(f"task {task.name}: exact-count has its own scorer", f"evaluation.tasks.{at}.scorers") for at, task in scored]

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        files: dict[str, bytes] = {}
        for cell, job in zip(context.plan.cells, self.jobs(context), strict=True):
            if run in (None, cell.run):
                settings = json.dumps(_settings(context, cell), indent=1).encode() + b"\n"
                path = job.script.replace(".slurm", ".json")
                files |= {path: settings, job.script: self._script(context, job, path, settings)}
        return files

    def _script(self, context: Context, job: Job, path: str, settings: bytes) -> bytes:
        return job_script(
            title=f"{job.name} of experiment {context.summary.experiment.name}: counts right answers.",
            script=job.script,
            resources=job.resources,
            cluster=context.cluster,
            inputs={path: hashlib.sha256(settings).hexdigest()},
            programs=("python",),
            commands=[("python", "-m", "tiny_evaluate", path, _counts(job))],
        )

    def jobs(self, context: Context) -> Sequence[Job]:
        return [
            Job(
                name=f"{cell.run}/eval/{cell.name}",
                stage=Stage.EVALUATION,
                run=cell.run,
                tasks=(cell.task.name,),
                epoch=cell.epoch,
                script=f"{context.run_folder(cell.run)}/eval/{cell.name}.slurm",
                folder=f"{context.run_folder(cell.run)}/eval",
                resources=resources(context.summary, context.plan.run(cell.run), Stage.EVALUATION, context.cluster.evaluation),
            )
            for cell in context.plan.cells
        ]

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        model = json.loads((work / job.script.replace(".slurm", ".json")).read_bytes())["model"]
        return [] if (work / model / "config.json").is_file() else [f"there is no checkpoint {model}"]

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        if attempt.exit_code != 0:
            return Evidence((), [f"it ended with exit code {attempt.exit_code}"], FailureClass.ERROR, {})
        try:
            files = {_counts(job): (work / _counts(job)).read_bytes()}
            return Evidence(self.results(context, job, attempt, files), [], None, files)
        except (OSError, ValueError) as error:
            return Evidence((), [f"{_counts(job)} cannot be read: {error}"], FailureClass.OUTPUT_MISSING, {})

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[CellResult]:
        content = files.get(_counts(job))
        if content is None:
            return []
        answers = json.loads(content)
        share = sum(answer["right"] for answer in answers) / len(answers)
        found = CellResult(
            run=job.run,
            task=job.tasks[0],
            epoch=job.epoch,
            log=_counts(job),
            log_sha256=hashlib.sha256(content).hexdigest(),
            seconds=0.0,
            metrics=(Metric(scorer="exact", name="accuracy", value=share, samples=len(answers)),),
            samples=tuple(
                Sample(id=number, scores={"exact": float(answer["right"])}, answer=answer["answer"], target=answer["target"])
                for number, answer in enumerate(answers, start=1)
            ),
        )
        return [found]

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        return None

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        return FailureClass.ERROR, (log_tail.strip().splitlines() or [f"it ended with exit code {exit_code}"])[-1]


def _counts(job: Job) -> str:
    return f"{job.folder}/counts/{Path(job.script).stem}.json"


def _settings(context: Context, cell: Cell) -> dict[str, str]:
    run = context.plan.run(cell.run)
    prompt, system_prompt = prompts(run, cell.task)
    base = f"models/{run.model}"
    return {
        "model": base if cell.epoch is None else f"{context.run_folder(run.name)}/artifacts/epoch_{cell.epoch}",
        "trained_from": base,
        "data": context.summary.data[cell.task.data or run["data"]].path,
        "split": cell.task.split,
        "dataset_type": run["dataset_type"],
        "prompt": prompt,
        "system_prompt": system_prompt,
        "template_date": str(run["template_date"]),
    }


worker = ExactCount()
