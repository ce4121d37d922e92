"""The parameters of a torchtune run: those that trainers have in common, and torchtune's own."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from ckgit.experiment.design.fields import PositiveInt
from ckgit.experiment.design.parameters import Parameters
from ckgit.workers.torchtune.design.own import BESIDE, NEEDS, TorchtuneOwnParameters
from ckgit.workers.training.design.parameters import TrainingParameters

OWN = "torchtune."  # before the places of those that torchtune alone has
_NO_VALIDATION = "torchtune 0.6.1's recipes have no validation and ignore it; evaluate after each epoch: evaluation.matrix with epochs: all"
_NO_PACKING = "packing joins rows into one, so rows could not be compared with what evaluation sends"
_NO_QUANTIZATION = "weights are not quantized here"
_MLP = "an MLP's projections are changed with apply_lora_to_mlp: true"


class TorchtuneParameters(TrainingParameters):
    """Parameters of a run. Absent means: take it from the controls, the base recipe, or ckgit's default."""

    defaults: ClassVar[Mapping[str, Any]] = {**TrainingParameters.defaults, "apply_lora_to_output": False}
    free_text: ClassVar[Sequence[str]] = (*Parameters.free_text, "base_recipe")
    # Keys that torchtune's configs and other trainers know and that do nothing, or something else, in its stock recipes.
    not_supported: ClassVar[Mapping[str, str]] = {
        "dataset_val": _NO_VALIDATION,
        "run_val_every_n_steps": _NO_VALIDATION,
        "batch_size_val": _NO_VALIDATION,
        "packed": _NO_PACKING,
        "packing": _NO_PACKING,
        "sample_packing": _NO_PACKING,
        "warmup_ratio": "warm-up is counted in optimizer steps: num_warmup_steps",
        "max_steps": "training is counted in epochs: epochs, and max_steps_per_epoch to end each of them sooner",
        "load_in_4bit": _NO_QUANTIZATION,
        "load_in_8bit": _NO_QUANTIZATION,
        "fp16": "torchtune has no fp16; write dtype: bf16 or dtype: fp32",
        "use_peft": "write method: lora",
        "val_set_size": _NO_VALIDATION,
        "eval_steps": _NO_VALIDATION,
        "eval_strategy": _NO_VALIDATION,
        "train_on_input": "the loss is taken on the answer alone, as evaluation measures it",
        "fsdp_cpu_offload": "nothing is offloaded to the CPU",
        "resume_from_checkpoint": "a run begins with its model card; a training that was cut short goes on after its last whole epoch",
        "save_adapter_weights_only": "evaluation needs the merged weights of each epoch",
        "checkpointer": "ckgit renders it from the model card",
        "tokenizer": "ckgit renders it from the model card",
        "_component_": "a design cannot name code; ckgit renders components from the model card",
    }
    none_such: ClassVar[Mapping[str, str]] = {
        "qlora": f"{_NO_QUANTIZATION}; lora trains the same matrices beside the model's own weights",
        "dora": "DoRA is not supported; use lora",
        "linear": "linear is not supported; use cosine or constant",
        "polynomial": "polynomial is not supported; use cosine or constant",
        **dict.fromkeys(("gate_proj", "up_proj", "down_proj", "w1", "w2", "w3", "mlp"), _MLP),
        **dict.fromkeys(("all", "all-linear"), f"name each attention projection; {_MLP}"),
        **dict.fromkeys(("nf4", "int8", "int4", "4bit", "8bit", "fp8"), _NO_QUANTIZATION),
    }
    no_difference: ClassVar[frozenset[str]] = TrainingParameters.no_difference | {"base_recipe"}
    lora_only: ClassVar[Sequence[str]] = (*TrainingParameters.lora_only, "apply_lora_to_output")

    base_recipe: str | None = Field(
        default=None, description="A config of `tune ls` that supplies defaults, e.g. llama3_2/1B_lora_single_device."
    )
    method: Literal["lora", "full"] | None = Field(default=None, description="LoRA or full fine-tuning.")
    max_steps_per_epoch: PositiveInt | None = Field(default=None, description="Stop an epoch after so many optimizer steps.")
    optimizer: Literal["adamw", "adam", "sgd"] | None = Field(default=None, description="Optimizer of torch.optim.")
    lr_scheduler: Literal["cosine", "constant"] | None = Field(default=None, description="Learning-rate schedule after warm-up.")
    apply_lora_to_output: bool | None = Field(default=None, description="Whether LoRA changes the output projection.")
    torchtune: TorchtuneOwnParameters | None = Field(
        default=None, description="What torchtune's recipes alone have, at its place in their configurations."
    )

    @classmethod
    def unused(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Another optimizer or schedule has other arguments."""
        idle = {f"{OWN}{place}": f"{OWN}{by}" for place, by, has in BESIDE if bool(values.get(f"{OWN}{by}")) is not has}
        idle |= {f"{OWN}{place}": by for place, (by, needed) in NEEDS.items() if values.get(by) not in needed}
        return {**idle, **super().unused(values)}


# In files that ckgit has always written in this order, and compares as bytes.
ORDER = (
    *("model", "data", "train_split", "max_samples", "method", "base_recipe", "epochs", "batch_size", "gradient_accumulation_steps"),
    *("max_steps_per_epoch", "lr", "weight_decay", "optimizer", "lr_scheduler", "num_warmup_steps", "clip_grad_norm"),
    *("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp", "apply_lora_to_output"),
    *("dataset_type", "prompt", "system_prompt", "template_date", "max_seq_len", "seed", "shuffle", "device", "dtype"),
    *("compile", "enable_activation_checkpointing", "log_every_n_steps"),
    *(name for name in TorchtuneParameters.names() if name.startswith(OWN)),
)
