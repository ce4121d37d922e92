"""A preparation that is no training: it tries some prompts on rows of the data, keeps the best, and leaves that instead of weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.design.fields import Frozen, PositiveInt, Prompt
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.parameters import Parameters, Product
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.estimates.guess import Guess, Steps
from ckgit.experiment.jobs import Attempt, FailureClass, Job, Progress
from ckgit.experiment.results import MANIFEST, TrainingResult, read_manifest
from ckgit.experiment.worker import Context, Evidence, Preparation
from ckgit.formats.markdown import number, table
from ckgit.formats.problem import Problem
from ckgit.jobs.script import Needs, job_script
from ckgit.workers.explain import Tool, explain

TRIED = "tried.json"
MODULES = ("torch", "transformers")


class PromptParameters(Parameters):
    """Parameters of a run that chooses its prompt."""

    product: ClassVar[Product] = Product.PROMPT
    defaults: ClassVar[Mapping[str, Any]] = {"train_split": "train", "rows": 4}
    synonyms: ClassVar[Mapping[str, str]] = {"prompts": "candidates", "n_rows": "rows"}
    not_supported: ClassVar[Mapping[str, str]] = {"lr": "no weights are trained here"}

    candidates: tuple[Prompt, ...] | None = Field(default=None, min_length=1, description="Prompts that are tried.")
    rows: PositiveInt | None = Field(default=None, description="How many rows each of them is tried on.")
    train_split: str | None = Field(default=None, description="Split that these rows are of.")


class Trial(Frozen):
    """One prompt and how it did."""

    prompt: str
    loss: float = Field(description="Mean over the rows: how little the model expects their answers.")


class PromptSearch(Frozen):
    """What a search for a prompt came to, in its own terms."""

    tried: tuple[Trial, ...] = Field(min_length=1)
    kept: str

    @property
    def best(self) -> Trial:
        """The one with the least loss."""
        return min(self.tried, key=lambda trial: trial.loss)


class PromptOptimizer(Preparation):
    """See `Preparation`."""

    tool, label, stage = "prompts", "prompts", Stage.TRAINING
    reads, writes, leaves = "the design, data", "prompts.json and prompts.slurm of each run", f"artifacts/{TRIED} and a prompt"
    parameters = PromptParameters
    result = PromptSearch

    def check(self, context: Context) -> Sequence[Problem]:
        return [*self._problems(context)]

    def _problems(self, context: Context) -> Iterator[Problem]:
        for run in context.plan.training:
            place = place_of(context.summary, run, "candidates")
            if not run["candidates"]:
                yield Problem(f"run {run.name} has no candidates to try", place)
            elif len(set(run["candidates"])) < len(run["candidates"]):
                yield Problem(f"run {run.name} tries a candidate twice", place)

    def steps(self, context: Context, run: Run) -> Steps:
        return Steps(run["rows"], None, len(run["candidates"]))

    def estimate(self, context: Context, run: Run) -> Guess:
        return Guess(10.0 + 0.1 * run["rows"] * len(run["candidates"]), 1e9, 0.0)

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        files: dict[str, bytes] = {}
        for job in self.jobs(context):
            if run in (None, job.run):
                config = f"{job.folder}/prompts.json"
                files[config] = self._config(context, context.plan.run(job.run))
                files[job.script] = self._script(context, job, {config: hashlib.sha256(files[config]).hexdigest()})
        return files

    def _config(self, context: Context, run: Run) -> bytes:
        data = context.summary.data[run["data"]]
        names = ("candidates", "rows", "train_split", "system_prompt", "dataset_type", "template_date", "dtype", "device")
        document = {name: run[name] for name in names} | {"model": f"models/{run.model}", "data": data.model_dump(exclude={"sha256"})}
        return json.dumps(document, indent=2, default=str).encode() + b"\n"

    def _script(self, context: Context, job: Job, configs: Mapping[str, str]) -> bytes:
        run = context.plan.run(job.run)
        card, recorded = context.cards[run.model], context.summary.recorded.data[run["data"]]
        model = {f"models/{card.name}/{name}": digest for name, digest in card.files.items()}
        return job_script(
            title=f"Chooses the prompt of run {run.name} of experiment {context.summary.experiment.name}.",
            script=job.script,
            resources=job.resources,
            cluster=context.cluster,
            inputs={**configs, context.summary.data[run["data"]].path: recorded.sha256, **model},
            programs=("python",),
            commands=(("python", "-m", "ckgit_prompts_job", job.folder),),
            needs=Needs(MODULES, 1 if run["device"] == "cuda" else 0),
        )

    def jobs(self, context: Context) -> Sequence[Job]:
        return [self._job(context, run) for run in context.plan.training]

    def _job(self, context: Context, run: Run) -> Job:
        folder = context.run_folder(run.name)
        asked = resources(context.summary, run, self.stage, context.cluster.training)
        return Job(name=run.job, stage=self.stage, run=run.name, script=f"{folder}/prompts.slurm", folder=folder, resources=asked)

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        return [] if (work / job.script).is_file() else [f"{job.script} is not in the work tree"]

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        places = {f"{job.folder}/{name}": work / job.folder / "artifacts" / name for name in (MANIFEST, TRIED)}
        files = {path: place.read_bytes() for path, place in places.items() if place.is_file()}
        if attempt.exit_code:
            return Evidence((), [], None, files)
        try:
            found = self.results(context, job, attempt, files)
        except ValueError as error:
            return Evidence((), [str(error)], FailureClass.OUTPUT_MISSING, files)
        return Evidence(found, [] if found else ["it left no prompt"], None if found else FailureClass.OUTPUT_MISSING, files)

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[TrainingResult]:
        manifest, tried = (files.get(f"{job.folder}/{name}") for name in (MANIFEST, TRIED))
        if manifest is None or tried is None:
            return []
        try:
            search = PromptSearch.model_validate_json(tried)
        except ValidationError as error:
            raise ValueError(f"{TRIED} cannot be read: {error.errors()[0]['msg']}") from None
        saved = read_manifest(manifest)
        if [trial.prompt for trial in search.tried] != [*context.plan.run(job.run)["candidates"]]:
            raise ValueError("other prompts were tried than were designed")
        if [each.prompt for each in saved] != [search.kept] or search.kept != search.best.prompt:
            raise ValueError("the prompt that it left is not the best of those that it tried")
        own = search.model_dump(mode="json")
        return [TrainingResult(run=job.run, steps=len(search.tried), seconds=attempt.seconds, checkpoints=saved, own=own)]

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        tried = log_tail.count("tried: ")
        return Progress(step=tried, steps=len(context.plan.run(job.run)["candidates"]), loss=None) if tried else None

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        return explain(log_tail, exit_code, Tool(codes={}, less_memory="try fewer rows"))

    def report(self, result: TrainingResult) -> str:
        search = PromptSearch.model_validate_json(json.dumps(result.own))
        rows = [[trial.prompt, number(trial.loss), "kept" if trial.prompt == search.kept else ""] for trial in search.tried]
        return table(["prompt", "loss of the answers", ""], rows)


worker = PromptOptimizer()
