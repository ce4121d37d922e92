"""A family works when torchtune's model, made by the generated config, gives the logits of transformers' model."""

import json

import pytest

from ckgit.lab.models.folder import read_card
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.families import refusals
from ckgit.workers.torchtune.scaffold import scaffold
from tests.workers.designs import card, context, write_tree

SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": 4,
    "pad_token_id": 0,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,  # small, so that scaling shows in short rows
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
# transformers' configuration class, and what differs from SIZES
MODELS = {
    "llama2": ("LlamaConfig", {"tie_word_embeddings": False, "num_key_value_heads": 4}),
    "llama3": ("LlamaConfig", {"tie_word_embeddings": False, "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}}),
    "llama3_2": ("LlamaConfig", {"tie_word_embeddings": True, "rope_parameters": LLAMA3_ROPE, "max_position_embeddings": 16_384}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": False, "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0}}),
    "qwen2_5_tied": ("Qwen2Config", {"tie_word_embeddings": True}),
    "mistral": ("MistralConfig", {"sliding_window": None, "tie_word_embeddings": False}),
    "mistral_window": ("MistralConfig", {"sliding_window": 48, "tie_word_embeddings": False}),
    "gemma": ("GemmaConfig", {"head_dim": 32, "rms_norm_eps": 1e-6}),
    "phi3": ("Phi3Config", {"num_key_value_heads": 4, "tie_word_embeddings": False, "sliding_window": None}),
    "phi3_gqa": ("Phi3Config", {"tie_word_embeddings": False, "rms_norm_eps": 1e-6, "sliding_window": 48}),
}


def save_model(folder, kind):
    """A random model of a kind, as transformers saves it; returns the model."""
    import torch
    import transformers

    from ckgit.examples.tiny_model import byte_tokenizer

    class_name, changes = MODELS[kind]
    torch.manual_seed(0)
    config = getattr(transformers, class_name)(**{**SIZES, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():  # biases and norms begin as 0 and 1, and would hide a mistake
        torch.nn.init.normal_(parameter, std=0.3)
    model.tie_weights()
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return model


def trained_model(work, context, path):
    """The model that a recipe makes from a config: builder, checkpointer, state dict."""
    from omegaconf import OmegaConf
    from torchtune import config

    finetune = OmegaConf.load(work / path)
    finetune.checkpointer.checkpoint_dir = str(work / finetune.checkpointer.checkpoint_dir)
    finetune.checkpointer.output_dir = str(work / finetune.checkpointer.output_dir)
    weights = config.instantiate(finetune.checkpointer, should_load_recipe_state=False).load_checkpoint()
    model = config.instantiate(finetune.model)
    missing, unexpected = model.load_state_dict(weights["model"], strict=False)
    assert not unexpected
    assert all("lora" in name for name in missing)
    return model.eval()


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("kind", MODELS)
def test_torchtune_computes_what_transformers_computes(tmp_path, kind, method):
    import torch

    reference = save_model(tmp_path / "model", kind)
    made, _ = read_card("model", tmp_path / "model")
    ctx = context(cards=(made,), controls={"method": method, "max_seq_len": made.architecture.sliding_window})
    assert list(refusals(made, ctx.plan.run("run"))) == []
    write_tree(ctx, scaffold(ctx), tmp_path / "work", {"model": tmp_path / "model"})
    model = trained_model(tmp_path / "work", ctx, "experiments/capital/run/finetune.yaml")

    length = 400 if made.architecture.rope_scaling else 48
    tokens = torch.randint(5, 300, (2, length), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), reference(tokens).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_transformers_loads_what_torchtune_saves(tmp_path, kind):
    import torch
    import transformers
    from omegaconf import OmegaConf
    from torchtune import config

    reference = save_model(tmp_path / "model", kind)
    made, _ = read_card("model", tmp_path / "model")
    ctx = context(cards=(made,), controls={"method": "full"})
    write_tree(ctx, scaffold(ctx), tmp_path / "work", {"model": tmp_path / "model"})
    finetune = OmegaConf.load(tmp_path / "work/experiments/capital/run/finetune.yaml")
    finetune.checkpointer.checkpoint_dir, finetune.checkpointer.output_dir = str(tmp_path / "model"), str(tmp_path / "saved")
    checkpointer = config.instantiate(finetune.checkpointer, should_load_recipe_state=False)
    checkpointer.save_checkpoint(checkpointer.load_checkpoint(), epoch=0)

    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved/epoch_0")
    tokens = torch.arange(5, 45)[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded(tokens).logits, reference(tokens).logits)


def refused(**changes):
    controls = changes.pop("controls", {})
    made = card(**changes)
    return [sentence for _, sentence in refusals(made, context(cards=(made,), controls=controls).plan.run("run"))]


def test_what_a_builder_leaves_out_is_refused():
    [problem] = refused(architecture={"head_dim": 64})
    assert "head_dim" in problem
    [problem] = refused(architecture={"attention_bias": True})
    assert "attention bias" in problem
    [problem] = refused(architecture={"hidden_act": "gelu"})
    assert "computes silu, and the model gelu" in problem
    [problem] = refused(family="mistral", architecture={"tie_word_embeddings": True})
    assert "never ties the output projection" in problem
    [problem] = refused(family="gemma", architecture={"tie_word_embeddings": False, "hidden_act": "gelu_pytorch_tanh"})
    assert "always ties the output projection" in problem


def test_a_model_that_torchtune_has_no_code_for_is_refused():
    assert worker.refuses(card(family="qwen3")) == (
        "torchtune has no builder for qwen3; it has them for llama, qwen2, mistral, gemma, phi3",
    )
    [problem] = refused(architecture={"partial_rotary_factor": 0.75})
    assert "rotates all of a head, and the model 0.75 of it" in problem
    [problem] = refused(architecture={"mlp_bias": True})
    assert "has no bias in the MLP" in problem
    [problem] = refused(architecture={"rms_norm_eps": None})
    assert "no rms_norm_eps" in problem


def test_rope_scaling_is_refused_where_the_builder_has_another_rule():
    yarn = {"rope_type": "yarn", "factor": 4.0}
    assert "rule 'yarn'" in refused(architecture={"rope_scaling": yarn})[0]
    assert "rule 'llama3'" in refused(family="qwen2", architecture={"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})[0]
    other = {**LLAMA3_ROPE, "original_max_position_embeddings": 4096}
    del other["rope_theta"]
    assert "4096" in refused(architecture={"rope_scaling": other})[0]


def test_a_sliding_window_needs_rows_that_fit_in_it():
    window = {"architecture": {"sliding_window": 64, "tie_word_embeddings": False}, "family": "mistral"}
    assert "max_seq_len to at most 64" in refused(**json.loads(json.dumps(window)))[0]
    assert "max_seq_len to at most 64" in refused(**json.loads(json.dumps(window)), controls={"max_seq_len": 65})[0]
    assert refused(**window, controls={"max_seq_len": 64}) == []


def test_lora_on_a_tied_output_is_refused():
    assert "apply_lora_to_output" in refused(controls={"apply_lora_to_output": True})[0]
    assert refused(architecture={"tie_word_embeddings": False}, controls={"apply_lora_to_output": True}) == []
