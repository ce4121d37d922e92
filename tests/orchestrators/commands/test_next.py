"""Out of every state one command leads on, and `next:` names it: each is followed, as a person would, until something has changed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.jobs.folder import job_folder
from ckgit.schedulers.local.process import read_process
from tests.orchestrators.bench import Bench
from tests.orchestrators.commands.next_commands import Done, follow, named

pytestmark = pytest.mark.slow
JOBS = {State.SCAFFOLDED: "rank4/finetune", State.TRAINED: "rank4/eval/capitalization_epoch0"}


@pytest.fixture
def one(designed: Callable[..., Bench]) -> Bench:
    """One run to train, and one evaluation of it."""
    return designed(variables={"lora_rank": [4]}, runs=[])


def to_the_end(bench: Bench, done: Done) -> None:
    for _ in range(6):
        if bench.snapshot.state is State.ANALYZED:
            assert ["show", "demo"] in named(done)
            return
        done = follow(bench, done)
    pytest.fail(f"it is {bench.snapshot.state} still")


def flat(job: str) -> str:
    return job.replace("/", "-")


def held(bench: Bench, *words: str) -> None:
    """Run a command whose jobs begin, and wait to be let go."""
    bench.hold()
    before = len(bench.executions())
    assert bench.ckgit(*words, "--no-wait", check=False).returncode == Exit.IN_FLIGHT
    bench.until(lambda: len(bench.executions()) > before)


def lose(bench: Bench, job: str) -> None:
    """Kill a job before it can write its status, as a machine that stops does."""
    process = read_process(job_folder(bench.work, bench.latest(job).token) / "local.json")
    assert process
    os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("state", list(JOBS))
def test_every_failure_names_what_leads_on(one: Bench, state: State) -> None:
    one.advance(state)
    job = JOBS[state]
    by_hand = (FailureClass.LOST, FailureClass.CANCELLED, FailureClass.REFUSED, FailureClass.INPUT_CHANGED)
    done = None
    for number, failure in enumerate((each for each in FailureClass if each not in by_hand), start=1):
        (one.steer / f"fail-{flat(job)}").write_text(f"failure: {failure}\n")
        done = follow(one, done) if done else one.ckgit("advance", "demo", check=False)
        assert done.returncode == Exit.JOBS_FAILED, done.stderr
        assert (one.latest(job).failure, one.latest(job).number) == (failure, number)
        assert named(done) == [["why", "demo"], ["retry", "demo"], ["advance", "demo", "--accept-missing"]]
    one.mend(job)
    held(one, "retry", "demo")
    lose(one, job)
    done = one.ckgit("advance", "demo", check=False)
    assert (done.returncode, one.latest(job).failure) == (Exit.JOBS_FAILED, FailureClass.LOST)
    assert named(one.ckgit("status", "demo")) == [["why", "demo"], ["retry", "demo"]]
    held(one, *named(done)[1])
    done = one.ckgit("cancel", "demo")
    assert (one.latest(job).failure, named(done)) == (FailureClass.CANCELLED, [["retry", "demo"]])
    assert named(one.ckgit("status", "demo")) == [["why", "demo"], ["retry", "demo"]]
    one.go()
    done = follow(one, done)
    assert (done.returncode, one.latest(job).phase) == (0, Phase.DONE)
    assert one.snapshot.state is not state
    to_the_end(one, done)


def test_what_was_changed_in_the_work_tree_is_brought_back_by_a_retry(one: Bench) -> None:
    """Inputs that changed and scripts that are refused, of the training and of the evaluation."""
    one.advance(State.TRAINED)
    job = JOBS[State.TRAINED]
    script, setup = (one.work / f"experiments/demo/rank4/{name}" for name in ("eval/capitalization_epoch0.slurm", "setup.txt"))
    kept = script.read_bytes(), setup.read_bytes()
    script.write_text("exit 0\n")
    done = one.ckgit("advance", "demo", check=False)
    assert (done.returncode, one.latest(job).failure) == (Exit.JOBS_FAILED, FailureClass.REFUSED)
    held(one, *named(done)[1])
    lose(one, job)
    one.go()
    setup.write_text("lr 1\n")
    (one.work / "data/words.json").write_text("{}")
    done = follow(one, one.ckgit("advance", "demo", check=False))
    assert (done.returncode, one.latest(job).phase) == (0, Phase.DONE), done.stderr
    assert (script.read_bytes(), setup.read_bytes()) == kept
    assert (one.work / "data/words.json").read_bytes() == (one.folder / "data/words.json").read_bytes()
    to_the_end(one, done)


def test_a_failure_that_stays_can_be_passed_over(one: Bench) -> None:
    one.fail(JOBS[State.SCAFFOLDED])
    one.advance(State.TRAINED)
    done = one.ckgit("advance", "demo", check=False)
    done = one.ckgit(*named(done)[-1])
    assert one.snapshot.state is State.TRAINED
    to_the_end(one, done)


def test_jobs_that_are_out_are_come_back_to(one: Bench) -> None:
    one.hold()
    done = one.ckgit("advance", "demo")
    for state in (State.SCAFFOLDED, State.TRAINED):
        assert one.snapshot.state is state
        done = one.ckgit(*named(done)[0], "--no-wait", check=False)
        assert (done.returncode, named(done)) == (Exit.IN_FLIGHT, [["advance", "demo"]])
        assert named(one.ckgit("status", "demo")) == [["advance", "demo"]]
        again = one.ckgit("retry", "demo", check=False)  # nothing failed
        assert (again.returncode, named(again)) == (Exit.ILLEGAL_TRANSITION, [["advance", "demo"]])
        one.go()
        done = follow(one, done)
        one.hold()
    one.go()
    to_the_end(one, done)


@pytest.mark.parametrize("out", [True, False], ids=["jobs are out", "a job failed"])
def test_a_work_tree_that_is_gone_is_given_up(one: Bench, *, out: bool) -> None:
    one.advance(State.SCAFFOLDED)
    if out:
        held(one, "advance", "demo")
    else:
        one.fail(JOBS[State.SCAFFOLDED])
        one.advance(State.TRAINED)
    tree = one.work
    tree.rename(tree.with_name("elsewhere"))
    done = one.ckgit("advance", "demo", check=False) if out else one.ckgit("retry", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert "bring the folder back" in done.stderr
    done = follow(one, done)
    (one.steer / "hold").unlink(missing_ok=True)
    (one.steer / f"fail-{flat(JOBS[State.SCAFFOLDED])}").unlink(missing_ok=True)
    for _ in range(6):
        if one.snapshot.state is State.ANALYZED:
            return
        done = follow(one, done)
    pytest.fail(f"it is {one.snapshot.state} still")


def test_a_status_that_cannot_be_read_is_waited_for_and_can_be_given_up(one: Bench) -> None:
    one.advance(State.SCAFFOLDED)
    held(one, "advance", "demo")
    job = JOBS[State.SCAFFOLDED]
    (job_folder(one.work, one.latest(job).token) / "status.json").mkdir()
    lose(one, job)
    one.go()
    done = one.ckgit("advance", "demo", "--no-wait", check=False)
    assert done.returncode == Exit.UNKNOWN
    assert ["cancel", "demo"] in named(done)
    done = one.ckgit("cancel", "demo")
    assert one.latest(job).phase is Phase.CANCELLED
    to_the_end(one, done)
