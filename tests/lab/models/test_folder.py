"""Folders are written byte by byte here: reading one needs neither torch nor transformers."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.errors import CkgitError, Exit
from ckgit.formats.safetensors import HeaderError, header_length, parse_header
from ckgit.lab.models.card_file import parse_card
from ckgit.lab.models.folder import read_card

CONFIG = {
    "model_type": "llama",
    "vocab_size": 10,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "eos_token_id": 4,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
}


def safetensors(**shapes):
    """A file of float32 zeros."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


WEIGHTS = safetensors(**{"model.embed_tokens.weight": [10, 8], "model.norm.weight": [8]})


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    files = {
        "config.json": json.dumps(CONFIG),
        "tokenizer.json": json.dumps({"added_tokens": [{"id": 7, "content": "<|eot|>"}]}),
        "tokenizer_config.json": json.dumps({"eos_token": "<|eot|>"}),
        "README.md": "about",
        "train.py": "raise SystemExit('executed')",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


def change(folder, **changes):
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value != "absent"}
    (folder / "config.json").write_text(json.dumps(config))


def refused(folder, words):
    with pytest.raises(CkgitError, match=words) as caught:
        read_card("m", folder)
    assert caught.value.code is Exit.USAGE
    assert caught.value.state == "no model card was written"


def test_a_card_holds_sizes_digests_and_ends(model):
    card, content = read_card("m", model)
    assert parse_card(content) == card
    assert (card.parameters, card.dtype, card.family) == (88, "float32", "llama")
    assert (card.architecture.head_dim, card.architecture.rope_theta, card.architecture.rope_scaling) == (4, 500000.0, None)
    assert card.end_of_turn == (4, 7)
    assert sorted(card.files) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert card.files["model.safetensors"].bytes == len(WEIGHTS)
    assert card.template is None
    assert read_card("m", model)[1] == content


def test_rope_settings_of_older_configs_are_read(model):
    scaling = {"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    change(model, rope_parameters="absent", rope_theta=10000, rope_scaling=scaling)
    shape = read_card("m", model)[0].architecture
    assert shape.rope_theta == 10000.0
    assert shape.rope_scaling.model_dump() == {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192
    }  # fmt: skip


def test_rope_scaling_of_newer_configs_is_read(model):
    change(model, rope_parameters={"rope_type": "yarn", "rope_theta": 7.0, "factor": 4, "attention_factor": 1.0})
    shape = read_card("m", model)[0].architecture
    assert (shape.rope_theta, shape.rope_scaling.rope_type, shape.rope_scaling.factor) == (7.0, "yarn", 4.0)


def test_the_template_is_found_where_transformers_looks(model):
    (model / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]})
    )
    assert read_card("m", model)[0].template.uses_date is False
    before = read_card("m", model)[0].template
    (model / "chat_template.jinja").write_text("{{ strftime_now('%d') }}")
    after = read_card("m", model)[0].template
    assert after.uses_date
    assert after.sha256 != before.sha256


@pytest.mark.parametrize(
    ("used", "window"), [({}, None), ({"use_sliding_window": True}, 32), ({"use_sliding_window": True, "sliding_window": 128}, None)]
)
def test_a_window_counts_where_it_is_used_and_limits_anything(model, used, window):
    change(model, model_type="qwen2", **{"sliding_window": 32, **used})
    assert read_card("m", model)[0].architecture.sliding_window == window


def test_sharded_weights_are_read_by_their_index(model):
    (model / "model.safetensors").unlink()
    (model / "a.safetensors").write_bytes(safetensors(**{"model.embed_tokens.weight": [10, 8]}))
    (model / "b.safetensors").write_bytes(safetensors(**{"model.norm.weight": [8]}))
    index = {"weight_map": {"model.norm.weight": "b.safetensors", "model.embed_tokens.weight": "a.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    card, _ = read_card("m", model)
    assert (card.checkpoint_files, card.parameters) == (("a.safetensors", "b.safetensors"), 88)
    (model / "b.safetensors").unlink()
    refused(model, r"weight file b\.safetensors of model\.safetensors\.index\.json is missing")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "absent"}, "config.json has no model_type"),
        ({"num_hidden_layers": "absent"}, "lacks num_hidden_layers"),
        ({"quantization_config": {"bits": 4}}, "quantized"),
        ({"hidden_size": "8"}, "makes no sense"),
        ({"hidden_size": 8.5}, "architecture.hidden_size|makes no sense"),
        ({"num_attention_heads": 0}, "makes no sense"),
        ({"rope_parameters": [1]}, "makes no sense"),
        ({"eos_token_id": {"a": 1}, "bos_token_id": 1, "rms_norm_eps": "x"}, "makes no sense"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is false, and the weights hold no lm_head.weight"),
        ({"model_type": "qwen2", "tie_word_embeddings": "absent"}, "lacks tie_word_embeddings"),
    ],
)
def test_a_config_that_says_too_little_is_refused(model, changes, words):
    change(model, **changes)
    refused(model, words)


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"num_key_value_heads": "absent"}, "num_key_value_heads", 2),
        ({"rms_norm_eps": "absent"}, "rms_norm_eps", None),
        ({"partial_rotary_factor": 0.75}, "partial_rotary_factor", 0.75),
        ({"mlp_bias": True}, "mlp_bias", True),
    ],
)
def test_what_only_some_tools_can_train_is_written_down(model, changes, name, value):
    change(model, model_type="qwen3", **changes)
    card, content = read_card("m", model)
    assert (card.family, getattr(card.architecture, name)) == ("qwen3", value)
    assert (f"  {name}:" in content.decode()) == (value is not None)


def test_weights_of_other_formats_are_named(model):
    (model / "model.safetensors").rename(model / "model-q4.gguf")
    refused(model, r"neither model\.safetensors nor .*; model-q4\.gguf must be converted")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_part_is_refused(model, name):
    (model / name).unlink()
    refused(model, name.replace(".", r"\."))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "there is no such folder")


def test_nothing_that_ends_an_answer_is_refused(model):
    change(model, eos_token_id="absent")  # noqa: S106 no password
    (model / "tokenizer_config.json").unlink()
    refused(model, "nothing names the token that ends an answer")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_broken_json_is_named(model, content):
    (model / "config.json").write_bytes(content)
    refused(model, "config.json is not")


@pytest.mark.parametrize("length", [0, 7, 8, 50, len(WEIGHTS) - 1])
def test_weights_that_are_cut_are_refused(model, length):
    (model / "model.safetensors").write_bytes(WEIGHTS[:length])
    refused(model, "model.safetensors")


@given(st.one_of(st.binary(max_size=200), st.integers(0, len(WEIGHTS)).map(lambda end: WEIGHTS[:end])))
def test_any_bytes_give_a_header_or_say_why_not(content):
    try:
        length = header_length(content)
        header = parse_header(content[8 : 8 + length], length)
    except HeaderError:
        return
    assert header.file_bytes >= 8 + length


@pytest.mark.parametrize("content", [b"", b"name: m\n", b"\tname: m\n", b"name: m\nname: m\n", b"- 1\n"])
def test_a_file_that_is_no_card_is_refused(content):
    with pytest.raises(ValueError, match="model card"):
        parse_card(content)
