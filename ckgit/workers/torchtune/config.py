"""`finetune.yaml`: a whole torchtune config, readable, for a recipe of torchtune."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.plan import Run
from ckgit.experiment.design.row_files import columns, read_from
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.text import comment, scalar
from ckgit.workers.torchtune.design.parameters import OWN
from ckgit.workers.torchtune.design.steps import planned_steps
from ckgit.workers.torchtune.families import builders, sizes
from ckgit.workers.training.design.counted import processes
from ckgit.workers.training.scaffold import artifacts

COMPONENTS = "ckgit.workers.torchtune.components"
LORA = "ckgit/workers/torchtune/lora_single_device.py"  # `tune run` imports a path as a module, from anywhere
LOG_NAME = "training.log"
_OPTIMIZERS = {"adamw": "torch.optim.AdamW", "adam": "torch.optim.Adam", "sgd": "torch.optim.SGD"}
_SCHEDULES = {
    "cosine": "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup",
    "constant": f"{COMPONENTS}.constant_schedule_with_warmup",
}


def recipe(run: Run, nproc: int) -> str:
    """The recipe of a run, as `tune run` takes it: a stock one, e.g. `full_finetune_single_device`, wherever that is sound."""
    if run["method"] == "lora" and nproc == 1:
        return LORA
    return f"{run['method']}_finetune_{'distributed' if nproc > 1 else 'single_device'}"


def finetune_yaml(context: Context, run: Run) -> bytes:
    """The bytes of a run's torchtune config. Its paths are relative to the work tree."""
    card = context.cards[run.model]
    sections = [
        _heading(context, run),
        [f"output_dir: {scalar(artifacts(context, run))}"],
        _model(card, run),
        _checkpointer(context, card, run),
        _tokenizer(card, run),
        _dataset(context, run),
        _optimization(context, run),
        _logging(context, run),
        _environment(run, processes(context, run)),
    ]
    return ("\n\n".join("\n".join(lines) for lines in sections) + "\n").encode()


def _heading(context: Context, run: Run) -> list[str]:
    nproc, path = processes(context, run), f"{context.run_folder(run.name)}/finetune.yaml"
    command = f"tune run --nproc_per_node {nproc}" if nproc > 1 else "tune run"
    return [
        f"# Run {run.name} of experiment {context.summary.experiment.name}.",
        f"# {comment(context.summary.experiment.question)}",
        "#",
        "# Written by ckgit scaffold-torchtune; where each value comes from is in setup_finetune.yaml.",
        "# By hand, from the top of a work tree (or of the lab, with the model's folder in models/); it writes over artifacts/:",
        f"#   {command} {recipe(run, nproc)} --config {path}",
        "# finetune.slurm checks the tokens before, and makes the checkpoints fit for evaluation after it.",
    ]


def _block(name: str, component: str, arguments: Mapping[str, Any]) -> list[str]:
    return [f"{name}:", f"  _component_: {component}", *_lines(arguments, indent="  ")]


def _lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    return (f"{indent}{name}: {scalar(value)}" for name, value in values.items())


def _own(run: Run, component: str = "") -> dict[str, Any]:
    """What the design has under `torchtune`: of a component, or of no component."""
    before = f"{OWN}{component}." if component else OWN
    found = {name.removeprefix(before): setting.value for name, setting in run.settings.items() if name.startswith(before)}
    return {name: value for name, value in found.items() if "." not in name}


def _model(card: ModelCard, run: Run) -> list[str]:
    builder, arguments = builders(card), sizes(card)
    component = f"{builder.module}.{builder.lora if run['method'] == 'lora' else builder.full}"
    lines = [f"# {card.name}: sizes as its config.json has them", *_block("model", component, arguments)]
    if run["method"] != "lora":
        return lines
    lora = {name: run[name] for name in ("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp")}
    if builder.lora_output:
        lora["apply_lora_to_output"] = run["apply_lora_to_output"]
    return [*lines, *_lines(lora, indent="  ")]


def _checkpointer(context: Context, card: ModelCard, run: Run) -> list[str]:
    arguments = {
        "checkpoint_dir": f"models/{card.name}",
        "checkpoint_files": card.checkpoint_files,
        "model_type": builders(card).checkpoint,
        "output_dir": artifacts(context, run),
        "recipe_checkpoint": None,
    }
    lines = _block("checkpointer", "torchtune.training.FullModelHFCheckpointer", arguments)
    # Checkpoints of LoRA hold the merged model, which is what evaluation loads.
    merged = ["save_adapter_weights_only: false"] if run["method"] == "lora" else []
    return [*lines, "resume_from_checkpoint: false", *merged]


def _tokenizer(card: ModelCard, run: Run) -> list[str]:
    how = "by the model's own chat template" if run["dataset_type"] == "chat" else "as plain text"
    return [
        f"# Rows are rendered {how}; evaluation renders its prompts the same way.",
        *_block(
            "tokenizer",
            f"{COMPONENTS}.row_renderer",
            {
                "model_folder": f"models/{card.name}",
                "dataset_type": run["dataset_type"],
                "prompt": run["prompt"],
                "system_prompt": run["system_prompt"],
                "template_date": str(run["template_date"]),
            },
        ),
    ]


def _dataset(context: Context, run: Run) -> list[str]:
    summary, name = context.summary, run["data"]
    arguments = {
        "path": read_from(summary, name),
        "split": run["train_split"],
        **columns(summary, name),
        "max_seq_len": run["max_seq_len"],
        "shuffle_seed": run["seed"] if run["shuffle"] else None,
        **({"max_samples": run["max_samples"]} if run["max_samples"] else {}),
    }
    return [
        "# A row longer than max_seq_len is an error. torchtune shuffles with a seed of its own, whatever `seed` says;",
        "# shuffle_seed brings the rows into another order before that, so that another seed is another order.",
        *_block("dataset", f"{COMPONENTS}.rows", arguments),
        f"shuffle: {scalar(run['shuffle'])}",
        f"seed: {scalar(run['seed'])}",
        f"batch_size: {scalar(run['batch_size'])}",
    ]


def _optimization(context: Context, run: Run) -> list[str]:
    steps = planned_steps(context, run)
    arguments = {"lr": float(run["lr"]), "weight_decay": float(run["weight_decay"]), **_own(run, "optimizer")}
    lines = _block("optimizer", _OPTIMIZERS[run["optimizer"]], arguments)
    schedule = {"num_warmup_steps": run["num_warmup_steps"], **_own(run, "lr_scheduler")}
    lines += _block("lr_scheduler", _SCHEDULES[run["lr_scheduler"]], schedule)
    lines += _block("loss", "torchtune.modules.loss.CEWithChunkedOutputLoss", _own(run, "loss"))
    lines += [f"# {steps} optimizer steps in all; checkpoints are counted from epoch_0"] if steps is not None else []
    names = ("epochs", "max_steps_per_epoch", "gradient_accumulation_steps", "clip_grad_norm", "compile")
    lines += _lines({name: run[name] for name in names})
    return [*lines, *(["optimizer_in_bwd: false"] if run["method"] == "full" else [])]


def _logging(context: Context, run: Run) -> list[str]:
    return [
        *_block(
            "metric_logger",
            "torchtune.training.metric_logging.DiskLogger",
            {"log_dir": artifacts(context, run), "filename": LOG_NAME},
        ),
        *_lines({"log_every_n_steps": run["log_every_n_steps"], "log_peak_memory_stats": run["device"] == "cuda"}),
    ]


def _environment(run: Run, nproc: int) -> Iterable[str]:
    values = {
        "device": run["device"],
        "dtype": run["dtype"],
        "enable_activation_checkpointing": run["enable_activation_checkpointing"],
        "enable_activation_offloading": False,
        **_own(run),
    }
    return [*_lines(values), *(["fsdp_cpu_offload: false"] if nproc > 1 else [])]
