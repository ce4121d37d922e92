"""What is said of a training before it runs, without a framework."""

import json

import pytest
from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.checks.messages import findings
from ckgit.experiment.checks.problems import problems as design_problems
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.jobs import Batch
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers import installed
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from ckgit.workers.training.design.counted import warmup_steps
from ckgit.workers.trl import worker
from ckgit.workers.trl.design.parameters import TrlParameters
from ckgit.workers.trl.design.steps import RowSteps
from tests.workers import designs
from tests.workers.designs import card


def context(**design):
    return designs.context(tools={"preparation": "trl"}, **design)


def finetune(**controls):
    return read_yaml(worker.scaffold(context(controls=controls))["experiments/capital/run/finetune.yaml"].decode()).value


def problems(**design):
    return [problem.message for problem in worker.check(context(**design))]


@pytest.mark.parametrize(("rows", "step_rows", "steps"), [(24, 16, 2), (24, 5, 5), (24, 24, 1), (24, 100, 1), (9, 4, 3)])
def test_a_rest_of_the_rows_makes_a_step(rows, step_rows, steps):
    """As TRL took them, measured; torchtune leaves a rest out."""
    assert RowSteps(rows, 2, step_rows).total == 2 * steps


def test_a_starved_job_gets_half_the_batch_and_sees_the_same_rows_at_each_step():
    ctx = context(controls={"batch_size": 4})
    [job] = worker.jobs(ctx)
    batch = worker.batch(ctx, job, None, gpus=None, starved=True)
    assert batch == Batch(batch_size=2, gradient_accumulation_steps=2)
    assert worker.batch(ctx, job, batch, gpus=None, starved=False) == batch
    divided = ctx._replace(plan=worker.with_batch(ctx.plan, "run", batch))
    assert worker.steps(divided, divided.plan.run("run")) == worker.steps(ctx, ctx.plan.run("run"))
    odd = context(controls={"batch_size": 3})
    with pytest.raises(ValueError, match="batch_size 3 cannot be halved"):
        worker.batch(odd, job, None, gpus=None, starved=True)


def refused(parameters, **document):
    with pytest.raises(ValidationError) as caught:
        parameters.model_validate(document, strict=False)
    [(_, message)] = findings(caught.value, parameters, document)
    return message


def test_a_parameter_that_another_trainer_has_is_refused_by_its_name():
    other = "max_steps_per_epoch is a parameter of torchtune, and not of the tool that the design names; leave it out, or write tools: "
    assert refused(TrlParameters, max_steps_per_epoch=3).startswith(other)
    assert refused(TorchtuneParameters, lora_target_modules=["q_proj"]) == (
        "lora_target_modules is a parameter of trl, and not of the tool that the design names; did you mean lora_attn_modules?"
    )


def test_what_trl_calls_otherwise_or_cannot_do_is_told():
    assert refused(TrlParameters, learning_rate=1e-4) == "unknown key learning_rate: did you mean lr?"
    for name in ("packing", "packed", "sample_packing", "padding_free", "packing_strategy"):
        said = f"{name} is not supported: write packing_length: N, the length in tokens of a sequence of whole rows"
        assert refused(TrlParameters, **{name: True}) == said
    assert refused(TrlParameters, lr_scheduler="constant_with_warmup").endswith("did you mean constant?")
    assert "it takes the same steps as Adam" in refused(TrlParameters, optimizer="adam").replace("with weight_decay: 0 ", "")


def test_what_cannot_be_trained_is_a_problem_of_the_design():
    assert problems() == []
    [lm_head] = problems(controls={"lora_target_modules": ["lm_head"]})
    assert lm_head == "run run: TRL computes the loss from lm_head itself, so LoRA on it would never be trained; leave it out"
    [template] = problems(cards=(card(template=None),))
    assert "has no chat template; a base model is trained with dataset_type: text_completion" in template
    [interval] = problems(controls={"batch_size": 3, "log_every_n_steps": 4})
    assert interval == "run run: log_every_n_steps is 4, but training takes 3 steps: its log would hold no loss"


def test_processes_that_cannot_be_are_a_problem_of_the_design():
    two = {"compute": {"training": {"gpus": 2}}}
    assert problems(**two, controls={"device": "cuda", "sharding": "fsdp"}) == []
    [cpu] = problems(**two)
    assert cpu == "run run: several processes train together on GPUs; with device: cpu, leave compute.training.gpus out"
    [alike] = problems(controls={"device": "cuda"}, compute={"training": {"gpus": 3, "nodes": 2}})
    assert alike == "run run: 2 nodes cannot share 3 GPUs alike; compute.training.gpus counts those of all"
    [alone] = problems(controls={"device": "cuda", "sharding": "fsdp"})
    assert alone.startswith("run run: sharding: fsdp shares the model among several GPUs, and there is one; give compute.training.gpus")
    assert (
        "sharding: fsdp shares the model among several GPUs, and device: cpu has none" in problems(**two, controls={"sharding": "fsdp"})[1]
    )


def test_several_nodes_each_run_the_command_and_its_processes_share_the_model_by_name():
    training = {"gpus": 8, "nodes": 2, "cpus_per_task": 16}
    files = worker.scaffold(context(controls={"device": "cuda", "dtype": "bf16", "sharding": "fsdp"}, compute={"training": training}))
    script = files["experiments/capital/run/finetune.slurm"].decode()
    for line in ("--nodes=2", "--ntasks=2", "--cpus-per-task=16", "--gpus-per-node=4"):
        assert f"#SBATCH {line}\n" in script
    words = " ".join(script.replace("\\\n", " ").split())
    steps = "run srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=16 --kill-on-bad-exit=1 python -m ckgit.workers.job"
    assert f"{steps} --program=python --gpus=4" in words
    assert words.endswith("ckgit.workers.trl.train experiments/capital/run --processes=8 --nodes=2")
    assert 'export MASTER_ADDR="${SLURMD_NODENAME:-$(uname -n)}" MASTER_PORT=$((20000 + ${SLURM_JOB_ID:-0} % 10000))' in words
    written = read_yaml(files["experiments/capital/run/finetune.yaml"].decode()).value
    assert written["fsdp"] is True
    assert written["fsdp_config"]["state_dict_type"] == "FULL_STATE_DICT"
    assert "--processes" not in worker.scaffold(context())["experiments/capital/run/finetune.slurm"].decode()


def test_a_validation_that_would_change_what_is_trained_is_a_problem_of_the_design():
    assert problems(controls={"validation_split": "test"}) == []
    [dropout] = problems(controls={"validation_split": "test", "lora_dropout": 0.1})
    assert "with lora_dropout a validation draws from the random numbers of the training, and changes what is trained" in dropout
    [split] = problems(controls={"validation_split": "dev"})
    assert split == "run run: there is no split dev to validate on (splits: train, test)"
    [trained] = problems(controls={"validation_split": "train"})
    assert trained == "run run: split train is trained on; validate on another one"
    for name, value in {"validate_every_n_steps": 2, "keep_best": True, "early_stopping_patience": 1}.items():
        [alone] = problems(controls={name: value})
        assert alone == f"run run: {name} means nothing without validation_split, whose loss is measured"
    [never] = problems(controls={"validation_split": "test", "validate_every_n_steps": 4, "batch_size": 3})
    assert never == "run run: validate_every_n_steps is 4, but training takes 3 steps: nothing would be measured"


STOPPING = {"validation_split": "test", "epochs": 3, "early_stopping_patience": 2}


def test_a_training_that_may_stop_early_leaves_the_last_and_the_best_for_certain_and_no_epoch():
    ctx = context(controls={**STOPPING, "keep_best": True})
    assert worker.check(ctx) == []
    run = ctx.plan.run("run")
    assert [each.name for each in run.checkpoints] == ["best", "last"]
    assert [cell.name for cell in ctx.plan.cells] == ["capitalization_last"]
    steps = worker.steps(ctx, run)
    assert (steps.total, steps.at_most) == (9, True)
    assert "TRL's command cannot stop early" in worker.scaffold(ctx)["experiments/capital/run/finetune.yaml"].decode()
    for epochs in ("all", [0]):
        found = problems(controls=STOPPING, evaluation={"tasks": [{"name": "capitalization"}], "matrix": [{"epochs": epochs}]})
        assert found == ["run run may stop early, so nobody knows which epochs it will have: write epochs: last, or best with keep_best"]


def test_an_epoch_of_a_training_that_may_stop_early_is_a_problem_of_the_design_before_any_worker_is_asked():
    ctx = context(controls=STOPPING, evaluation={"tasks": [{"name": "capitalization"}], "matrix": [{"epochs": [0]}]})
    [epoch] = [problem.message for problem in design_problems(ctx.summary)]
    assert epoch == "epoch 0 of run run is not certain to be there; write epochs: last"


def test_a_patience_that_is_never_exhausted_and_a_threshold_without_one_are_problems():
    [never] = problems(controls={**STOPPING, "early_stopping_patience": 3})
    assert never == "run run: early_stopping_patience is 3, but there are 3 measurements: training could never stop early"
    values = {"lr_scheduler": "cosine", "method": "full"}
    assert TrlParameters.unused(values)["early_stopping_threshold"] == "early_stopping_patience"
    assert "early_stopping_threshold" not in TrlParameters.unused(values | {"early_stopping_patience": 1})
    [alone] = [problem.message for problem in design_problems(context(controls={"early_stopping_threshold": 0.1}).summary)]
    assert alone == "early_stopping_threshold means nothing without early_stopping_patience"


def test_the_estimate_counts_what_a_training_goes_on_from_and_each_checkpoint_that_is_kept():
    """A model of 361,728 weights in four bytes each, of which full fine-tuning keeps two numbers more for each."""

    def guess(**controls):
        ctx = context(controls={"method": "full", "epochs": 3, **controls})
        return worker.estimate(ctx, ctx.plan.run("run"))

    model = 361_728 * 4
    assert guess().disk == (3 + 3 + 2 * 3) * model  # folders, what they are made of, and two states
    assert guess(validation_split="test", keep_best=True).disk == guess().disk + 2 * model
    assert guess(validation_split="test", early_stopping_patience=1).disk == (1 + 1 + 2 * 3) * model
    assert guess(optimizer="sgd").disk == guess().disk - 4 * model
    assert guess(save_every_n_steps=1).disk == guess().disk
    assert guess(save_every_n_steps=1).seconds > guess().seconds
    assert guess(method="lora").disk < guess().disk


def test_runs_that_stop_otherwise_are_made_from_something_else():
    def made(**controls):
        ctx = context(controls={**STOPPING, **controls})
        return worker.made_from(ctx, worker.jobs(ctx)[0], lambda _: None)

    for changed in ({"early_stopping_patience": 1}, {"early_stopping_threshold": 0.1}, {"keep_best": True}):
        assert made() != made(**changed)
    ctx = context(controls=STOPPING)
    files = worker.scaffold(ctx)
    other = context(controls={**STOPPING, "early_stopping_patience": 1})
    assert made() == worker.made_from(other, worker.jobs(other)[0], files.get)  # of what was scaffolded, not of what would be now


def test_families_that_torchtune_does_not_build_are_not_refused():
    other = card(family="qwen3", model_type="qwen3")
    assert worker.refuses(other) == ()
    assert problems(cards=(other,)) == []


# Its defaults as TRL 1.16.0 has them, which would train something else, or that are as they should be today only.
SILENT = (
    *("bf16", "gradient_checkpointing", "max_length", "max_grad_norm", "optim", "weight_decay", "lr_scheduler_type", "logging_steps"),
    *("save_strategy", "dataloader_drop_last", "seed", "data_seed", "logging_nan_inf_filter", "restore_callback_states_from_checkpoint"),
)


def test_every_default_that_matters_is_written_out():
    written = finetune()
    assert [name for name in SILENT if name not in written] == []
    assert (written["bf16"], written["max_length"]) == (False, None)
    assert b"\nmax_grad_norm: .inf\n" in worker.scaffold(context())["experiments/capital/run/finetune.yaml"]
    assert finetune(dtype="bf16", clip_grad_norm=2)["bf16"] is True
    assert finetune(clip_grad_norm=2)["max_grad_norm"] == 2


def test_a_constant_rate_with_a_warm_up_is_a_schedule_that_has_one():
    assert finetune(lr_scheduler="constant")["lr_scheduler_type"] == "constant"
    assert finetune(lr_scheduler="constant", num_warmup_steps=2)["lr_scheduler_type"] == "constant_with_warmup"


SCHEDULES = [
    *({"lr_scheduler": name} for name in ("cosine", "constant", "linear", "polynomial", "inverse_sqrt")),
    {"lr_scheduler": "cosine_with_restarts", "num_cycles": 2},
    {"lr_scheduler": "cosine_with_min_lr", "min_lr": 1e-4},
    {"lr_scheduler": "warmup_stable_decay", "num_decay_steps": 3},
]


@pytest.mark.parametrize("controls", SCHEDULES, ids=lambda controls: controls["lr_scheduler"])
def test_every_schedule_begins_with_the_warm_up_and_takes_what_it_is_told(controls):
    """transformers makes it as TRL does, of what is written: an argument that it does not take is an error."""
    import torch
    from transformers import get_scheduler

    written = finetune(**controls, num_warmup_steps=4)
    arguments = json.loads(written.get("lr_scheduler_kwargs", "{}"))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=written["learning_rate"])
    made = get_scheduler(
        written["lr_scheduler_type"], optimizer, written["warmup_steps"], num_training_steps=10, scheduler_specific_kwargs=arguments
    )
    rates = []
    for _ in range(10):
        rates.append(made.get_last_lr()[0])
        optimizer.step()
        made.step()
    assert rates[:5] == pytest.approx([0, 7.5e-5, 1.5e-4, 2.25e-4, 3e-4])
    assert (rates[-1] == rates[4]) == (controls["lr_scheduler"] == "constant")
    assert made.get_last_lr()[0] >= controls.get("min_lr", 0)


PLATEAU = {"lr_scheduler": "reduce_lr_on_plateau", "plateau_factor": 0.5, "plateau_patience": 0}
MEASURED = {"validation_split": "test", "epochs": 3}


def test_a_rate_that_falls_with_the_validation_loss_takes_what_it_is_told():
    import torch
    from transformers import get_scheduler

    written = finetune(**PLATEAU, **MEASURED)
    assert (written["lr_scheduler_type"], written["warmup_steps"]) == ("reduce_lr_on_plateau", 0)
    assert (written["metric_for_best_model"], written["greater_is_better"]) == ("eval_loss", False)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    made = get_scheduler("reduce_lr_on_plateau", optimizer, scheduler_specific_kwargs=json.loads(written["lr_scheduler_kwargs"]))
    rates = []
    for loss in (3, 2, 2, 1):
        made.step(loss)
        rates.append(made.get_last_lr()[0])
    assert rates == [0.5, 0.5, 0.25, 0.25]


def test_a_rate_that_falls_with_the_validation_loss_needs_one_and_has_no_warm_up():
    assert problems(controls=PLATEAU | MEASURED) == []
    [split] = problems(controls=PLATEAU)
    assert split == "run run: lr_scheduler reduce_lr_on_plateau looks at the validation loss; give validation_split"
    [never] = problems(controls=PLATEAU | MEASURED | {"plateau_patience": 1})
    assert never == "run run: plateau_patience is 1, but there are 3 measurements: the rate could never fall"
    for warm in ({"num_warmup_steps": 2}, {"warmup_ratio": 0.1}):
        [ignored] = [problem.message for problem in design_problems(context(controls=PLATEAU | MEASURED | warm).summary)]
        assert ignored == f"{next(iter(warm))} means nothing with lr_scheduler: reduce_lr_on_plateau"


def test_a_warm_up_is_a_share_of_the_steps_or_a_number_and_not_both():
    def warmup(**controls):
        return finetune(batch_size=3, epochs=10, **controls)["warmup_steps"]

    assert [warmup(warmup_ratio=share) for share in (0.1, 0.07, 0.01)] == [3, 3, 1]  # of 30 steps
    assert warmup_steps(context(controls={"warmup_ratio": 0.07}).plan.run("run"), 100) == 7  # as floating point 7.000000000000001
    assert finetune(lr_scheduler="constant", warmup_ratio=0.1)["lr_scheduler_type"] == "constant_with_warmup"
    both = context(controls={"warmup_ratio": 0.1, "num_warmup_steps": 2})
    [said] = [problem.message for problem in design_problems(both.summary)]
    assert said == "num_warmup_steps means nothing with warmup_ratio: 0.1"
    long = context(controls={"warmup_ratio": 0.9, "batch_size": 1, "epochs": 2})
    assert worker.estimate(long, long.plan.run("run")).doubts == ("warm-up takes 17 of 18 steps, so lr is hardly reached",)


def test_a_rate_that_would_not_fall_as_it_says_is_a_problem():
    [low] = problems(controls={"lr_scheduler": "cosine_with_min_lr", "min_lr": 0.5, "lr": 0.1})
    assert low == "run run: min_lr 0.5 is not below lr 0.1, so the rate would not fall; write a lower one"
    decay = {"lr_scheduler": "warmup_stable_decay", "batch_size": 3, "num_warmup_steps": 1}
    assert problems(controls=decay | {"num_decay_steps": 2}) == []
    [long] = problems(controls=decay | {"num_decay_steps": 3})
    assert long == "run run: num_decay_steps 3 with a warm-up of 1 is more than the 3 steps of the training; write fewer"


def test_a_schedule_without_what_it_needs_or_with_what_is_anothers_is_a_problem():
    assert problems(controls={"lr_scheduler": "warmup_stable_decay"}) == ["run run: lr_scheduler warmup_stable_decay needs num_decay_steps"]
    assert TrlParameters.unused({"lr_scheduler": "cosine", "method": "full"})["min_lr"] == "lr_scheduler"


def test_modules_are_those_of_the_models_code():
    assert finetune()["lora_target_modules"] == ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert finetune(apply_lora_to_mlp=False, lora_attn_modules=["k_proj"])["lora_target_modules"] == ["k_proj"]
    assert finetune(lora_target_modules=["all-linear"])["lora_target_modules"] == ["all-linear"]


def test_what_a_training_is_made_from_has_how_its_rows_are_rendered_and_not_what_tasks_ask():
    def made(**design):
        ctx = context(**design)
        return worker.made_from(ctx, worker.jobs(ctx)[0], lambda _: None)

    assert made() == made(evaluation={"tasks": [{"name": "capitalization", "prompt": "Ask {input}"}]})
    for changed in ({"prompt": "Say {input}"}, {"lr": 0.1}, {"max_samples": 3}):
        assert made() != made(controls=changed)
    ctx = context()
    assert set(worker.renders(ctx, worker.jobs(ctx)[0])) == worker.scaffold(ctx).keys()


def test_its_job_finds_no_torchao_and_wants_the_versions_of_its_own_extra():
    script = worker.scaffold(context())["experiments/capital/run/finetune.slurm"].decode()
    assert "--extra=trl" in script
    assert "--hide=torchao" in script


def test_where_it_is_not_installed_its_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(installed, "_is_there", lambda module: module not in ("trl", "peft"))
    ctx = context()._replace(cluster=Cluster(scheduler="local"))
    with pytest.raises(CkgitError, match="need trl, peft, which this installation of ckgit does not have") as caught:
        worker.ready(ctx, worker.jobs(ctx)[0], tmp_path)
    assert caught.value.code is Exit.TOOL_MISSING
    assert 'pip install "ckgit[trl]"' in caught.value.next
