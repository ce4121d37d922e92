"""Whether packed rows see each other is tried with the model itself: those that keep them apart are trained, all others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workers.trl.jobs import RUN, make_tree, python

pytestmark = pytest.mark.slow
ROWS = [{"input": "word" * (1 + n % 3), "output": "WORD" * (1 + n % 2) + str(n)} for n in range(12)]
WORDS = {"train": ROWS, "test": [{"input": "a", "output": "A"}]}
TRIES = """
import json
from pathlib import Path
import torch
import transformers
from ckgit.examples.tiny_model import ARCHITECTURE, byte_tokenizer
from ckgit.workers.trl import prepare, trainer
from ckgit.workers.trl.model import CannotTrainError
from ckgit.workers.trl.packing import proof
from ckgit.workers.trl.packing.trainer import PackedTrainer

SIZES = ARCHITECTURE.model_dump(exclude={"rope_theta", "rope_scaling"}, exclude_none=True)
LAYERS = {"n_layer": 2, "n_head": 4}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LINEAR = {"layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 4}
FAMILIES = {
    "Llama": {}, "Qwen3": {}, "Gemma3Text": {"sliding_window": 16}, "Granite": {}, "Qwen3Moe": EXPERTS, "Bloom": LAYERS,
    "OPT": {"ffn_dim": 128, "word_embed_proj_dim": SIZES["hidden_size"]},
    "Qwen3Next": {**EXPERTS, **LINEAR, "linear_key_head_dim": 16, "linear_value_head_dim": 16, "shared_expert_intermediate_size": 32},
    "Mamba2": {"num_heads": 8, "head_dim": 2 * SIZES["hidden_size"] // 8, "state_size": 16, "n_groups": 1},
}
run = Path(sys.argv[1])
prepare.main(run)
rows = trainer.read_rows(run / "artifacts/rows/train.jsonl")
text = (run / "finetune.yaml").read_text()
found = {}


def tried(family, dtype, attention=None):
    tokenizer = byte_tokenizer()
    torch.manual_seed(1)
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    shape = {**SIZES, "num_hidden_layers": 2, **FAMILIES[family], **tokens}
    if family == "Mamba2":
        shape.pop("intermediate_size")
    config = getattr(transformers, family + "Config")(**shape)
    folder = Path(family)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    changed = text.replace("models/tiny", family).replace('dtype: "float32"', f'dtype: "{dtype}"')
    (run / "changed.yaml").write_text(changed + (f"attn_implementation: {attention}\\n" if attention else ""))
    made = trainer.make_trainer(run / "changed.yaml", rows, kind=PackedTrainer)
    trainer.check_handed(made, rows)
    before, training = torch.get_rng_state(), made.model.training
    try:
        proof.check_apart(made)
        said = "apart"
    except CannotTrainError as refusal:
        said = str(refusal)
    assert torch.equal(before, torch.get_rng_state()) and made.model.training == training
    return said


for family in FAMILIES:
    for dtype in ("float32", "bfloat16"):
        found[f"{family} {dtype}"] = tried(family, dtype)
found["Llama eager"] = tried("Llama", "float32", "eager")

stock = proof._replaced
proof._replaced = lambda tokens, kept: list(tokens)  # as if nobody looked whether other rows matter
found["Bloom alone bfloat16"] = tried("Bloom", "bfloat16")
found["Bloom alone float32"] = tried("Bloom", "float32")
proof._replaced = stock
proof._found = lambda made, whole: f"{whole['seq_lengths']} {len(whole['input_ids'])} {len(whole['labels'])}"
for most in (8192, 60, 1):
    proof.MOST_TOKENS = most
    found[f"looked at {most}"] = tried("Llama", "float32")
print("FOUND" + json.dumps(found))
"""
APART = ("Llama", "Qwen3", "Gemma3Text", "Granite", "Qwen3Moe")
MIXED = {
    "Bloom": "Bloom (bloom) with eager attention",
    "OPT": "OPT (opt) with sdpa attention",
    "Mamba2": "Mamba2 (mamba2) with eager attention",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, random_model: Path) -> dict[str, str]:
    work = tmp_path_factory.mktemp("work")
    make_tree(work, random_model, {"controls": {"method": "full", "batch_size": 2, "packing_length": 64}}, WORDS)
    told: dict[str, str] = json.loads(python(work, TRIES, RUN).rpartition("FOUND")[2])
    return told


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", APART)
def test_models_that_begin_positions_anew_are_trained(found: dict[str, str], family: str, dtype: str) -> None:
    assert found[f"{family} {dtype}"] == "apart"
    assert found["Llama eager"] == "apart"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", MIXED)
def test_models_whose_rows_see_each_other_are_refused_by_name(found: dict[str, str], family: str, dtype: str) -> None:
    said = found[f"{family} {dtype}"]
    begins = f"packed rows are not trained as rows by themselves are: of model {MIXED[family]}, the logits of a row change by "
    assert said.startswith(begins)
    assert said.endswith(" of the largest with the other rows of its sequence; leave packing_length out")


def test_a_model_that_refuses_packed_rows_itself_says_why(found: dict[str, str]) -> None:
    said = found["Qwen3Next float32"]
    assert "of model Qwen3Next (qwen3_next) with sdpa attention, it does not take packed rows: `causal_conv1d_fn` can't keep" in said
    assert said.endswith("; leave packing_length out")


def test_in_16_bits_no_difference_from_a_row_alone_would_tell(found: dict[str, str]) -> None:
    """So it is looked at whether other rows matter, too."""
    assert found["Bloom alone bfloat16"] == "apart"
    assert "the logits of a row in a sequence differ by " in found["Bloom alone float32"]


def test_of_long_sequences_no_more_is_looked_at_than_a_device_holds_and_two_rows_at_least(found: dict[str, str]) -> None:
    looked = {most: found[f"looked at {most}"].partition("attention, ")[2].partition(";")[0] for most in (8192, 60, 1)}
    rows = {most: json.loads(said[: said.index("]") + 1]) for most, said in looked.items()}
    assert sum(rows[8192]) > 100
    assert sum(rows[60]) <= 60 < sum(rows[8192][: len(rows[60]) + 1])
    assert rows[1] == rows[8192][:2]
    assert all(said.endswith(f"] {sum(rows[most])} {sum(rows[most])}") for most, said in looked.items())
