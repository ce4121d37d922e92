"""The parameters of a TRL run: those that trainers have in common, and those of TRL and PEFT."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ckgit.experiment.design.fields import NonNegative, Positive, PositiveInt
from ckgit.experiment.design.parameters import BEST, Parameters, PlannedCheckpoint
from ckgit.workers.training.design.parameters import DPO, TrainingParameters
from ckgit.workers.trl.design.own import LORA_ONLY, LOSS, NEEDS, OF_WORKERS, SMOOTHING, WORKERS, TrlOwnParameters

ADAPTER, MERGED = "adapter", "merged"  # what may be saved alone
LAST = "last"  # the folder, and the name, of the last checkpoint of a training that may stop early
KEEPING = ("keep_best", "early_stopping_patience", "early_stopping_threshold", "save")  # what decides which checkpoints there are
# Parameters that one schedule takes, and needs, by transformers' name for it.
PLATEAU = "reduce_lr_on_plateau"
SCHEDULES = {
    "num_cycles": "cosine_with_restarts",
    "min_lr": "cosine_with_min_lr",
    "num_decay_steps": "warmup_stable_decay",
    "plateau_factor": PLATEAU,
    "plateau_patience": PLATEAU,
}
_WARMUP = ("num_warmup_steps", "warmup_ratio")
OWN = "trl."  # before the names of those that TRL alone has
_DERIVED = ("target_modules", "lora_target_modules")  # what others call LoRA's projections, and TRL has itself
_PACKED = "write packing_length: N, the length in tokens of a sequence of whole rows"
_NO_8BIT = "write method: qlora, whose base is quantized to 4 bits (nf4)"
_NO_FILES = "ckgit decides which files a job leaves, and where"
_NO_MASK = "the loss is taken on the answer alone, as evaluation measures it"


class TrlParameters(TrainingParameters):
    """Parameters of a run. Absent means: take it from the controls, or ckgit's default."""

    defaults: ClassVar[Mapping[str, Any]] = {**TrainingParameters.defaults, "objective": "sft", "beta": 0.1}
    short_names: ClassVar[Mapping[str, str]] = {**TrainingParameters.short_names, "lora_target_modules": "target"}
    synonyms: ClassVar[Mapping[str, str]] = {
        **{name: meant for name, meant in TrainingParameters.synonyms.items() if name not in _DERIVED},
        "target_modules": "lora_target_modules",
        "train_sampling_strategy": "shuffle",
        "data_seed": "seed",
        "save_steps": "save_every_n_steps",
        "fsdp": "sharding",
        "eval_steps": "validate_every_n_steps",
        "eval_strategy": "validation_split",
        "load_best_model_at_end": "keep_best",
        "dataset_test_split": "validation_split",
        "patience": "early_stopping_patience",
        "early_stopping_rounds": "early_stopping_patience",
        "min_delta": "early_stopping_threshold",
        "dpo_beta": "beta",
        "pref_beta": "beta",
        "rl": "objective",
        "stage": "objective",
    }
    # Keys of TRL's own configuration, and of other trainers, that say what ckgit says otherwise, or what cannot be had.
    not_supported: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("packing", "packed", "padding_free", "sample_packing", "packing_strategy", "eval_packing"), _PACKED),
        "max_steps": "training is counted in epochs: epochs",
        "load_in_4bit": "write method: qlora",
        "load_in_8bit": _NO_8BIT,
        "fp16": "write dtype: bf16 or dtype: fp32",
        "bf16": "write dtype: bf16",
        "use_peft": "write method: lora",
        "use_dora": "write method: dora",
        "val_set_size": "name a split of the data: validation_split",
        "save_strategy": _NO_FILES,
        "completion_only_loss": _NO_MASK,
        "assistant_only_loss": _NO_MASK,
        "train_on_input": _NO_MASK,
        "chat_template_path": "the template of the model's own folder is used, in training and in evaluation",
        "eos_token": "the model's own is used, in training and in evaluation",
        "loss_type": "write objective: dpo, whose loss is the sigmoid one of its authors",
        "ref_model": "the reference is the model as it was before the training",
        "precompute_ref_log_probs": "the reference is asked at each step, so that no row of another order or version is taken for its own",
        "report_to": "losses are in the report; nothing is sent anywhere",
        "push_to_hub": "nothing is sent anywhere",
        "resume_from_checkpoint": "a run begins with its model card; a training that was cut short goes on by itself",
    }
    none_such: ClassVar[Mapping[str, str]] = {
        "dpo": "DPO is no method but what is trained for: write objective: dpo, with any method",
        **dict.fromkeys(("orpo", "kto", "ipo", "simpo", "cpo", "ppo", "grpo", "rloo"), "dpo is what can be trained on preferences"),
        "adam": "TRL has AdamW; with weight_decay: 0 it takes the same steps as Adam",
        "adamw_torch": "write adamw",
        "adamw_torch_fused": "write adamw; the fused one takes slightly other steps",
        "cosine_warmup_with_min_lr": "its warm-up begins at a rate of its own; write cosine_with_min_lr, whose begins at 0",
        "greedy": "it raises the rate, too, by each validation loss; reduce_lr_on_plateau is what lowers it",
        **dict.fromkeys(("nf4", "int8", "int4", "4bit", "8bit", "fp8"), _NO_8BIT),
    }

    no_difference: ClassVar[frozenset[str]] = TrainingParameters.no_difference | {
        "save_every_n_steps",
        "keep_best",
        "save",
    }

    objective: Literal["sft", "dpo"] | None = Field(
        default=None,
        description="sft: supervised fine-tuning on answers; dpo: direct preference optimization, on chosen answers and rejected ones.",
    )
    beta: Positive | None = Field(default=None, description="Of dpo: how strongly the model is held to what it was; more is closer.")
    method: Literal["lora", "dora", "qlora", "full"] | None = Field(
        default=None, description="LoRA, DoRA, LoRA beside a base of 4 bits (nf4), or full fine-tuning."
    )
    optimizer: Literal["adamw", "sgd", "adafactor", "adamw_8bit"] | None = Field(
        default=None, description="Optimizer; adamw_8bit, whose states have 8 bits, needs a GPU."
    )
    lr_scheduler: (
        Literal[
            "cosine",
            "constant",
            "linear",
            "polynomial",
            "inverse_sqrt",
            "cosine_with_restarts",
            "cosine_with_min_lr",
            "warmup_stable_decay",
            "reduce_lr_on_plateau",
        ]
        | None
    ) = Field(default=None, description="Learning-rate schedule after warm-up.")
    warmup_ratio: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Warm-up as a share of all optimizer steps, in place of num_warmup_steps."
    )
    num_cycles: PositiveInt | None = Field(default=None, description="Of cosine_with_restarts: how often the rate falls.")
    min_lr: NonNegative | None = Field(default=None, description="Of cosine_with_min_lr: the rate at the end.")
    num_decay_steps: PositiveInt | None = Field(
        default=None, description="Of warmup_stable_decay: optimizer steps in which the rate falls at the end."
    )
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Of reduce_lr_on_plateau: what the rate is multiplied by where the validation loss falls no more."
    )
    plateau_patience: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Of reduce_lr_on_plateau: measurements that may show no lower validation loss before the rate falls."
    )
    lora_target_modules: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Modules that LoRA changes, as the model's code calls them, or [all-linear]; instead of lora_attn_modules and "
        "apply_lora_to_mlp, whose modules not every family has.",
    )

    packing_length: PositiveInt | None = Field(
        default=None,
        description="Whole rows are packed into sequences of at most so many tokens, best fit decreasing, and `batch_size` counts "
        "sequences; a longer row is an error, never cut. Absent means that a row is a sequence.",
    )
    validation_split: str | None = Field(
        default=None, description="Split of the data set whose loss is measured during training; measuring changes nothing that is trained."
    )
    validate_every_n_steps: PositiveInt | None = Field(
        default=None, description="Optimizer steps between two measurements of the validation loss; absent means at the end of each epoch."
    )
    keep_best: bool | None = Field(
        default=None,
        description="Whether what the training was where its validation loss was lowest is kept as `best`, too, for `epochs: best`.",
    )
    early_stopping_patience: PositiveInt | None = Field(
        default=None,
        description="Training stops after so many measurements of the validation loss, one after another, that are not below the lowest "
        "before them. Its checkpoints are `last` and, with keep_best, `best`.",
    )
    early_stopping_threshold: NonNegative | None = Field(
        default=None, description="By more than which a validation loss must be below the lowest before it; absent means by anything."
    )
    save: Literal["adapter", "merged", "both"] | None = Field(
        default=None,
        description="What a checkpoint of LoRA or DoRA is: the merged weights, the adapter alone, which is evaluated beside the model that "
        "it was trained from, or, as where nothing is said, both.",
    )
    sharding: Literal["fsdp"] | None = Field(
        default=None,
        description="fsdp: weights, gradients and the optimizer's state are shared among the GPUs; absent means that each has all of them.",
    )
    save_every_n_steps: PositiveInt | None = Field(
        default=None,
        description="Optimizer steps between two states from which a training that was cut short goes on; absent means at the end of each "
        "epoch only.",
    )

    trl: TrlOwnParameters | None = Field(default=None, description="Parameters that TRL and PEFT alone have, by their own names.")

    lora_only: ClassVar[Sequence[str]] = (
        *(*TrainingParameters.lora_only, "lora_target_modules", "save"),
        *(f"{OWN}{name}" for name in LORA_ONLY),
    )

    @classmethod
    def unused(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        """LoRA's modules and the warm-up are said once; a schedule has no other's parameters, and that of a loss no warm-up."""
        by_name = dict.fromkeys(("lora_attn_modules", "apply_lora_to_mlp"), "lora_target_modules")
        named = by_name if values.get("lora_target_modules") else dict[str, str]()
        if values.get("objective") != DPO:
            named = {**named, "beta": "objective"}
        others = {name: "lr_scheduler" for name, schedule in SCHEDULES.items() if values["lr_scheduler"] != schedule}
        alone = {} if values.get("early_stopping_patience") else {"early_stopping_threshold": "early_stopping_patience"}
        warm = {"num_warmup_steps": "warmup_ratio"} if values.get("warmup_ratio") else dict[str, str]()
        warm |= dict.fromkeys(_WARMUP, "lr_scheduler") if values["lr_scheduler"] == PLATEAU else {}
        idle = {f"{OWN}{name}": by for name, (by, needed) in NEEDS.items() if values.get(by) not in needed}
        idle |= {} if values.get(f"{OWN}{WORKERS}") else {f"{OWN}{name}": f"{OWN}{WORKERS}" for name in OF_WORKERS}
        idle |= {f"{OWN}{SMOOTHING}": f"{OWN}{LOSS}"} if values.get(f"{OWN}{LOSS}") == "dft" else {}
        idle |= {"save": "method"} if values["method"] == "qlora" else {}  # merged, it would be another model
        return {**named, **others, **alone, **warm, **idle, **super().unused(values)}

    @classmethod
    def checkpoints(cls, values: Mapping[str, Any]) -> Sequence[PlannedCheckpoint]:
        """One after each epoch, or the last one alone where nobody knows how many there will be; and before them the best."""
        best = (PlannedCheckpoint(BEST, BEST),) if values.get("keep_best") else ()
        own = (PlannedCheckpoint(LAST, LAST),) if values.get("early_stopping_patience") else super().checkpoints(values)
        quantized = values["method"] == "qlora"
        alone = quantized or (values.get("save") == ADAPTER and values["method"] != "full")
        return tuple(each._replace(adapter=alone, quantized=quantized) for each in (*best, *own))


_LAST = ("device", "dtype", "compile", "enable_activation_checkpointing", "log_every_n_steps")
_EVALUATED = tuple(name for name in Parameters.model_fields if name not in ("model", "data", *_LAST))
_TRAINED = tuple(name for name in TrlParameters.names() if name not in (*Parameters.model_fields, *_LAST))
ORDER = ("model", "data", *_TRAINED, *_EVALUATED, *_LAST)  # in the files of a run
