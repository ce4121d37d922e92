"""A rough guess at what a training takes. Pure.

It follows published counts: 6 floating-point operations a weight and token for forward and backward (Kaplan et al. 2020, section 2.1), of
which LoRA saves the third that makes the frozen weights' gradients; activations as in Korthikanti et al. 2022, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import RecordedData, Resources, Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.estimates.estimate import BYTES, DISK, PROCESS_BYTES, START, context_bytes, row_tokens, speed_of
from ckgit.experiment.estimates.guess import Guess
from ckgit.experiment.worker import Context
from ckgit.workers.torchtune.design.batches import Division

STEP_SECONDS = 0.03  # of one optimizer step, however small the model is (measured on a model of 0.3M weights)
FEW_STEPS = 10
MUCH_WARMUP = 0.5


def estimate(context: Context, run: Run) -> Guess:
    """What a run's job may need; its rows were counted."""
    wanted = resources(context.summary, run, Stage.TRAINING, context.cluster.training)
    return training(run, context.cards[run.model], context.summary.recorded.data[run["data"]], wanted)


def training(run: Run, card: ModelCard, data: RecordedData, wanted: Resources) -> Guess:
    """What a training job may need that asks for such resources."""
    split, processes = run["train_split"], max(1, wanted.gpus or 1)
    steps = Division.of(run, data.splits[split], processes).total
    mean = row_tokens(run, card, data.mean.get(split, 0.0))
    longest = row_tokens(run, card, data.longest.get(split, 0))
    seen = steps * int(run["batch_size"]) * int(run["gradient_accumulation_steps"]) * mean
    work = seen * card.parameters * _operations(run)
    written = int(run["epochs"]) * _checkpoint(run, card)
    seconds = START[Stage.TRAINING] + steps * STEP_SECONDS + work / speed_of(run, wanted) + written / DISK
    return Guess(seconds, _training_memory(run, card, longest, processes), written, tuple(_doubts(run, steps)))


def _doubts(run: Run, steps: int) -> Iterator[str]:
    """What is probably not meant."""
    if 0 < steps < FEW_STEPS:
        yield f"trains for {steps} steps only"
    warmup = int(run["num_warmup_steps"])
    if steps and warmup > MUCH_WARMUP * steps:
        yield f"warm-up takes {warmup} of {steps} steps, so lr is hardly reached"


def lora_parameters(run: Run, card: ModelCard) -> int:
    """Weights that LoRA adds."""
    shape, rank = card.architecture, int(run["lora_rank"])
    hidden, queries, keys = shape.hidden_size, shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    sums = {"q_proj": hidden + queries, "k_proj": hidden + keys, "v_proj": hidden + keys, "output_proj": queries + hidden}
    layer = sum(sums[name] for name in run["lora_attn_modules"])
    layer += 3 * (hidden + shape.intermediate_size) if run["apply_lora_to_mlp"] else 0
    output = hidden + shape.vocab_size if run["apply_lora_to_output"] else 0
    return rank * (shape.num_hidden_layers * layer + output)


def _operations(run: Run) -> float:
    """Floating-point operations a weight and token."""
    return (6.0 if run["method"] == "full" else 4.0) + (2.0 if run["enable_activation_checkpointing"] else 0.0)


def _checkpoint(run: Run, card: ModelCard) -> float:
    """Bytes of an epoch's folder: the merged weights, and LoRA's own in two forms."""
    adapter = 2 * lora_parameters(run, card) if run["method"] == "lora" else 0
    return (card.parameters + adapter) * BYTES[run["dtype"]]


def _training_memory(run: Run, card: ModelCard, longest: float, shards: int) -> float:
    """Weights, gradients and the optimizer's two moments, activations and the answer's probabilities, on one device."""
    width = BYTES[run["dtype"]]
    trained = card.parameters if run["method"] == "full" else lora_parameters(run, card)
    moments = 0 if run["optimizer"] == "sgd" else 2
    states = (card.parameters + (trained if run["method"] == "lora" else 0) + trained * (1 + moments)) * width
    shape, batch = card.architecture, int(run["batch_size"])
    cells = longest * batch * shape.hidden_size * shape.num_hidden_layers
    attention = 5 * shape.num_attention_heads * longest / shape.hidden_size
    activations = cells * (2 if run["enable_activation_checkpointing"] else 34 + attention) * width / 2
    probabilities = 2 * 4 * longest * batch * shape.vocab_size
    return PROCESS_BYTES + context_bytes(run) + states / shards + activations + probabilities
