"""What torchtune alone has: passed on to its recipes under its own names, as they stand in a design under `torchtune`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from ckgit.experiment.design.fields import NonNegative, Positive, PositiveInt
from ckgit.experiment.design.parameters import OwnParameters

_CARD = "ckgit renders it from the model card"
_ROWS = "the design's data and how its rows are rendered decide it"
_FILES = "ckgit decides which files a job leaves, and where"
_LOGGED = "each step is logged; log_every_n_steps says how often"
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerArguments(OwnParameters):
    """Arguments of the optimizer, by torch's names."""

    decided: ClassVar[Mapping[str, str]] = {
        "_component_": "optimizer decides it",
        "lr": "write lr, beside this section",
        "weight_decay": "write weight_decay, beside this section",
    }

    betas: Annotated[tuple[Beta, ...], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Of adamw and adam; [0.9, 0.999] when absent."
    )
    eps: Positive | None = Field(default=None, description="Of adamw and adam; 1e-8 when absent.")
    amsgrad: bool | None = Field(default=None, description="Of adamw and adam: whether the largest second moment counts.")
    momentum: NonNegative | None = Field(default=None, description="Of sgd; none when absent.")
    dampening: NonNegative | None = Field(default=None, description="Of sgd: of its momentum.")
    nesterov: bool | None = Field(default=None, description="Of sgd: Nesterov's momentum.")
    foreach: bool | None = Field(default=None, description="Whether all tensors are stepped in one go.")
    fused: bool | None = Field(default=None, description="Whether a step is one kernel.")


class ScheduleArguments(OwnParameters):
    """Arguments of the schedule, by torchtune's names."""

    decided: ClassVar[Mapping[str, str]] = {
        "_component_": "lr_scheduler decides it",
        "num_warmup_steps": "write num_warmup_steps, beside this section",
    }

    num_cycles: Positive | None = Field(default=None, description="Of cosine: waves until the end; 0.5 when absent.")


class LossArguments(OwnParameters):
    """Arguments of the loss, by torchtune's names."""

    decided: ClassVar[Mapping[str, str]] = {"_component_": "the loss is taken on the answer alone, as evaluation measures it"}

    num_output_chunks: PositiveInt | None = Field(default=None, description="Parts in which logits are made; 8 when absent.")


class TorchtuneOwnParameters(OwnParameters):
    """Parameters of torchtune's recipes that no other trainer here has, at their places in its configurations."""

    decided: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("model", "checkpointer", "tokenizer"), _CARD),
        **dict.fromkeys(("dataset", "collate_fn", "packed"), _ROWS),
        **dict.fromkeys(("output_dir", "save_adapter_weights_only", "enable_async_checkpointing", "resume_from_checkpoint"), _FILES),
        **dict.fromkeys(("metric_logger", "log_peak_memory_stats", "profiler", "profile_memory"), _LOGGED),
        **dict.fromkeys(("enable_activation_offloading", "fsdp_cpu_offload"), "nothing is offloaded to the CPU"),
    }

    optimizer: OptimizerArguments | None = Field(default=None, description="Further arguments of the optimizer.")
    lr_scheduler: ScheduleArguments | None = Field(default=None, description="Further arguments of the schedule.")
    loss: LossArguments | None = Field(default=None, description="Further arguments of the loss.")
    cudnn_deterministic_mode: Annotated[int, Field(ge=0, le=2)] | None = Field(
        default=None, description="0 default, 1 warns of operations that are not deterministic, 2 refuses them."
    )


# Arguments that mean nothing beside other values of a parameter: the parameter, and the values that take them.
NEEDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("optimizer.betas", "optimizer.eps", "optimizer.amsgrad"), ("optimizer", ("adamw", "adam"))),
    **dict.fromkeys(("optimizer.momentum", "optimizer.dampening", "optimizer.nesterov"), ("optimizer", ("sgd",))),
    "lr_scheduler.num_cycles": ("lr_scheduler", ("cosine",)),
}
# Arguments that mean nothing, or that torch refuses, beside another one: it, and whether it must be given.
BESIDE: Sequence[tuple[str, str, bool]] = (
    ("optimizer.dampening", "optimizer.nesterov", False),
    ("optimizer.dampening", "optimizer.momentum", True),
    ("optimizer.nesterov", "optimizer.momentum", True),
    ("optimizer.foreach", "optimizer.fused", False),
)
