"""The parameters of a torchtune run. Their names are torchtune's, except `dataset_type`, `method` and the prompts, which are ours."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ckgit.experiment.design.fields import NonNegative, Positive, PositiveInt
from ckgit.experiment.design.parameters import Parameters, PlannedCheckpoint, after_epochs

LORA_ONLY = ("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp", "apply_lora_to_output")
_NO_VALIDATION = "torchtune 0.6.1's recipes have no validation and ignore it; evaluate after each epoch: evaluation.matrix with epochs: all"
_NO_PACKING = "packing joins rows into one, so rows could not be compared with what evaluation sends"
_NO_QUANTIZATION = "weights are not quantized here"
_MLP = "an MLP's projections are changed with apply_lora_to_mlp: true"


class TorchtuneParameters(Parameters):
    """Parameters of a run. Absent means: take it from the controls, the base recipe, or ckgit's default."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "train_split": "train",
        "method": "lora",
        "epochs": 1,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "lr": 3e-4,
        "weight_decay": 0.01,
        "optimizer": "adamw",
        "lr_scheduler": "cosine",
        "num_warmup_steps": 0,
        "lora_rank": 8,
        "lora_dropout": 0.0,
        "lora_attn_modules": ("q_proj", "v_proj", "output_proj"),
        "apply_lora_to_mlp": True,
        "apply_lora_to_output": False,
        "dataset_type": "chat",
        "prompt": "{input}",
        "system_prompt": "",
        "seed": 0,
        "shuffle": True,
        "device": "cuda",
        "dtype": "bf16",
        "compile": False,
        "enable_activation_checkpointing": False,
        "log_every_n_steps": 1,
    }
    short_names: ClassVar[Mapping[str, str]] = {
        "lora_rank": "rank",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "lora_attn_modules": "attn",
        "batch_size": "batch",
        "num_warmup_steps": "warmup",
    }
    free_text: ClassVar[Sequence[str]] = (*Parameters.free_text, "base_recipe")
    synonyms: ClassVar[Mapping[str, str]] = {
        "learning_rate": "lr",
        "rank": "lora_rank",
        "r": "lora_rank",
        "lora_r": "lora_rank",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "target_modules": "lora_attn_modules",
        "lora_target_modules": "lora_attn_modules",
        "num_epochs": "epochs",
        "num_train_epochs": "epochs",
        "n_epochs": "epochs",
        "warmup_steps": "num_warmup_steps",
        "per_device_train_batch_size": "batch_size",
        "train_batch_size": "batch_size",
        "micro_batch_size": "batch_size",
        "grad_accum": "gradient_accumulation_steps",
        "gradient_accumulation": "gradient_accumulation_steps",
        "max_grad_norm": "clip_grad_norm",
        "gradient_clipping": "clip_grad_norm",
        "grad_clip": "clip_grad_norm",
        "adapter": "method",
        "torch_compile": "compile",
        "logging_steps": "log_every_n_steps",
        "lr_scheduler_type": "lr_scheduler",
        "scheduler": "lr_scheduler",
        "optim": "optimizer",
        "max_length": "max_seq_len",
        "max_seq_length": "max_seq_len",
        "sequence_len": "max_seq_len",
        "cutoff_len": "max_seq_len",
        "model_max_length": "max_seq_len",
        "random_seed": "seed",
        "gradient_checkpointing": "enable_activation_checkpointing",
    }
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
    no_difference: ClassVar[frozenset[str]] = frozenset({"base_recipe", "log_every_n_steps", "max_seq_len"})

    train_split: str | None = Field(default=None, description="Split of the data set to train on.")
    method: Literal["lora", "full"] | None = Field(default=None, description="LoRA or full fine-tuning.")
    base_recipe: str | None = Field(
        default=None, description="A config of `tune ls` that supplies defaults, e.g. llama3_2/1B_lora_single_device."
    )
    epochs: PositiveInt | None = Field(default=None, description="Passes over the training split.")
    batch_size: PositiveInt | None = Field(default=None, description="Rows per step and device.")
    gradient_accumulation_steps: PositiveInt | None = Field(default=None, description="Batches per optimizer step.")
    max_steps_per_epoch: PositiveInt | None = Field(default=None, description="Stop an epoch after so many optimizer steps.")
    lr: Positive | None = Field(default=None, description="Learning rate.")
    weight_decay: NonNegative | None = Field(default=None, description="Weight decay of the optimizer.")
    optimizer: Literal["adamw", "adam", "sgd"] | None = Field(default=None, description="Optimizer of torch.optim.")
    lr_scheduler: Literal["cosine", "constant"] | None = Field(default=None, description="Learning-rate schedule after warm-up.")
    num_warmup_steps: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Optimizer steps of linear warm-up.")
    clip_grad_norm: Positive | None = Field(default=None, description="Largest gradient norm; absent means no clipping.")
    lora_rank: PositiveInt | None = Field(default=None, description="Rank of the LoRA matrices.")
    lora_alpha: Positive | None = Field(default=None, description="Scale of LoRA; twice the rank when absent.")
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, description="Dropout of LoRA.")
    lora_attn_modules: tuple[Literal["q_proj", "k_proj", "v_proj", "output_proj"], ...] | None = Field(
        default=None, min_length=1, description="Attention projections that LoRA changes."
    )
    apply_lora_to_mlp: bool | None = Field(default=None, description="Whether LoRA changes the MLP.")
    apply_lora_to_output: bool | None = Field(default=None, description="Whether LoRA changes the output projection.")
    max_seq_len: PositiveInt | None = Field(default=None, description="Longest row in tokens; a longer one is an error, never cut.")
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(default=None, description="Seed of training.")
    shuffle: bool | None = Field(default=None, description="Whether rows are shuffled each epoch.")
    compile: bool | None = Field(default=None, description="Whether torch.compile is used.")
    enable_activation_checkpointing: bool | None = Field(default=None, description="Trade time for memory.")
    log_every_n_steps: PositiveInt | None = Field(default=None, description="Steps between two lines of the training log.")

    @classmethod
    def derived(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """LoRA's scale."""
        return {} if "lora_alpha" in values else {"lora_alpha": 2.0 * values["lora_rank"]}

    @classmethod
    def unused(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Full fine-tuning has none of LoRA's parameters."""
        return dict.fromkeys(LORA_ONLY, "method") if values["method"] == "full" else {}

    @classmethod
    def checkpoints(cls, values: Mapping[str, Any]) -> Sequence[PlannedCheckpoint]:
        """One after each epoch."""
        return after_epochs(values["epochs"])


# In files that ckgit has always written in this order, and compares as bytes: where the parameters that all tools have stand.
_AFTER = {
    "apply_lora_to_output": ("dataset_type", "prompt", "system_prompt", "template_date"),
    "shuffle": ("device", "dtype"),
}


def in_order(names: Sequence[str]) -> list[str]:
    """Names of parameters in the order of torchtune's own files."""
    own = [name for name in TorchtuneParameters.model_fields if name not in Parameters.model_fields]
    ordered = ["model", "data"]
    for name in own:
        ordered += [name, *_AFTER.get(name, ())]
    return sorted(names, key=ordered.index)
