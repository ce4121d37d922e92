"""Real jobs: scripts as scaffolded, torchtune as installed, a tiny Llama with random weights."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from ckgit.experiment.jobs import Attempt, FailureClass, Phase
from ckgit.lab.models.folder import read_card
from ckgit.workers.torchtune import train as train_command
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.design.steps import planned_steps
from ckgit.workers.training.outputs.codes import ROWS_REFUSED
from tests.workers.designs import WORDS, context, write_tree

pytestmark = pytest.mark.slow
TOKEN = "job-1"  # noqa: S105 the name of a job
ARTIFACTS = "experiments/capital/run/artifacts"
DESIGNS = {
    "lora": {"controls": {"batch_size": 3, "epochs": 2, "lora_rank": 4, "log_every_n_steps": 2}},
    "full": {"controls": {"method": "full", "batch_size": 3, "lr_scheduler": "constant", "optimizer": "sgd", "clip_grad_norm": 1.0}},
    "base": {"controls": {"dataset_type": "text_completion", "batch_size": 9, "prompt": "{input} = "}},
}


class Trained:
    """A finished job and its work tree."""

    def __init__(self, ctx, work, code):
        self.context, self.work, self.code = ctx, work, code
        [self.job] = worker.jobs(ctx)
        content = (work / self.job.script).read_bytes()
        self.attempt = Attempt(
            job=self.job.name, stage=self.job.stage, number=1, token=TOKEN, script_sha256=str(len(content)), phase=Phase.SUBMITTED,
            submitted="2026-11-23T00:00:00Z", job_id="4711",
        )  # fmt: skip

    def evidence(self):
        return worker.evidence(self.context, self.job, self.attempt, self.work)

    def output(self):
        return (self.work / ".ckgit/jobs" / TOKEN / "output").read_text(errors="replace")


@pytest.fixture(scope="module")
def train(tmp_path_factory, random_model, run_script, run_warm):
    """`train(design)`: scaffold it, run its script; once for each design."""
    done = {}

    def start(design, words=WORDS):
        key = json.dumps((design, words))
        if key not in done:
            done[key] = fresh(design, words)
        return done[key]

    def fresh(design, words):
        card, _ = read_card("tiny", random_model)
        ctx = context(cards=(card,), words=words, **design)
        assert worker.check(ctx) == []
        work = tmp_path_factory.mktemp("work")
        write_tree(ctx, dict(worker.scaffold(ctx)), work, {"tiny": random_model})
        [job] = worker.jobs(ctx)
        assert worker.ready(ctx, job, work) == []
        run = run_script if design == DESIGNS["lora"] else run_warm
        return Trained(ctx, work, run(work, job.script, TOKEN))

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
    folder = "experiments/capital/run"
    assert sorted(evidence.files) == [
        f"{folder}/{name}" for name in ("checkpoints.json", "starts.json", "tokens.json", "training.log", "versions.json")
    ]
    (result,) = evidence.results
    (again,) = worker.results(trained.context, trained.job, trained.attempt, evidence.files)
    assert again.model_copy(update={"seconds": 0}) == result.model_copy(update={"seconds": 0})
    parameters = trained.context.plan.run("run")
    assert [point.epoch for point in result.checkpoints] == list(range(parameters["epochs"]))
    assert result.tokens["train"].rows == 9
    assert result.tokens["capitalization"].rows == 3
    assert result.versions["torchtune"] == "0.6.1"
    progress = worker.progress(trained.context, trained.job, trained.work, trained.output())
    assert progress.step == progress.steps == result.steps


def test_transformers_loads_each_epoch_and_finds_no_adapter_beside_it(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for folder in sorted((trained.work / ARTIFACTS).glob("epoch_*")):
        assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 300_000
        assert AutoTokenizer.from_pretrained(folder).chat_template
        assert not list(folder.glob("adapter_*"))
    assert not (trained.work / ARTIFACTS / "recipe_state").exists()


# gloo, in whose place there is NCCL outside of this test, may abort a process whose interpreter ends: so none may come to its end.
ON_CPUS = """\
import atexit, os, runpy
import torch.distributed, torchtune.training
start = torch.distributed.init_process_group
torch.distributed.init_process_group = lambda backend: start("gloo")
torchtune.training.cleanup_before_training = lambda: None
torchtune.training.get_memory_stats = torchtune.training.log_memory_stats = lambda *args, **kwargs: {}
atexit.register(os.abort)
runpy.run_module("ckgit.workers.rank", run_name="__main__")
"""
TRAIN = """\
import sys
from pathlib import Path
from ckgit.workers.torchtune import train
train.RANK = "on_cpus.py"
train.tune_run(sys.argv[1], Path(sys.argv[2]), processes=2)
"""


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_config_of_a_distributed_run_trains(tmp_path, random_model, method):
    """These recipes ask for NCCL and for CUDA's memory, and nothing else of them needs a GPU."""
    card, _ = read_card("tiny", random_model)
    ctx = context(
        cards=(card,), controls={"device": "cuda", "dtype": "fp32", "batch_size": 2, "method": method}, compute={"training": {"gpus": 2}}
    )
    files = {path: content.replace(b'device: "cuda"', b'device: "cpu"') for path, content in worker.scaffold(ctx).items()}
    write_tree(ctx, files, tmp_path, {"tiny": random_model})
    (tmp_path / "on_cpus.py").write_text(ON_CPUS)
    command = [sys.executable, "-c", TRAIN, f"{method}_finetune_distributed", "experiments/capital/run/finetune.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps = planned_steps(ctx, ctx.plan.run("run"))
    assert [line.split()[1] for line in (tmp_path / ARTIFACTS / "training.log").read_text().splitlines()] == [
        str(n + 1) for n in range(steps)
    ]
    assert list((tmp_path / ARTIFACTS / "epoch_0").glob("model*.safetensors"))


def test_saving_an_epoch_on_a_cpu_does_not_change_what_goes_on_training(train):
    """torchtune's own recipe merges the adapter into the model that trains on; with a large lr that shows at once."""
    found = train({"controls": {"batch_size": 9, "epochs": 6, "lr": 0.05, "lora_rank": 16, "lr_scheduler": "constant", "shuffle": False}})
    losses = [point.loss for point in found.evidence().results[0].losses]
    assert losses[-1] < losses[0]

    import torch
    from safetensors.torch import load_file

    # The merged weights minus the product of the adapter are the model's own weights, after every epoch.

    base = load_file(found.work / "models/tiny/model.safetensors")
    name = "model.layers.0.mlp.down_proj"
    for epoch in range(6):
        folder = found.work / ARTIFACTS / f"epoch_{epoch}"
        [weights] = folder.glob("model*.safetensors")
        adapter = load_file(folder / "adapter/adapter_model.safetensors")
        a, b = (adapter[f"base_model.model.{name}.lora_{letter}.weight"] for letter in "AB")
        torch.testing.assert_close(load_file(weights)[f"{name}.weight"] - 2.0 * b @ a, base[f"{name}.weight"], rtol=0, atol=1e-5)


def broken(lora, tmp_path):
    """A copy of the work tree, to be damaged."""
    work = tmp_path / "work"
    shutil.copytree(lora.work, work, symlinks=True)
    copy = Trained(lora.context, work, lora.code)
    assert copy.evidence().reasons == []
    return copy


def refuse(copy, failure, words):
    evidence = copy.evidence()
    assert evidence.results == ()
    assert evidence.failure is failure
    assert words in " ".join(evidence.reasons)


def test_a_checkpoint_that_is_missing_or_short_does_not_count(lora, tmp_path):
    copy = broken(lora, tmp_path)
    [weights] = (copy.work / ARTIFACTS / "epoch_1").glob("model*.safetensors")
    content = weights.read_bytes()
    for damaged, words in ((content[:-1], "bytes instead of"), (content[:100], "its header is cut"), (b"", "it ends after 0 bytes")):
        weights.write_bytes(damaged)
        refuse(copy, FailureClass.OUTPUT_MISSING, words)
    weights.unlink()
    refuse(copy, FailureClass.OUTPUT_MISSING, "epoch_1 holds no weights")
    shutil.rmtree(copy.work / ARTIFACTS / "epoch_1")
    refuse(copy, FailureClass.OUTPUT_MISSING, "epoch_1 is missing")


def test_a_checkpoint_without_its_tokenizer_does_not_count(lora, tmp_path):
    copy = broken(lora, tmp_path)
    (copy.work / ARTIFACTS / "epoch_0/tokenizer.json").unlink()
    refuse(copy, FailureClass.OUTPUT_MISSING, "epoch_0/tokenizer.json is missing")


def test_a_loss_that_is_not_finite_does_not_count(lora, tmp_path):
    copy = broken(lora, tmp_path)
    log = copy.work / ARTIFACTS / "training.log"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([lines[0].replace("loss:", "loss:nan was:"), *lines[1:]]))
    refuse(copy, FailureClass.DIVERGED, "the loss is nan at step 2")


def test_fewer_steps_than_planned_do_not_count(lora, tmp_path):
    copy = broken(lora, tmp_path)
    log = copy.work / ARTIFACTS / "training.log"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    refuse(copy, FailureClass.OUTPUT_MISSING, "3 up to step 6 were planned")


@pytest.mark.parametrize("name", ["tokens.json", "checkpoints.json", "versions.json", "training.log"])
def test_a_missing_or_unreadable_record_does_not_count(lora, tmp_path, name):
    copy = broken(lora, tmp_path)
    record = copy.work / ARTIFACTS / name
    record.write_bytes(b"\x00not what it was")
    refuse(copy, FailureClass.OUTPUT_MISSING, name)
    record.unlink()
    refuse(copy, FailureClass.OUTPUT_MISSING, f"artifacts/{name} is missing")


def test_the_digests_of_rows_are_those_that_are_summed_up(lora, tmp_path):
    copy = broken(lora, tmp_path)
    record = copy.work / ARTIFACTS / "tokens.json"
    tokens, files = json.loads(record.read_bytes()), lora.evidence().files
    (result,) = lora.evidence().results
    assert result.tokens["train"].by_row_sha256 == tokens["train"]["by_row_sha256"]
    tokens["train"]["by_row"][3] = "0" * 16
    record.write_text(json.dumps(tokens))
    refuse(copy, FailureClass.OUTPUT_MISSING, "of the rows of train, tokens.json lists other digests than those that it sums up")
    older = {name: {key: check[key] for key in check if not key.startswith("by_row")} for name, check in tokens.items()}
    (path,) = (path for path in files if path.endswith("/tokens.json"))
    (again,) = worker.results(lora.context, lora.job, lora.attempt, {**files, path: json.dumps(older).encode()})
    assert again.tokens["train"].by_row_sha256 is None


@pytest.mark.parametrize("name", ["tokens.json", "checkpoints.json", "versions.json", "training.log", "starts.json"])
def test_a_record_that_was_replaced_after_the_job_ended_is_named(lora, tmp_path, name):
    copy = broken(lora, tmp_path)
    record = copy.work / ARTIFACTS / name
    if name == "training.log":
        record.write_text(re.sub(r"loss:[0-9.]*", "loss:0.001", record.read_text()))
    else:
        record.write_bytes(record.read_bytes() + b"\n")
    refuse(copy, FailureClass.INPUT_CHANGED, f"artifacts/{name} is not as the job left it")
    evidence = copy.evidence()
    assert len(evidence.reasons) == 1


def test_a_record_of_its_end_is_wanted_of_a_job_that_writes_one(lora, tmp_path):
    copy = broken(lora, tmp_path)
    end, setup = copy.work / ARTIFACTS / "finished.json", copy.work / ARTIFACTS.replace("artifacts", "setup_finetune.yaml")
    assert json.loads(end.read_bytes())["token"] == TOKEN
    end.write_text(end.read_text().replace(TOKEN, "job-2"))
    refuse(copy, FailureClass.INPUT_CHANGED, "was left by job-2, and not by job-1")
    end.write_text("{")
    refuse(copy, FailureClass.INPUT_CHANGED, "finished.json cannot be read")
    end.unlink()
    refuse(copy, FailureClass.INPUT_CHANGED, "finished.json is missing")
    setup.write_text(setup.read_text().replace("record: finished.json\n", ""))  # as an older ckgit scaffolded it
    assert copy.evidence().reasons == []


def test_the_status_file_decides(lora, tmp_path):
    copy = broken(lora, tmp_path)
    path = copy.work / ".ckgit/jobs" / TOKEN / "status.json"
    status = json.loads(path.read_bytes())
    path.write_text(json.dumps({**status, "token": "another"}))
    refuse(copy, FailureClass.LOST, "belongs to another")
    (copy.work / ARTIFACTS / "finished.json").unlink()
    path.write_text(json.dumps({**status, "exit_code": 137}))
    refuse(copy, FailureClass.OUT_OF_MEMORY, "SIGKILL")
    path.write_text("{")
    refuse(copy, FailureClass.LOST, "is damaged")
    path.unlink()
    refuse(copy, FailureClass.LOST, "left no status file")


def dies_at_its_end(copy, monkeypatch):
    """The command of a job whose training is there, and whose torchtune fails then."""

    def fail(*args):
        raise RuntimeError("a rank was aborted")

    monkeypatch.chdir(copy.work)
    monkeypatch.setenv("CKGIT_JOB", TOKEN)
    monkeypatch.setattr(train_command, "guarded", lambda *args: 0)
    monkeypatch.setattr(train_command, "tune_run", fail)
    folder = ARTIFACTS.removesuffix("/artifacts")
    with pytest.raises(RuntimeError, match="a rank was aborted"):
        train_command.main([folder, "--recipe=lora", "--epochs=2", "--model=models/tiny"], standalone_mode=False)
    path = copy.work / ".ckgit/jobs" / TOKEN / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "exit_code": 1}))


def test_a_job_that_dies_when_all_is_saved_counts(lora, tmp_path, monkeypatch):
    copy = broken(lora, tmp_path)
    for name in ("checkpoints.json", "finished.json"):
        (copy.work / ARTIFACTS / name).unlink()
    dies_at_its_end(copy, monkeypatch)
    evidence = copy.evidence()
    assert (evidence.reasons, evidence.complete, evidence.results[0].steps) == ([], True, 6)


def test_a_job_that_dies_before_all_is_saved_does_not_count(lora, tmp_path, monkeypatch):
    copy = broken(lora, tmp_path)
    for name in ("checkpoints.json", "finished.json", "epoch_1/config.json", "epoch_1/model-00001-of-00001.safetensors"):
        (copy.work / ARTIFACTS / name).unlink()
    dies_at_its_end(copy, monkeypatch)
    assert not (copy.work / ARTIFACTS / "finished.json").exists()
    assert copy.evidence().results == ()


def test_the_end_of_an_earlier_attempt_does_not_excuse_another(lora, tmp_path):
    copy = broken(lora, tmp_path)
    end, status = copy.work / ARTIFACTS / "finished.json", copy.work / ".ckgit/jobs" / TOKEN / "status.json"
    end.write_text(end.read_text().replace(TOKEN, "job-2"))
    status.write_text(json.dumps({**json.loads(status.read_bytes()), "exit_code": 65}))
    assert copy.evidence().results == ()
    assert copy.evidence().failure is FailureClass.INPUT_CHANGED


def test_losses_are_judged_of_a_job_that_dies_when_all_is_saved(lora, tmp_path):
    copy = broken(lora, tmp_path)
    log, status = copy.work / ARTIFACTS / "training.log", copy.work / ".ckgit/jobs" / TOKEN / "status.json"
    log.write_text(log.read_text().replace("loss:", "loss:nan was:", 1))
    status.write_text(json.dumps({**json.loads(status.read_bytes()), "exit_code": 1}))
    refuse(copy, FailureClass.DIVERGED, "the loss is nan at step 2")


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU")
def test_a_job_that_sees_no_gpu_ends_before_it_reads_a_row(train):
    found = train({"controls": {"device": "cuda", "batch_size": 3}, "compute": {"training": {"gpus": 1}}})
    assert found.code == 69
    refuse(found, FailureClass.ENVIRONMENT, "device: cuda needs 1 GPU, and 0 can be seen")
    assert not (found.work / ARTIFACTS).exists()


def test_a_row_that_is_too_long_ends_the_job_before_training_and_is_named(train):
    found = train(
        {"controls": {"max_seq_len": 12, "batch_size": 3}}, {**WORDS, "train": [*WORDS["train"], {"input": "longest", "output": "LONGEST"}]}
    )
    assert found.code == ROWS_REFUSED
    [reason] = found.evidence().reasons
    assert reason.startswith("data/words.json: 10 rows cannot be used: train row 0 has 14 tokens, more than max_seq_len 12: 'apple'")
    assert not list((found.work / ARTIFACTS).glob("epoch_*"))
