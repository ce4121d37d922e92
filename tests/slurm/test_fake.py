"""What the fake SLURM does on demand and a real one will not. What both do is in test_contract.py."""

import json
import os
import time

import pytest

from tests.slurm.clusters import eventually, is_alive, processes
from tests.slurm.fake import main, sbatch, store

TIME_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"


def names(slurm):
    return slurm.ask("squeue", "-h", "-t", "all", "-o", "%j").split()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [("lost", TIME_OUT), ("garbled", sbatch.GARBLED), ("late", TIME_OUT), ("timeout", TIME_OUT), ("connect", sbatch.NO_ANSWER)],
)
def test_the_next_submission_meets_what_was_asked_for_and_the_one_after_it_does_not(fake_slurm, behaviour, words):
    fake_slurm.knob(sbatch=[behaviour], late_seconds=0.3)
    begin = time.time()
    done = fake_slurm.run("sbatch", "--parsable", "-J", "first", "--wrap", "touch ran")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", words)
    if behaviour != "late":  # when that one comes, its own time tells
        assert names(fake_slurm) == (["first"] if behaviour in {"lost", "garbled"} else [])
    if behaviour in {"lost", "garbled", "late"}:  # nobody asks meanwhile
        assert eventually((fake_slurm.folder / "ran").exists, bool)
        assert behaviour != "late" or fake_slurm.jobs()[0].submit >= begin + 0.3
    fake_slurm.submit("-J", "second")
    assert names(fake_slurm) == (["first", "second"] if behaviour in {"lost", "garbled", "late"} else ["second"])


def test_a_behaviour_can_last(fake_slurm):
    fake_slurm.knob(sbatch=["connect", "..."])
    assert [fake_slurm.run("sbatch", "--wrap", "true").returncode for _ in range(3)] == [1, 1, 1]
    fake_slurm.knob(sbatch=[])
    assert fake_slurm.run("sbatch", "--wrap", "true").returncode == 0


def test_submissions_at_the_same_time_meet_each_behaviour_once(fake_slurm):
    fake_slurm.knob(sbatch=["lost", "connect", "late"])
    sites = [store.Site(str(fake_slurm.root), fake_slurm.environment) for _ in range(4)]  # all have begun before one goes on
    assert [sbatch._next_behaviour(site) for site in sites] == ["lost", "connect", "late", "ok"]


@pytest.mark.parametrize("refusal", sbatch.REFUSALS)
def test_a_submission_can_be_refused_for_any_reason(fake_slurm, refusal):
    fake_slurm.knob(sbatch=[refusal])
    done = fake_slurm.run("sbatch", "--wrap", "true")
    assert (done.returncode, done.stderr) == (1, "".join(f"sbatch: error: {line}\n" for line in sbatch.REFUSALS[refusal]))
    assert names(fake_slurm) == []


def test_squeue_can_fail(fake_slurm):
    fake_slurm.knob(squeue="fails")
    done = fake_slurm.run("squeue", "-h", "-o", "%i")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "slurm_load_jobs error: Socket timed out on send/recv operation\n")


@pytest.mark.parametrize(("how", "code", "words"), [("off", 1, "Slurm accounting storage is disabled\n"), ("empty", 0, "")])
def test_accounting_can_be_missing_or_know_nothing(fake_slurm, how, code, words):
    number = fake_slurm.submit()
    fake_slurm.wait(number, "COMPLETED")
    fake_slurm.knob(sacct=how)
    done = fake_slurm.run("sacct", "-X", "-n", "-P", "-j", number, "-o", "State")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", words)


def test_accounting_is_late_and_wrong_before_it_is_right(fake_slurm):
    fake_slurm.knob(sacct_lag=100.0)
    number = fake_slurm.submit("-J", "mine")
    fake_slurm.wait(number, "COMPLETED")
    assert fake_slurm.accounted(number, "JobName,State") == ""
    fake_slurm.knob(clock=50.0)
    assert fake_slurm.accounted(number, "JobName,State") == "allocation|PENDING"
    fake_slurm.knob(clock=101.0)
    assert fake_slurm.accounted(number, "JobName,State") == "mine|COMPLETED"


@pytest.mark.parametrize("state", sorted(store.OVER))
def test_a_running_job_can_end_in_any_state(fake_slurm, state):
    number = fake_slurm.submit("-o", "log", commands="touch began\nsleep 60\ntouch ended")
    eventually((fake_slurm.folder / "began").exists, bool)
    fake_slurm.end(number, state, exit_code="0:7", by=1234 if state == "CANCELLED" else None)
    fake_slurm.wait(number, state)
    assert fake_slurm.accounted(number, "State,ExitCode") == ("CANCELLED by 1234|0:7" if state == "CANCELLED" else f"{state}|0:7")
    assert not (fake_slurm.folder / "ended").exists()


def test_a_job_can_be_ended_before_it_has_begun(fake_slurm):
    for _ in range(5):
        submitted = main.run("sbatch", ["--parsable", "--wrap", "sleep 60"], fake_slurm.environment, str(fake_slurm.folder))
        fake_slurm.end(submitted.stdout.strip(), "OUT_OF_MEMORY")
        fake_slurm.wait(submitted.stdout.strip(), "OUT_OF_MEMORY")


def test_a_preempted_job_goes_on_under_its_id(fake_slurm):
    number = fake_slurm.submit(
        "-o", "log", "--open-mode=append", commands="echo count=$SLURM_RESTART_COUNT\n[ $SLURM_RESTART_COUNT ] || sleep 60"
    )
    eventually(lambda: (fake_slurm.folder / "log").exists() and (fake_slurm.folder / "log").read_text(), bool)
    fake_slurm.preempt(number)
    fake_slurm.wait(number, "COMPLETED")
    assert fake_slurm.accounted(number, "State", "-D").split() == ["PREEMPTED", "COMPLETED"]
    assert "DUE TO PREEMPTION ***\ncount=1\n" in (fake_slurm.folder / "log").read_text()


def test_a_state_can_have_a_word_that_nobody_knows(fake_slurm):
    number = fake_slurm.submit("--hold")
    fake_slurm.knob(words={number: "FROBNICATED"})
    assert fake_slurm.state(number) == fake_slurm.accounted(number) == "FROBNICATED"


def test_squeue_forgets_what_has_ended_and_a_site_forgets_everything(fake_slurm):
    number = fake_slurm.submit()
    fake_slurm.wait(number, "COMPLETED")
    fake_slurm.knob(clock=301.0)
    assert fake_slurm.run("squeue", "-h", "-t", "all", "-j", number, "-o", "%i").returncode == 1
    assert fake_slurm.accounted(number) == "COMPLETED"
    fake_slurm.forget(number)
    assert fake_slurm.accounted(number) == ""


def test_ids_come_again(fake_slurm):
    first = fake_slurm.submit("-J", "old")
    fake_slurm.wait(first, "COMPLETED")
    fake_slurm.give_next(first)
    assert fake_slurm.submit("-J", "new") == first
    assert names(fake_slurm) == ["old", "new"]


def test_a_job_that_gets_nothing_has_no_home_either(fake_slurm):
    number = fake_slurm.submit("--export=NIL", "-o", "env.txt", commands="env")
    fake_slurm.wait(number, "COMPLETED")
    found = dict(line.split("=", 1) for line in (fake_slurm.folder / "env.txt").read_text().splitlines())
    assert not {"HOME", "USER", "LANG"} & set(found)  # as in 23.11; 22.05 gives those of a login


def test_the_last_task_of_an_array_can_lose_its_number(fake_slurm):
    fake_slurm.knob(manual=True)
    array = fake_slurm.submit("--array=0-2%2")
    fake_slurm.ask("scancel", f"{array}_2")
    assert (
        fake_slurm.ask("sacct", "-X", "-n", "-P", "-j", array, "-o", "JobID,State").splitlines()[-1]
        == f"{array}|CANCELLED by {os.getuid()}"
    )


def test_a_site_can_refuse_to_wait_for_a_job_that_it_forgot(fake_slurm):
    fake_slurm.knob(unknown_parent="refused")
    parent = fake_slurm.submit()
    fake_slurm.wait(parent, "COMPLETED")
    fake_slurm.submit("-d", f"afterok:{parent}")
    fake_slurm.knob(clock=301.0)
    done = fake_slurm.run("sbatch", "-d", f"afterok:{parent}", "--wrap", "true")
    assert (done.returncode, done.stderr) == (1, "sbatch: error: Batch job submission failed: Job dependency problem\n")


def test_what_a_job_wrote_can_show_late(fake_slurm):
    fake_slurm.knob(hide={"seconds": 3.0, "glob": "out/*.json"})
    number = fake_slurm.submit(commands="mkdir out\necho 1 > out/status.json\necho 1 > out/log")
    fake_slurm.wait(number, "COMPLETED")
    assert (fake_slurm.folder / "out/log").exists()
    assert not (fake_slurm.folder / "out/status.json").exists()
    assert eventually((fake_slurm.folder / "out/status.json").exists, bool)


def test_jobs_can_wait_for_a_test_to_end_them(fake_slurm):
    fake_slurm.knob(manual=True)
    number = fake_slurm.submit(commands="touch ran")
    assert fake_slurm.state(number) == "RUNNING"
    fake_slurm.end(number, "COMPLETED")
    assert fake_slurm.state(number) == "COMPLETED"
    assert not (fake_slurm.folder / "ran").exists()


def test_a_command_gives_up_on_the_controller_after_a_while(fake_slurm):
    fake_slurm.knob(controller="down", patience=0.5)
    start = time.monotonic()
    assert fake_slurm.run("squeue", "-h", "-o", "%i").returncode == 1
    assert time.monotonic() - start > 0.5


def test_what_was_not_tried_is_refused(fake_slurm):
    for command in (
        ["sbatch", "--wait", "x"],
        ["squeue", "-O", "JobID"],
        ["squeue", "-o", "%G"],
        ["sacct", "-j", "1"],
        ["scontrol", "reconfigure"],
        ["sinfo"],
    ):
        done = fake_slurm.run(*command)
        assert done.returncode == 64, command
        assert "the fake SLURM does not know" in done.stderr


def test_a_knob_that_is_not_there_is_an_error(fake_slurm):
    with pytest.raises(KeyError, match="no knob controler"):
        fake_slurm.knob(controler="down")


def test_every_call_is_in_the_log(fake_slurm):
    fake_slurm.submit("-J", "logged", "--hold")
    fake_slurm.state(1)
    assert [arguments[:3] for arguments in fake_slurm.calls("sbatch")] == [["--parsable", "-J", "logged"]]
    assert len(fake_slurm.calls()) == 2


def test_a_command_can_run_without_a_process(fake_slurm):
    fake_slurm.knob(manual=True)
    answer = main.run("sbatch", ["--parsable", "--wrap", "true"], fake_slurm.environment, str(fake_slurm.folder))
    assert (answer.code, answer.stdout) == (0, "1\n")
    assert main.run("squeue", ["-h", "-o", "%i %T"], fake_slurm.environment, "/").stdout == "1 RUNNING\n"


def test_no_process_outlives_its_test(fake_slurm):
    number = fake_slurm.submit(commands="setsid sleep 61 &\necho $! > child\nsleep 60")
    child = eventually(lambda: (fake_slurm.folder / "child").exists() and (fake_slurm.folder / "child").read_text().strip(), bool)
    fake_slurm.wait(number, "RUNNING")
    fake_slurm.close()
    assert int(child) not in [pid for pid in processes() if is_alive(pid)]


def test_knobs_are_a_file_that_anything_may_write(fake_slurm):
    (fake_slurm.root / "knobs.json").write_text(json.dumps({"squeue": "fails"}))
    assert fake_slurm.run("squeue", "-h", "-o", "%i").returncode == 1
