"""What a model must have to be trained as its configuration says. Imported in training jobs only, where torchao is hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import ModulesToSaveWrapper

LAYS_OUT = "support_avx512bf16_for_cpu"  # of a module of bitsandbytes, where this machine's processor has these instructions


class CannotTrainError(Exception):
    """The model has not what the configuration names, or more; the message says what."""


def refuse_untrained(model: Any, target: str | list[str], whole: Iterable[str]) -> None:
    """Of modules that it has not PEFT says nothing, where it has another one.

    Args:
        target: modules that LoRA is to change.
        whole: modules that are to be trained as they are.

    Raises:
        CannotTrainError: one is not there.
    """
    wanted = {target} if isinstance(target, str) else set(target)
    changed = [name for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    lacking = sorted(name for name in wanted - {"all-linear"} if not any(f".{each}".endswith(f".{name}") for each in changed))
    if lacking:
        there = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if type(module).__name__ in ("Linear", "Conv1D")})
        raise CannotTrainError(
            f"the model has no module {' or '.join(lacking)} that LoRA could change; name its modules with lora_target_modules, "
            f"e.g. [all-linear] (it has {', '.join(name for name in there if not name.startswith('lora_') and name != 'default')})"
        )
    copied = [name for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)]
    if lacking := sorted(name for name in whole if not any(f".{each}".endswith(f".{name}") for each in copied)):
        named = " or ".join(lacking)
        raise CannotTrainError(f"the model has no module {named} that could be trained as a whole; take it out of trl.lora_modules_to_save")


def refuse_dropout(model: Any, why: str) -> None:
    """Refuse a model that drops something in training. LoRA's own dropout is refused in a design.

    Args:
        why: what of it, and what to do.

    Raises:
        CannotTrainError: the model drops something, be it by a module or by a number that its code reads.
    """
    if found := sorted({f"{name}: {value:g}" for module in model.modules() for name, value in _dropped(module) if value > 0}):
        raise CannotTrainError(f"the model has dropout of its own ({', '.join(found)}), and {why}")


def _dropped(module: Any) -> Iterator[tuple[str, float]]:
    if isinstance(module, torch.nn.Dropout):
        yield "Dropout", module.p
    yield from ((name, value) for name, value in vars(module).items() if "drop" in name and isinstance(value, float))


@contextmanager
def layout_held(model: Any) -> Iterator[None]:
    """While it is trained, weights of 4 bits lie as gradients need them, however often the model is asked something in between.

    On CPUs with instructions for bf16, bitsandbytes lays them out anew as soon as they are used without gradients, in a validation for
    one, and through what it then computes no gradient goes: what is below learns nothing any more, and nothing is said of it.
    """
    quick = [module for module in model.modules() if getattr(module, LAYS_OUT, False)]
    for module in quick:
        setattr(module, LAYS_OUT, False)
    try:
        yield
    finally:
        for module in quick:
            setattr(module, LAYS_OUT, True)
