"""How many steps a run takes, and a rough guess at its time, memory and disk. Pure.

The guesses follow published counts: 6 floating-point operations a weight and token for forward and backward (Kaplan et
al. 2020, section 2.1), of which LoRA saves the third that makes the frozen weights' gradients; activations as in Korthikanti et
al. 2022, section 4. Speeds are those of an ordinary machine, so a time may be wrong by a factor of three; where earlier
jobs of the same kind ran on the same cluster, start-up and rate are those that fit what they took; see `fit`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import Generation, RecordedData, Resources, Stage
from ckgit.experiment.design.plan import Run

FORMULA = 2  # another one where a change of what stands here makes guesses that cannot be compared with older ones
COMPARED = (1, FORMULA)  # formula 1 assumed the same; it multiplied start-up, too
BYTES = {"fp32": 4, "bf16": 2}
# Operations a second. A CPU core: 300 rows of about 40 tokens in 139 s on two busy cores, LoRA on SmolLM2-135M (measured).
CPU_CORE = 2.5e10
GPU = {"fp32": 3e13, "bf16": 1.5e14}
# Bytes a second at which weights are read for each generated token, and at which checkpoints are written.
CPU_MEMORY, GPU_MEMORY, DISK = 1e10, 1e12, 2e8
STEP_SECONDS = 0.03  # of one optimizer step, and
TOKEN_SECONDS = 0.005  # of one decoding step, however small the model is (measured on a model of 0.3M weights)
START = {Stage.TRAINING: 6.0, Stage.EVALUATION: 8.0}  # imports and loading (measured)
PROCESS_BYTES, GPU_CONTEXT = 1.0e9, 0.6e9  # Python with torch; a CUDA context
SAMPLES_AT_ONCE = 32  # inspect-ai's default batch of the hf provider
TEMPLATE_TOKENS = 16  # what a chat template adds
CHARACTERS_A_TOKEN = 4.0
BYTE_VOCABULARY = 512  # a tokenizer this small reads single bytes
FEW_STEPS = 10
MUCH_WARMUP = 0.5


class Steps(NamedTuple):
    """Optimizer steps of a run."""

    rows: int
    per_epoch: int
    total: int


class Guess(NamedTuple):
    """What a job may need. Seconds and bytes."""

    seconds: float
    memory: float
    disk: float


def steps_per_epoch(run: Run, rows: int, processes: int) -> int:
    """Optimizer steps of an epoch, by the arithmetic of torchtune's recipes.

    The sampler gives each process the same number of rows, repeating some; an incomplete last batch is dropped, and so are
    batches short of a whole accumulation.
    """
    batches = math.ceil(rows / processes) // int(run["batch_size"])
    steps = batches // int(run["gradient_accumulation_steps"])
    return min(steps, run["max_steps_per_epoch"] or steps)


def steps(run: Run, rows: int, resources: Resources) -> Steps:
    """Optimizer steps of a run that trains on so many rows."""
    per_epoch = steps_per_epoch(run, rows, processes(resources))
    return Steps(rows, per_epoch, per_epoch * int(run["epochs"]))


def processes(resources: Resources) -> int:
    """Training processes: one a GPU where there are several, otherwise one."""
    return max(1, resources.gpus or 1)


def tokens(characters: float, card: ModelCard) -> float:
    """Tokens of so many characters of text."""
    return characters / (1.0 if card.architecture.vocab_size < BYTE_VOCABULARY else CHARACTERS_A_TOKEN)


def prompt_characters(prompt: str, system_prompt: str) -> int:
    """What the prompts add to a row's own text."""
    return len(prompt.replace("{input}", "")) + len(system_prompt)


def row_tokens(run: Run, card: ModelCard, characters: float) -> float:
    """Tokens of a row of so many characters, with its prompts."""
    chat = TEMPLATE_TOKENS if run["dataset_type"] == "chat" else 0
    return tokens(characters + prompt_characters(run["prompt"], run["system_prompt"]), card) + chat


def lora_parameters(run: Run, card: ModelCard) -> int:
    """Weights that LoRA adds."""
    shape, rank = card.architecture, int(run["lora_rank"])
    hidden, queries, keys = shape.hidden_size, shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    sums = {"q_proj": hidden + queries, "k_proj": hidden + keys, "v_proj": hidden + keys, "output_proj": queries + hidden}
    layer = sum(sums[name] for name in run["lora_attn_modules"])
    layer += 3 * (hidden + shape.intermediate_size) if run["apply_lora_to_mlp"] else 0
    output = hidden + shape.vocab_size if run["apply_lora_to_output"] else 0
    return rank * (shape.num_hidden_layers * layer + output)


def training(run: Run, card: ModelCard, data: RecordedData, resources: Resources) -> Guess:
    """What a training job may need."""
    split = run["train_split"]
    count = steps(run, data.splits[split], resources)
    mean = row_tokens(run, card, data.mean.get(split, 0.0))
    longest = row_tokens(run, card, data.longest.get(split, 0))
    seen = count.total * int(run["batch_size"]) * int(run["gradient_accumulation_steps"]) * mean
    work = seen * card.parameters * _operations(run)
    written = int(run["epochs"]) * _checkpoint(run, card)
    seconds = START[Stage.TRAINING] + count.total * STEP_SECONDS + work / _speed(run, resources) + written / DISK
    return Guess(seconds, _training_memory(run, card, longest, processes(resources)), written)


def evaluation(run: Run, card: ModelCard, rows: int, settings: Generation, resources: Resources) -> Guess:
    """What an evaluation job may need at most: every answer as long as it may be."""
    weights = card.parameters * BYTES[run["dtype"]]
    batches = math.ceil(rows / (settings.max_connections or SAMPLES_AT_ONCE))
    speed = GPU_MEMORY if run["device"] == "cuda" else CPU_MEMORY
    seconds = START[Stage.EVALUATION] + batches * (settings.max_tokens or 1) * max(TOKEN_SECONDS, weights / speed)
    seconds += rows * 2 * card.parameters * TEMPLATE_TOKENS / _speed(run, resources)
    return Guess(seconds, PROCESS_BYTES + _context(run) + 1.2 * weights, 0.0)


def in_one_job(evaluations: Sequence[Guess]) -> Guess:
    """What evaluations may need that one job makes after each other: it starts once."""
    seconds = sum(guess.seconds for guess in evaluations) - (len(evaluations) - 1) * START[Stage.EVALUATION]
    return Guess(seconds, max(guess.memory for guess in evaluations), 0.0)


def warnings(run: Run, data: RecordedData, resources: Resources) -> list[str]:
    """What is probably not meant, one clause each."""
    split = run["train_split"]
    count = steps(run, data.splits[split], resources)
    found = []
    if 0 < count.total < FEW_STEPS:
        found.append(f"trains for {count.total} steps only")
    warmup = int(run["num_warmup_steps"])
    if count.total and warmup > MUCH_WARMUP * count.total:
        found.append(f"warm-up takes {warmup} of {count.total} steps, so lr is hardly reached")
    return found


def _operations(run: Run) -> float:
    """Floating-point operations a weight and token."""
    return (6.0 if run["method"] == "full" else 4.0) + (2.0 if run["enable_activation_checkpointing"] else 0.0)


def _speed(run: Run, resources: Resources) -> float:
    if run["device"] == "cuda":
        return GPU[run["dtype"]] * max(1, resources.gpus or 1)
    return CPU_CORE * (resources.cpus_per_task or 1)


def _context(run: Run) -> float:
    return GPU_CONTEXT if run["device"] == "cuda" else 0.0


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
    return PROCESS_BYTES + _context(run) + states / shards + activations + probabilities
