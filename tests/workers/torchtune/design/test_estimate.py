"""Steps are exact; costs are guesses that must move the right way."""


import pytest

from ckgit.experiment.card import Architecture, ModelCard
from ckgit.experiment.design.model import RecordedData, Resources
from ckgit.experiment.design.plan import build_plan
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.workers.torchtune.design import estimate
from ckgit.workers.torchtune.design.batches import Division

SHAPE = Architecture(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_theta=1e4,
    tie_word_embeddings=True,
)
CARD = ModelCard(
    name="m",
    family="llama",
    model_type="llama",
    architecture=SHAPE,
    parameters=134_515_008,
    dtype="float32",
    end_of_turn=(2,),
    checkpoint_files=("model.safetensors",),
    files={},
)
DATA = RecordedData(sha256="a" * 64, bytes=1, splits={"train": 300, "test": 10}, longest={"train": 200}, mean={"train": 160.0})
CPU = Resources(cpus_per_task=2)


def make(**parameters):
    document = {
        "schema_version": 1,
        "state": "designed",
        "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
        "models": ["m"],
        "data": {"d": {"path": "d.json"}},
        "tools": {"evaluation": "none"},
        "runs": [{"name": "a", "parameters": {"device": "cpu", "dtype": "fp32", "batch_size": 8, **parameters}}],
    }
    return build_plan(read_summary(document)).runs[0]


@pytest.mark.parametrize(
    ("rows", "processes", "parameters", "steps"),
    [
        (300, 1, {}, 37),  # as torchtune took them, measured
        (300, 1, {"gradient_accumulation_steps": 4}, 9),
        (300, 1, {"max_steps_per_epoch": 10}, 10),
        (300, 1, {"max_steps_per_epoch": 100}, 37),
        (7, 1, {}, 0),
        (8, 1, {}, 1),
        (15, 2, {}, 1),  # each process gets 8 rows, one of them twice
        (300, 4, {}, 9),
    ],
)
def test_steps_per_epoch_are_torchtunes(rows, processes, parameters, steps):
    assert Division.of(make(**parameters), rows, processes).steps == steps


def test_all_steps_are_those_of_every_epoch():
    assert Division.of(make(epochs=3), 300, 1).total == 111


def test_a_measured_run_is_estimated_within_its_factor():
    guess = estimate.training(make(), CARD, DATA, CPU)
    assert 139 / 3 < guess.seconds < 139 * 3  # SmolLM2-135M, 300 short rows, 37 steps on two cores: 139 s


def test_more_work_costs_more():
    def cost(card=CARD, resources=CPU, **parameters):
        return estimate.training(make(**parameters), card, DATA, resources)

    plain = cost()
    assert cost(epochs=2).seconds > plain.seconds
    assert cost(epochs=2).disk == 2 * plain.disk
    assert cost(method="full").memory > plain.memory
    assert cost(method="full", optimizer="sgd").memory < cost(method="full").memory
    assert cost(enable_activation_checkpointing=True).memory < plain.memory
    assert cost(enable_activation_checkpointing=True).seconds > plain.seconds
    assert cost(dtype="bf16").disk == plain.disk / 2
    assert cost(device="cuda").seconds < plain.seconds
    assert cost(resources=Resources(cpus_per_task=4)).seconds < plain.seconds


def test_lora_parameters_are_counted_as_its_matrices():
    run = make(lora_rank=8, lora_attn_modules=["q_proj"], apply_lora_to_mlp=False)
    assert estimate.lora_parameters(run, CARD) == 30 * 8 * (576 + 576)
    assert estimate.lora_parameters(make(lora_rank=8, lora_attn_modules=["v_proj"]), CARD) == 30 * 8 * (576 + 192 + 3 * (576 + 1536))


@pytest.mark.parametrize(
    ("parameters", "warning"),
    [
        ({"max_steps_per_epoch": 9}, "trains for 9 steps only"),
        ({"num_warmup_steps": 20}, "warm-up takes 20 of 37 steps"),
    ],
)
def test_what_is_probably_not_meant_is_said(parameters, warning):
    assert [text for text in estimate.training(make(**parameters), CARD, DATA, CPU).doubts if warning in text]
    assert estimate.training(make(), CARD, DATA, CPU).doubts == ()
