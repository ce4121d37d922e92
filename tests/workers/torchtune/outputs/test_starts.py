"""Which jobs made what lies in artifacts/."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ckgit.experiment.jobs import Attempt, FailureClass, Phase
from ckgit.jobs import script
from ckgit.lab.models.folder import read_card
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.outputs import resume
from ckgit.workers.training.outputs import starts
from tests.workers.designs import context, write_tree


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`record("token", b"config")`: a start after those before; the file's content."""

    def add(token: str | None, config: bytes = b"lr: 1") -> bytes:
        if token:
            monkeypatch.setenv("CKGIT_JOB", token)
        else:
            monkeypatch.delenv("CKGIT_JOB", raising=False)
        starts.add(tmp_path, config)
        return (tmp_path / starts.STARTS).read_bytes()

    return add


def test_each_start_adds_its_token(record):
    record("demo.1")
    content = record("demo.2")
    assert json.loads(content) == [{"token": token, "config": hashlib.sha256(b"lr: 1").hexdigest()} for token in ("demo.1", "demo.2")]
    assert starts.tokens(content, "demo.2", b"lr: 1") == ("demo.1", "demo.2")
    assert starts.tokens(content, "demo.2", None) == ("demo.1", "demo.2")


def test_what_another_job_made_is_not_this_ones(record):
    content = record("demo.1")
    with pytest.raises(ValueError, match=r"was made by demo\.1, and not by demo\.2"):
        starts.tokens(content, "demo.2", b"lr: 1")
    with pytest.raises(ValueError, match="another finetune"):
        starts.tokens(content, "demo.1", b"lr: 2")
    with pytest.raises(ValueError, match="was made by nobody"):
        starts.tokens(b"[]", "demo.1", None)
    with pytest.raises(ValueError, match=r"starts\.json cannot be read"):
        starts.tokens(b"{", "demo.1", None)


def test_a_start_in_a_container_that_hides_the_job_is_anybodys(record, tmp_path: Path):
    assert starts.tokens(record(None), "demo.1", b"lr: 1") == ()
    assert [start.token for start in starts.read(tmp_path)] == [""]
    assert starts.read(tmp_path / "none") == ()


def test_a_training_does_not_go_on_with_what_was_begun_by_hand(record, tmp_path: Path):
    (tmp_path / resume.CONFIG).write_bytes(b"lr: 1")
    shape = resume.EpochPlan(epochs=2, steps=1, log_every=1, carries_over=False, dropout=False, lora=True)
    record("by-hand-123")
    assert next(resume._why_not(tmp_path, b"lr: 1", {}, shape, 1)) == "it was started by hand"


@pytest.mark.slow
def test_large_weights_that_are_not_the_cards_train_nothing(random_model, run_warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = tmp_path / "model"
    shutil.copytree(random_model, model)
    card, _ = read_card("tiny", model)
    ctx = context(cards=(card,))
    monkeypatch.setattr(script, "MOST_HASHED", 1000)  # of the weights the script sees the size alone
    write_tree(ctx, dict(worker.scaffold(ctx)), tmp_path / "work", {"tiny": model})
    file = model / card.checkpoint_files[0]
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(bytes(1000))
    [job] = worker.jobs(ctx)
    assert run_warm(tmp_path / "work", job.script, "t") == 65
    attempt = Attempt(
        job=job.name, stage=job.stage, number=1, token="t", script_sha256="", phase=Phase.SUBMITTED, submitted="", exit_code=65  # noqa: S106
    )
    evidence = worker.evidence(ctx, job, attempt, tmp_path / "work")
    assert evidence.failure is FailureClass.INPUT_CHANGED
    assert f"models/tiny/{file.name}" in evidence.reasons[0]
    assert not (tmp_path / "work/experiments/capital/run/artifacts").exists()
