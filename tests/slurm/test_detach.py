"""An experiment that is left to its cluster, and what may happen to the job that goes on with it."""

from __future__ import annotations

import subprocess
import time

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Detached, Phase
from ckgit.experiment.scheduler import JobState
from ckgit.orchestrators.commands.cancel import cancel
from ckgit.orchestrators.engine.options import Selection
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.orchestrators.run import plan
from ckgit.orchestrators.run.continuation import job
from ckgit.orchestrators.run.continuation import plan as continuation
from ckgit.orchestrators.run.continuation.job import look_at
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.test_engine import bench, once_each  # noqa: F401 - a fixture

ONLY_FAKE = pytest.mark.parametrize("slurm", ["fake"], indirect=True)


class KilledError(Exception):
    """Stands for a process that is no more."""


def profile(bench: Bench, *lines: str) -> None:  # noqa: F811
    """Add to the cluster profile."""
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + "".join(f"{line}\n" for line in lines))
    subprocess.run(["git", "commit", "-qam", "limits"], cwd=bench.folder, check=True)


def leave(bench: Bench, to: State = State.ANALYZED, **options: object) -> Detached:  # noqa: F811
    """Leave the experiment to its cluster; who goes on with it."""
    assert bench.advance(to, wait=False, detach=True, **options).code is Exit.DONE
    return left(bench)


def left(bench: Bench) -> Detached:  # noqa: F811
    assert bench.ledger.detached
    return bench.ledger.detached


def seen(bench: Bench, detached: Detached) -> JobState:  # noqa: F811
    return look_at(detached, bench.lab.cluster(), bench.work).statuses[detached.token].state


def number_of(slurm, token: str) -> str:
    return slurm.ask("squeue", "-h", "-t", "all", "-n", token, "-o", "%A")


def go_on(bench: Bench, token: str) -> object:  # noqa: F811
    """What the job of that token does."""
    return bench.advance(State.ANALYZED, wait=False, detach=True, token=token)


@pytest.fixture
def held(bench: Bench, slurm) -> Bench:  # noqa: F811
    """Left to a job that does not start by itself, so that the test can do what it would."""
    bench.hold()
    token = leave(bench).token
    slurm.ask("scontrol", "hold", number_of(slurm, token))
    return bench


@ONLY_FAKE
def test_killed_after_it_named_the_next_one_it_goes_on_when_it_is_started_again(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = left(held).token
    held.go()
    held.hold("rank8/finetune")
    held.until((held.work / ".ckgit/jobs" / held.latest("rank4/finetune").token / "status.json").exists, seconds=60)

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(job, "hand_over", killed)
        with pytest.raises(KilledError):
            go_on(held, first)
    second = left(held)
    assert (second.by, seen(held, second)) == (first, JobState.UNSEEN)
    assert "is left to its cluster" in go_on(held, first).message
    assert seen(held, left(held)) in {JobState.QUEUED, JobState.RUNNING}
    tip = held.snapshot.tip
    assert "not left to this job any more" in go_on(held, first).message
    assert held.snapshot.tip == tip


@ONLY_FAKE
def test_who_has_passed_a_stage_goes_on_when_it_is_started_again(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = left(held).token
    held.go()
    trainings = [held.latest(f"{run}/finetune").token for run in ("rank4", "rank8")]
    held.until(lambda: all((held.work / ".ckgit/jobs" / token / "status.json").exists() for token in trainings), seconds=60)

    def killed(view, *_: object) -> object:
        assert view.snapshot.state is State.TRAINED
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(plan, "due_jobs", lambda *words: [] if words[0].snapshot.state is State.SCAFFOLDED else killed(*words))
        with pytest.raises(KilledError):
            go_on(held, first)
    assert held.snapshot.state is State.TRAINED
    assert left(held).token == first
    assert "is left to its cluster" in go_on(held, first).message


@ONLY_FAKE
def test_a_full_queue_is_waited_for_and_not_filled_with_jobs_that_look(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "max_submit = 1")
    slurm.submit("--job-name=other", commands="sleep 300")
    leave(bench)
    before = bench.history()
    time.sleep(2.5)  # eight polls
    assert bench.history() == before
    assert sum(".advance." in job.name for job in slurm.jobs()) <= 2  # and the stand-in


@ONLY_FAKE
def test_a_limit_that_passes_holds_the_next_one_back_without_commits(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    slurm.knob(sbatch=[*["AssocMaxSubmitJobLimit"] * 4, "ok", "ok"])
    detached = leave(bench)
    assert seen(bench, detached) is JobState.QUEUED
    assert bench.history() == ["design", "scaffold", "submit", "submit"]  # the second one names who goes on


@ONLY_FAKE
def test_a_limit_that_stays_is_said_and_nothing_is_promised(bench: Bench, slurm, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(continuation, "PATIENCE", 2)
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    slurm.knob(sbatch=["AssocMaxSubmitJobLimit", "..."])
    with pytest.raises(CkgitError, match="was not taken, as far as is known") as caught:
        leave(bench)
    assert caught.value.code is Exit.UNKNOWN
    assert bench.history() == ["design", "scaffold", "submit", "submit"]  # the second one names who goes on


@ONLY_FAKE
def test_an_answer_that_does_not_come_is_waited_for(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    slurm.knob(sbatch=["timeout"])
    process = bench.start("advance", "demo", "--detach")
    bench.until(lambda: bench.ledger.detached is not None, seconds=60)
    bench.until(lambda: seen(bench, left(bench)) is JobState.QUEUED, seconds=60)
    bench.go()
    assert process.communicate(timeout=60)[0].startswith("demo is left to its cluster")
    bench.until(lambda: bench.snapshot.state is State.ANALYZED, seconds=120)
    assert once_each(bench)


def test_out_of_time_its_stand_in_goes_on(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold()
    detached = leave(bench)
    number, again = number_of(slurm, detached.token), number_of(slurm, detached.stand_in)
    assert again
    slurm.ask("scancel", number)  # by somebody, or by the site: it does not end well
    bench.until(lambda: slurm.state(again) in {"RUNNING", "COMPLETED", "COMPLETING"}, seconds=60)
    bench.go()
    bench.until(lambda: bench.snapshot.state is State.ANALYZED, seconds=180)
    assert once_each(bench)


@ONLY_FAKE
def test_that_nobody_goes_on_is_said_by_why(held: Bench, slurm) -> None:
    for token in (left(held).stand_in, left(held).token):
        slurm.ask("scancel", number_of(slurm, token))
    held.until(lambda: seen(held, left(held)) is JobState.GONE, seconds=30)
    said = held.ckgit("why", "demo").stdout
    assert "advance (left): the job that was to go on has ended (it was cancelled" in said
    assert "ckgit advance demo goes on" in said


@ONLY_FAKE
def test_how_it_was_left_holds_until_the_end(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold("rank8/finetune")
    detached = leave(bench, sequential=True, accept_missing=True)
    assert (detached.sequential, detached.accept_missing) == (True, True)
    bench.until((bench.work / ".ckgit/jobs" / bench.latest("rank4/finetune").token / "status.json").exists, seconds=60)
    time.sleep(2)
    assert seen(bench, detached) is JobState.QUEUED  # one that has ended alone is not worth a look
    assert bench.ledger.latest("rank4/eval/capitalization_epoch0") is None
    bench.fail("rank8/finetune")
    bench.go("rank8/finetune")
    bench.until(lambda: bench.snapshot.state is State.ANALYZED, seconds=120)
    assert bench.ledger.accepted_missing == ("rank8/finetune", "rank8/eval/capitalization_epoch0")
    assert bench.ledger.detached is None


def test_left_again_with_another_aim_another_job_goes_on(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold()
    first = leave(bench, State.TRAINED)
    second = leave(bench, State.ANALYZED)
    assert (first.to, second.to) == (State.TRAINED, State.ANALYZED)
    bench.until(lambda: seen(bench, first) is JobState.GONE, seconds=60)  # once accounting knows of it
    assert seen(bench, second) is JobState.QUEUED
    assert leave(bench, State.ANALYZED) == second


def test_cancel_ends_the_job_that_goes_on_also_when_it_is_the_only_one_left(held: Bench, slurm) -> None:
    detached = left(held)
    held.go()
    held.until(lambda: all((held.work / ".ckgit/jobs" / a.token / "status.json").exists() for a in held.ledger.open()), seconds=120)
    held.until(lambda: seen(held, detached) is JobState.QUEUED, seconds=30)
    result = cancel(open_partially(held.lab, "demo"), Selection(), held.heard)
    assert "and the one that was to go on" in result.message
    assert held.ledger.detached is None
    assert seen(held, detached) is JobState.GONE


def test_cancelling_one_run_leaves_the_others_to_go_on(held: Bench, slurm) -> None:
    detached = left(held)
    assert cancel(open_partially(held.lab, "demo"), Selection(run="rank4"), held.heard).message == "1 job cancelled"
    assert (held.latest("rank4/finetune").phase, held.latest("rank8/finetune").phase) == (Phase.CANCELLED, Phase.SUBMITTED)
    assert left(held) == detached
    assert seen(held, detached) is JobState.QUEUED


def test_a_retry_can_be_left_to_the_cluster_too(bench: Bench, slurm) -> None:  # noqa: F811
    bench.fail("rank8/finetune")
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    bench.mend("rank8/finetune")
    done = bench.ckgit("retry", "demo", "--detach")
    assert done.stdout.startswith("demo is left to its cluster, which takes it on to analyzed")
    bench.until(lambda: bench.snapshot.state is State.ANALYZED, seconds=180)
    assert bench.latest("rank8/finetune").number == 2
