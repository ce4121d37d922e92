"""The slurm scheduler on a fake and on a real SLURM: handed over once, followed, cancelled, and every ending told."""

from __future__ import annotations

import getpass
import json
import os
import pickle
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, FailureClass, Phase
from ckgit.experiment.scheduler import JobState, JobStatus, PollResult, Submission
from ckgit.jobs.folder import job_folder
from ckgit.jobs.handover import begin_handover
from ckgit.jobs.script import job_script
from ckgit.schedulers.slurm import records as slurm_records
from ckgit.schedulers.slurm.scheduler import scheduler
from tests.slurm.clusters import eventually

SMALL = Resources(time="00:05:00", mem="100M")
PATIENCE = 40.0
GRACE = 2.0
SITE = Cluster(scheduler="slurm", grace_seconds=GRACE)


class Bench(NamedTuple):
    """A work tree, and a SLURM that the scheduler reaches through this process's environment."""

    slurm: object
    work: Path
    cluster: Cluster = SITE

    def job(self, token: str, command: str = "true", **more: object) -> Submission:
        """A submission, with its script in the work tree."""
        script = f"{token}.slurm"
        content = job_script(
            title="a test", script=script, resources=SMALL, cluster=self.cluster, inputs={}, programs=[], commands=[["bash", "-c", command]]
        )
        (self.work / script).write_bytes(content)
        return Submission(token, script, f".ckgit/jobs/{token}/output", SMALL, **more)

    def submit(self, *jobs: Submission) -> dict[str, JobStatus]:
        return dict(scheduler.submit(self.cluster, self.work, jobs))

    def start(self, token: str, command: str = "true") -> str:
        """The id of a job that was just handed over."""
        answer = self.submit(self.job(token, command))[token]
        assert answer.state is JobState.QUEUED, answer
        assert answer.job_id
        return answer.job_id

    def poll(self, *tokens: str) -> PollResult:
        return scheduler.poll(self.cluster, self.work, [attempt(token) for token in tokens])

    def status_of(self, token: str) -> JobStatus:
        return self.poll(token).statuses[token]

    def until(self, token: str, *seen: JobState, seconds: float = PATIENCE) -> JobStatus:
        found = eventually(lambda: self.status_of(token), lambda job_status: job_status.state in seen, seconds)
        assert found.state in seen, found
        return found

    def files(self, token: str) -> Path:
        return job_folder(self.work, token)

    def running(self, token: str, then: str = "sleep 300") -> str:
        """The id of a job whose command runs: a job that SLURM calls running may not have come so far as to say how it ended."""
        job_id = self.start(token, count(token, then))
        assert eventually(lambda: self.executions(token), lambda times: times == 1) == 1
        self.until(token, JobState.RUNNING)
        return job_id

    def executions(self, token: str) -> int:
        """How often the job's command ran; it writes a line each time."""
        ran = self.work / f"{token}.ran"
        return len(ran.read_text().splitlines()) if ran.exists() else 0

    def ended(self, token: str) -> dict[str, object]:
        path = self.files(token) / "status.json"
        assert eventually(path.exists, bool), "it left no status"
        return json.loads(path.read_text())


def attempt(token: str, **more: object) -> Attempt:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    fields = {"job": token, "stage": Stage.TRAINING, "number": 1, "token": token, "script_sha256": "0" * 64, "phase": Phase.SUBMITTED}
    return Attempt(**{**fields, "submitted": now, **more})


@pytest.fixture
def bench(slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    yield from prepare(slurm, tmp_path, monkeypatch)


@pytest.fixture
def fake_bench(fake_slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    yield from prepare(fake_slurm, tmp_path, monkeypatch)


def prepare(slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    work = slurm.folder / "a lab" / "experiment" / "0123456789ab"
    work.mkdir(parents=True)
    yield Bench(slurm, work)


@pytest.fixture
def token() -> str:
    """A name that no other test, here or at the same time, has."""
    return f"ckgit.test.{secrets.token_hex(4)}"


def count(token: str, then: str = "true") -> str:
    """A command that leaves a line each time it is executed."""
    return f"echo ran >>{token}.ran; {then}"


# ---- the ordinary course


def test_a_job_runs_in_the_work_tree_and_no_secret_reaches_it(bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    monkeypatch.setenv("SLURM_JOB_ID", "999")
    job_id = bench.start(token, "pwd; env; exit 3")
    found = bench.until(token, JobState.GONE)
    assert (found.job_id, found.ending and found.ending.failure) == (job_id, None)
    status = bench.ended(token)
    assert (status["token"], status["job_id"], status["exit_code"]) == (token, job_id, 3)
    output = (bench.files(token) / "output").read_text()
    assert output.startswith(f"{bench.work}\n")
    assert "canary" not in output
    assert "LC_ALL=C.UTF-8\n" in output
    assert f"\nPATH={Path(sys.executable).parent}:" in output
    assert f"HOME={os.environ['HOME']}\n" in output


def test_the_stages_of_a_job_are_told_apart_with_one_squeue(bench: Bench, token: str) -> None:
    assert bench.status_of(token) == JobStatus(JobState.UNSEEN)
    job_id = bench.start(token, "until [ -e go ]; do sleep 0.1; done")
    running = bench.until(token, JobState.RUNNING)
    assert (running.job_id, running.detail) == (job_id, "")
    look = bench.poll(token)
    assert look.queries == {"squeue": 1, "sacct": 0}
    assert look.in_queue >= 1
    (bench.work / "go").touch()
    assert bench.until(token, JobState.GONE).ending
    assert bench.poll(token).queries == {"squeue": 1, "sacct": 0}


def test_twice_is_the_same_as_once(bench: Bench, token: str) -> None:
    job = bench.job(token, count(token, "sleep 1"))
    first, second = bench.submit(job)[token], bench.submit(job)[token]
    assert first == second
    assert first.state is JobState.QUEUED
    bench.until(token, JobState.GONE)
    assert bench.submit(job)[token] == first
    assert bench.executions(token) == 1


def test_an_array_is_one_sbatch_and_each_task_is_followed_alone(bench: Bench, token: str) -> None:
    tokens = [f"{token}.array_{index}" for index in (0, 1, 3)]
    answers = bench.submit(*(bench.job(each, f"pwd; echo {each}; {'exit 4' if each.endswith('3') else 'true'}") for each in tokens))
    ids = [answers[each].job_id for each in tokens]
    base = ids[0].partition("_")[0]
    assert ids == [f"{base}_0", f"{base}_1", f"{base}_3"]
    for each in tokens:
        assert bench.until(each, JobState.GONE).job_id == answers[each].job_id
        assert bench.ended(each)["exit_code"] == (4 if each.endswith("3") else 0)
        assert (bench.files(each) / "output").read_text() == f"{bench.work}\n{each}\n"
    assert not [path for path in bench.work.glob(".ckgit/jobs/*") if path.name not in tokens]


def test_a_job_waits_for_one_of_the_others_or_for_all(bench: Bench, token: str) -> None:
    first = bench.start(f"{token}.a", "sleep 300")
    second = bench.start(f"{token}.b", "until [ -e go ]; do sleep 0.1; done")
    answer = bench.submit(bench.job(f"{token}.c", after=(first, second), after_any=True))[f"{token}.c"]
    assert answer.state is JobState.QUEUED
    bench.submit(bench.job(f"{token}.d", after=(first, second)))
    bench.until(f"{token}.b", JobState.RUNNING)
    assert bench.status_of(f"{token}.c").state is JobState.QUEUED
    (bench.work / "go").touch()
    bench.until(f"{token}.c", JobState.GONE)
    assert bench.status_of(f"{token}.a").state is JobState.RUNNING
    assert bench.status_of(f"{token}.d").state is JobState.QUEUED


def test_a_retry_may_ask_for_other_resources_than_its_script(bench: Bench, token: str) -> None:
    job = bench.job(token, "sleep 300")._replace(resources=Resources(time="00:07:00", mem="150M"), changed=True)
    bench.submit(job)
    assert bench.slurm.ask("squeue", "-h", "-n", token, "-o", "%l %m") == "7:00 150M"


def test_a_dry_run_shows_the_command_and_what_slurm_says(bench: Bench, token: str) -> None:
    job = bench.job(token)
    script = (bench.work / job.script).read_bytes()
    command, says = scheduler.dry_run(bench.cluster, bench.work, [job], script)
    assert command.startswith(f"sbatch --parsable --job-name={token} --dependency=singleton --export=")
    assert " to start at 2" in says
    wrong = bench.cluster.model_copy(update={"account": "nosuch"})
    refused = bench._replace(cluster=wrong).job(f"{token}.refused")
    assert "Invalid account" in scheduler.dry_run(wrong, bench.work, [refused], (bench.work / refused.script).read_bytes())[1]
    assert " to start at 2" in scheduler.dry_run(bench.cluster, bench.work / "not there yet", [job], script)[1]
    assert bench.status_of(token).state is JobState.UNSEEN


def test_usage_is_what_accounting_says_of_jobs_that_have_ended(bench: Bench, token: str) -> None:
    bench.start(token, "sleep 1")
    job_id = bench.until(token, JobState.GONE).job_id
    tries = [attempt(token, job_id=job_id), attempt(f"{token}.other")]
    usage = eventually(lambda: scheduler.usage(bench.cluster, bench.work, tries[:1]).usage, bool)[token]
    assert usage.elapsed_seconds
    assert usage.elapsed_seconds >= 1
    assert usage.queue_seconds is not None
    assert usage.node
    assert list(scheduler.usage(bench.cluster, bench.work, tries).usage) == [token]


# ---- exactly once


DIES = """
import os, signal, sys, pickle
from ckgit.schedulers.slurm import {module}
from ckgit.schedulers.slurm.scheduler import scheduler
{module}.{function} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
scheduler.submit(*pickle.load(sys.stdin.buffer))
"""


def die_in(bench: Bench, job: Submission, module: str, function: str) -> None:
    """Submit in a process that is killed where it would call `module.function`."""
    source = DIES.format(module=module, function=function)
    done = subprocess.run([sys.executable, "-c", source], input=pickle.dumps((bench.cluster, bench.work, [job])), check=False)
    assert done.returncode == -signal.SIGKILL


def test_killed_after_sbatch_it_is_found_by_its_name(bench: Bench, token: str) -> None:
    job = bench.job(token, count(token))
    die_in(bench, job, "records", "write_answer")
    assert bench.submit(job)[token].state is JobState.UNKNOWN
    found = bench.until(token, JobState.GONE)
    assert found.job_id == bench.ended(token)["job_id"]
    assert bench.submit(job)[token] == JobStatus(JobState.QUEUED, found.job_id)
    assert bench.executions(token) == 1


def test_killed_before_sbatch_it_is_handed_over_again_after_a_time(bench: Bench, token: str) -> None:
    job = bench.job(token, count(token))
    die_in(bench, job, "submit", "call")
    begin = time.monotonic()
    assert bench.status_of(token).state is JobState.UNKNOWN
    assert bench.submit(job)[token].state is JobState.UNKNOWN
    bench.until(token, JobState.UNSEEN)
    assert time.monotonic() - begin > GRACE - 0.5
    assert bench.submit(job)[token].state is JobState.QUEUED
    bench.until(token, JobState.GONE)
    assert bench.executions(token) == 1


def test_a_frozen_controller_that_thaws_runs_the_job_once(bench: Bench, token: str) -> None:
    job, other = bench.job(token, count(token)), bench.job(f"{token}.other")
    with bench.slurm.controller("frozen"):
        answers = bench.submit(job, other)
        assert answers[token].state is JobState.UNKNOWN
        assert "timed out" in answers[token].detail
        assert answers[other.token].state is JobState.UNSEEN  # not asked again at once
        look = bench.poll(token)
        assert look.statuses[token].state is JobState.UNKNOWN
    bench.until(token, JobState.GONE)
    assert bench.submit(job)[token].state is JobState.QUEUED
    assert bench.executions(token) == 1


def test_a_controller_that_is_down_takes_nothing_and_leaves_no_record(bench: Bench, token: str) -> None:
    before = bench.start(f"{token}.before", "exit 0")
    bench.until(f"{token}.before", JobState.GONE)
    job, other = bench.job(token, count(token)), bench.job(f"{token}.other")
    with bench.slurm.controller("down"):
        answers = bench.submit(job, other)
        assert {answers[each.token].state for each in (job, other)} == {JobState.UNSEEN}
        assert "connect failure" in answers[token].detail
        look = bench.poll(token, f"{token}.before")
        assert look.statuses[token].state is JobState.UNKNOWN
        assert "connect failure" in look.statuses[token].detail
        assert look.statuses[f"{token}.before"].state is JobState.GONE  # its own status says that it did well
    assert bench.status_of(token).state is JobState.UNSEEN
    bench.start(token, count(token))
    bench.until(token, JobState.GONE)
    assert bench.executions(token) == 1
    assert bench.status_of(f"{token}.before").job_id == before


def test_accepted_and_lost_in_transit_it_is_found(fake_bench: Bench, token: str) -> None:
    fake_bench.slurm.knob(sbatch=["lost"])
    job = fake_bench.job(token, count(token))
    assert fake_bench.submit(job)[token].state is JobState.UNKNOWN
    fake_bench.until(token, JobState.GONE)
    assert len(fake_bench.slurm.calls("sbatch")) == 1


def test_a_copy_that_comes_late_does_nothing(fake_bench: Bench, token: str) -> None:
    fake_bench.slurm.knob(sbatch=["late"], late_seconds=3600.0)
    job = fake_bench.job(token, count(token, "until [ -e go ]; do sleep 0.1; done"))
    assert fake_bench.submit(job)[token].state is JobState.UNKNOWN
    fake_bench.until(token, JobState.UNSEEN)
    second = fake_bench.submit(job)[token]
    assert second.state is JobState.QUEUED
    assert eventually(lambda: fake_bench.executions(token), lambda times: times == 1) == 1
    fake_bench.slurm.knob(clock=3600.0)
    # of the two the one with the claim counts
    assert fake_bench.status_of(token) == JobStatus(JobState.RUNNING, second.job_id)
    assert len(fake_bench.slurm.jobs()) == 2
    (fake_bench.work / "go").touch()
    assert fake_bench.until(token, JobState.GONE).job_id == second.job_id
    assert all(found.end for found in eventually(fake_bench.slurm.jobs, lambda jobs: all(job.end for job in jobs)))
    assert fake_bench.status_of(token).job_id == second.job_id
    assert fake_bench.executions(token) == 1


def test_what_sbatch_never_says_clearly_ends_as_refused(fake_bench: Bench, token: str) -> None:
    fake_bench.slurm.knob(sbatch=["timeout", "..."])
    job = fake_bench.job(token, count(token))
    for _ in range(3):
        assert fake_bench.submit(job)[token].state is JobState.UNKNOWN
        found = fake_bench.until(token, JobState.UNSEEN, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.REFUSED
    assert "3 times" in found.ending.sentence
    assert fake_bench.status_of(token) == found
    assert fake_bench.submit(job)[token].state is JobState.GONE
    assert len(fake_bench.slurm.calls("sbatch")) == 3


@pytest.mark.parametrize("many", [2, 8])
def test_many_processes_hand_a_job_over_once(fake_bench: Bench, token: str, many: int) -> None:
    job = fake_bench.job(token, count(token))
    source = """
import pathlib, pickle, sys, time
from ckgit.schedulers.slurm.scheduler import scheduler
arguments = pickle.load(sys.stdin.buffer)
print("ready", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.001)
scheduler.submit(*arguments)
"""
    go = fake_bench.work / "go"
    racers = [
        subprocess.Popen([sys.executable, "-c", source, str(go)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
        for _ in range(many)
    ]
    for racer in racers:
        racer.stdin.write(pickle.dumps((fake_bench.cluster, fake_bench.work, [job])))
        racer.stdin.close()
    for racer in racers:
        assert racer.stdout.readline() == b"ready\n"
        racer.stdout.close()
    go.touch()
    assert [racer.wait() for racer in racers] == [0] * many
    assert len(fake_bench.slurm.calls("sbatch")) == 1
    fake_bench.until(token, JobState.GONE)


def test_while_sbatch_runs_the_job_is_nobody_elses(fake_bench: Bench, token: str) -> None:
    job = fake_bench.job(token, count(token))
    folder = fake_bench.files(token)
    folder.mkdir(parents=True)
    handing = slurm_records.take(folder, 1)
    assert handing
    time.sleep(GRACE + 0.5)
    assert fake_bench.status_of(token) == JobStatus(JobState.UNKNOWN, detail="it is being handed over")
    assert fake_bench.submit(job)[token].state is JobState.UNKNOWN
    slurm_records.release(handing)
    assert "may have been accepted" in fake_bench.status_of(token).detail
    assert not fake_bench.slurm.calls("sbatch")


# ---- refusals and limits


@pytest.mark.parametrize(
    ("profile", "words"),
    [({"account": "nosuch"}, "Invalid account"), ({"partition": "nosuch"}, "artition"), ({"qos": "nosuch"}, "Invalid qos")],
)
def test_a_refusal_is_told_in_slurms_words_and_not_tried_again(bench: Bench, token: str, profile: dict[str, str], words: str) -> None:
    wrong = bench._replace(cluster=bench.cluster.model_copy(update=profile))
    job = wrong.job(token)
    answer = wrong.submit(job)[token]
    assert answer.ending
    assert (answer.state, answer.ending.failure) == (JobState.GONE, FailureClass.REFUSED)
    assert words in answer.ending.sentence
    assert bench.status_of(token) == answer
    assert bench.submit(bench.job(token))[token] == answer


def test_a_limit_that_passes_is_no_refusal(bench: Bench, token: str) -> None:
    tight = bench._replace(cluster=bench.cluster.model_copy(update={"qos": "tight"}))
    tokens = [f"{token}.{letter}" for letter in "abcd"]
    answers = tight.submit(*(tight.job(each, "until [ -e go ]; do sleep 0.1; done") for each in tokens))
    accepted = [each for each in tokens if answers[each].state is JobState.QUEUED]
    assert len(accepted) == 2
    refused = [answers[each] for each in tokens if each not in accepted]
    assert {answer.state for answer in refused} == {JobState.UNSEEN}
    assert all("QOSMaxSubmitJobPerUserLimit" in answer.detail for answer in refused)
    (tight.work / "go").touch()
    for each in accepted:
        tight.until(each, JobState.GONE)
    last = next(each for each in tokens if each not in accepted)
    assert eventually(lambda: tight.submit(tight.job(last))[last].state, lambda seen: seen is JobState.QUEUED) is JobState.QUEUED


def test_at_the_first_sign_of_trouble_the_rest_waits(fake_bench: Bench, token: str) -> None:
    fake_bench.slurm.knob(sbatch=["connect", "..."])
    tokens = [f"{token}.{number}" for number in range(20)]
    answers = fake_bench.submit(*map(fake_bench.job, tokens))
    assert {answers[each].state for each in tokens} == {JobState.UNSEEN}
    assert len(fake_bench.slurm.calls("sbatch")) == 1
    fake_bench.slurm.knob(sbatch=["ok", "ok", "lost", "connect", "..."])
    answers = fake_bench.submit(*map(fake_bench.job, tokens))
    assert 3 <= len(fake_bench.slurm.calls("sbatch")) - 1 <= 4
    assert [answers[each].state for each in tokens].count(JobState.UNSEEN) == 17


def test_there_is_time_between_two_submissions(fake_bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if (mark := fake_bench.work / ".ckgit" / "handed").exists():
            os.utime(mark, (time.time() - seconds - 1,) * 2)

    monkeypatch.setattr("ckgit.schedulers.slurm.scheduler.time", SimpleNamespace(sleep=sleep, monotonic=lambda: sum(naps)))
    slow = fake_bench._replace(cluster=fake_bench.cluster.model_copy(update={"stagger_seconds": 10.0}))
    jobs = [slow.job(f"{token}.{number}") for number in range(8)]
    answers = slow.submit(*jobs)
    handed = [job.token for job in jobs if answers[job.token].state is JobState.QUEUED]
    assert handed == [job.token for job in jobs[: len(handed)]]
    assert len(handed) == len(naps) == 4  # a look must come in between: there are limits, and other jobs
    assert naps[0] == 0
    assert all(9 < nap <= 10 for nap in naps[1:])
    assert {(answers[job.token].state, answers[job.token].detail) for job in jobs[4:]} == {
        (JobState.UNSEEN, "stagger_seconds is 10: a later look hands it over")
    }


def test_the_time_between_two_submissions_is_known_to_all(fake_bench: Bench, token: str) -> None:
    slow = fake_bench._replace(cluster=fake_bench.cluster.model_copy(update={"stagger_seconds": 100.0}))
    first, second, waiting = (slow.job(f"{token}.{letter}", "sleep 300") for letter in "abc")
    job_id = slow.submit(first)[first.token].job_id
    assert slow.submit(second)[second.token].state is JobState.UNSEEN
    assert slow.submit(waiting._replace(after=(str(job_id),)))[waiting.token].state is JobState.QUEUED
    past = time.time() - 101
    os.utime(slow.work / ".ckgit" / "handed", (past, past))
    assert slow.submit(second)[second.token].state is JobState.QUEUED


# ---- states


def test_a_job_that_waits_says_why(bench: Bench, token: str) -> None:
    first = bench.start(f"{token}.a", "sleep 300")
    bench.submit(bench.job(token, after=(first,)))
    bench.until(token, JobState.QUEUED)
    assert eventually(lambda: bench.status_of(token).detail, lambda text: "another job" in text) == "it waits for another job"
    bench.slurm.ask("scontrol", "hold", bench.status_of(token).job_id)
    held = eventually(lambda: bench.status_of(token), lambda job_status: "hold" in job_status.detail or "held" in job_status.detail)
    by_root, by_user = "an administrator holds it", f"it is held: scontrol release {held.job_id} lets it go"
    assert (held.state, held.detail) == (JobState.QUEUED, by_root if os.getuid() == 0 else by_user)


@pytest.mark.parametrize("word", ["REBOOTING", "", "PONDERING+"])
def test_a_state_that_is_not_known_is_waited_for(fake_bench: Bench, token: str, word: str) -> None:
    job_id = fake_bench.start(token, "exit 0")
    fake_bench.until(token, JobState.GONE)
    fake_bench.slurm.knob(words={job_id: word})
    assert fake_bench.status_of(token).state is JobState.UNKNOWN


@pytest.mark.parametrize(
    "word", ["CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"]
)
def test_alive_wins_over_a_status_that_lies_there(fake_bench: Bench, token: str, word: str) -> None:
    job_id = fake_bench.start(token, "exit 0")
    fake_bench.until(token, JobState.GONE)
    fake_bench.slurm.knob(words={job_id: word})
    assert fake_bench.status_of(token).state in {JobState.QUEUED, JobState.RUNNING}


def test_a_requeued_job_is_the_same_attempt(bench: Bench, token: str) -> None:
    job_id = bench.running(token, "[ -e go ] || sleep 300")
    (bench.work / "go").touch()
    time.sleep(1)  # so that its first run costs something
    bench.slurm.ask("scontrol", "requeue", job_id)
    again = bench.until(token, JobState.QUEUED)
    assert again.job_id == job_id
    assert bench.submit(bench.job(token))[token].state is JobState.QUEUED
    bench.slurm.start_now(job_id)
    assert bench.until(token, JobState.GONE).job_id == job_id
    assert bench.ended(token)["exit_code"] == 0
    assert bench.executions(token) == 2
    states = eventually(lambda: bench.slurm.accounted(job_id, "State,ElapsedRaw", "-D").splitlines(), lambda rows: "COMPLETED" in rows[-1])
    usage = eventually(lambda: scheduler.usage(bench.cluster, bench.work, [attempt(token, job_id=job_id)]).usage, bool)[token]
    assert usage.elapsed_seconds == sum(int(row.partition("|")[2]) for row in states)


def test_a_lost_node_is_told_when_the_job_does_not_return(fake_bench: Bench, token: str) -> None:
    job_id = fake_bench.start(token, "sleep 300")
    fake_bench.until(token, JobState.RUNNING)
    fake_bench.slurm.end(job_id, "NODE_FAIL")
    assert fake_bench.status_of(token).state is JobState.UNKNOWN  # it may be queued again
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.NODE_FAILURE


ENDINGS = {
    "TIMEOUT": (FailureClass.OUT_OF_TIME, "SLURM ended it at its time limit of 5:00"),
    "DEADLINE": (FailureClass.OUT_OF_TIME, "deadline"),
    "OUT_OF_MEMORY": (FailureClass.OUT_OF_MEMORY, "more memory"),
    "BOOT_FAIL": (FailureClass.NODE_FAILURE, "did not boot"),
    "PREEMPTED": (FailureClass.PREEMPTED, "make way"),
    "REVOKED": (FailureClass.LOST, "revoked"),
}


@pytest.mark.parametrize("state", ENDINGS)
def test_every_bad_ending_has_its_class(fake_bench: Bench, token: str, state: str) -> None:
    job_id = fake_bench.start(token, "sleep 300")
    fake_bench.until(token, JobState.RUNNING)
    fake_bench.slurm.end(job_id, state)
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is ENDINGS[state][0]
    assert ENDINGS[state][1] in found.ending.sentence


def test_the_time_limit(bench: Bench, token: str) -> None:
    job_id = bench.running(token)
    if bench.slurm.is_real:
        bench.slurm.ask("scontrol", "update", f"JobId={job_id}", "EndTime=now")
    else:
        bench.slurm.end(job_id, "TIMEOUT")
    found = bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.OUT_OF_TIME
    assert bench.ended(token)["exit_code"] == 143


@pytest.mark.parametrize("before_it_starts", [True, False])
def test_cancelled_by_hand_names_who(bench: Bench, token: str, *, before_it_starts: bool) -> None:
    job = bench.job(token, "sleep 300")
    if before_it_starts:
        blocker = bench.start(f"{token}.a", "sleep 300")
        job = job._replace(after=(blocker,))
    job_id = bench.submit(job)[token].job_id
    bench.until(token, JobState.QUEUED if before_it_starts else JobState.RUNNING)
    bench.slurm.ask("scancel", job_id)
    found = bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.CANCELLED
    assert f"cancelled by {getpass.getuser()}" in found.ending.sentence


def test_an_array_that_is_cancelled_before_it_starts(bench: Bench, token: str) -> None:
    first = bench.start(f"{token}.a", "sleep 300")
    tokens = [f"{token}.array_{index}" for index in (0, 1, 3)]
    answers = bench.submit(*(bench.job(each, after=(first,)) for each in tokens))
    bench.slurm.ask("scancel", answers[tokens[0]].job_id.partition("_")[0])
    for each in tokens:
        found = bench.until(each, JobState.GONE)
        assert found.ending
        assert found.ending.failure is FailureClass.CANCELLED
        assert f"cancelled by {getpass.getuser()}" in found.ending.sentence


def test_an_output_that_cannot_be_written(bench: Bench, token: str) -> None:
    job = bench.job(token)
    bench.submit(job._replace(output="no/such/folder/output"))
    found = bench.until(token, JobState.GONE) if (bench.work / "no/such/folder").is_dir() else None
    assert found  # the scheduler makes the folder, so that this does not happen
    other = bench.job(f"{token}.b", after=(bench.start(f"{token}.a", "until [ -e go ]; do sleep 0.1; done"),))
    bench.submit(other)
    lost = bench.files(other.token)
    lost.rename(lost.with_name("elsewhere"))
    lost.write_text("")  # no folder can be here
    (bench.work / "go").touch()
    bench.until(f"{token}.a", JobState.GONE)
    state = eventually(lambda: bench.slurm.ask("squeue", "-h", "-t", "all", "-n", other.token, "-o", "%T"), lambda text: text == "FAILED")
    assert state == "FAILED"
    lost.unlink()
    lost.with_name("elsewhere").rename(lost)
    found = bench.until(other.token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.ERROR
    assert "output" in found.ending.sentence


# ---- what is not known


def test_accounting_is_asked_for_all_that_it_must_be_asked_for(fake_bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckgit.schedulers.slurm.queries._AT_A_TIME", 2)
    unnamed, known = [f"{token}.{number}" for number in range(3)], f"{token}.known"
    for each in (*unnamed, known):
        fake_bench.slurm.end(fake_bench.running(each), "NODE_FAIL")
    eventually(fake_bench.slurm.jobs, lambda jobs: all(job.end for job in jobs))
    fake_bench.slurm.knob(min_job_age=0.0)
    for each in unnamed:  # the id that sbatch gave was never written down, nor the claim's
        for path in (fake_bench.files(each) / "answer.1", fake_bench.files(each) / "claim" / "id"):
            path.unlink()
    look = fake_bench.poll(*unnamed, known)
    assert look.queries == {"squeue": 1, "sacct": 3}
    asked = [next(word for word in words if word.startswith(("--jobs=", "--name="))) for words in fake_bench.slurm.calls("sacct")]
    assert [word.partition("=")[0] for word in asked] == ["--jobs", "--name", "--name"]
    for each in (*unnamed, known):
        found = fake_bench.until(each, JobState.GONE)
        assert found.ending
        assert found.ending.failure is FailureClass.NODE_FAILURE


def test_purged_everywhere_is_lost_only_after_a_time(fake_bench: Bench, token: str) -> None:
    job_id = fake_bench.start(token, "sleep 300")
    fake_bench.until(token, JobState.RUNNING)
    fake_bench.slurm.end(job_id, "NODE_FAIL")
    eventually(lambda: fake_bench.slurm.jobs()[0].end, bool)
    (fake_bench.files(token) / "status.json").unlink(missing_ok=True)
    fake_bench.slurm.forget(job_id)
    first = fake_bench.poll(token)
    assert first.statuses[token].state is JobState.UNKNOWN
    assert first.queries == {"squeue": 1, "sacct": 1}
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.LOST
    assert job_id in found.ending.sentence
    assert fake_bench.status_of(token) == found


@pytest.mark.parametrize("tasks", [(), (0, 1)])
def test_what_was_handed_over_is_not_handed_over_again_when_its_files_are_lost(
    fake_bench: Bench, token: str, tasks: tuple[int, ...]
) -> None:
    tokens = [f"{token}.array_{index}" for index in tasks] or [token]
    jobs = [fake_bench.job(each, count(each, "sleep 300")) for each in tokens]
    ids = {each: answer.job_id for each, answer in fake_bench.submit(*jobs).items()}
    for each in tokens:
        fake_bench.until(each, JobState.RUNNING)
        assert eventually(lambda each=each: fake_bench.executions(each), lambda times: times == 1) == 1
    for folder in ("jobs", "arrays"):
        shutil.rmtree(fake_bench.work / ".ckgit" / folder, ignore_errors=True)
    for each in tokens:
        assert fake_bench.until(each, JobState.RUNNING).job_id == ids[each]
    assert {answer.state for answer in fake_bench.submit(*jobs).values()} == {JobState.UNKNOWN}
    for job in fake_bench.slurm.jobs():
        fake_bench.slurm.end(job.id, "NODE_FAIL")
    for job in fake_bench.slurm.jobs():
        fake_bench.slurm.forget(job.id)
    assert {fake_bench.status_of(each).state for each in tokens} == {JobState.UNKNOWN}
    for each in tokens:
        found = fake_bench.until(each, JobState.GONE)
        assert found.ending
        assert (found.ending.failure, fake_bench.executions(each)) == (FailureClass.LOST, 1)


def test_killed_before_the_record_it_is_handed_over_by_the_next_one(fake_bench: Bench, token: str) -> None:
    begin_handover(fake_bench.work, fake_bench.files(token))
    assert fake_bench.status_of(token).state is JobState.UNSEEN
    assert fake_bench.start(token)


def test_an_id_that_is_used_again_is_not_taken_for_the_job(fake_bench: Bench, token: str) -> None:
    job_id = fake_bench.start(token, "exit 1")
    fake_bench.until(token, JobState.GONE)
    fake_bench.slurm.forget(job_id)
    fake_bench.slurm.give_next(job_id)
    assert fake_bench.slurm.submit("--job-name=another", commands="sleep 300") == job_id
    fake_bench.slurm.wait(job_id, "RUNNING")
    fake_bench.slurm.end(job_id, "OUT_OF_MEMORY")
    fake_bench.slurm.wait(job_id, "OUT_OF_MEMORY")
    assert fake_bench.until(token, JobState.GONE).ending is None  # its own status tells


@pytest.mark.parametrize("sacct", ["down", "off"])
def test_without_accounting_the_queue_is_enough(fake_bench: Bench, token: str, sacct: str) -> None:
    fake_bench.slurm.knob(sacct=sacct)
    job_id = fake_bench.start(token, "sleep 300")
    fake_bench.until(token, JobState.RUNNING)
    fake_bench.slurm.end(job_id, "CANCELLED")
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.CANCELLED


def test_while_accounting_is_down_a_job_that_left_the_queue_is_unknown(fake_bench: Bench, token: str) -> None:
    job_id = fake_bench.start(token, "sleep 300")
    fake_bench.until(token, JobState.RUNNING)
    fake_bench.slurm.end(job_id, "OUT_OF_MEMORY")
    eventually(lambda: fake_bench.slurm.jobs()[0].end, bool)
    (fake_bench.files(token) / "status.json").unlink(missing_ok=True)
    fake_bench.slurm.knob(min_job_age=0.0)
    with fake_bench.slurm.accounting_down():
        end = time.monotonic() + 2 * GRACE
        while time.monotonic() < end:
            found = fake_bench.status_of(token)
            assert found.state is JobState.UNKNOWN
            time.sleep(0.2)
        assert "sacct" in found.detail
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.OUT_OF_MEMORY


def test_stopped_accounting_on_a_running_cluster(bench: Bench, token: str) -> None:
    with bench.slurm.accounting_down():
        bench.start(token, "exit 0")
        assert bench.until(token, JobState.GONE).job_id


def test_the_time_that_a_job_is_missing_counts_while_the_controller_answers(fake_bench: Bench, token: str) -> None:
    job = fake_bench.job(token, count(token))
    fake_bench.slurm.knob(sbatch=["timeout"])
    fake_bench.submit(job)
    assert fake_bench.status_of(token).state is JobState.UNKNOWN
    with fake_bench.slurm.controller("down"):
        time.sleep(GRACE + 0.5)
        assert fake_bench.status_of(token).state is JobState.UNKNOWN
    assert fake_bench.status_of(token).state is JobState.UNKNOWN
    fake_bench.until(token, JobState.UNSEEN)


def test_a_missing_work_tree_says_nothing(bench: Bench, token: str) -> None:
    bench.work.rename(bench.work.with_name("unmounted"))
    assert bench.status_of(token).state is JobState.UNKNOWN
    scheduler.cancel(bench.cluster, bench.work, [attempt(token)])
    assert not bench.work.exists()


def test_a_status_that_shows_late_is_waited_for_by_who_asks(fake_bench: Bench, token: str) -> None:
    fake_bench.slurm.knob(hide={"seconds": 2, "glob": "jobs/*/status.json"})
    fake_bench.start(token, "exit 0")
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is None
    assert fake_bench.ended(token)["exit_code"] == 0


# ---- cancelling


def test_cancel_ends_what_runs_and_what_waits(bench: Bench, token: str) -> None:
    running, waiting = f"{token}.a", f"{token}.b"
    array = [f"{token}.array_{index}" for index in (0, 1)]
    first = bench.start(running, "sleep 300")
    bench.submit(bench.job(waiting, after=(first,)), *(bench.job(each, "sleep 300") for each in array))
    for each in (running, *array):
        bench.until(each, JobState.RUNNING)
    scheduler.cancel(bench.cluster, bench.work, [attempt(each) for each in (running, waiting, *array)])
    assert not bench.slurm.ask("squeue", "-h", "-n", f"{running},{waiting},{token}.array")
    for each in (running, waiting, *array):
        found = bench.until(each, JobState.GONE)
        assert found.ending
        assert found.ending.failure is FailureClass.CANCELLED
    scheduler.cancel(bench.cluster, bench.work, [attempt(each) for each in (running, waiting, *array)])


def test_cancel_keeps_an_unseen_job_from_starting(bench: Bench, token: str) -> None:
    job = bench.job(token, count(token))
    scheduler.cancel(bench.cluster, bench.work, [attempt(token)])
    assert bench.status_of(token).ending
    answer = bench.submit(job)[token]
    assert answer.ending
    assert (answer.state, answer.ending.failure) == (JobState.GONE, FailureClass.CANCELLED)
    assert not bench.slurm.ask("squeue", "-h", "-t", "all", "-n", token)


def test_only_what_was_not_handed_over_needs_the_mark(fake_bench: Bench, token: str) -> None:
    fake_bench.running(f"{token}.a")
    tokens = [f"{token}.a", f"{token}.b"]
    for each in tokens:  # nothing more can be written for a job, as on a disk without space or inodes
        fake_bench.files(each).mkdir(parents=True, exist_ok=True)
        (fake_bench.files(each) / "cancelled").symlink_to("/nowhere/at/all")
    with pytest.raises(CkgitError, match=rf"cannot be kept from starting, .*: {token}\.b \(") as caught:
        scheduler.cancel(fake_bench.cluster, fake_bench.work, [attempt(each) for each in tokens])
    assert caught.value.code is Exit.COMMAND_FAILED
    fake_bench.until(tokens[0], JobState.GONE)
    scheduler.cancel(fake_bench.cluster, fake_bench.work, [attempt(tokens[0])])


def test_cancelled_while_sbatch_runs_it_is_ended_by_who_handed_it_over(
    fake_bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ckgit.schedulers.slurm import submit as slurm_submit

    real_call = slurm_submit.call

    def call(cluster, words, **more):
        if words[0] == "sbatch":
            scheduler.cancel(cluster, fake_bench.work, [attempt(token)])
        return real_call(cluster, words, **more)

    monkeypatch.setattr(slurm_submit, "call", call)
    fake_bench.slurm.knob(manual=True)
    fake_bench.submit(fake_bench.job(token, count(token)))
    found = fake_bench.until(token, JobState.GONE)
    assert found.ending
    assert found.ending.failure is FailureClass.CANCELLED
    assert fake_bench.slurm.calls("scancel")


def test_cancel_ends_no_other_job_that_has_the_id_now(fake_bench: Bench, token: str) -> None:
    job_id = fake_bench.running(token)
    fake_bench.slurm.end(job_id, "NODE_FAIL")
    fake_bench.slurm.wait(job_id, "NODE_FAIL")
    fake_bench.slurm.forget(job_id)
    fake_bench.slurm.give_next(job_id)
    assert fake_bench.slurm.submit("--job-name=thesis", commands="sleep 300") == job_id
    scheduler.cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])
    assert not fake_bench.slurm.calls("scancel")
    fake_bench.slurm.wait(job_id, "RUNNING")


def test_cancel_ends_by_name_and_id_what_squeue_leaves_out(fake_bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = fake_bench.running(token)
    monkeypatch.setattr("ckgit.schedulers.slurm.cancel.ask_queue", lambda _: [])
    scheduler.cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])
    assert fake_bench.slurm.calls("scancel") == [[f"--name={token}", job_id]]
    fake_bench.slurm.wait(job_id, "CANCELLED")


@pytest.mark.parametrize("how", ["told", "judged"])
def test_cancel_leaves_alone_what_is_known_to_have_ended(fake_bench: Bench, token: str, how: str) -> None:
    job_id = fake_bench.start(token, "exit 0") if how == "told" else fake_bench.running(token)
    if how == "judged":
        fake_bench.slurm.end(job_id, "OUT_OF_MEMORY")
        fake_bench.slurm.wait(job_id, "OUT_OF_MEMORY")
    else:
        fake_bench.until(token, JobState.GONE)
    fake_bench.slurm.knob(min_job_age=0.0)
    ended = attempt(token, phase=Phase.FAILED if how == "judged" else Phase.SUBMITTED)
    scheduler.cancel(fake_bench.cluster, fake_bench.work, [ended])
    assert not fake_bench.slurm.calls("scancel")


def test_cancel_says_so_when_slurm_cannot_be_asked(fake_bench: Bench, token: str) -> None:
    fake_bench.start(token, "sleep 300")
    with fake_bench.slurm.controller("down"), pytest.raises(CkgitError) as error:
        scheduler.cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])
    assert error.value.code is Exit.UNKNOWN


# ---- where commands run


def test_what_the_users_shell_says_to_slurm_does_not_count(bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
        "SLURM_RESTART_COUNT": "7",
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "POSIX",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    bench.start(token, "sleep 1")
    assert eventually(lambda: bench.status_of(token).state, lambda seen: seen is JobState.RUNNING) is JobState.RUNNING
    bench.until(token, JobState.GONE)
    assert bench.ended(token)["token"] == token


def test_another_cluster_of_the_same_accounting(bench: Bench, token: str) -> None:
    other = bench._replace(cluster=bench.cluster.model_copy(update={"slurm_cluster": "beta"}))
    job_id = other.start(token, "echo $SLURM_CLUSTER_NAME")
    assert other.until(token, JobState.GONE).job_id == job_id
    assert (other.files(token) / "output").read_text() == "beta\n"
    assert bench.slurm.ask("squeue", "-h", "-t", "all", "-n", token) == ""
    usage = eventually(lambda: scheduler.usage(other.cluster, other.work, [attempt(token, job_id=job_id)]).usage, bool)
    assert usage[token].elapsed_seconds is not None


def test_a_cluster_that_squeue_leaves_out_is_not_an_empty_queue(bench: Bench, token: str) -> None:
    other = bench._replace(cluster=bench.cluster.model_copy(update={"slurm_cluster": "beta"}))
    other.start(token, "sleep 300")
    with bench.slurm.second_cluster_down():
        assert other.status_of(token).state is JobState.UNKNOWN
        assert other.submit(other.job(f"{token}.b"))[f"{token}.b"].state is JobState.UNSEEN
    other.until(token, JobState.RUNNING)
    scheduler.cancel(other.cluster, other.work, [attempt(token)])


def test_a_login_node_behind_ssh(bench: Bench, token: str, tmp_path: Path) -> None:
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    # as ssh does: the words are joined, and a shell there, which has settings of its own, takes them apart
    ssh.write_text(
        "#!/bin/sh\nshift\ncd /\n"
        'export PATH="/there:$PATH" SQUEUE_PARTITION=short SBATCH_ACCOUNT=nosuch SLURM_TIME_FORMAT=%H\nexec sh -c "$*"\n'
    )
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    away = bench._replace(cluster=bench.cluster.model_copy(update={"command_prefix": (str(ssh), "login1")}))
    away.start(token, "pwd; echo $PATH; sleep 2")
    away.until(token, JobState.RUNNING)
    away.until(token, JobState.GONE)
    here, path = (away.files(token) / "output").read_text().splitlines()
    assert here == str(away.work)
    assert path.startswith("/there:")
    command, says = scheduler.dry_run(away.cluster, away.work, [away.job(f"{token}.b")], b"#!/bin/bash\n")
    assert command.startswith(f"{ssh} login1 'sbatch --parsable")
    assert "to start at" in says


def test_a_login_node_that_does_not_answer_takes_nothing(fake_bench: Bench, token: str, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'ssh: connect to host login1 port 22: Connection refused' >&2\nexit 255\n")
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    away = fake_bench._replace(cluster=fake_bench.cluster.model_copy(update={"command_prefix": (str(ssh), "login1")}))
    assert away.submit(away.job(token))[token].state is JobState.UNSEEN
    assert away.status_of(token).state is JobState.UNKNOWN
    assert fake_bench.status_of(token).state is JobState.UNSEEN


def test_without_slurm_it_says_so(tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bench = Bench(None, tmp_path)
    with pytest.raises(CkgitError, match="sbatch") as error:
        bench.submit(bench.job(token))
    assert error.value.code is Exit.TOOL_MISSING
    assert "command_prefix" in error.value.next
    assert not list(bench.files(token).glob("handed.*"))
    with pytest.raises(CkgitError, match="squeue"):
        bench.poll(token)
    assert scheduler.usage(bench.cluster, bench.work, [attempt(token, job_id="1")]).usage == {}


def test_of_another_users_job_nothing_is_known_and_nothing_is_ended(
    fake_bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`squeue --me` does not have it; who has handed it over is who owns its folder. (As root, who sees all, it is as one's own.)"""
    fake_bench.start(token, "sleep 1000")
    time.sleep(GRACE + 0.5)
    with monkeypatch.context() as other:
        other.setattr("ckgit.schedulers.slurm.records.os.geteuid", lambda: 4242)
        other.setattr("ckgit.schedulers.slurm.queries.parse_queue", lambda *_: [])
        status = fake_bench.status_of(token)
        with pytest.raises(CkgitError, match=f"is {getpass.getuser()}'s, who has handed it over") as caught:
            scheduler.check_cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])
    assert (status.state, f"{getpass.getuser()} has handed it over" in status.detail) == (JobState.UNKNOWN, True), status
    assert caught.value.code is Exit.COMMAND_FAILED
    scheduler.check_cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])
    scheduler.cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])


def test_whether_jobs_can_be_ended_is_not_known_while_the_controller_does_not_answer(fake_bench: Bench, token: str) -> None:
    fake_bench.start(token, "sleep 1000")
    fake_bench.slurm.knob(squeue="fails")
    with pytest.raises(CkgitError, match="squeue: ") as caught:
        scheduler.check_cancel(fake_bench.cluster, fake_bench.work, [attempt(token)])
    assert caught.value.code is Exit.UNKNOWN
