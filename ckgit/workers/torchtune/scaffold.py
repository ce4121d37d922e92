"""Renders a run's files and names its job. Pure: neither torch nor the model's weights are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ckgit.experiment.card import FileDigest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.jobs.script import Needs, job_script, measured
from ckgit.workers.digests import options
from ckgit.workers.torchtune.config import finetune_yaml, recipe
from ckgit.workers.torchtune.design.steps import processes
from ckgit.workers.torchtune.setup import evaluated, setup_yaml

MODULES = ("torch", "torchao", "torchtune", "transformers", "safetensors")


def scaffold(context: Context, run: str | None = None) -> dict[str, bytes]:
    """The three files of each fine-tuned run (or of one), by path relative to the lab."""
    files: dict[str, bytes] = {}
    for row in context.plan.training if run is None else [context.plan.run(run)]:
        if row.trains:
            files |= _run_files(context, row)
    return files


def _run_files(context: Context, run: Run) -> dict[str, bytes]:
    folder = context.run_folder(run.name)
    configs = {f"{folder}/setup_finetune.yaml": setup_yaml(context, run), f"{folder}/finetune.yaml": finetune_yaml(context, run)}
    return {**configs, script_path(context, run): _script(context, run, configs)}


def script_path(context: Context, run: Run) -> str:
    """Where a run's job script is, relative to the lab and to the work tree."""
    return f"{context.run_folder(run.name)}/finetune.slurm"


def jobs(context: Context) -> list[Job]:
    """One job for each fine-tuned run."""
    return [
        Job(
            name=f"{run.name}/finetune",
            stage=Stage.TRAINING,
            run=run.name,
            script=script_path(context, run),
            folder=context.run_folder(run.name),
            resources=resources(context.summary, run, Stage.TRAINING, context.cluster.training),
        )
        for run in context.plan.training
    ]


def _script(context: Context, run: Run, configs: Mapping[str, bytes]) -> bytes:
    return job_script(
        title=f"Fine-tunes run {run.name} of experiment {context.summary.experiment.name} with torchtune.",
        script=script_path(context, run),
        resources=resources(context.summary, run, Stage.TRAINING, context.cluster.training),
        cluster=context.cluster,
        inputs={**{path: hashlib.sha256(content).hexdigest() for path, content in configs.items()}, **inputs(context, run)},
        programs=("python",),
        commands=(_command(context, run),),
        needs=Needs(MODULES, processes(context, run) if run["device"] == "cuda" else 0),
    )


def inputs(context: Context, run: Run) -> dict[str, str | FileDigest]:
    """Digest of the data and model files that a run depends on, by path relative to the work tree."""
    paths = {context.summary.data[run["data"]].path, *(entry.path for entry in evaluated(context, run))}
    digests = {context.summary.data[name].path: recorded.sha256 for name, recorded in context.summary.recorded.data.items()}
    card = context.cards[run.model]
    model = {f"models/{card.name}/{name}": digest for name, digest in card.files.items()}
    return {**{path: digests[path] for path in paths}, **model}


def _command(context: Context, run: Run) -> Sequence[str]:
    folder, nproc = context.run_folder(run.name), processes(context, run)
    settings = [f"--recipe={recipe(run, nproc)}", f"--epochs={run['epochs']}", f"--model=models/{run.model}"]
    settings += [f"--processes={nproc}"] if nproc > 1 else []
    return ("python", "-m", "ckgit.workers.torchtune.train", folder, *settings, *options(measured(inputs(context, run))))
