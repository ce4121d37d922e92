"""retry and cancel: recorded first, only what is meant, and never two attempts of a job at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.experiment.scheduler import JobState
from ckgit.jobs.folder import job_folder
from ckgit.orchestrators.commands.cancel import cancel, plan_cancel
from ckgit.orchestrators.commands.observe_cancel import observe_cancel
from ckgit.orchestrators.commands.retry import plan_retry
from ckgit.orchestrators.engine.experiment import commit_and_tell, open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions, Selection
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.schedulers.local.process import read_process
from ckgit.schedulers.local.scheduler import scheduler
from tests.attempts import attempts
from tests.orchestrators.bench import Bench


def again(bench: Bench, selection: Selection = Selection(), *, wait: bool = True) -> Exit:  # noqa: B008 - it is frozen
    return bench.retry(*selection, wait=wait).code


def seen(bench: Bench, token: str) -> JobState:
    return scheduler.poll(bench.lab.cluster(), bench.work, attempts(token)).statuses[token].state


def test_retry_runs_only_what_failed(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    assert again(bench) is Exit.DONE
    assert list(dict.fromkeys(bench.history()[2:])) == ["submit", "fail", "retry", "train"]  # where jobs end apart, so do their commits
    assert bench.snapshot.state is State.TRAINED
    assert [(a.job, a.number, a.phase) for a in bench.ledger.attempts] == [
        ("rank4/finetune", 1, Phase.DONE),
        ("rank8/finetune", 1, Phase.FAILED),
        ("rank8/finetune", 2, Phase.DONE),
    ]
    assert len(bench.executions()) == 3


def test_what_failed_is_retried_while_the_rest_still_runs(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    process = read_process(job_folder(bench.work, bench.latest("rank4/finetune").token) / "local.json")
    assert process
    os.killpg(process.pid, signal.SIGKILL)
    assert bench.advance(wait=False).code is Exit.IN_FLIGHT
    assert bench.history()[2:] == ["submit", "fail"]
    assert bench.latest("rank8/finetune").phase is Phase.SUBMITTED
    bench.go()
    assert again(bench) is Exit.DONE
    assert bench.history()[2:] == ["submit", "fail", "retry", "train"]
    assert len(bench.executions()) == 3


def test_retry_of_one_run_leaves_the_other_failed(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank4/finetune")
    assert again(bench, Selection(run="rank4")) is Exit.JOBS_FAILED
    assert bench.latest("rank4/finetune").phase is Phase.DONE
    assert bench.latest("rank8/finetune").number == 1
    assert len(bench.executions()) == 3


def test_a_retry_that_fails_again_is_a_failure_again(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    assert again(bench) is Exit.JOBS_FAILED
    assert bench.history()[-3:] == ["fail", "retry", "fail"]
    logs = [attempt.log for attempt in bench.ledger.attempts]
    assert len(set(logs)) == 3


def test_nothing_failed_is_said_and_nothing_is_done(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    with pytest.raises(CkgitError, match="nothing failed") as caught:
        again(bench)
    assert caught.value.code is Exit.ILLEGAL_TRANSITION


def test_a_run_that_is_not_there_is_named_with_those_that_are(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    with pytest.raises(CkgitError, match="rank99") as caught:
        again(bench, Selection(run="rank99"))
    assert caught.value.code is Exit.USAGE
    assert "rank4, rank8" in caught.value.next


def test_a_slip_of_the_pen_is_told_from_a_run_without_a_job(bench: Bench) -> None:
    def asked(*words: str) -> str:
        return bench.ckgit(*words, check=False).stderr

    for state in (State.DESIGNED, State.SCAFFOLDED):
        bench.advance(state)
        typo = asked("cancel", "demo", "--run", "rnak4")
        assert "demo has no run rnak4\n" in typo
        assert "next:  did you mean rank4?; name one of: rank4, rank8, base\n" in typo
        assert "demo: no job is queued or running\n" in asked("cancel", "demo", "--run", "rank4")
    assert "demo has no job rank4\n" in asked("cancel", "demo", "--job", "rank4")
    bench.fail("base/eval/capitalization_base")
    bench.advance(State.TRAINED)
    done = bench.ckgit("retry", "demo", "--job", "rank4/finetune", check=False)
    told = done.stderr
    assert done.returncode == Exit.ILLEGAL_TRANSITION
    assert "demo: job rank4/finetune has no part in evaluation, which comes next\n" in told
    assert "next:  ckgit status demo" in told


def test_of_several_jobs_the_cancelled_ones_are_not_said_to_have_failed(bench: Bench) -> None:
    bench.hold("rank8/finetune")
    bench.fail("rank4/finetune")
    bench.advance(wait=False)
    bench.advance(wait=False)
    bench.ckgit("cancel", "demo", "--job", "rank8/finetune")
    told = bench.ckgit("advance", "demo", check=False)
    assert "1 of 2 jobs failed, 1 was cancelled:" in told.stderr


def test_cancel_is_recorded_and_ends_the_jobs(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    tokens = [attempt.token for attempt in bench.ledger.attempts]
    assert cancel(open_partially(bench.lab, "demo"), Selection(), bench.heard).message == "2 jobs cancelled"
    assert bench.history()[-1] == "cancel"
    assert {attempt.failure for attempt in bench.ledger.attempts} == {FailureClass.CANCELLED}
    assert {seen(bench, token) for token in tokens} == {JobState.GONE}
    bench.go()
    assert bench.advance().code is Exit.JOBS_FAILED
    assert again(bench) is Exit.DONE
    assert bench.snapshot.state is State.TRAINED
    assert len(bench.executions()) == 4


def test_a_cancellation_that_was_interrupted_is_completed(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    view = open_experiment(bench.lab, "demo")
    step = plan_cancel(observe_cancel(open_partially(bench.lab, "demo"), Selection())).step
    assert step
    commit_and_tell(view.lab, step, bench.heard)
    token = bench.latest("rank4/finetune").token
    assert seen(bench, token) is JobState.RUNNING
    assert "still ran" in cancel(open_partially(bench.lab, "demo"), Selection(), bench.heard).message
    assert seen(bench, token) is JobState.GONE
    assert bench.history().count("cancel") == 1
    with pytest.raises(CkgitError, match="no job is queued or running"):
        cancel(open_partially(bench.lab, "demo"), Selection(), bench.heard)


def test_retry_first_ends_what_a_cancellation_left_running(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    view = open_experiment(bench.lab, "demo")
    step = plan_cancel(observe_cancel(open_partially(bench.lab, "demo"), Selection())).step
    assert step
    commit_and_tell(view.lab, step, bench.heard)
    old = bench.latest("rank4/finetune").token
    assert again(bench, wait=False) is Exit.IN_FLIGHT
    assert seen(bench, old) is JobState.GONE


def test_what_ended_by_itself_is_not_cancelled(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    bench.go()
    tokens = [attempt.token for attempt in bench.ledger.attempts]
    bench.until(lambda: all(seen(bench, token) is JobState.GONE for token in tokens))
    with pytest.raises(CkgitError, match="no job is queued or running"):
        cancel(open_partially(bench.lab, "demo"), Selection(), bench.heard)
    assert bench.advance().state is State.TRAINED


def test_cancel_of_one_job(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    cancel(open_partially(bench.lab, "demo"), Selection(job="rank8/finetune"), bench.heard)
    assert bench.latest("rank4/finetune").phase is Phase.SUBMITTED
    bench.go()
    assert bench.advance().code is Exit.JOBS_FAILED
    assert bench.latest("rank4/finetune").phase is Phase.DONE


def test_what_a_retry_committed_reaches_the_work_tree_whoever_hands_it_over(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    script = bench.work / "experiments/demo/rank8/finetune.slurm"
    view = open_experiment(bench.lab, "demo")
    commit_and_tell(view.lab, plan_retry(view, AdvanceOptions()).step, bench.heard)
    script.write_text("of another retry")  # the one that committed died before it wrote its files
    assert bench.advance(State.TRAINED).code is Exit.DONE
    assert script.read_bytes() == bench.snapshot.read("experiments/demo/rank8/finetune.slurm")


def test_a_mended_profile_takes_effect_at_retry_and_the_commit_has_the_script_and_says_so(bench: Bench) -> None:
    bench.set_up("true")
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    bench.set_up("export MENDED=1")
    assert again(bench) is Exit.DONE
    path = "experiments/demo/rank8/finetune.slurm"
    committed = bench.snapshot.read(path)
    assert b"export MENDED=1" in (committed or b"")
    assert (bench.work / path).read_bytes() == committed
    assert b"MENDED" not in (bench.snapshot.read("experiments/demo/rank4/finetune.slurm") or b"")
    note = "rank8/finetune: its script is rendered anew, for the cluster profile as it is now"
    assert f"- {note}" in bench.message("exp/demo~1")
    assert note in (bench.snapshot.read("experiments/demo/run-experiment.log") or b"").decode()


def test_a_retry_with_the_profile_as_it_was_renders_nothing(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    planned = plan_retry(open_experiment(bench.lab, "demo"), AdvanceOptions())
    assert not [path for path in planned.step.files if path.count("/") > 2]
    assert "rendered" not in planned.step.body


def test_where_what_is_compared_would_change_too_the_job_stays_as_it_was_scaffolded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import ckgit_tiny

    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    scaffolded = bench.snapshot.read("experiments/demo/rank8/finetune.slurm")
    monkeypatch.setattr(ckgit_tiny, "_setup", lambda *_: b"lr 1\n")
    assert again(bench) is Exit.DONE
    assert bench.snapshot.read("experiments/demo/rank8/finetune.slurm") == scaffolded
    assert "rank8/finetune stays as it was scaffolded: now setup.txt would be written otherwise, too" in bench.message("exp/demo~1")


def test_a_retry_leaves_the_scripts_of_jobs_alone_that_wait(designed: Callable[..., Bench]) -> None:
    tasks = [{"name": "capitalization"}, {"name": "again", "file": "tasks/capitalization.py", "function": "capitalization"}]
    bench = designed(variables={"lora_rank": [4]}, runs=[], evaluation={"tasks": tasks})
    bench.advance(State.TRAINED)
    bench.fail("rank4/eval/capitalization_epoch0")
    bench.hold("rank4/eval/again_epoch0")
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 3)
    bench.until(lambda: seen(bench, bench.latest("rank4/eval/capitalization_epoch0").token) is JobState.GONE)
    bench.advance(wait=False)
    bench.mend("rank4/eval/capitalization_epoch0")
    bench.set_up("export MENDED=1")
    waiting = bench.work / "experiments/demo/rank4/eval/again_epoch0.slurm"
    before = waiting.read_bytes()
    assert again(bench, wait=False) is Exit.IN_FLIGHT
    assert waiting.read_bytes() == before == bench.snapshot.read(str(waiting.relative_to(bench.work)))
    bench.go("rank4/eval/again_epoch0")
    assert bench.advance().state is State.EVALUATED
    assert bench.latest("rank4/eval/capitalization_epoch0").number == 2
