"""What is said of a training on preferences before it runs, without a framework."""

import math

import pytest

from ckgit.experiment.jobs import Batch
from ckgit.experiment.results import ACCURACIES, CHOSEN, MARGINS, REJECTED, LossPoint
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.torchtune import worker as torchtune
from ckgit.workers.trl import worker
from ckgit.workers.trl.design.parameters import TrlParameters
from ckgit.workers.trl.outputs.rewards import check_reference, check_rewards
from tests.workers.trl.preferences import LETTERS, preferences
from tests.workers.trl.test_design import refused

LOSS = math.log(2)  # before the first step
COLUMNS = {"input_column": "prompt", "output_column": "chosen"}


def problems(**design):
    return [problem.message for problem in worker.check(preferences(**design))]


def finetune(**controls):
    return read_yaml(worker.scaffold(preferences(controls=controls))["experiments/capital/run/finetune.yaml"].decode()).value


def test_a_design_of_pairs_is_sound():
    assert problems() == []
    assert problems(data={**COLUMNS, "rejected_column": "rejected"}) == []


def test_one_answer_of_two_is_trained_only_where_the_design_says_which():
    both = "have a chosen and a rejected answer, and one is trained; for that, "
    [which] = problems(controls={"objective": "sft"})
    assert f"pairs {both}name its column: output_column: chosen, with input_column: prompt; objective: dpo, of a trainer" in which
    assert problems(data=COLUMNS, controls={"objective": "sft"}) == []
    [left_out] = problems(data={**COLUMNS, "rejected_column": "rejected"}, controls={"objective": "sft"})
    assert f"{both}leave rejected_column out" in left_out
    assert which in [problem.message for problem in torchtune.check(preferences(controls={"objective": "sft"}))]


def test_one_answer_is_no_preference():
    [one] = problems(data=COLUMNS)
    assert one.startswith("run run: dpo trains an answer against a worse one, and rows of data pairs have one answer; name the column of")


def test_what_trl_would_leave_out_or_weigh_otherwise_is_told():
    [dropout] = problems(controls={"lora_dropout": 0.1})
    assert "TRL would leave it out without a word; leave it out" in dropout
    [uneven] = problems(controls={"batch_size": 2, "gradient_accumulation_steps": 3})
    assert uneven.startswith("run run: the last step of an epoch has 3 pairs in batches of 2 and a rest, and TRL counts batches alike")
    assert problems(controls={"batch_size": 3, "gradient_accumulation_steps": 2}) == []
    ctx = preferences(controls={"lr": None})
    [rate] = worker.check(ctx)
    assert rate.warning
    assert "lr is ckgit's default of 0.0003, made for answers; dpo is mostly trained at 1e-6 to 5e-5" in rate.message


def test_several_gpus_are_refused():
    [several] = problems(controls={"device": "cuda"}, compute={"training": {"gpus": 2}})
    assert several.endswith("dpo trains on one device here: that several come to the same was not shown; write compute.training.gpus: 1")


def test_a_starved_job_gets_smaller_batches_only_where_pairs_weigh_the_same():
    ctx = preferences()
    [job] = worker.jobs(ctx)
    assert worker.batch(ctx, job, None, gpus=None, starved=True) == Batch(batch_size=2, gradient_accumulation_steps=2)
    rows = [{"prompt": word, "chosen": word.upper(), "rejected": word} for word in (*LETTERS, "jelly", "kettle")]
    rest = preferences({"train": rows})
    with pytest.raises(ValueError, match="with batch_size 2 the pairs of an epoch's last step would weigh otherwise"):
        worker.batch(rest, job, None, gpus=None, starved=True)


def test_beta_means_nothing_to_other_objectives_and_other_names_are_told():
    assert TrlParameters.unused({"lr_scheduler": "cosine", "method": "full", "objective": "sft"})["beta"] == "objective"
    assert "beta" not in TrlParameters.unused({"lr_scheduler": "cosine", "method": "full", "objective": "dpo"})
    assert preferences(controls={"objective": "sft"}).plan.run("run")["beta"] is None
    assert refused(TrlParameters, dpo_beta=0.2) == "unknown key dpo_beta: did you mean beta?"
    assert refused(TrlParameters, method="dpo").endswith("DPO is no method but what is trained for: write objective: dpo, with any method")
    assert refused(TrlParameters, objective="orpo").endswith("dpo is what can be trained on preferences")
    assert refused(TrlParameters, loss_type="ipo").startswith("loss_type is not supported: write objective: dpo")


# As TRL 1.16.0 has them, which would train something else, or that are as they should be today only.
SILENT = ("max_length", "disable_dropout", "loss_type", "beta", "f_divergence_type", "sync_ref_model", "precompute_ref_log_probs")


def test_every_default_that_matters_is_written_out():
    written = finetune(beta=0.3)
    assert [name for name in SILENT if name not in written] == []
    assert (written["beta"], written["loss_type"], written["max_length"], written["bf16"]) == (0.3, ["sigmoid"], None, False)
    assert not {"dataset_kwargs", "packing", "shuffle_dataset"} & written.keys()  # TRL knows them of answers alone


def test_an_estimate_counts_both_answers_and_the_reference():
    def estimated(**design):
        ctx = preferences(**design)
        return worker.estimate(ctx, ctx.plan.run("run"))

    one = {"objective": "sft", "batch_size": 8}
    pairs, answers = estimated(), estimated(data=COLUMNS, controls=one)
    assert pairs.seconds > answers.seconds
    assert pairs.memory == answers.memory  # with twice as many of them in a batch
    full, other = (estimated(controls={"method": "full"}), estimated(data=COLUMNS, controls={**one, "method": "full"}))
    assert full.memory - other.memory == 361_728 * 4  # the model as it was


def test_what_a_training_is_made_from_has_its_objective():
    def made(**controls):
        ctx = preferences(controls=controls)
        return worker.made_from(ctx, worker.jobs(ctx)[0], lambda _: None)

    assert made() != made(beta=0.2)
    assert made()["objective"] == '"dpo"'


def point(step=1, loss=LOSS, **lacking):
    return LossPoint(step=step, loss=loss, metrics={name: 0.0 for name in (MARGINS, ACCURACIES, CHOSEN, REJECTED) if name not in lacking})


def test_a_log_without_rewards_or_of_another_reference_is_none_of_this_training():
    run = preferences().plan.run("run")
    check_rewards(run, "training.jsonl", [point()])
    check_reference(run, [point()])
    check_reference(run, [point(step=2, loss=0.1)])  # by then it has learned
    with pytest.raises(ValueError, match=r"run run: training\.jsonl shows no rewards/margins at step 1"):
        check_rewards(run, "training.jsonl", [point(**{MARGINS: True})])
    with pytest.raises(ValueError, match=r"the loss is 0\.8000 at step 1, where it is 0\.6931 if the reference is the model that was"):
        check_reference(run, [point(loss=0.8)])
