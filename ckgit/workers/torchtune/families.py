"""Model families: which builder of torchtune makes which Hugging Face architecture, and what it cannot make.

torchtune 0.6.1 takes sizes, but not every property that a config.json can have. A property that a builder would
silently leave out is refused here, because another model than the user's would be trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ckgit.experiment.card import Architecture, ModelCard
from ckgit.experiment.design.plan import Run


class Builders(NamedTuple):
    """Where torchtune makes a family's models."""

    module: str
    full: str  # names in the module
    lora: str
    checkpoint: str  # torchtune's ModelType
    tied: bool | None  # whether the output projection is the embedding; None: the builder has a parameter for it
    activations: tuple[str, ...] = ("silu",)
    scales_rope: bool = False
    own_head_dim: bool = False
    lora_output: bool = True


_LLAMA_TIED = Builders("torchtune.models.llama3_2", "llama3_2", "lora_llama3_2", "LLAMA3_2", tied=True, scales_rope=True, lora_output=False)
# Llama 3.2's LoRA builder refuses LoRA on the output projection even where it is not tied; 3.1's is the same model untied.
_LLAMA = Builders("torchtune.models.llama3_1", "llama3_1", "lora_llama3_1", "LLAMA3", tied=False, scales_rope=True)
_BUILDERS: dict[str, Builders] = {
    "llama": _LLAMA,
    "qwen2": Builders("torchtune.models.qwen2", "qwen2", "lora_qwen2", "QWEN2", tied=None),
    "mistral": Builders("torchtune.models.mistral", "mistral", "lora_mistral", "MISTRAL", tied=False),
    "gemma": Builders(
        "torchtune.models.gemma",
        "gemma",
        "lora_gemma",
        "GEMMA",
        tied=True,
        activations=("gelu_pytorch_tanh",),
        own_head_dim=True,
        lora_output=False,
    ),
    "phi3": Builders("torchtune.models.phi3", "phi3", "lora_phi3", "PHI3_MINI", tied=False),
}


FAMILIES = tuple(_BUILDERS)


def builders(card: ModelCard) -> Builders:
    """The builders of a card's family."""
    if card.family == "llama" and card.architecture.tie_word_embeddings:
        return _LLAMA_TIED
    return _BUILDERS[card.family]


def sizes(card: ModelCard) -> dict[str, Any]:
    """A builder's arguments, apart from LoRA's."""
    shape, builder = card.architecture, builders(card)
    arguments: dict[str, Any] = {
        "vocab_size": shape.vocab_size,
        "num_layers": shape.num_hidden_layers,
        "num_heads": shape.num_attention_heads,
        "num_kv_heads": shape.num_key_value_heads,
        "embed_dim": shape.hidden_size,
        "intermediate_dim": shape.intermediate_size,
        "max_seq_len": shape.max_position_embeddings,
        "norm_eps": shape.rms_norm_eps,
        "rope_base": int(shape.rope_theta) if shape.rope_theta.is_integer() else shape.rope_theta,
    }
    if builder.own_head_dim:
        arguments["head_dim"] = shape.head_dim
    if builder.scales_rope:
        arguments["scale_factor"] = shape.rope_scaling.factor if shape.rope_scaling else 1
    if builder.tied is None or builder is _LLAMA_TIED:
        arguments["tie_word_embeddings"] = shape.tie_word_embeddings
    return arguments


def model_refusals(card: ModelCard) -> Iterator[str]:
    """Why torchtune cannot train a model, whatever the run; a sentence each."""
    if card.family not in _BUILDERS:
        yield f"torchtune has no builder for {card.family}; it has them for {', '.join(FAMILIES)}"
        return
    yield from (f"torchtune's {card.family} builder {why}" for why in _shape_refusals(card.architecture, card.family, builders(card)))


def refusals(card: ModelCard, run: Run) -> Iterator[tuple[str, str]]:
    """What torchtune cannot do with this model and this run: the parameter that it is about, and a sentence."""
    yield from (("model", f"model {card.name}: {why}") for why in model_refusals(card))
    if card.family not in _BUILDERS:
        return
    builder = builders(card)
    window, longest = card.architecture.sliding_window, run["max_seq_len"]
    if window and (longest is None or longest > window):
        looks = f"model {card.name} looks back {window} tokens, torchtune's builder looks back without limit"
        yield "max_seq_len", f"run {run.name}: {looks}; set max_seq_len to at most {window}, where both are the same"
    if run["apply_lora_to_output"] and (card.architecture.tie_word_embeddings or not builder.lora_output):
        yield (
            "apply_lora_to_output",
            f"run {run.name}: apply_lora_to_output cannot be used, because the output projection of {card.name} is its embedding",
        )


def _shape_refusals(shape: Architecture, family: str, builder: Builders) -> Iterator[str]:
    if not builder.own_head_dim and shape.head_dim * shape.num_attention_heads != shape.hidden_size:
        yield f"has no head_dim of its own; the model's is {shape.head_dim}, not hidden_size / num_attention_heads"
    if shape.rms_norm_eps is None:
        yield "normalizes by the root of mean squares, and the model's config.json has no rms_norm_eps"
    if shape.partial_rotary_factor is not None:
        yield f"rotates all of a head, and the model {shape.partial_rotary_factor:g} of it (partial_rotary_factor)"
    if shape.mlp_bias:
        yield "has no bias in the MLP, and the model has one (mlp_bias)"
    if shape.attention_bias and family != "qwen2":
        yield "has no attention bias, and the model has one"
    if builder.tied is not None and shape.tie_word_embeddings != builder.tied:
        always, does = ("always", "does not") if builder.tied else ("never", "does")
        yield f"{always} ties the output projection to the embedding, and the model {does}"
    if shape.hidden_act not in builder.activations:
        yield f"computes {builder.activations[0]}, and the model {shape.hidden_act}"
    if problem := _rope_refusal(shape, builder):
        yield problem


def _rope_refusal(shape: Architecture, builder: Builders) -> str | None:
    scaling = shape.rope_scaling
    if scaling is None:
        return None
    if not builder.scales_rope or scaling.rope_type != "llama3":
        return f"cannot scale rotary embeddings by the rule {scaling.rope_type!r} of the model"
    fixed = (scaling.low_freq_factor, scaling.high_freq_factor, scaling.original_max_position_embeddings)
    if fixed != (1.0, 4.0, 8192):
        return (
            "scales rotary embeddings with low_freq_factor 1, high_freq_factor 4 and original_max_position_embeddings 8192; "
            f"the model's are {', '.join(map(str, fixed))}"
        )
    return None
