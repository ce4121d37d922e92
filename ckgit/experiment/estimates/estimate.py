"""A rough guess at what an evaluation takes, and what guesses at any job are made of. Pure.

Speeds are those of an ordinary machine, so a time may be wrong by a factor of three; where earlier jobs of the same kind ran on the
same cluster, start-up and rate are those that fit what they took; see `fit`. What a preparation takes its own tool guesses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import Generation, Resources, Stage
from ckgit.experiment.design.plan import Run
from ckgit.experiment.estimates.guess import Guess

FORMULA = 3  # another one where a change of what stands here makes guesses that cannot be compared with older ones
COMPARED = (1, 2, FORMULA)  # formula 1 assumed the same; it multiplied start-up, too
SHARED = 3  # the first formula that counts the rows of each process, of a training by several
BYTES = {"fp32": 4, "bf16": 2}
# Operations a second. A CPU core: 300 rows of about 40 tokens in 139 s on two busy cores, LoRA on SmolLM2-135M (measured).
CPU_CORE = 2.5e10
GPU = {"fp32": 3e13, "bf16": 1.5e14}
# Bytes a second at which weights are read for each generated token, and at which checkpoints are written.
CPU_MEMORY, GPU_MEMORY, DISK = 1e10, 1e12, 2e8
TOKEN_SECONDS = 0.005  # of one decoding step, however small the model is (measured on a model of 0.3M weights)
START = {Stage.TRAINING: 6.0, Stage.EVALUATION: 8.0}  # imports and loading (measured)
PROCESS_BYTES, GPU_CONTEXT = 1.0e9, 0.6e9  # Python with torch; a CUDA context
SAMPLES_AT_ONCE = 32  # inspect-ai's default batch of the hf provider
TEMPLATE_TOKENS = 16  # what a chat template adds
CHARACTERS_A_TOKEN = 4.0
BYTE_VOCABULARY = 512  # a tokenizer this small reads single bytes


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


def evaluation(run: Run, card: ModelCard, rows: int, settings: Generation, resources: Resources) -> Guess:
    """What an evaluation job may need at most: every answer as long as it may be."""
    weights = card.parameters * BYTES[run["dtype"]]
    batches = math.ceil(rows / (settings.max_connections or SAMPLES_AT_ONCE))
    speed = GPU_MEMORY if run["device"] == "cuda" else CPU_MEMORY
    seconds = START[Stage.EVALUATION] + batches * (settings.max_tokens or 1) * max(TOKEN_SECONDS, weights / speed)
    seconds += rows * 2 * card.parameters * TEMPLATE_TOKENS / speed_of(run, resources)
    return Guess(seconds, PROCESS_BYTES + context_bytes(run) + 1.2 * weights, 0.0)


def in_one_job(evaluations: Sequence[Guess]) -> Guess:
    """What evaluations may need that one job makes after each other: it starts once."""
    seconds = sum(guess.seconds for guess in evaluations) - (len(evaluations) - 1) * START[Stage.EVALUATION]
    return Guess(seconds, max(guess.memory for guess in evaluations), 0.0)


def speed_of(run: Run, resources: Resources) -> float:
    """Floating-point operations a second."""
    if run["device"] == "cuda":
        return GPU[run["dtype"]] * max(1, resources.gpus or 1)
    return CPU_CORE * (resources.cpus_per_task or 1)


def context_bytes(run: Run) -> float:
    """What a device's context takes."""
    return GPU_CONTEXT if run["device"] == "cuda" else 0.0
