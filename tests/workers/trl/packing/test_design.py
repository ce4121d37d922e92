"""What is said of packed rows before a job runs, without a framework."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ckgit.experiment.checks.messages import findings
from ckgit.experiment.jobs import Batch
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from ckgit.workers.training.design.counted import warmup_of
from ckgit.workers.trl import worker
from ckgit.workers.trl.design.parameters import TrlParameters
from tests.workers import designs

# Rows of the small tokenizer are about 26 tokens long by their characters, and three of them make a sequence.
PACKED = {"packing_length": 80, "batch_size": 1}


def context(**design: Any) -> Context:
    recorded = designs.context().summary.recorded.model_dump(mode="json")["data"]
    recorded["words"] |= {"mean": {"train": 10.0, "test": 10.0}, "longest": {"train": 10, "test": 10}}
    return designs.context(tools={"preparation": "trl"}, recorded={"data": recorded}, **design)


def problems(**design: Any) -> list[str]:
    return [problem.message for problem in worker.check(context(**design))]


def finetune(**controls: Any) -> Any:
    return read_yaml(worker.scaffold(context(controls=controls))["experiments/capital/run/finetune.yaml"].decode()).value


@pytest.mark.parametrize(("ratio", "steps"), [(0.07, 100), (0.1, 30), (0.29, 100), (0.3, 10), (0.5, 7)])
def test_a_warm_up_has_as_many_steps_as_the_trainer_makes_of_the_share(ratio: float, steps: int) -> None:
    from transformers import TrainingArguments

    made = TrainingArguments(output_dir="none", warmup_steps=ratio, use_cpu=True).get_warmup_steps(steps)
    assert warmup_of({**PACKED, "warmup_ratio": ratio}.get, steps) == made


def test_trl_is_told_by_its_own_names_to_pack_whole_rows() -> None:
    plain, packed = finetune(batch_size=1), finetune(**PACKED, warmup_ratio=0.1, lr_scheduler="constant", validation_split="test")
    names = ("max_length", "packing", "packing_strategy", "eval_packing", "padding_free", "dataset_kwargs", "per_device_eval_batch_size")
    assert [packed.get(name) for name in names] == [80, True, "bfd", True, False, None, 1]
    assert [plain.get(name) for name in names] == [None, False, None, None, False, {"skip_prepare_dataset": True}, None]
    assert (packed["warmup_steps"], packed["lr_scheduler_type"]) == (0.1, "constant_with_warmup")
    files = worker.scaffold(context(controls=PACKED))
    assert read_yaml(files["experiments/capital/run/rows.yaml"].decode()).value["packing_length"] == 80
    assert "packing_length" not in worker.scaffold(context())["experiments/capital/run/rows.yaml"].decode()


def test_a_design_says_about_how_many_steps_there_are() -> None:
    ctx = context(controls={**PACKED, "epochs": 2})
    found = worker.steps(ctx, ctx.plan.run("run"))
    assert found
    assert (found.rows, found.per_epoch, found.total, found.about) == (9, 3, 6, True)
    plain = context(controls={"batch_size": 3, "epochs": 2})
    assert worker.steps(plain, plain.plan.run("run")) == (9, 3, 6, False, False)
    more = context(controls={**PACKED, "packing_length": 8000, "batch_size": 9})
    one, other = (worker.estimate(each, each.plan.run("run")) for each in (plain, more))
    assert other.memory > 20 * one.memory  # each of its sequences may have so many tokens


def test_what_packed_rows_cannot_be_trained_with_is_a_problem_of_the_design() -> None:
    assert problems(controls=PACKED) == []
    gpus = {"compute": {"training": {"gpus": 2}}}
    assert problems(controls={**PACKED, "device": "cuda"}, **gpus) == []
    [sharding] = problems(controls={**PACKED, "device": "cuda", "sharding": "fsdp"}, **gpus)
    assert sharding == (
        "run run: packing_length does not go with sharding: fsdp: before the first step each job tries whether packed rows see each other, "
        "and no process has the whole model to try it with; leave one of them out"
    )
    [compiled] = problems(controls={**PACKED, "compile": True})
    assert "packing_length does not go with compile: true: whether packed rows see each other is tried with the model as it is" in compiled
    [noise] = problems(controls={**PACKED, "trl": {"neftune_noise_alpha": 5}})
    assert "packing_length does not go with trl.neftune_noise_alpha: its noise is scaled by the length of a row" in noise
    dpo = [each for each in problems(controls={**PACKED, "objective": "dpo", "lr": 1e-5}) if "packing_length" in each]
    why = "TRL packs answers, and a preference is two of them that are compared row by row"
    assert dpo == [f"run run: packing_length does not go with objective: dpo: {why}; leave one of them out"]


def test_what_no_packing_could_make_long_enough_is_a_problem_of_the_design() -> None:
    assert problems(controls={**PACKED, "log_every_n_steps": 9}) == []
    [interval] = problems(controls={**PACKED, "log_every_n_steps": 10})
    assert interval == "run run: log_every_n_steps is 10, but training takes at most 9 steps: its log would hold no loss"
    [decay] = problems(controls={**PACKED, "lr_scheduler": "warmup_stable_decay", "num_decay_steps": 9, "num_warmup_steps": 1})
    assert decay.endswith("is more than the at most 9 steps of the training; write fewer")


def refused(**document: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TrlParameters.model_validate(document, strict=False)
    [(_, message)] = findings(caught.value, TrlParameters, document)
    return message


@pytest.mark.parametrize("name", ["packing", "packing_strategy", "padding_free", "eval_packing"])
def test_trls_own_names_are_not_passed_on_but_said_with_ours(name: str) -> None:
    assert refused(trl={name: True}) == (
        f"{name} is not passed on: packing_length packs whole rows into sequences of so many tokens, by best fit decreasing"
    )


def test_another_trainer_has_no_such_parameter() -> None:
    with pytest.raises(ValidationError) as caught:
        TorchtuneParameters.model_validate({"packing_length": 80}, strict=False)
    [(_, message)] = findings(caught.value, TorchtuneParameters, {"packing_length": 80})
    assert message.startswith("packing_length is a parameter of trl, and not of the tool that the design names; leave it out, or ")


def test_runs_that_are_packed_are_held_against_others_by_sequences() -> None:
    ctx = context(controls={**PACKED, "batch_size": 2, "epochs": 4})
    told = {fact.name: fact.value for fact in worker.facts(ctx, ctx.plan.run("run"))}
    assert told["rows of an optimizer step"] == "2 sequences of 80 tokens"
    assert told["optimizer steps"] == 8
    assert [fact.name for fact in worker.facts(ctx, ctx.plan.run("run")) if fact.steps_about] == ["optimizer steps"]
    assert told["rows seen in training"] == 36


def test_a_starved_job_gets_half_the_sequences_and_other_processes_are_refused() -> None:
    ctx = context(controls={**PACKED, "batch_size": 4})
    [job] = worker.jobs(ctx)
    assert worker.batch(ctx, job, None, gpus=None, starved=True) == Batch(batch_size=2, gradient_accumulation_steps=2)
    sizes = {"batch_size": 4, "gradient_accumulation_steps": 2}
    two = context(controls={**PACKED, **sizes, "device": "cuda"}, compute={"training": {"gpus": 2}})
    for gpus, starved in ((1, False), (4, False), (None, True)):
        with pytest.raises(ValueError, match="its processes train on some rows twice to be equally long, and these would be others"):
            worker.batch(two, job, None, gpus=gpus, starved=starved)
    assert worker.batch(two, job, None, gpus=2, starved=False) is None
