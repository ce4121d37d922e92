import hashlib
import json
import subprocess
import sys

import pytest
import yaml

from ckgit.workers.torchtune import worker
from tests.workers.designs import DATA, card, context

FOLDER = "experiments/capital/run"


def finetune(ctx, run="run"):
    return yaml.safe_load(worker.scaffold(ctx)[f"experiments/capital/{run}/finetune.yaml"])


def setup(ctx, run="run"):
    return yaml.safe_load(worker.scaffold(ctx)[f"experiments/capital/{run}/setup_finetune.yaml"])


def test_each_fine_tuned_run_has_three_files_and_controls_have_none():
    ctx = context(variables={"lora_rank": [4, 8]}, runs=[{"name": "base", "type": "control"}])
    assert sorted(worker.scaffold(ctx)) == [
        f"experiments/capital/{run}/{name}"
        for run in ("rank4", "rank8")
        for name in ("finetune.slurm", "finetune.yaml", "setup_finetune.yaml")
    ]
    assert all(path.startswith("experiments/capital/rank8/") for path in worker.scaffold(ctx, "rank8"))
    assert [(job.name, job.script) for job in worker.jobs(ctx)] == [
        ("rank4/finetune", "experiments/capital/rank4/finetune.slurm"),
        ("rank8/finetune", "experiments/capital/rank8/finetune.slurm"),
    ]


def test_the_same_design_gives_the_same_bytes():
    assert worker.scaffold(context()) == worker.scaffold(context())


def test_each_parameter_has_its_value_and_source():
    recipe = {"lr": 1e-5, "batch_size": 2, "num_warmup_steps": 7}
    recorded = context().summary.recorded.model_dump(mode="json") | {"recipes": {"llama3_2/1B_lora_single_device": recipe}}
    ctx = context(
        recorded=recorded,
        controls={"base_recipe": "llama3_2/1B_lora_single_device", "batch_size": 3},
        runs=[{"name": "run", "parameters": {"epochs": 2}}],
    )
    parameters = setup(ctx)["parameters"]
    assert parameters["epochs"] == {"source": "run", "value": 2}
    assert parameters["batch_size"] == {"source": "design", "value": 3}
    assert parameters["lr"] == {"source": "recipe", "value": 1e-5}
    assert parameters["lora_rank"] == {"source": "default", "value": 8}
    assert setup(ctx)["steps"] == 2 * (9 // 3)
    config = finetune(ctx)
    assert (config["optimizer"]["lr"], config["batch_size"], config["lr_scheduler"]["num_warmup_steps"]) == (1e-5, 3, 7)


def test_every_training_parameter_reaches_the_config():
    given = {
        "epochs": 3, "batch_size": 2, "gradient_accumulation_steps": 4, "max_steps_per_epoch": 1, "lr": 2e-5, "weight_decay": 0.5,
        "optimizer": "sgd", "lr_scheduler": "constant", "num_warmup_steps": 5, "clip_grad_norm": 0.25, "lora_rank": 3, "lora_alpha": 7.5,
        "lora_dropout": 0.125, "lora_attn_modules": ["k_proj"], "apply_lora_to_mlp": False, "prompt": "P {input}", "system_prompt": "S",
        "template_date": "2020-02-02", "max_seq_len": 99, "seed": 12, "shuffle": False, "device": "cuda", "dtype": "bf16", "compile": True,
        "enable_activation_checkpointing": True, "log_every_n_steps": 6, "train_split": "test", "dataset_type": "text_completion",
    }  # fmt: skip
    config = finetune(context(controls=given))
    assert {
        name: config["model"][name] for name in ("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp")
    } == {name: given[name] for name in ("lora_rank", "lora_alpha", "lora_dropout", "lora_attn_modules", "apply_lora_to_mlp")}
    assert config["tokenizer"] == {
        "_component_": "ckgit.workers.torchtune.components.row_renderer", "model_folder": "models/tiny", "dataset_type": "text_completion",
        "prompt": "P {input}", "system_prompt": "S", "template_date": "2020-02-02",
    }  # fmt: skip
    assert config["dataset"]["max_seq_len"] == 99
    assert config["dataset"]["shuffle_seed"] is None
    assert config["dataset"]["split"] == "test"
    assert config["optimizer"] == {"_component_": "torch.optim.SGD", "lr": 2e-5, "weight_decay": 0.5}
    assert config["lr_scheduler"] == {
        "_component_": "ckgit.workers.torchtune.components.constant_schedule_with_warmup",
        "num_warmup_steps": 5,
    }
    flat = (
        "epochs", "batch_size", "gradient_accumulation_steps", "max_steps_per_epoch", "clip_grad_norm", "seed", "shuffle", "device",
        "dtype", "compile", "enable_activation_checkpointing", "log_every_n_steps",
    )  # fmt: skip
    assert {name: config[name] for name in flat} == {name: given[name] for name in flat}


def test_the_script_names_recipe_and_digests():
    gpus = {"compute": {"training": {"gpus": 4}}, "controls": {"device": "cuda"}}
    for design, command in (
        ({}, "--recipe=ckgit/workers/torchtune/lora_single_device.py --epochs=1"),
        ({"controls": {"device": "cuda"}}, "--recipe=ckgit/workers/torchtune/lora_single_device.py --epochs=1"),
        ({"controls": {"method": "full"}}, "--recipe=full_finetune_single_device --epochs=1"),
        (gpus, "--recipe=lora_finetune_distributed --epochs=1 --model=models/tiny --processes=4"),
    ):
        ctx = context(**design)
        files = worker.scaffold(ctx)
        script = files[f"{FOLDER}/finetune.slurm"].decode()
        assert command in script.replace(" \\\n  ", " ")
        for path in (f"{FOLDER}/finetune.yaml", f"{FOLDER}/setup_finetune.yaml"):
            assert f"{hashlib.sha256(files[path]).hexdigest()}  {path}" in script
        assert f"{ctx.summary.recorded.data['words'].sha256}  {DATA}" in script
        assert "  models/tiny/model.safetensors" in script


def test_the_rows_of_each_task_are_listed_with_the_prompts_they_are_asked_with():
    ctx = context(
        controls={"prompt": "Say {input}"},
        evaluation={
            "tasks": [{"name": "same"}, {"name": "own", "split": "train", "limit": 2, "prompt": "Ask {input}", "system_prompt": "S"}]
        },
    )
    same, own = setup(ctx)["evaluated_rows"]
    assert (same["task"], same["split"], same["limit"], same["prompt"], same["system_prompt"]) == ("same", "test", None, "Say {input}", "")
    assert (own["split"], own["limit"], own["prompt"], own["system_prompt"]) == ("train", 2, "Ask {input}", "S")


@pytest.mark.parametrize(
    "design",
    [
        {},
        {"controls": {"method": "full", "lr_scheduler": "constant", "optimizer": "sgd", "clip_grad_norm": 1.0}},
        {"controls": {"device": "cuda", "dtype": "bf16"}, "compute": {"training": {"gpus": 2}}},
        {"cards": (card(family="gemma", architecture={"hidden_act": "gelu_pytorch_tanh"}),)},
    ],
    ids=["lora", "full", "distributed", "gemma"],
)
def test_tune_validate_passes(tmp_path, monkeypatch, capsys, design):
    from torchtune._cli.tune import main  # in this process: each one of its own would import torch anew

    path = tmp_path / "finetune.yaml"
    path.write_bytes(worker.scaffold(context(**design))[f"{FOLDER}/finetune.yaml"])
    monkeypatch.setattr(sys, "argv", ["tune", "validate", str(path)])
    main()
    assert capsys.readouterr().out.strip() == "Config is well-formed!"


def test_importing_the_worker_imports_no_framework():
    code = "import ckgit.workers.torchtune, json, sys; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert not {"torch", "torchtune", "transformers", "omegaconf", "ckgit.workers.torchtune.config"} & set(modules)
