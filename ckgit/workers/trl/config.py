"""`finetune.yaml`: all that TRL is told, by TRL's own names, so that `trl sft --config` takes it as it is.

What TRL would decide by itself and that matters is written out: its defaults change, and some would train something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ckgit.experiment.design.plan import Run
from ckgit.experiment.design.row_files import columns, read_from
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.text import comment, scalar
from ckgit.workers.training.design.counted import processes, warmup_steps
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.training.scaffold import ROWS, artifacts
from ckgit.workers.trl.design.parameters import OWN, PLATEAU, SCHEDULES
from ckgit.workers.trl.design.steps import planned_steps
from ckgit.workers.trl.design.world import World
from ckgit.workers.trl.preferences import config as preferences

_OPTIMIZERS = {"adamw": "adamw_torch", "sgd": "sgd", "adafactor": "adafactor", "adamw_8bit": "adamw_8bit"}
# Each of our projections as the code of a family calls it; `lora_target_modules` is for families that have no such modules.
_ATTENTION = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "output_proj": "o_proj"}
_MLP = ("gate_proj", "up_proj", "down_proj")
_QUANTIZED = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "use_bnb_nested_quant": False}
# Arguments of schedules that are called otherwise here, and those of torch's ReduceLROnPlateau that are as torch has them.
_ARGUMENTS = {"plateau_factor": "factor", "plateau_patience": "patience"}
_PLATEAU_DEFAULTS = {"threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0, "min_lr": 0.0}
# Of a base of 4 bits on a CPU; the job switches it off.
_PACKS = "# TRL's command trains on other numbers after the first validation where a CPU multiplies bf16: the base is packed anew."
_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
# What `trl sft` starts, in a process that finds no torchao, which PEFT refuses below 0.16.
ALONE = 'import runpy, sys; sys.modules["torchao"] = None; runpy.run_module("trl.scripts.sft", run_name="__main__")'


def target_modules(run: Run) -> list[str]:
    """Modules that LoRA changes, as the model's code calls them."""
    if run["lora_target_modules"]:
        return list(run["lora_target_modules"])
    return [*map(_ATTENTION.__getitem__, run["lora_attn_modules"]), *(_MLP if run["apply_lora_to_mlp"] else ())]


def finetune_yaml(context: Context, run: Run) -> bytes:
    """The bytes of a run's configuration. Its paths are relative to the work tree."""
    sections = [
        _heading(context, run),
        _lines({"output_dir": artifacts(context, run)}),
        _lines(_with_own(_model(run), run)),
        _rows(context, run),
        _lines(_with_own(_optimization(context, run), run)),
        _steps(context, run),
        _lines(_numbers(run)),
        *([_together(run)] if processes(context, run) > 1 else []),
        _lines(_validation(run)),
        _lines(_records(run)),
        _own_lines(context, run),
    ]
    return ("\n\n".join("\n".join(lines) for lines in sections if lines) + "\n").encode()


def rows_yaml(context: Context, run: Run) -> bytes:
    """The bytes of `rows.yaml`: how a run's rows become tokens."""
    values = {
        "model_folder": f"models/{run.model}",
        "dataset_type": run["dataset_type"],
        "prompt": run["prompt"],
        "system_prompt": run["system_prompt"],
        "template_date": str(run["template_date"]),
        "path": read_from(context.summary, run["data"]),
        "split": run["train_split"],
        "validation_split": run["validation_split"],
        **columns(context.summary, run["data"]),
        "max_seq_len": run["max_seq_len"],
        "max_samples": run["max_samples"],
        **({"objective": DPO} if run["objective"] == DPO else {}),
        **({"packing_length": run["packing_length"]} if run["packing_length"] else {}),
    }
    heading = [
        f"# How run {run.name} renders its rows. Evaluation renders its prompts the same way.",
        f"# A row longer than max_seq_len{' or packing_length' if run['packing_length'] else ''} is an error.",
    ]
    return ("\n".join([*heading, *_lines(values)]) + "\n").encode()


def _heading(context: Context, run: Run) -> list[str]:
    path = f"{context.run_folder(run.name)}/finetune.yaml"
    return [
        f"# Run {run.name} of experiment {context.summary.experiment.name}.",
        f"# {comment(context.summary.experiment.question)}",
        "#",
        "# Written by ckgit scaffold-trl; where each value comes from is in setup_finetune.yaml.",
        "# By hand, from the top of a work tree in which the job has made its rows; it writes over artifacts/:",
        *(preferences.by_hand(path) if run["objective"] == DPO else _by_hand(path, World.of(context, run))),
        "# finetune.slurm checks the tokens before, and makes the checkpoints fit for evaluation after it.",
        *([_PACKS] if (run["method"], run["device"]) == ("qlora", "cpu") and run["validation_split"] else []),
        *(["# TRL's command cannot stop early: by hand the training has all of its epochs."] if run["early_stopping_patience"] else []),
    ]


def _by_hand(path: str, world: World) -> list[str]:
    nodes = f"--nnodes={world.nodes} --node-rank=N --master-addr=FIRST" if world.nodes > 1 else "--standalone"
    start = f"torchrun {nodes} --nproc-per-node={world.nproc_per_node} --no-python " if world.processes > 1 else ""
    stock = f"{start}python -m trl.scripts.sft" if start else "trl sft"
    return [
        f"#   {stock} --config {path}",
        "# or, where torchao is installed, which PEFT refuses:",
        f"#   {start}python -c '{ALONE}' --config {path}",
    ]


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {scalar(value)}" for name, value in values.items()]


def _model(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {"model_name_or_path": f"models/{run.model}", "dtype": _DTYPES[run["dtype"]], "trust_remote_code": False}
    if run["method"] == "full":
        return {**found, "use_peft": False}
    return {
        **found,
        "use_peft": True,
        "lora_r": run["lora_rank"],
        "lora_alpha": run["lora_alpha"],
        "lora_dropout": float(run["lora_dropout"]),
        "lora_target_modules": target_modules(run),
        "lora_modules_to_save": None,
        "use_rslora": False,
        "use_dora": run["method"] == "dora",
        **(_QUANTIZED if run["method"] == "qlora" else {}),
    }


def _own(run: Run) -> dict[str, Any]:
    """What the design has under `trl`, by TRL's names."""
    return {name.removeprefix(OWN): setting.value for name, setting in run.settings.items() if name.startswith(OWN)}


def _with_own(values: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Values that are written in any case, as the design has them where it does."""
    own = _own(run)
    return {name: own.get(name, value) for name, value in values.items()}


def _own_lines(context: Context, run: Run) -> list[str]:
    """What is written only where the design has it."""
    always = {**_model(run), **_optimization(context, run)}
    further = {name: value for name, value in _own(run).items() if name not in always}
    return ["# As the design has it under trl.", *_lines(further)] if further else []


def _rows(context: Context, run: Run) -> list[str]:
    packed = run["packing_length"]
    return [
        "# Rows as tokens, made by the rules of rows.yaml before training starts: none is cut, and nothing is masked anew.",
        *(["# Whole rows are packed into sequences of at most max_length tokens, of which a batch has so many."] if packed else []),
        f"dataset_name: {scalar(f'{artifacts(context, run)}/{ROWS}')}",
        *_lines({"dataset_train_split": "train"}),
        *([] if run["objective"] == DPO or packed else ["dataset_kwargs: {skip_prepare_dataset: true}"]),
        *_lines(
            {
                "max_length": packed,
                **({} if run["objective"] == DPO else {"packing": bool(packed)}),
                **({"packing_strategy": "bfd", "eval_packing": True} if packed else {}),
                "padding_free": False,
                **({} if run["objective"] == DPO else {"shuffle_dataset": False}),
                "train_sampling_strategy": "random" if run["shuffle"] else "sequential",
                "dataloader_drop_last": False,
                "seed": run["seed"],
                "data_seed": run["seed"],
                "per_device_train_batch_size": run["batch_size"],
            }
        ),
    ]


def _optimization(context: Context, run: Run) -> dict[str, Any]:
    warmup = run["warmup_ratio"] if run["packing_length"] else None  # of steps that nobody knows before rows are packed
    warmup = warmup or warmup_steps(run, planned_steps(context, run) or 0)
    return {
        "optim": _OPTIMIZERS[run["optimizer"]],
        "learning_rate": float(run["lr"]),
        "weight_decay": float(run["weight_decay"]),
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "lr_scheduler_type": schedule(run, warmup),
        "warmup_steps": warmup,
        **schedule_arguments(run),
        **(preferences.loss(run) if run["objective"] == DPO else {"loss_type": "nll"}),
        "label_smoothing_factor": 0.0,
    }


def schedule(run: Run, warmup: float) -> str:
    """The schedule by transformers' name, whose `constant` takes no notice of a warm-up."""
    return "constant_with_warmup" if run["lr_scheduler"] == "constant" and warmup else str(run["lr_scheduler"])


def schedule_arguments(run: Run) -> dict[str, Any]:
    """What the schedule needs beside a warm-up; its own arguments are one value of the configuration. None where it needs nothing."""
    given = {_ARGUMENTS.get(name, name): run[name] for name, of in SCHEDULES.items() if of == run["lr_scheduler"]}
    if run["lr_scheduler"] != PLATEAU:
        return {"lr_scheduler_kwargs": json.dumps(given)} if given else {}
    looks_at = {"metric_for_best_model": "eval_loss", "greater_is_better": False}
    return {"lr_scheduler_kwargs": json.dumps(given | _PLATEAU_DEFAULTS), **looks_at}


def _steps(context: Context, run: Run) -> list[str]:
    steps, patience = planned_steps(context, run), run["early_stopping_patience"]
    ends = f"fewer where the validation loss has not fallen for {patience}" if patience else "checkpoints are counted from epoch_0"
    norm = scalar(float(run["clip_grad_norm"])) if run["clip_grad_norm"] else ".inf"
    return [
        *([f"# {steps} optimizer steps in all; {ends}"] if steps is not None else []),
        *(["# A step has batches of sequences: how many steps there are, artifacts/packing.json tells."] if run["packing_length"] else []),
        *_lines({"num_train_epochs": run["epochs"], "max_steps": -1, "gradient_accumulation_steps": run["gradient_accumulation_steps"]}),
        *([] if run["clip_grad_norm"] else ["# The norm of the gradient is measured, and never clipped."]),
        f"max_grad_norm: {norm}",
    ]


def _numbers(run: Run) -> dict[str, Any]:
    return {
        "use_cpu": run["device"] == "cpu",
        "bf16": run["dtype"] == "bf16",
        "fp16": False,
        "gradient_checkpointing": run["enable_activation_checkpointing"] and not run["sharding"],
        "torch_compile": run["compile"],
    }


def _together(run: Run) -> list[str]:
    """For several processes. FSDP by transformers' names; a checkpoint has whole weights, which are merged."""
    mean = ["# Each process takes a batch; the loss of a step is the mean over the tokens of all.", "average_tokens_across_devices: true"]
    if not run["sharding"]:
        return mean
    chosen = {"version": 2, "state_dict_type": "FULL_STATE_DICT", "reshard_after_forward": True}
    chosen |= {"activation_checkpointing": run["enable_activation_checkpointing"]}
    words = ", ".join(f"{name}: {scalar(value)}" for name, value in chosen.items())
    shared = "# Weights, gradients and the optimizer's state are shared among the processes."
    return [*mean, shared, "fsdp: true", f"fsdp_config: {{{words}}}"]


def _validation(run: Run) -> dict[str, Any]:
    if not run["validation_split"]:
        return {"eval_strategy": "no"}
    every = run["validate_every_n_steps"]
    return {
        "dataset_test_split": "validation",
        **({"eval_strategy": "steps", "eval_steps": every} if every else {"eval_strategy": "epoch"}),
        "per_device_eval_batch_size": 1 if run["packing_length"] else run["batch_size"],
        "prediction_loss_only": True,
        "eval_on_start": False,
    }


def _records(run: Run) -> dict[str, Any]:
    return {
        "logging_strategy": "steps",
        "logging_steps": run["log_every_n_steps"],
        "logging_first_step": False,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "save_strategy": "epoch",
        "save_only_model": False,
        "restore_callback_states_from_checkpoint": True,
        "push_to_hub": False,
    }
