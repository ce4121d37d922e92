"""A training that is killed and started again, with real torchtune: what is the same, and what is not trained twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoTokenizer

from ckgit.experiment.jobs import Attempt, Phase
from ckgit.lab.models.folder import read_card
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.outputs import resume
from ckgit.workers.torchtune.outputs.logs import loss_points
from tests.workers.designs import context, write_tree

ARTIFACTS = "experiments/capital/run/artifacts"
ROWS = 82
WORDS = {
    "train": [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(ROWS)],
    "test": [{"input": "knife", "output": "KNIFE"}],
}
SHARED = {"epochs": 3, "lr": 0.003, "seed": 7}
DESIGNS = {
    # 20 steps an epoch; the 41st batch of 2 is left out
    "lora": {**SHARED, "batch_size": 2, "gradient_accumulation_steps": 2, "max_steps_per_epoch": 20, "num_warmup_steps": 5},
    # 20 steps here too, as two rows are less than a batch
    "full": {**SHARED, "method": "full", "batch_size": 4, "clip_grad_norm": 1.0},
}


def make(folder, model, controls):
    """A work tree, and the context of its one run."""
    card, _ = read_card("tiny", model)
    ctx = context(cards=(card,), words=WORDS, controls=controls)
    assert worker.check(ctx) == []
    folder.mkdir()
    write_tree(ctx, dict(worker.scaffold(ctx)), folder, {"tiny": model})
    return ctx


def start(work, token, **more):
    """The job, as a scheduler starts it, in a process group of its own."""
    output = work / ".ckgit/jobs" / token / "output"
    output.parent.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with output.open("ab") as stream:
        return subprocess.Popen(
            ["bash", "experiments/capital/run/finetune.slurm"],
            cwd=work, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            env={"PATH": path, "CKGIT_JOB": token, **more},
        )  # fmt: skip


def output(work, token):
    return (work / ".ckgit/jobs" / token / "output").read_text(errors="replace")


def finish(work, token, **more):
    assert start(work, token, **more).wait() == 0, output(work, token)


def kill_after(work, token, step, **more):
    """Start the job, and kill all of it when its log shows a step."""
    job = start(work, token, **more)
    log = work / ARTIFACTS / "training.log"
    while not log.exists() or f"Step {step} " not in log.read_text():
        assert job.poll() is None, output(work, token)
        time.sleep(0.005)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def losses(work):
    with (work / ARTIFACTS / "training.log").open("rb") as stream:
        return [(point.step, point.loss, point.lr) for point in loss_points(stream)]


def weights(work, epoch):
    [file] = (work / ARTIFACTS / f"epoch_{epoch}").glob("model*.safetensors")
    return load_file(file)


def evidence(ctx, work, token):
    [job] = worker.jobs(ctx)
    attempt = Attempt(
        job=job.name, stage=job.stage, number=1, token=token, script_sha256="0", phase=Phase.SUBMITTED, submitted="2026-11-23T00:00:00Z"
    )
    return worker.evidence(ctx, job, attempt, work)


def same_as(whole, work):
    """Steps, losses, learning rates and weights, to the last bit."""
    assert losses(work) == losses(whole)
    for epoch in range(3):
        one, other = weights(whole, epoch), weights(work, epoch)
        assert all(bool((one[name] == other[name]).all()) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DESIGNS)
def test_a_training_that_was_killed_goes_on_after_its_last_whole_epoch_and_ends_as_in_one_go(tmp_path, random_model, kind):
    ctx = make(tmp_path / "whole", random_model, DESIGNS[kind])
    finish(tmp_path / "whole", "whole")
    uninterrupted = evidence(ctx, tmp_path / "whole", "whole")
    assert uninterrupted.results[0].resumed == ()
    work = tmp_path / "work"
    make(work, random_model, DESIGNS[kind])

    kill_after(work, "job-1", 25)  # in the second epoch
    saved = (work / ARTIFACTS / "epoch_0").stat().st_mtime_ns
    # SLURM starts the same job again, and kills it once more, in the third
    restarted = {"SLURM_RESTART_COUNT": "1", "SLURM_JOB_ID": (work / ".ckgit/jobs/job-1/claim/id").read_text().strip()}
    kill_after(work, "job-1", 45, **restarted)
    assert "training goes on after 1 of 3 epochs, from step 20" in output(work, "job-1")
    finish(work, "job-2")  # a retry: another attempt in the same work tree
    assert "training goes on after 2 of 3 epochs, from step 40" in output(work, "job-2")

    assert (work / ARTIFACTS / "epoch_0").stat().st_mtime_ns - saved < 1e9 or kind == "lora"  # not saved again; adapters are moved
    same_as(tmp_path / "whole", work)
    found = evidence(ctx, work, "job-2")
    assert found.reasons == []
    assert found.results[0].resumed == (1, 2)
    assert (found.results[0].tokens_seen is None) == (kind == "full")  # torchtune's own recipe does not say how many
    kept = ("steps", "tokens_seen", "losses", "tokens", "versions", "final_loss")
    assert {name: getattr(found.results[0], name) for name in kept} == {name: getattr(uninterrupted.results[0], name) for name in kept}
    assert [c.sha256 for c in found.results[0].checkpoints] == [c.sha256 for c in uninterrupted.results[0].checkpoints]
    assert not (work / ARTIFACTS / "recipe_state").exists()


@pytest.mark.slow
def test_tokens_are_counted_as_often_as_they_are_trained_on(tmp_path, random_model):
    """Held against the tokenizer of the model: of each row its answer, and the token that ends it."""
    ctx = make(tmp_path / "work", random_model, {"epochs": 2, "batch_size": 2, "gradient_accumulation_steps": 1})
    finish(tmp_path / "work", "job")
    [found] = evidence(ctx, tmp_path / "work", "job").results
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    answers = [len(tokenizer.encode(row["output"], add_special_tokens=False)) + 1 for row in WORDS["train"]]
    assert found.steps == 2 * ROWS / 2
    assert found.tokens_seen == 2 * sum(answers)
    assert {point.metrics["tokens"] for point in found.losses} == {one + other for one in answers for other in answers}


CONFIG = {
    "epochs": 3,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "max_steps_per_epoch": None,
    "log_every_n_steps": 2,
    "model": {"lora_rank": 4, "lora_dropout": 0.0},
}
VERSIONS = {"torchtune": "0.6.1"}


@pytest.fixture
def left(tmp_path):
    """What a training leaves that was killed in its third epoch: 8 steps each, which are logged by twos."""
    import torch
    from safetensors.torch import save_file

    for epoch in range(3):
        folder = tmp_path / f"epoch_{epoch}"
        folder.mkdir()
        save_file({"weight": torch.zeros(2)}, folder / "model-00001-of-00001.safetensors")
        torch.save({"a": torch.zeros(2)}, folder / "adapter_model.pt")
    (tmp_path / "recipe_state").mkdir()
    torch.save({"epochs_run": 2, "optimizer": {}}, tmp_path / resume.STATE)
    (tmp_path / resume.CONFIG).write_text("as it was")
    (tmp_path / "versions.json").write_text(json.dumps(VERSIONS))
    (tmp_path / "training.log").write_text("".join(f"Step {step} | loss:1.5 lr:0.1 \n" for step in range(2, 21, 2)) + "Step 22 | loss:1")
    return tmp_path


def whole(artifacts, *, config=CONFIG, content=b"as it was", versions=VERSIONS, rows=64):
    return resume.whole_epochs(artifacts, content, versions, resume.EpochPlan.of(config, rows, 1))


def test_what_is_not_of_a_whole_epoch_is_cut_off(left):
    assert whole(left) == (2, "")
    shape = resume.EpochPlan.of(CONFIG, 64, 1)
    resume.cut_back(left, shape, 2)
    assert sorted(path.name for path in left.glob("epoch_*")) == ["epoch_0", "epoch_1"]
    assert (left / "training.log").read_text().splitlines()[-1] == "Step 16 | loss:1.5 lr:0.1 "
    assert json.loads((left / resume.RESUMED).read_text()) == [2]
    changed = resume.resuming({**CONFIG, "checkpointer": {}}, left, 2)
    assert (changed["resume_from_checkpoint"], changed["checkpointer"]) == (True, {"adapter_checkpoint": "epoch_1/adapter_model.pt"})
    # the last step of a job, where it was killed, has moved the adapter
    (left / "epoch_1/adapter").mkdir()
    (left / "epoch_1/adapter_model.pt").rename(left / "epoch_1/adapter/adapter_model.pt")
    assert whole(left) == (2, "")
    assert resume.adapter(left, 2) == "epoch_1/adapter/adapter_model.pt"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config": {**CONFIG, "model": {"lora_rank": 4, "lora_dropout": 0.1}}}, "dropout"),
        ({"rows": 68}, "in the middle of an accumulation"),
        ({"content": b"as it is"}, "another configuration"),
        ({"versions": {"torchtune": "0.7"}}, "other versions"),
        ({"config": {**CONFIG, "epochs": 2}}, "its state is damaged"),
    ],
)
def test_where_going_on_would_be_another_training_it_begins_anew(left, change, words):
    done, why = whole(left, **change)
    assert done == 0
    assert words in why


def test_an_epoch_that_is_cut_short_by_its_number_of_steps_leaves_nothing_over(left):
    assert whole(left, rows=68, config={**CONFIG, "max_steps_per_epoch": 8}) == (2, "")
    assert whole(left, rows=68, config={**CONFIG, "max_steps_per_epoch": 9})[0] == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (resume.STATE, "its state is damaged"),
        ("epoch_0/model-00001-of-00001.safetensors", "a saved epoch is damaged"),
        ("epoch_1/adapter_model.pt", "its saved adapter is damaged"),
        ("training.log", "its log is not whole"),
    ],
)
def test_what_a_dying_machine_left_half_written_is_not_used(left, name, words):
    content = (left / name).read_bytes()
    (left / name).write_bytes(content[: len(content) // 2])
    assert whole(left) == (0, words)
    if name.endswith(".pt"):  # its length is right, and a part of it never reached the disk
        (left / name).write_bytes(content[:100] + bytes(len(content) - 200) + content[-100:])
        assert whole(left) == (0, words)
    (left / name).write_bytes(content)
    assert whole(left) == (2, "")


def test_where_nothing_was_saved_nothing_is_said(left):
    (left / resume.STATE).unlink()
    assert whole(left) == (0, "")
