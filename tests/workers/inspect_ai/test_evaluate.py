"""What an evaluation leaves: a log under its final name, and an exit code that tells the truth."""

from pathlib import Path

import pytest

from ckgit.workers.inspect_ai.cells import planned
from ckgit.workers.inspect_ai.codes import NO_LOG, NOT_SUCCESS
from ckgit.workers.inspect_ai.evaluate import finish
from ckgit.workers.inspect_ai.run_config import ExpectedLog, expected_log
from tests.workers.inspect_ai.examples import LOG, Ended

NOTHING = ExpectedLog({}, None, b"")


def test_no_log(tmp_path: Path):
    code, said = finish(NOTHING, tmp_path / "attempts", tmp_path / "cell.eval")
    assert code == NO_LOG
    assert "wrote no log" in said


def test_a_log_that_is_none(tmp_path: Path):
    pytest.importorskip("zipfile_zstd")
    folder = tmp_path / "attempts"
    folder.mkdir()
    (folder / "a.eval").write_bytes(b"PK")
    code, said = finish(NOTHING, folder, tmp_path / "cell.eval")
    assert code == NOT_SUCCESS
    assert "cut short" in said


@pytest.mark.slow
def test_the_newest_log_counts_and_an_older_one_stays(tuned: Ended, tmp_path: Path):
    folder = tmp_path / "attempts"
    folder.mkdir()
    (folder / "z-older.eval").write_bytes(b"of an attempt that was killed")
    (folder / "a-newer.eval").write_bytes((tuned.work / LOG).read_bytes())
    wanted = expected_log(next(planned(tuned.context, "tuned")))
    assert finish(wanted, folder, tmp_path / "cell.eval") == (0, "")
    assert (tmp_path / "cell.eval").read_bytes() == (tuned.work / LOG).read_bytes()
    assert [path.name for path in folder.iterdir()] == ["z-older.eval"]
