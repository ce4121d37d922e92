"""A rough guess at what a training takes. Pure.

It follows published counts: 6 floating-point operations a weight and token for forward and backward (Kaplan et al. 2020, section 2.1), of
which LoRA saves the third that makes the frozen weights' gradients; activations as in Korthikanti et al. 2022, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import RecordedData, Resources, Stage
from ckgit.experiment.design.plan import Run
from ckgit.experiment.estimates.estimate import BYTES, DISK, PROCESS_BYTES, START, context_bytes, row_tokens, speed_of
from ckgit.experiment.estimates.guess import Guess
from ckgit.workers.training.design.counted import warmup_steps
from ckgit.workers.training.design.parameters import DPO

STEP_SECONDS = 0.03  # of one optimizer step, however small the model is (measured on a model of 0.3M weights)
FEW_STEPS = 10
MUCH_WARMUP = 0.5
MOMENTS = {"sgd": 0}  # that an optimizer keeps of each weight, where they are not two


class Written(NamedTuple):
    """Bytes that a training writes."""

    in_all: float
    at_once: float  # that lie on the disk at its end, or shortly before


def training(
    run: Run, card: ModelCard, data: RecordedData, wanted: Resources, steps: int, *, shards: int, written: Written | None = None
) -> Guess:
    """What a training job of so many steps may need that asks for such resources.

    Args:
        shards: processes that share weights, gradients and the optimizer's state; 1 where each has all of them.
        written: None for an epoch's folder after each epoch, and nothing else.
    """
    split, processes = run["train_split"], max(1, wanted.gpus or 1)
    mean = row_tokens(run, card, data.mean.get(split, 0.0))
    longest = row_tokens(run, card, data.longest.get(split, 0))
    if run["packing_length"]:
        mean, longest = mean * rows_together(run, card, data.mean.get(split, 0.0)), float(run["packing_length"])
    seen = steps * int(run["batch_size"]) * int(run["gradient_accumulation_steps"]) * processes * mean * _answers(run)
    work = seen * card.parameters * _operations(run)
    folders = int(run["epochs"]) * checkpoint_bytes(run, card)
    kept = written or Written(folders, folders)
    seconds = START[Stage.TRAINING] + steps * STEP_SECONDS + work / speed_of(run, wanted) + kept.in_all / DISK
    return Guess(seconds, _training_memory(run, card, longest, shards), kept.at_once, tuple(_doubts(run, steps)))


def rows_together(run: Run, card: ModelCard, mean: float) -> int:
    """About how many rows are packed into a sequence; 1 where none are.

    Args:
        mean: characters of a row.
    """
    length = run["packing_length"]
    return max(1, int(length // row_tokens(run, card, mean))) if length else 1


def _doubts(run: Run, steps: int) -> Iterator[str]:
    """What is probably not meant."""
    if 0 < steps < FEW_STEPS:
        yield f"trains for {steps} steps only"
    warmup = warmup_steps(run, steps)
    if steps and warmup > MUCH_WARMUP * steps:
        yield f"warm-up takes {warmup} of {steps} steps, so lr is hardly reached"


def lora_parameters(run: Run, card: ModelCard) -> int:
    """Weights that LoRA adds."""
    shape, rank = card.architecture, int(run["lora_rank"])
    hidden, queries, keys = shape.hidden_size, shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    sums = {"q_proj": hidden + queries, "k_proj": hidden + keys, "v_proj": hidden + keys, "output_proj": queries + hidden}
    everywhere = run["lora_attn_modules"] is None  # where a tool's own names say what is changed, it may be all
    layer = sum(sums[name] for name in (sums if everywhere else run["lora_attn_modules"]))
    layer += 3 * (hidden + shape.intermediate_size) if everywhere or run["apply_lora_to_mlp"] else 0
    output = hidden + shape.vocab_size if run["apply_lora_to_output"] else 0
    return rank * (shape.num_hidden_layers * layer + output)


def trained_parameters(run: Run, card: ModelCard) -> int:
    """Weights that a training changes."""
    return card.parameters if run["method"] == "full" else lora_parameters(run, card)


def _answers(run: Run) -> int:
    """Sequences that a row makes: a preference has two answers."""
    return 2 if run["objective"] == DPO else 1


def _operations(run: Run) -> float:
    """Floating-point operations a weight and token. What preferences are trained against takes a forward pass of its own."""
    again = 2.0 if run["enable_activation_checkpointing"] else 0.0
    reference = 2.0 if run["objective"] == DPO else 0.0
    return (6.0 if run["method"] == "full" else 4.0) + again + reference


def checkpoint_bytes(run: Run, card: ModelCard) -> float:
    """Of the folder of a checkpoint: the merged weights, and LoRA's own in two forms."""
    adapter = 2 * lora_parameters(run, card) if run["method"] != "full" and run["save"] != "merged" else 0
    alone = run["save"] == "adapter" or run["method"] == "qlora"
    return (adapter + (0 if alone else card.parameters)) * BYTES[run["dtype"]]


def _training_memory(run: Run, card: ModelCard, longest: float, shards: int) -> float:
    """Weights, gradients and the optimizer's two moments, activations and the answer's probabilities, on one device."""
    width = BYTES[run["dtype"]]
    trained, moments = trained_parameters(run, card), MOMENTS.get(run["optimizer"], 2)
    states = (card.parameters + (trained if run["method"] != "full" else 0) + trained * (1 + moments)) * width
    states += card.parameters * width if run["method"] == "full" and run["objective"] == DPO else 0  # the model as it was
    shape, batch = card.architecture, int(run["batch_size"]) * _answers(run)
    cells = longest * batch * shape.hidden_size * shape.num_hidden_layers
    attention = 5 * shape.num_attention_heads * longest / shape.hidden_size
    activations = cells * (2 if run["enable_activation_checkpointing"] else 34 + attention) * width / 2
    probabilities = 2 * 4 * longest * batch * shape.vocab_size
    return PROCESS_BYTES + context_bytes(run) + states / shards + activations + probabilities
