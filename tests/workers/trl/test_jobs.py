"""Real jobs: scripts as scaffolded, TRL and PEFT as installed, a tiny Llama with random weights."""

import json
import shutil
from pathlib import Path

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.training.outputs.codes import DIVERGED, ROWS_REFUSED
from ckgit.workers.trl import worker
from ckgit.workers.trl.outputs.log import LOG_NAME
from tests.workers.designs import WORDS
from tests.workers.trl.jobs import ARTIFACTS, RUN, STOCK, TOKEN, Trained, make_tree, python

pytestmark = pytest.mark.slow
DESIGNS = {
    "lora": {"controls": {"batch_size": 4, "epochs": 2, "lora_rank": 4, "lora_dropout": 0.1, "num_warmup_steps": 2}},
    "full": {"controls": {"method": "full", "batch_size": 2, "gradient_accumulation_steps": 2, "lr_scheduler": "linear", "shuffle": False}},
    "dora": {"controls": {"method": "dora", "batch_size": 9, "epochs": 2, "dtype": "bf16", "dataset_type": "text_completion"}},
}
PACKED = {"controls": {"batch_size": 2, "epochs": 2, "lora_rank": 4, "packing_length": 30, "validation_split": "test", "warmup_ratio": 0.3}}
OWN_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture(scope="module")
def train(tmp_path_factory, random_model, run_script, run_warm):
    """`train(design)`: scaffold it, run its script; once for each design. The first one in a Python that it starts itself."""
    done = {}

    def start(design, words=WORDS):
        key = json.dumps((design, words))
        if key not in done:
            work = tmp_path_factory.mktemp("work")
            ctx = make_tree(work, random_model, design, words)
            [job] = worker.jobs(ctx)
            assert worker.ready(ctx, job, work) == []
            run = run_script if design == DESIGNS["lora"] else run_warm
            done[key] = Trained(ctx, work, run(work, job.script, TOKEN))
        return done[key]

    return start


@pytest.fixture(scope="module", params=DESIGNS)
def trained(request, train):
    return train(DESIGNS[request.param])


@pytest.fixture(scope="module")
def lora(train):
    return train(DESIGNS["lora"])


def test_a_job_leaves_evidence_from_which_its_result_is_read_again(trained):
    assert trained.code == 0, trained.output()
    evidence = trained.evidence()
    assert evidence.reasons == []
    names = ("checkpoints.json", "merged.json", "starts.json", "tokens.json", "training.jsonl", "versions.json")
    assert sorted(evidence.files) == [f"{RUN}/{name}" for name in names]
    (result,) = evidence.results
    (again,) = worker.results(trained.context, trained.job, trained.attempt, evidence.files)
    assert again.model_copy(update={"seconds": 0}) == result.model_copy(update={"seconds": 0})
    parameters = trained.context.plan.run("run")
    assert [point.epoch for point in result.checkpoints] == list(range(parameters["epochs"]))
    assert result.tokens["train"].rows == 9
    assert result.tokens["capitalization"].rows == 3
    assert (result.versions["trl"], result.versions["peft"]) == ("1.16.0", "0.21.2")
    assert len(result.own["merged_by"]) == (0 if parameters["method"] == "full" else parameters["epochs"])
    progress = worker.progress(trained.context, trained.job, trained.work, trained.output())
    assert progress.step == progress.steps == result.steps == {4: 6, 2: 3, 9: 2}[parameters["batch_size"]]


def test_every_row_is_trained_on_in_each_epoch_and_its_tokens_are_counted(trained):
    """The rest of the rows makes a step of its own: 9 rows, four a step, are three steps. torchtune leaves such a rest out."""
    (result,) = trained.evidence().results
    answers = sum(len(row["output"]) + 1 for row in WORDS["train"])  # of single bytes, and the end of turn
    assert result.tokens_seen == answers * trained.context.plan.run("run")["epochs"]
    assert {*result.losses[0].metrics} == {"tokens", "grad_norm", "accuracy"}


def test_what_is_evaluated_has_the_models_own_configuration_tokenizer_and_template(trained):
    """TRL's own are not the model's: it writes `use_cache`, padding and a template of its own, where it does not keep them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for folder in sorted((trained.work / ARTIFACTS).glob("epoch_*")):
        for name in OWN_FILES:
            assert (folder / name).read_bytes() == (trained.work / "models/tiny" / name).read_bytes()
        assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 300_000
        assert AutoTokenizer.from_pretrained(folder).chat_template


def test_nothing_that_is_left_can_execute_or_tells_of_the_machine(trained):
    left = [path for path in (trained.work / ARTIFACTS).rglob("*") if path.is_file()]
    assert {path.suffix for path in left} <= {".json", ".jsonl", ".safetensors", ".jinja"}
    configs = [json.loads(path.read_bytes()) for path in left if path.name == "adapter_config.json"]
    assert {config["base_model_name_or_path"] for config in configs} <= {"tiny"}
    assert not [path for path in left if path.suffix == ".json" and str(trained.work).encode() in path.read_bytes()]



@pytest.mark.parametrize(
    ("name", "weights", "command"),
    [
        ("lora", "adapter/adapter_model.safetensors", 0),
        ("full", "model.safetensors", 1),
        ("packed", "adapter/adapter_model.safetensors", 0),
    ],
)
def test_the_commands_that_its_configuration_names_repeat_the_training_to_the_bit(train, tmp_path, name, weights, command):
    from safetensors.torch import load_file

    ours = train({**DESIGNS, "packed": PACKED}[name])
    work = tmp_path / "work"
    shutil.copytree(ours.work, work, symlinks=True)
    for folder in (work / ARTIFACTS).glob("epoch_*"):
        shutil.rmtree(folder)
    python(work, STOCK, f"{RUN}/finetune.yaml", str(command))
    last = ours.context.plan.run("run")["epochs"] - 1
    one, other = (load_file(path) for path in (ours.work / ARTIFACTS / f"epoch_{last}" / weights, work / ARTIFACTS / Path(weights).name))
    assert one.keys() == other.keys()
    assert len(one) > 10
    assert [name for name in one if not one[name].equal(other[name])] == []


@pytest.mark.parametrize("interval", [{}, {"validate_every_n_steps": 2}])
def test_a_validation_is_told_and_changes_no_byte_that_is_trained(train, interval):
    controls = {"method": "full", "batch_size": 4, "epochs": 2}
    plain, validated = train({"controls": controls}), train({"controls": {**controls, "validation_split": "test", **interval}})
    assert validated.code == 0, validated.output()
    (one,), (other,) = plain.evidence().results, validated.evidence().results
    assert [point.step for point in other.validation] == ([2, 4, 6] if interval else [3, 6])
    assert other.validation[-1].loss < other.validation[0].loss
    assert other.losses == one.losses
    assert [checkpoint.files for checkpoint in other.checkpoints] == [checkpoint.files for checkpoint in one.checkpoints]
    files = {path: content for path, content in validated.evidence().files.items() if not path.endswith("validation.jsonl")}
    with pytest.raises(ValueError, match=r"validation\.jsonl shows 0 losses; "):
        worker.results(validated.context, validated.job, validated.attempt, files)


def test_the_epoch_with_the_lowest_validation_loss_is_kept_as_the_best(train):
    """At such a rate the later epochs are worse."""
    controls = {"batch_size": 3, "epochs": 3, "lr": 0.3, "lr_scheduler": "constant", "validation_split": "test", "keep_best": True}
    found = train({"controls": controls})
    assert found.code == 0, found.output()
    evidence = found.evidence()
    (result,) = evidence.results
    best, *epochs = result.checkpoints
    lowest = min(result.validation, key=lambda point: point.loss).step
    assert (best.best, best.step, best.epoch, best.path) == (True, lowest, None, f"{ARTIFACTS}/best")
    assert best.weights == epochs[lowest // 3 - 1].weights
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2]
    other = next(point for point in result.validation if point.step != lowest)
    (path,) = (path for path in evidence.files if path.endswith("validation.jsonl"))
    lower = evidence.files[path].replace(f'"loss": {other.loss}'.encode(), b'"loss": 0.001')
    with pytest.raises(ValueError, match=f"the validation loss is lowest at step {other.step}, and step {lowest} is kept as the best"):
        worker.results(found.context, found.job, found.attempt, {**evidence.files, path: lower})


def test_a_warm_up_is_in_the_rates_and_one_that_is_not_is_no_training(lora, train):
    (result,) = lora.evidence().results
    assert [point.lr for point in result.losses[:3]] == [0.0, 1.5e-4, 3e-4]
    (path,) = (path for path in lora.evidence().files if path.endswith(LOG_NAME))
    files = {**lora.evidence().files, path: lora.evidence().files[path].replace(b'"lr": 0.0,', b'"lr": 0.0003,')}
    with pytest.raises(ValueError, match=r"the learning rate is 0\.0003 at step 1, in a warm-up of 2 steps"):
        worker.results(lora.context, lora.job, lora.attempt, files)
    constant = train({"controls": {"batch_size": 3, "lr_scheduler": "constant", "num_warmup_steps": 2}})
    assert [point.lr for point in constant.evidence().results[0].losses] == [0.0, 1.5e-4, 3e-4]


def test_a_loss_that_is_no_number_ends_the_training_at_once(train):
    """TRL logs it as 0.0, goes on, and saves what is no number."""
    found = train({"controls": {"batch_size": 3, "lr": 1e20, "epochs": 20}})
    assert found.code == DIVERGED, found.output()
    evidence = found.evidence()
    assert evidence.failure is FailureClass.DIVERGED
    assert evidence.reasons[0].startswith("the ")
    assert evidence.reasons[0].endswith("; try a lower lr")
    assert len((found.work / ARTIFACTS / LOG_NAME).read_text().splitlines()) < 5
    assert not list((found.work / ARTIFACTS).glob("epoch_*"))


def test_a_row_that_is_too_long_ends_the_job_before_training_and_is_named(train):
    words = {**WORDS, "train": [*WORDS["train"], {"input": "longest", "output": "LONGEST"}]}
    found = train({"controls": {"max_seq_len": 16, "batch_size": 3}}, words)
    assert found.code == ROWS_REFUSED
    [reason] = found.evidence().reasons
    assert reason == "data/words.json: train row 9 has 18 tokens, more than max_seq_len 16: 'longest'"
    assert not (found.work / ARTIFACTS / LOG_NAME).exists()


def test_a_module_that_the_model_has_not_is_named_and_those_that_it_has(train):
    """PEFT says nothing of one that it does not find, where it finds another."""
    found = train({"controls": {"batch_size": 3, "lora_target_modules": ["q_proj", "query_key_value"]}})
    assert found.code == ROWS_REFUSED
    [reason] = found.evidence().reasons
    assert reason.startswith("the model has no module query_key_value that LoRA could change; name its modules with lora_target_modules")
    assert "down_proj, gate_proj, k_proj" in reason


def damaged(lora, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(lora.work, work, symlinks=True)
    return Trained(lora.context, work, lora.code)


def test_a_loss_in_the_log_that_is_no_number_does_not_count(lora, tmp_path):
    copy = damaged(lora, tmp_path)
    log = copy.work / ARTIFACTS / LOG_NAME
    first, *rest = log.read_text().splitlines(keepends=True)
    log.write_text("".join([json.dumps({**json.loads(first), "loss": float("nan")}) + "\n", *rest]))
    assert (copy.evidence().failure, copy.evidence().reasons) == (FailureClass.DIVERGED, ["the loss is nan at step 1; try a lower lr"])
    log.write_text("".join(rest))
    assert copy.evidence().reasons == ["run run: training.jsonl shows 5 losses up to step 6; 6 up to step 6 were planned"]
    log.write_text("")
    assert copy.evidence().reasons == ["run run: training.jsonl holds no loss"]


@pytest.mark.parametrize("name", ["tokens.json", "merged.json", "training.jsonl", "starts.json"])
def test_a_record_that_was_replaced_after_the_job_ended_is_named(lora, tmp_path, name):
    copy = damaged(lora, tmp_path)
    record = copy.work / ARTIFACTS / name
    record.write_bytes(record.read_bytes() + b"\n")
    evidence = copy.evidence()
    assert (evidence.failure, evidence.reasons) == (FailureClass.INPUT_CHANGED, [f"artifacts/{name} is not as the job left it"])


def test_a_checkpoint_that_is_not_whole_does_not_count(lora, tmp_path):
    copy = damaged(lora, tmp_path)
    (copy.work / ARTIFACTS / "epoch_1/tokenizer.json").unlink()
    assert copy.evidence().reasons == ["epoch_1/tokenizer.json is missing"]
