"""Defaults from the configs that torchtune ships (`tune ls`). Used when a design is made; what was found is recorded in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import near_ones
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters

RECIPES = ("lora_finetune_single_device", "full_finetune_single_device", "lora_finetune_distributed", "full_finetune_distributed")
# Our parameter to its place in a torchtune config; the names of values are torchtune's own.
_PLACES = {
    "lora_rank": "model.lora_rank",
    "lora_alpha": "model.lora_alpha",
    "lora_dropout": "model.lora_dropout",
    "lora_attn_modules": "model.lora_attn_modules",
    "apply_lora_to_mlp": "model.apply_lora_to_mlp",
    "apply_lora_to_output": "model.apply_lora_to_output",
    "max_seq_len": "tokenizer.max_seq_len",
    "lr": "optimizer.lr",
    "weight_decay": "optimizer.weight_decay",
    "num_warmup_steps": "lr_scheduler.num_warmup_steps",
    **{
        name: name
        for name in (
            "epochs",
            "batch_size",
            "gradient_accumulation_steps",
            "max_steps_per_epoch",
            "clip_grad_norm",
            "seed",
            "shuffle",
            "device",
            "dtype",
            "compile",
            "enable_activation_checkpointing",
            "log_every_n_steps",
        )
    },
}
_OPTIMIZERS: Mapping[str | None, str] = {
    "torch.optim.AdamW": "adamw",
    "torch.optim.Adam": "adam",
    "torch.optim.SGD": "sgd",
    # AdamW with its state in pages, and in 8 bits: the same steps up to rounding, with less GPU memory than torch's
    "bitsandbytes.optim.PagedAdamW": "adamw",
    "bitsandbytes.optim.PagedAdamW8bit": "adamw",
}
_COSINE = "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup"
_SCHEDULES: Mapping[str | None, str] = {None: "constant", _COSINE: "cosine"}


def recipe_values(base_recipe: str) -> dict[str, Any]:
    """The values of a shipped config under our parameter names, as JSON holds them.

    Model, data and tokenizer are the design's own, and offloading of activations, which changes memory and no result, is
    left out; `method` says whether it is LoRA. Without an lr_scheduler torchtune keeps the learning rate constant.

    Raises:
        CkgitError: there is no such config, or it trains in a way that a design cannot say; TOOL_MISSING, torchtune is not installed.
    """
    try:
        config = _load(base_recipe)
    except ImportError as error:
        raise CkgitError(
            f"base_recipe {base_recipe} is looked up in torchtune, which is not installed here ({error})",
            code=Exit.TOOL_MISSING,
            state="nothing was written",
            next="pip install 'ckgit[run]', or write the values into controls and remove base_recipe",
        ) from None
    values = {name: value for name, place in _PLACES.items() if (value := _at(config, place)) is not None}
    values["method"] = "lora" if "lora_rank" in values else "full"
    values["optimizer"] = _known(base_recipe, "optimizer", _OPTIMIZERS, _at(config, "optimizer._component_"))
    values["lr_scheduler"] = _known(base_recipe, "schedule", _SCHEDULES, _at(config, "lr_scheduler._component_"))
    return TorchtuneParameters.model_validate(values, strict=False).model_dump(mode="json", exclude_none=True)


def _known(base_recipe: str, what: str, known: Mapping[str | None, str], component: str | None) -> str:
    """Our word for a component. One that we have no word for would silently train another way."""
    if component not in known:
        raise _unsuitable(base_recipe, f"its {what} {component} is not one of {', '.join(sorted(set(known.values())))}")
    return known[component]


def _at(config: Mapping[str, Any], place: str) -> Any:
    value: Any = config
    for key in place.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _load(base_recipe: str) -> dict[str, Any]:
    file = _file(base_recipe)
    import torchtune
    from omegaconf import OmegaConf

    config: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(Path(torchtune.__file__).parent.parent / "recipes" / "configs" / file))
    model = str(_at(config, "model._component_"))
    for word, meaning in (("vision", "images"), ("qlora", "4-bit base weights (QLoRA)"), ("early_exit", "early exit")):
        if word in f"{base_recipe} {model}":
            raise _unsuitable(base_recipe, f"it is for {meaning}")
    if _at(config, "model.use_dora"):
        raise _unsuitable(base_recipe, "it is for DoRA")
    return config


def _file(base_recipe: str) -> str:
    from torchtune._recipe_registry import get_all_recipes

    configs = {config.name: (recipe.name, config.file_path) for recipe in get_all_recipes() for config in recipe.configs}
    if base_recipe not in configs:
        usable = [name for name, (recipe, _) in configs.items() if recipe in RECIPES]
        near = near_ones(base_recipe, usable, 3, alike=0.4)
        raise CkgitError(
            f"torchtune has no config {base_recipe!r}",
            code=Exit.INVALID_DESIGN,
            state="nothing was written",
            next=f"did you mean {' or '.join(near)}? `tune ls` lists all" if near else "`tune ls` lists them, in the column CONFIG",
        )
    recipe, path = configs[base_recipe]
    if recipe not in RECIPES:
        raise _unsuitable(base_recipe, f"it belongs to recipe {recipe}")
    return str(path)


def _unsuitable(base_recipe: str, why: str) -> CkgitError:
    return CkgitError(
        f"base_recipe {base_recipe} cannot supply defaults: {why}",
        code=Exit.INVALID_DESIGN,
        state="nothing was written",
        next=f"take a config of one of these recipes: {', '.join(RECIPES)}",
    )
