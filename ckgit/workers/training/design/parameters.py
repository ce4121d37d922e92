"""The parameters that trainers have in common, each under one name, so that a design need say no more than another tool to change it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ckgit.experiment.design.fields import NonNegative, Positive, PositiveInt
from ckgit.experiment.design.parameters import Parameters, PlannedCheckpoint, after_epochs

DPO = "dpo"  # the objective, of a tool that has it, whose rows have a better and a worse answer


class TrainingParameters(Parameters):
    """Parameters of a training. Absent means: take it from the controls, a base recipe where the tool has those, or ckgit's default."""

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
        "max_samples": "rows",
    }
    synonyms: ClassVar[Mapping[str, str]] = {
        "learning_rate": "lr",
        "max_train_samples": "max_samples",
        "num_samples": "max_samples",
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
    no_difference: ClassVar[frozenset[str]] = frozenset({"log_every_n_steps", "max_seq_len"})
    lora_only: ClassVar[Sequence[str]] = ("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp")

    train_split: str | None = Field(default=None, description="Split of the data set to train on.")
    max_samples: PositiveInt | None = Field(
        default=None,
        description="Train on so many rows of the split only, for learning curves: the same ones whatever the seed, and each smaller "
        "choice is part of a larger one.",
    )
    method: str | None = Field(default=None, description="LoRA or full fine-tuning.")
    epochs: PositiveInt | None = Field(default=None, description="Passes over the training split.")
    batch_size: PositiveInt | None = Field(default=None, description="Rows per step and device.")
    gradient_accumulation_steps: PositiveInt | None = Field(default=None, description="Batches per optimizer step.")
    lr: Positive | None = Field(default=None, description="Learning rate.")
    weight_decay: NonNegative | None = Field(default=None, description="Weight decay of the optimizer.")
    optimizer: str | None = Field(default=None, description="Optimizer of torch.optim.")
    lr_scheduler: str | None = Field(default=None, description="Learning-rate schedule after warm-up.")
    num_warmup_steps: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Optimizer steps of linear warm-up.")
    clip_grad_norm: Positive | None = Field(default=None, description="Largest gradient norm; absent means no clipping.")
    lora_rank: PositiveInt | None = Field(default=None, description="Rank of the LoRA matrices.")
    lora_alpha: Positive | None = Field(default=None, description="Scale of LoRA; twice the rank when absent.")
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, description="Dropout of LoRA.")
    lora_attn_modules: tuple[Literal["q_proj", "k_proj", "v_proj", "output_proj"], ...] | None = Field(
        default=None, min_length=1, description="Attention projections that LoRA changes."
    )
    apply_lora_to_mlp: bool | None = Field(default=None, description="Whether LoRA changes the MLP.")
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
        return dict.fromkeys(cls.lora_only, "method") if values["method"] == "full" else {}

    @classmethod
    def checkpoints(cls, values: Mapping[str, Any]) -> Sequence[PlannedCheckpoint]:
        """One after each epoch."""
        return after_epochs(values["epochs"])
