"""Records of hand-overs: one process makes each, and what came of it is known to all."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ckgit.schedulers.slurm import records
from ckgit.schedulers.slurm.parsers import SbatchOutcome, SbatchVerdict
from ckgit.schedulers.slurm.records import FolderTraces, HandoverRecord

ACCEPTED = SbatchVerdict(SbatchOutcome.ACCEPTED, "12")


def test_no_folder_means_that_nothing_was_handed_over(tmp_path: Path) -> None:
    assert records.read_record(tmp_path / "none") is None
    assert records.read_traces(tmp_path / "none", None) == FolderTraces()


def test_a_hand_over_is_made_once_and_answered(tmp_path: Path) -> None:
    handing = records.take(tmp_path, 1)
    assert handing
    assert records.take(tmp_path, 1) is None
    found = records.read_record(tmp_path)
    assert found
    assert (found.number, found.verdict.outcome, found.busy) == (1, SbatchOutcome.AMBIGUOUS, True)
    records.write_answer(handing.path, handing.nonce, ACCEPTED)
    records.release(handing)
    assert records.read_record(tmp_path) == HandoverRecord(1, ACCEPTED)
    assert not list(tmp_path.glob("*.part"))


def test_an_sbatch_that_outlives_its_ckgit_holds_the_lock(tmp_path: Path) -> None:
    handing = records.take(tmp_path, 1)
    assert handing
    program = subprocess.Popen(["sleep", "100"], pass_fds=[handing.lock])
    records.release(handing)
    found = records.read_record(tmp_path)
    assert found
    assert found.busy
    program.kill()
    program.wait()
    found = records.read_record(tmp_path)
    assert found
    assert not found.busy


def test_an_answer_to_another_hand_over_does_not_count(tmp_path: Path) -> None:
    first = records.take(tmp_path, 1)
    assert first
    records.write_answer(first.path, first.nonce, ACCEPTED)
    records.take_back(first)
    records.release(first)
    assert records.read_record(tmp_path) is None
    second = records.take(tmp_path, 1)
    assert second
    records.release(second)
    found = records.read_record(tmp_path)
    assert found
    assert found.verdict.outcome is SbatchOutcome.AMBIGUOUS


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"nonce": 1}', b"\xff\xfe", b'{"nonce": "x", "outcome": "new", "job_id": "", "words": ""}']
)
def test_a_damaged_answer_is_none(tmp_path: Path, damage: bytes) -> None:
    handing = records.take(tmp_path, 1)
    assert handing
    records.release(handing)
    (tmp_path / "answer.1").write_bytes(damage)
    found = records.read_record(tmp_path)
    assert found
    assert found.verdict.outcome is SbatchOutcome.AMBIGUOUS


def test_the_latest_hand_over_counts(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        handing = records.take(tmp_path, number)
        assert handing
        records.release(handing)
    found = records.read_record(tmp_path)
    assert found
    assert found.number == 10
    records.settle(tmp_path, found, SbatchVerdict(SbatchOutcome.ABSENT))
    assert records.read_record(tmp_path) == HandoverRecord(10, SbatchVerdict(SbatchOutcome.ABSENT))


def test_since_when_a_job_is_missing_is_known_to_all(tmp_path: Path) -> None:
    assert records.note_absent(tmp_path) < 5
    past = time.time() - 100
    os.utime(tmp_path / "absent", (past, past))
    assert records.note_absent(tmp_path) >= 99  # files are dated by a coarser clock
    assert (records.read_traces(tmp_path, None).absent or 0) >= 99
    records.forget_absent(tmp_path)
    assert records.read_traces(tmp_path, None).absent is None
    future = time.time() + 100
    records.note_absent(tmp_path)
    os.utime(tmp_path / "absent", (future, future))
    assert records.read_traces(tmp_path, None).absent == 0


def test_the_time_is_the_file_systems_not_this_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = time.time() + 3600
    monkeypatch.setattr(records.time, "time", lambda: ours)
    assert records.note_absent(tmp_path) < 5
    assert (records.read_traces(tmp_path, None).absent or 0) < 5
    assert [path.name for path in tmp_path.iterdir()] == ["absent"]


def test_what_a_job_leaves(tmp_path: Path) -> None:
    (tmp_path / "claim").mkdir()
    assert records.read_traces(tmp_path, None) == FolderTraces(claimed=True)
    (tmp_path / "claim" / "id").write_text("12\n")
    (tmp_path / "output").touch()
    (tmp_path / "cancelled").touch()
    (tmp_path / "status.json").write_text('{"exit_code": 3}')
    expected = FolderTraces(claimed=True, claim_id="12", exit_code=3, ended=True, printed=True, cancelled=True)
    assert records.read_traces(tmp_path, None) == expected
    (tmp_path / "status.json").write_text('{"exit_code": 3, "exit_code": 0}')
    assert records.read_traces(tmp_path, None) == expected._replace(exit_code=None)
    (tmp_path / "status.json").write_text("{")
    assert records.read_traces(tmp_path, None) == expected._replace(exit_code=None)


def test_the_record_of_a_task_is_its_arrays(tmp_path: Path) -> None:
    assert records.record_folder(tmp_path, "x.array_3") == tmp_path / ".ckgit/arrays/x.array"
    assert records.record_folder(tmp_path, "x.1.00ff") == tmp_path / ".ckgit/jobs/x.1.00ff"
