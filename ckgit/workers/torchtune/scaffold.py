"""Renders a run's files and names its job. Pure: neither torch nor the model's weights are needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.jobs.script import Needs
from ckgit.workers.torchtune.config import finetune_yaml, recipe
from ckgit.workers.torchtune.design.parameters import ORDER
from ckgit.workers.torchtune.design.steps import planned_steps
from ckgit.workers.training import scaffold as common
from ckgit.workers.training.design.counted import processes
from ckgit.workers.training.setup import setup_yaml

MODULES = ("torch", "torchao", "torchtune", "transformers", "safetensors")


def scaffold(context: Context, run: str | None = None) -> dict[str, bytes]:
    """The three files of each fine-tuned run (or of one), by path relative to the lab."""
    return common.scaffolded(context, run, lambda row: _run_files(context, row))


def _run_files(context: Context, run: Run) -> dict[str, bytes]:
    folder, setup = context.run_folder(run.name), setup_yaml(context, run, order=ORDER, steps=planned_steps(context, run))
    configs = {f"{folder}/setup_finetune.yaml": setup, f"{folder}/finetune.yaml": finetune_yaml(context, run)}
    return {**configs, common.script_path(context, run): _script(context, run, configs)}


def _script(context: Context, run: Run, configs: Mapping[str, bytes]) -> bytes:
    needs = Needs(MODULES, processes(context, run) if run["device"] == "cuda" else 0)
    return common.script(context, run, configs, tool="torchtune", command=_command(context, run), needs=needs)


def _command(context: Context, run: Run) -> Sequence[str]:
    folder, nproc = context.run_folder(run.name), processes(context, run)
    settings = [f"--recipe={recipe(run, nproc)}", f"--epochs={run['epochs']}", f"--model=models/{run.model}"]
    settings += [f"--processes={nproc}"] if nproc > 1 else []
    return ("python", "-m", "ckgit.workers.torchtune.train", folder, *settings)


def made_from(context: Context, job: Job, read: Callable[[str], bytes | None]) -> dict[str, str]:
    """The recipe, the number of processes, every value of its config, and the digests of what it depends on."""
    run, nproc = context.plan.run(job.run), processes(context, context.plan.run(job.run))
    content = read(f"{context.run_folder(run.name)}/finetune.yaml")
    made = common.made_from(context, run, finetune_yaml(context, run) if content is None else content, "tokenizer.template_date")
    return {"recipe": json.dumps(recipe(run, nproc)), "processes": json.dumps(nproc), **made} if made else {}
