"""Loads a model folder as it is evaluated: whole weights, or an adapter beside the model that it was trained from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ckgit.formats.plain_json import read_json
from ckgit.workers.digests import ADAPTER_WEIGHTS, base_of

QUANTIZATION = "quantization.json"  # of an adapter that was trained beside quantized weights: how, as transformers takes it
_PACKED = "support_avx512bf16_for_cpu"  # of bitsandbytes' Linear4bit: whether it may be packed for evaluation
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False}


def load_model(folder: Path | str, **options: Any) -> Any:
    """A causal model; where the folder holds an adapter alone, PEFT must be there, and no torchao that it refuses.

    Args:
        options: of transformers' `from_pretrained`; `dtype` is that of the training.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if (base := base_of(Path(folder))) is None:
        return AutoModelForCausalLM.from_pretrained(folder, **options)
    how = Path(folder) / QUANTIZATION
    if not how.is_file():
        from peft import PeftModel

        model = AutoModelForCausalLM.from_pretrained(base, **options)
        return PeftModel.from_pretrained(model, str(folder)).get_base_model()  # transformers' load_adapter leaves DoRA's magnitudes out
    rounded = BitsAndBytesConfig(**read_json(how.read_bytes()), bnb_4bit_compute_dtype=options["dtype"])
    model = as_trained(AutoModelForCausalLM.from_pretrained(base, quantization_config=rounded, **options))
    model.load_adapter(str(folder))
    _as_saved(model, Path(folder))
    return model


def as_trained(model: Any) -> Any:
    """A model whose quantized layers compute without gradients what they compute with them.

    On a CPU that multiplies bf16 bitsandbytes would pack such a layer anew where it is first evaluated, round its scales to 16 bits, and
    compute so from then on; a training that goes on after that has no gradient below it.
    """
    for layer in model.modules():
        if hasattr(layer, _PACKED):
            setattr(layer, _PACKED, False)
    return model


def _as_saved(model: Any, folder: Path) -> None:
    """Have an adapter compute in the numbers in which it was trained and saved, which beside a quantized base are not the base's."""
    from safetensors import safe_open

    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as saved:
        kinds = {saved.get_tensor(name).dtype for name in saved.keys() if "lora_" in name}  # noqa: SIM118 - it is no mapping
    for name, parameter in model.named_parameters():
        if "lora_" in name and len(kinds) == 1:
            parameter.data = parameter.data.to(*kinds)
