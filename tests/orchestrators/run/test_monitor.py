"""Watching jobs whose status cannot be read: it is waited for, said to be unknown, and never taken for an end."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Progress
from ckgit.jobs.folder import job_folder
from ckgit.orchestrators.engine import polling
from ckgit.orchestrators.run.monitor.progress import Pace
from tests.orchestrators.bench import Bench


def test_a_status_that_cannot_be_read_is_unknown_until_it_can(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    bench.go()
    bench.until(lambda: all((job_folder(bench.work, token) / "status.json").exists() for token in bench.executions()))
    status = job_folder(bench.work, bench.latest("rank4/finetune").token) / "status.json"
    status.rename(status.with_name("kept"))
    status.mkdir()  # reading it is an OSError

    process = bench.start("advance", "demo", "--no-wait")
    _, said = process.communicate(timeout=30)
    assert process.returncode == Exit.UNKNOWN, said
    assert "its status cannot be read: Is a directory" in said
    assert bench.history()[-1] == "submit"
    assert "its status cannot be read" in bench.ckgit("why", "demo").stdout

    status.rmdir()
    status.with_name("kept").rename(status)
    assert bench.advance().state is State.TRAINED
    assert len(bench.executions()) == 2


def test_looks_get_rarer_while_nothing_changes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.hold()
    bench.advance(State.SCAFFOLDED)
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(CkgitError) as caught:
        bench.advance()
    monkeypatch.undo()
    assert caught.value.code is Exit.INTERRUPTED
    assert naps[0] == pytest.approx(0.05)  # the first look is news; poll_seconds of the tests' profile
    assert naps == sorted(naps)
    assert naps[-1] == pytest.approx(0.15)


def test_a_pace_is_reckoned_from_the_first_step_that_was_seen() -> None:
    pace = Pace()
    seen = [(0, 300.0), (1, 400.0), (1, 402.0), (3, 404.0), (101, 502.0), (2, 700.0), (4, 701.0)]
    rates = [pace.rate(Progress(step=step, steps=101), now) for step, now in seen]
    assert rates == [None, None, None, pytest.approx(0.5), pytest.approx(100 / 102), None, pytest.approx(2.0)]


def test_a_running_job_shows_no_time_left_before_two_steps_were_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.hold()
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 10:
            bench.go()
        time.sleep(seconds)

    monkeypatch.setattr(polling, "time", SimpleNamespace(sleep=sleep))
    bench.advance(State.TRAINED)
    lines = [line for lines in bench.heard.drawn for line in lines]
    assert "rank4/finetune  1/3  loss 0.4" in lines  # the tool of this bench always says so
    assert not [line for line in lines if "left" in line]


def test_an_experiment_cannot_be_left_to_a_scheduler_that_starts_nothing_by_itself(bench: Bench) -> None:
    with pytest.raises(CkgitError, match="cannot go on by itself") as caught:
        bench.advance(State.ANALYZED, wait=False, detach=True)
    assert caught.value.code is Exit.USAGE
    assert bench.history() == ["design"]
