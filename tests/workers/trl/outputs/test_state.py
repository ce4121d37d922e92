"""What a training that was cut short goes on with is what it saved, or nothing."""

import json
from pathlib import Path

import pytest

from ckgit.workers.training.outputs import starts
from ckgit.workers.trl.outputs import state
from ckgit.workers.trl.outputs.log import LOG_NAME, VALIDATION_LOG, loss_points

MADE = state.digest_of({"finetune.yaml": b"lr: 1", "rows": b"a row"})


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    """A training of three steps an epoch that was cut short after step 5, with a state of step 4."""
    monkeypatch.setenv("CKGIT_JOB", "demo.1")
    starts.add(tmp_path, b"lr: 1")
    (tmp_path / LOG_NAME).write_text("".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(1, 6)))
    for step in (3, 4):
        folder = tmp_path / state.folder_of(step)
        folder.mkdir()
        for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
            (folder / name).write_text(f"{name} at {step}")
        state.keep(tmp_path, MADE, step, log_every=1, others=range(3, step, 3))
    for name in ("checkpoint-5", "epoch_0"):  # half saved
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_training_goes_on_after_its_last_whole_state_and_nothing_later_is_left(artifacts):
    assert state.go_on(artifacts, MADE) == (4, "")
    assert [point.step for point in loss_points((artifacts / LOG_NAME).read_bytes())] == [1, 2, 3, 4]
    assert sorted(path.name for path in artifacts.iterdir() if path.is_dir()) == ["checkpoint-3", "checkpoint-4"]
    assert sorted(path.name for path in (artifacts / "checkpoint-3").iterdir()) == ["adapter_model.safetensors", "trainer_state.json"]
    assert json.loads((artifacts / state.RESUMED).read_bytes()) == [4]
    assert state.go_on(artifacts, MADE) == (4, "")
    assert json.loads((artifacts / state.RESUMED).read_bytes()) == [4, 4]


@pytest.mark.parametrize("kept", [3, 4])
def test_a_training_that_is_killed_as_it_keeps_a_state_goes_on_from_the_one_before_or_that_one(artifacts, monkeypatch, kept):
    """The state of the end of an epoch is made smaller once another one counts, and not before."""
    for step in (3, 4):
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
            (artifacts / state.folder_of(3)).mkdir(exist_ok=True)
            (artifacts / state.folder_of(step) / name).write_text(f"{name} at {step}")
    (artifacts / state.STATE).unlink()
    state.keep(artifacts, MADE, 3, log_every=1, others=())
    folder = artifacts / state.folder_of(4)
    folder.mkdir()
    (folder / "optimizer.pt").write_text("at 4")

    def killed(*words, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace" if kept == 3 else "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        state.keep(artifacts, MADE, 4, log_every=1, others=(3,))
    monkeypatch.undo()
    assert state.go_on(artifacts, MADE) == (kept, "")


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.safetensors", "trainer_state.json"])
def test_each_file_of_a_state_must_be_there_as_it_was_saved(artifacts, name):
    """TRL goes on without the first three, and comes to another result."""
    path = artifacts / "checkpoint-4" / name
    path.write_text("another")
    assert state.go_on(artifacts, MADE) == (0, f"checkpoint-4/{name} is not as it was saved")
    path.unlink()
    assert state.go_on(artifacts, MADE) == (0, f"checkpoint-4/{name} is not as it was saved")


def test_the_weights_of_earlier_epochs_are_held_to_it(artifacts):
    (artifacts / "checkpoint-3/adapter_model.safetensors").write_text("another")
    assert state.go_on(artifacts, MADE) == (0, "checkpoint-3/adapter_model.safetensors is not as it was saved")


@pytest.mark.parametrize("parts", [{"finetune.yaml": b"lr: 2", "rows": b"a row"}, {"finetune.yaml": b"lr: 1", "rows": b"another"}])
def test_another_configuration_or_other_rows_are_another_training(artifacts, parts):
    """TRL goes on with other rows, and at the rate that was saved."""
    assert state.go_on(artifacts, state.digest_of(parts)) == (0, "it had another configuration, other rows or other versions of its tools")


def test_what_was_begun_by_hand_is_not_gone_on_with(artifacts, monkeypatch):
    monkeypatch.setenv("CKGIT_JOB", "by-hand-123")
    starts.add(artifacts, b"lr: 1")
    assert state.go_on(artifacts, MADE) == (0, "it was started by hand")


def test_a_validation_log_that_lost_a_measurement_would_make_it_wait_longer_and_begins_anew(artifacts):
    log = artifacts / VALIDATION_LOG
    log.write_text('{"step": 2, "loss": 1.0}\n{"step": 4, "loss": 2.0}\n')
    state.keep(artifacts, MADE, 4, log_every=1, others=[3])
    assert state.go_on(artifacts, MADE) == (4, "")
    log.write_text('{"step": 4, "loss": 2.0}\n')
    assert state.go_on(artifacts, MADE) == (0, "its validation log is not whole")


def test_a_log_or_a_state_that_is_damaged_begins_anew(artifacts):
    lines = (artifacts / LOG_NAME).read_text().splitlines(keepends=True)
    (artifacts / LOG_NAME).write_text("".join([lines[0], *lines[2:]]))
    assert state.go_on(artifacts, MADE) == (0, "its log is not whole")
    (artifacts / state.STATE).write_text("{")
    assert state.go_on(artifacts, MADE) == (0, "its state is damaged")
    (artifacts / state.STATE).unlink()
    assert state.go_on(artifacts, MADE) == (0, "")
