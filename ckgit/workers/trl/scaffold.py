"""Renders a run's files. Pure: neither torch nor the model's weights are needed."""

from __future__ import annotations

import json
from collections.abc import Callable

from ckgit.experiment.design.plan import Run
from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.jobs.script import Needs
from ckgit.workers.training import scaffold as common
from ckgit.workers.training.setup import read_setup, setup_yaml
from ckgit.workers.trl.config import finetune_yaml, rows_yaml
from ckgit.workers.trl.design.parameters import KEEPING, ORDER
from ckgit.workers.trl.design.steps import planned_steps
from ckgit.workers.trl.design.world import World

EXTRA = "trl"
QUANTIZED = "qlora"  # the extra that brings what quantizes
LOGGERS = "loggers"  # the extra that brings what a cluster profile has as loggers
MODULES = ("torch", "transformers", "accelerate", "datasets", "safetensors", "trl", "peft")
HIDDEN = ("torchao",)  # PEFT refuses to make LoRA beside the one that `run` pins


def needs(context: Context, run: Run) -> Needs:
    """What a run's job imports, and the extras of ckgit that bring it."""
    loggers, quantized = context.cluster.loggers, "qlora" in run["method"] or "8bit" in run["optimizer"]
    extras = (EXTRA, *([QUANTIZED] if quantized else []), *([LOGGERS] if loggers else []))
    modules = (*MODULES, *(["bitsandbytes"] if quantized else []), *loggers)
    gpus = World.of(context, run).nproc_per_node if run["device"] == "cuda" else 0
    return Needs(modules, gpus, hidden=HIDDEN, extra=",".join(extras))


def scaffold(context: Context, run: str | None = None) -> dict[str, bytes]:
    """The four files of each fine-tuned run (or of one), by path relative to the lab."""
    return common.scaffolded(context, run, lambda row: _run_files(context, row))


def _run_files(context: Context, run: Run) -> dict[str, bytes]:
    folder = context.run_folder(run.name)
    configs = {
        f"{folder}/setup_finetune.yaml": setup_yaml(context, run, order=ORDER, steps=planned_steps(context, run)),
        f"{folder}/rows.yaml": rows_yaml(context, run),
        f"{folder}/finetune.yaml": finetune_yaml(context, run),
    }
    loggers = [f"--logger={name}" for name in context.cluster.loggers]
    sizes = [f"--{name}={number}" for name, number in World.of(context, run)._asdict().items() if number > 1]
    command = ("python", "-m", "ckgit.workers.trl.train", folder, *sizes, *loggers)
    script = common.script(context, run, configs, tool="TRL", command=command, needs=needs(context, run))
    return {**configs, common.script_path(context, run): script}


def renders(context: Context, job: Job) -> list[str]:
    """Paths of the four files of a run."""
    return [*common.renders(context, job), f"{context.run_folder(job.run)}/rows.yaml"]


def made_from(context: Context, job: Job, read: Callable[[str], bytes | None]) -> dict[str, str]:
    """Every value of its two configurations, what decides which checkpoints it leaves, and the digests of what it depends on."""
    run, folder = context.plan.run(job.run), context.run_folder(job.run)
    finetune, rows = read(f"{folder}/finetune.yaml"), read(f"{folder}/rows.yaml")
    made = common.made_from(context, run, finetune_yaml(context, run) if finetune is None else finetune, "")
    if not made:
        return {}
    world = {"processes": json.dumps(World.of(context, run).processes)}
    setup = read(f"{folder}/setup_finetune.yaml")
    settings = run.settings if setup is None else read_setup(setup) or {}
    kept = {name: json.dumps(settings[name].value) for name in KEEPING if name in settings}
    return {**made, **world, **kept, **common.made_from(context, run, rows_yaml(context, run) if rows is None else rows, "template_date")}
