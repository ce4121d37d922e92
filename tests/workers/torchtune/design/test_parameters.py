"""Files that a retry compares as bytes have their parameters in the order in which they always had them."""

from __future__ import annotations

from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.torchtune import worker
from ckgit.workers.training.setup import read_setup
from tests.workers.designs import context

ORDER = [
    "model",
    "data",
    "train_split",
    "method",
    "epochs",
    "batch_size",
    "gradient_accumulation_steps",
    "lr",
    "weight_decay",
    "optimizer",
    "lr_scheduler",
    "num_warmup_steps",
    "lora_rank",
    "lora_dropout",
    "lora_attn_modules",
    "apply_lora_to_mlp",
    "apply_lora_to_output",
    "dataset_type",
    "prompt",
    "system_prompt",
    "template_date",
    "seed",
    "shuffle",
    "device",
    "dtype",
    "compile",
    "enable_activation_checkpointing",
    "log_every_n_steps",
    "lora_alpha",
]


def order(**controls):
    return list(read_yaml(setup_of(context(controls=controls)).decode()).value["parameters"])


def setup_of(made):
    return worker.scaffold(made)["experiments/capital/run/setup_finetune.yaml"]


def test_a_setup_file_keeps_its_order():
    assert order() == ORDER


def test_an_alpha_that_was_given_stands_beside_the_rank():
    found = order(lora_alpha=8)
    assert found == [*ORDER[: ORDER.index("lora_rank") + 1], "lora_alpha", *ORDER[ORDER.index("lora_rank") + 1 : -1]]


def test_what_a_setup_file_says_is_read_again():
    made = context(controls={"lr": 1e-5})
    run = made.plan.run("run")
    found = read_setup(setup_of(made))
    assert {name: setting.source for name, setting in found.items()} == {name: setting.source for name, setting in run.settings.items()}
    assert found["lr"].value == 1e-5
    assert read_setup(b"parameters: 5\n") is None
    assert read_setup(b"parameters: {lr: {value: 1, source: nobody}}\n") is None
