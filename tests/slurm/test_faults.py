"""An experiment among the faults of a cluster: a clear word, nothing lost, nothing executed twice, and the same command goes on.

Which test shows what, here and elsewhere:

killed at any moment                     test_kill_cycles, test_model, tests/orchestrators/test_crash.py
killed after sbatch, before its answer   test_killed_between_sbatch_and_its_record, test_scheduler.test_killed_after_sbatch…
sbatch times out and was accepted        test_a_frozen_controller_…, test_scheduler.test_a_frozen_controller_…, test_accepted_and_lost…
a late duplicate                         test_a_copy_of_a_job_…, test_scheduler.test_a_copy_that_comes_late…, test_model
two ckgit processes                      test_two_at_once…, test_scheduler.test_many_processes…
completed, and not trained               test_completed_is_not_trained
a state that is not known                test_a_state_that_means_nothing…, test_scheduler.test_a_state_that_is_not_known…
cancelled, by whom                       test_engine.test_a_job_that_someone_cancelled…, test_scheduler.test_cancelled_by_hand…
controller or accounting down            test_a_controller_that_is_away…, test_without_accounting…, test_scheduler
preempted, requeued, held                test_queued_again…, test_preempted…, test_held…, test_scheduler.test_a_requeued_job…
purged, an id used again                 test_purged_and_its_id_used_again…, test_scheduler.test_an_id_that_is_used_again…
some of many failed                      test_engine.test_a_failed_run_is_explained_and_tried_again_alone…, …arrays…
the file system lags                     test_a_status_that_shows_late…, test_a_status_that_never_shows…
refused                                  test_refused_in_slurms_words…, test_scheduler.test_a_refusal_is_told…
clock, locale, SQUEUE_FORMAT, SBATCH_…   test_what_the_users_shell_says…, test_a_clock_that_is_wrong…, test_scheduler
hang-up, output closed or full           test_a_hang_up…, test_output_that_is_closed_or_full…
time limit, node                         test_scheduler.test_the_time_limit, test_every_bad_ending…, test_a_node_daemon_…
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.clusters import eventually
from tests.slurm.test_engine import bench, once_each  # noqa: F401 - a fixture

JOB = "rank4/finetune"
ONLY_FAKE = pytest.mark.parametrize("slurm", ["fake"], indirect=True)
LONG = "CKGIT_LONG_TESTS" in os.environ
ONLY_REAL = pytest.mark.parametrize("slurm", [pytest.param("real", marks=pytest.mark.slurm)], indirect=True)
# `ckgit`, killed where it would write down what sbatch answered.
KILLED = """
import os, signal, sys
from ckgit.cli import main
from ckgit.schedulers.slurm import records
records.write_answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(main())
"""


def submitted(bench: Bench) -> None:  # noqa: F811 - the fixture
    """The training jobs run, and wait for `bench.go()`."""
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    tokens = {bench.latest(job).token for job in (JOB, "rank8/finetune")}
    bench.until(lambda: tokens <= set(bench.executions()), seconds=60)


def job_id(bench: Bench, slurm, job: str = JOB) -> str:  # noqa: F811
    return slurm.ask("squeue", "-h", "-t", "all", "-n", bench.latest(job).token, "-o", "%A")


def goes_on(bench: Bench) -> None:  # noqa: F811
    """The rest goes well, and each job has been executed once."""
    result = bench.advance(State.ANALYZED)
    assert (result.code, result.state) == (Exit.DONE, State.ANALYZED), result
    assert once_each(bench)
    assert len(bench.executions()) == 5
    assert {(attempt.phase, attempt.number) for attempt in bench.ledger.attempts} == {(Phase.DONE, 1)}


def look(bench: Bench) -> subprocess.CompletedProcess[str]:  # noqa: F811
    return bench.ckgit("advance", "demo", "--no-wait", check=False)


def test_killed_between_sbatch_and_its_record(bench: Bench, slurm) -> None:  # noqa: F811
    command = [sys.executable, "-c", KILLED, "-C", str(bench.folder), "advance", "demo", "--to", "trained"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    goes_on(bench)
    for attempt in bench.ledger.attempts:
        assert len(slurm.ask("squeue", "-h", "-t", "all", "-n", attempt.token, "-o", "%A").splitlines()) == 1


def test_a_frozen_controller_says_nothing_and_ckgit_waits(bench: Bench, slurm) -> None:  # noqa: F811
    bench.advance(State.SCAFFOLDED)
    with slurm.controller("frozen"):
        done = look(bench)
        assert done.returncode == Exit.UNKNOWN, done.stderr
        assert "unknown means wait" in done.stdout + done.stderr
        assert not bench.executions()
    goes_on(bench)


def test_a_copy_of_a_job_that_comes_late_does_nothing(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    token, script = bench.latest(JOB).token, "experiments/demo/rank4/finetune.slurm"
    copy = slurm.ask("sbatch", "--parsable", f"--job-name={token}", f"--chdir={bench.work}", "--output=copy", str(bench.work / script))
    slurm.wait(copy, "COMPLETED")
    assert "this copy does nothing" in (bench.work / "copy").read_text()
    bench.go()
    goes_on(bench)
    assert bench.latest(JOB).job_id != copy


def test_two_at_once_run_no_job_twice(bench: Bench, slurm) -> None:  # noqa: F811
    processes = [bench.start("advance", "demo", "--to", "trained") for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert {process.returncode for process in processes} <= {Exit.DONE, Exit.BRANCH_MOVED}, said
    for process, text in zip(processes, said, strict=True):
        assert process.returncode == Exit.DONE or "moved" in text
    goes_on(bench)


def test_completed_is_not_trained(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    number = job_id(bench, slurm)
    bench.go()
    slurm.wait(number, "COMPLETED")
    (bench.work / "experiments/demo/rank4/artifacts/training.log").unlink()
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    assert bench.latest(JOB).failure is FailureClass.OUTPUT_MISSING
    assert bench.latest("rank8/finetune").phase is Phase.DONE


@ONLY_FAKE
@pytest.mark.parametrize("word", ["PONDERING", "", "CONFIGURING"])
def test_a_state_that_means_nothing_to_us_is_waited_for(bench: Bench, slurm, word: str) -> None:  # noqa: F811
    submitted(bench)
    slurm.knob(words={job_id(bench, slurm): word})
    done = look(bench)
    assert done.returncode == (Exit.IN_FLIGHT if word == "CONFIGURING" else Exit.UNKNOWN), done.stderr
    assert {attempt.phase for attempt in bench.ledger.attempts if "finetune" in attempt.job} == {Phase.SUBMITTED}
    slurm.knob(words={})
    bench.go()
    goes_on(bench)


def says(process: subprocess.Popen[str], words: str) -> None:
    """Wait until a command says this."""
    assert any(words in line for line in process.stderr), "it ended without it"


def test_a_controller_that_is_away_for_a_while_is_waited_for(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    process = bench.start("advance", "demo", "--to", "trained")
    says(process, f"{JOB}: running")
    with slurm.controller("down"):
        tip, begin = bench.snapshot.tip, time.monotonic()
        says(process, "connect failure")
        if not slurm.is_real:
            asked = len(slurm.calls("squeue"))
            assert eventually(lambda: len(slurm.calls("squeue")), lambda now: now >= asked + 7) >= asked + 7
            assert time.monotonic() - begin > 3  # less and less often: at the first pace it would be two seconds
        assert process.poll() is None
        assert bench.snapshot.tip == tip
    bench.go()
    _, said = process.communicate(timeout=120)
    assert process.returncode == Exit.DONE, said
    goes_on(bench)


def test_without_accounting_an_experiment_comes_to_its_end(bench: Bench, slurm) -> None:  # noqa: F811
    with slurm.accounting_down():
        assert bench.advance(State.EVALUATED).code is Exit.DONE
    goes_on(bench)


def again_and_done(bench: Bench, number: str) -> None:  # noqa: F811
    """The job that was queued again is the same attempt, and is executed twice for that."""
    result = bench.advance(State.ANALYZED)
    assert (result.code, result.state) == (Exit.DONE, State.ANALYZED), result
    attempt = bench.latest(JOB)
    assert (attempt.number, attempt.phase, attempt.job_id) == (1, Phase.DONE, number)
    assert bench.executions().count(attempt.token) == 2
    assert len(bench.executions()) == 6


def test_queued_again_it_is_the_same_attempt(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    number = job_id(bench, slurm)
    slurm.ask("scontrol", "requeue", number)
    assert look(bench).returncode in {Exit.IN_FLIGHT, Exit.UNKNOWN}
    bench.go()
    if slurm.is_real:
        slurm.start_now(number)
    again_and_done(bench, number)


@ONLY_FAKE
def test_preempted_it_is_the_same_attempt(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    number = job_id(bench, slurm)
    slurm.preempt(number)
    assert look(bench).returncode in {Exit.IN_FLIGHT, Exit.UNKNOWN}
    bench.go()
    again_and_done(bench, number)


@ONLY_REAL
@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="two minutes: SLURM queues what was preempted again when it likes; make test-slurm LONG=1 has it")
def test_preempted_by_a_job_of_a_better_partition_it_is_the_same_attempt(bench: Bench, slurm) -> None:  # noqa: F811
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + 'partition = "scavenge"\n')
    subprocess.run(["git", "commit", "-qam", "a cheap partition"], cwd=bench.folder, check=True)
    submitted(bench)
    numbers = {job: job_id(bench, slurm, job) for job in (JOB, "rank8/finetune")}
    other = slurm.submit("--partition=main", "--nodes=2", "--exclusive", commands="until [ -e done ]; do sleep 0.1; done")
    for number in numbers.values():
        assert eventually(lambda number=number: slurm.accounted(number, "State", "-D").split()[:1], ["PREEMPTED"].__eq__) == ["PREEMPTED"]
    assert look(bench).returncode in {Exit.IN_FLIGHT, Exit.UNKNOWN}
    bench.go()
    (slurm.folder / "done").touch()
    slurm.wait(other, "COMPLETED")
    for number in numbers.values():
        slurm.start_now(number)
    result = bench.advance(State.ANALYZED)
    assert (result.code, result.state) == (Exit.DONE, State.ANALYZED), result
    for job, number in numbers.items():
        attempt = bench.latest(job)
        assert (attempt.number, attempt.phase, attempt.job_id) == (1, Phase.DONE, number)
        assert bench.executions().count(attempt.token) == 2


def test_held_it_says_so_and_goes_on_when_it_is_let_go(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    number = job_id(bench, slurm)
    slurm.ask("scontrol", "requeuehold", number)
    eventually(lambda: slurm.ask("squeue", "-h", "-j", number, "-o", "%T %r"), lambda text: "held" in text and "COMPLETING" not in text)
    done = bench.ckgit("why", "demo")
    assert f"it was queued again and is held: scontrol release {number} lets it go" in done.stdout
    assert look(bench).returncode == Exit.IN_FLIGHT
    bench.go()
    slurm.ask("scontrol", "release", number)
    if slurm.is_real:
        slurm.start_now(number)
    again_and_done(bench, number)


@ONLY_FAKE
def test_purged_and_its_id_used_again_it_is_lost_also_to_who_only_looks(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    number, token = job_id(bench, slurm), bench.latest(JOB).token
    slurm.end(number, "NODE_FAIL")
    assert eventually(lambda: slurm.jobs()[0].end, bool)
    (bench.work / ".ckgit/jobs" / token / "status.json").unlink(missing_ok=True)
    slurm.forget(number)
    slurm.give_next(number)
    assert slurm.submit("--job-name=another", commands="sleep 300") == number
    codes = set()
    end = time.monotonic() + 60
    while bench.latest(JOB).phase is Phase.SUBMITTED and time.monotonic() < end:
        codes.add(look(bench).returncode)
        time.sleep(1)
    assert codes == {Exit.UNKNOWN, Exit.IN_FLIGHT}
    assert bench.latest(JOB).failure is FailureClass.LOST
    assert bench.latest("rank8/finetune").phase is Phase.SUBMITTED


@ONLY_FAKE
def test_a_status_that_shows_late_is_waited_for(bench: Bench, slurm) -> None:  # noqa: F811
    slurm.knob(hide={"seconds": 2, "glob": ".ckgit/jobs/*/status.json"})
    goes_on(bench)


@ONLY_FAKE
def test_a_status_that_never_shows_is_a_failure_after_a_time(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    slurm.knob(hide={"seconds": 300, "glob": ".ckgit/jobs/*/status.json"})
    bench.go()
    begin = time.monotonic()
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    assert time.monotonic() - begin > 5
    assert bench.latest(JOB).failure is FailureClass.LOST


def test_refused_in_slurms_words_and_not_asked_again(bench: Bench, slurm) -> None:  # noqa: F811
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + 'partition = "nosuch"\n')
    subprocess.run(["git", "commit", "-qam", "a mistake"], cwd=bench.folder, check=True)
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    for attempt in bench.ledger.attempts:
        if "finetune" in attempt.job:
            assert (attempt.phase, attempt.failure) == (Phase.FAILED, FailureClass.REFUSED)
            assert "artition" in (attempt.reason or "")
    asked = slurm.calls("sbatch") if not slurm.is_real else []
    done = look(bench)
    assert done.returncode == Exit.JOBS_FAILED, done.stderr
    assert not bench.executions()
    assert slurm.is_real or slurm.calls("sbatch") == asked


def test_what_the_users_shell_says_to_slurm_does_not_count(bench: Bench, slurm, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    bad = {
        "SQUEUE_FORMAT": "%i",
        "SQUEUE_STATES": "PD",
        "SQUEUE_USERS": "nobody",
        "SQUEUE_PARTITION": "short",
        "SACCT_FORMAT": "jobid",
        "SBATCH_ACCOUNT": "nosuch",
        "SBATCH_PARTITION": "nosuch",
        "SLURM_CLUSTERS": "beta",
        "SLURM_TIME_FORMAT": "%H",
        "SLURM_JOB_NAME": "interactive",
        "SLURM_JOB_ID": "1",
        "SLURM_RESTART_COUNT": "7",
        "CKGIT_JOB": "another",
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "POSIX",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    assert bench.ckgit("advance", "demo", "--to", "evaluated").returncode == Exit.DONE
    for name in bad:
        monkeypatch.delenv(name)
    goes_on(bench)


@ONLY_FAKE
@pytest.mark.parametrize("seconds", [-7200.0, 7200.0])
def test_a_clock_that_is_wrong_by_hours_changes_nothing(bench: Bench, slurm, seconds: float) -> None:  # noqa: F811
    slurm.knob(clock=seconds)
    goes_on(bench)


def test_a_hang_up_leaves_the_jobs_running(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold()
    process = bench.start("advance", "demo", "--to", "trained", start_new_session=True)
    bench.until(lambda: len(bench.executions()) >= 2, seconds=60)
    os.killpg(process.pid, signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode != Exit.DONE
    assert {attempt.phase for attempt in bench.ledger.attempts if "finetune" in attempt.job} == {Phase.SUBMITTED}
    bench.go()
    goes_on(bench)


@ONLY_FAKE
@pytest.mark.parametrize("output", ["full", "closed"])
def test_output_that_is_closed_or_full_harms_nothing(bench: Bench, slurm, output: str) -> None:  # noqa: F811
    if output == "full":
        with Path("/dev/full").open("w") as full:
            code = subprocess.run(bench.command("advance", "demo", "--to", "evaluated"), stdout=full, stderr=full, check=False).returncode
    else:
        process = bench.start("advance", "demo", "--to", "evaluated")
        process.stdout.close()
        process.stderr.close()
        code = process.wait(120)
    assert code != Exit.BUG
    goes_on(bench)


@ONLY_REAL
def test_a_node_daemon_that_is_killed_takes_no_job_with_it(bench: Bench, slurm) -> None:  # noqa: F811
    submitted(bench)
    node = slurm.ask("squeue", "-h", "-j", job_id(bench, slurm), "-o", "%B")
    slurm.cluster("kill", f"slurmd-{node}")
    try:
        assert look(bench).returncode in {Exit.IN_FLIGHT, Exit.UNKNOWN}
        bench.go()
        time.sleep(2)
    finally:
        slurm.cluster("start", f"slurmd-{node}")
        slurm.cluster("up")
    goes_on(bench)
