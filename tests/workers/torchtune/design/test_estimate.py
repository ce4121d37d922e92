"""Steps are exact; costs are guesses that must move the right way."""


import pytest

from ckgit.experiment.design.model import RecordedData, Resources
from ckgit.workers.torchtune.design.batches import Division
from ckgit.workers.training.design import estimate
from tests.experiment.estimates.small_run import CARD, CPU, make

DATA = RecordedData(sha256="a" * 64, bytes=1, splits={"train": 300, "test": 10}, longest={"train": 200}, mean={"train": 160.0})


def training(run, card, data, wanted):
    rows, gpus = min(data.splits["train"], run["max_samples"] or data.splits["train"]), max(1, wanted.gpus or 1)
    return estimate.training(run, card, data, wanted, Division.of(run, rows, gpus).total, shards=gpus)


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
    guess = training(make(), CARD, DATA, CPU)
    assert 139 / 3 < guess.seconds < 139 * 3  # SmolLM2-135M, 300 short rows, 37 steps on two cores: 139 s


def test_more_work_costs_more():
    def cost(card=CARD, resources=CPU, **parameters):
        return training(make(**parameters), card, DATA, resources)

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
    assert [text for text in training(make(**parameters), CARD, DATA, CPU).doubts if warning in text]
    assert training(make(), CARD, DATA, CPU).doubts == ()
