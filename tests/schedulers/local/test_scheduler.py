"""The local scheduler with real processes: one execution a token, slots, identity, the end of jobs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Resources
from ckgit.experiment.jobs import FailureClass, Status
from ckgit.experiment.scheduler import JobState, Submission
from ckgit.jobs.environment import KEPT
from ckgit.jobs.folder import job_folder
from ckgit.jobs.handover import begin_handover
from ckgit.jobs.script import OFFLINE, job_script
from ckgit.schedulers.local import cancel as local_cancel
from ckgit.schedulers.local import job as local_job
from ckgit.schedulers.local.process import read_process
from ckgit.schedulers.local.scheduler import scheduler
from tests.attempts import attempts

ONE, TWO = Cluster(slots=1), Cluster(slots=2)
PATIENCE = 20.0
SUBMIT = (
    "import os, pickle, signal, sys; from ckgit.schedulers.local.scheduler import scheduler; "
    "scheduler.submit(*pickle.load(sys.stdin.buffer)); "
)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a root" / "lab" / "experiment" / "0123456789ab"
    folder.mkdir(parents=True)
    yield folder
    tokens = [entry.name for entry in folder.glob(".ckgit/begun/jobs/*")]
    scheduler.cancel(ONE, folder, attempts(*tokens))


def submission(work: Path, token: str, command: str) -> Submission:
    script = f"{token}.slurm"
    content = job_script(
        title="a test", script=script, resources=Resources(), cluster=ONE, inputs={}, programs=["sleep"], commands=[["bash", "-c", command]]
    )
    # a job without inputs has nothing to check
    (work / script).write_bytes(content.replace(b"sha256sum --check --quiet --strict -", b"true"))
    return Submission(token, script, f".ckgit/jobs/{token}/output", Resources())


def start(work: Path, token: str, command: str, cluster: Cluster = ONE) -> None:
    assert scheduler.submit(cluster, work, [submission(work, token, command)])[token].state is JobState.QUEUED


def seen(work: Path, token: str) -> JobState:
    return scheduler.poll(ONE, work, attempts(token)).statuses[token].state


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def status(work: Path, token: str) -> Status:
    return Status.model_validate_json((job_folder(work, token) / "status.json").read_bytes())


def test_a_job_runs_in_the_work_tree_and_says_how_it_ended(work: Path) -> None:
    start(work, "one", "pwd; echo to stderr >&2; exit 3")
    until(lambda: seen(work, "one") is JobState.GONE)
    until((job_folder(work, "one") / "status.json").exists)
    ended = status(work, "one")
    process = read_process(job_folder(work, "one") / "local.json")
    assert process
    assert (ended.token, ended.exit_code, ended.job_id) == ("one", 3, str(process.pid))
    assert (job_folder(work, "one") / "output").read_text() == f"{work}\nto stderr\n"


def test_unseen_queued_running_gone(work: Path) -> None:
    assert seen(work, "first") is JobState.UNSEEN
    start(work, "first", f"while ! test -e '{work}/go'; do sleep 0.01; done")
    until(lambda: seen(work, "first") is JobState.RUNNING)
    start(work, "second", "true")
    assert seen(work, "second") is JobState.QUEUED
    (work / "go").touch()
    until(lambda: seen(work, "second") is JobState.GONE)
    assert status(work, "first").exit_code == 0


def test_a_token_is_executed_once_however_often_it_is_handed_over(work: Path) -> None:
    job = submission(work, "once", "echo ran; sleep 0.2")
    copies = [subprocess.Popen([sys.executable, "-c", SUBMIT], stdin=subprocess.PIPE) for _ in range(6)]
    for copy in copies:
        copy.communicate(pickle.dumps((TWO, work, [job])))
    until(lambda: seen(work, "once") is JobState.GONE)
    scheduler.submit(TWO, work, [job])
    time.sleep(0.2)
    assert (job_folder(work, "once") / "output").read_text() == "ran\n"


def test_no_more_jobs_run_than_there_are_slots_and_the_first_come_first(work: Path) -> None:
    tokens = [f"job{number}" for number in range(8)]
    for token in tokens:
        start(work, token, f"echo start {token} >>order; echo + >>count; sleep 0.3; echo - >>count", TWO)
    until(lambda: all(seen(work, token) is JobState.GONE for token in tokens))
    running, most = 0, 0
    for sign in (work / "count").read_text().split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert most == 2
    started = (work / "order").read_text().split()[1::2]
    assert sorted(started) == tokens
    assert all(abs(started.index(token) - tokens.index(token)) <= 2 for token in tokens)  # two start at the same time


def test_jobs_outlive_the_process_that_started_them(work: Path) -> None:
    job = submission(work, "long", "sleep 0.5; echo survived")
    code = SUBMIT + "os.killpg(0, signal.SIGKILL)"
    handed = pickle.dumps((ONE, work, [job]))
    parent = subprocess.run([sys.executable, "-c", code], input=handed, start_new_session=True, check=False)
    assert parent.returncode == -signal.SIGKILL
    assert seen(work, "long") in (JobState.QUEUED, JobState.RUNNING)
    until(lambda: seen(work, "long") is JobState.GONE)
    assert (job_folder(work, "long") / "output").read_text() == "survived\n"


def test_cancel_ends_a_running_job_with_its_children_and_one_that_waits(work: Path) -> None:
    start(work, "running", f"sleep 1000 & echo $! >'{work}/child'; wait")
    until((work / "child").exists)
    start(work, "waiting", "echo never")
    scheduler.cancel(ONE, work, attempts("running", "waiting", "unknown"))
    assert seen(work, "running") is JobState.GONE
    assert seen(work, "waiting") is JobState.GONE
    assert status(work, "running").exit_code == 143
    assert (local_job.stat_fields(int((work / "child").read_text())) or ["Z"])[0] == "Z"
    assert (job_folder(work, "waiting") / "output").read_text() == ""
    scheduler.cancel(ONE, work, attempts("running", "waiting"))


def test_cancel_reaches_what_a_job_has_put_into_another_session(work: Path) -> None:
    start(work, "torchrun", f"setsid bash -c 'echo $$ >{work.name}.pid; sleep 1000' & wait")
    pid = work / f"{work.name}.pid"
    until(lambda: pid.exists() and pid.read_text().strip() != "")
    scheduler.cancel(ONE, work, attempts("torchrun"))
    until(lambda: (local_job.stat_fields(int(pid.read_text())) or ["Z"])[0] == "Z")


@pytest.mark.parametrize("damage", ["", '{"pid": 5}', "[]", '{"pid": 1, "start": 1, "boot": "", "host": ""}', None])
def test_cancel_ends_a_job_whose_identity_is_damaged_and_the_others(work: Path, damage: str | None) -> None:
    for token in ("damaged", "whole"):
        start(work, token, f"echo $PPID >{token}.pid; sleep 1000", TWO)
    pids = {token: work / f"{token}.pid" for token in ("damaged", "whole")}
    until(lambda: all(pid.exists() and pid.read_text().strip() for pid in pids.values()))
    identity = job_folder(work, "damaged") / "local.json"
    identity.unlink()
    if damage is None:
        identity.mkdir()
    else:
        identity.write_text(damage)
    assert seen(work, "damaged") is JobState.UNKNOWN
    scheduler.cancel(ONE, work, attempts("damaged", "whole"))
    assert [(local_job.stat_fields(int(pid.read_text())) or ["Z"])[0] for pid in pids.values()] == ["Z", "Z"]
    assert [(status(work, token).exit_code, seen(work, token)) for token in pids] == [(143, JobState.GONE)] * 2


def no_mark_fits(work: Path, token: str) -> None:
    """Nothing more can be written for a job, as on a disk without space or inodes."""
    job_folder(work, token).mkdir(parents=True, exist_ok=True)
    (job_folder(work, token) / "cancelled").symlink_to("/nowhere/at/all")


def test_what_cannot_be_marked_is_signalled_all_the_same(work: Path) -> None:
    start(work, "running", f"touch '{work}/up'; sleep 1000")
    until((work / "up").exists)
    start(work, "waiting", "true")
    tokens = ("running", "waiting")
    for token in tokens:
        no_mark_fits(work, token)
    scheduler.cancel(ONE, work, attempts(*tokens))
    assert [seen(work, token) for token in tokens] == [JobState.GONE] * 2
    assert (job_folder(work, "waiting") / "output").read_text() == ""


def test_only_what_has_not_started_needs_the_mark(work: Path) -> None:
    start(work, "running", f"touch '{work}/up'; sleep 1000")
    until((work / "up").exists)
    for token in ("early", "running"):
        no_mark_fits(work, token)
    with pytest.raises(CkgitError, match=r"cannot be kept from starting, .*: early \(No such file") as caught:
        scheduler.cancel(ONE, work, attempts("early", "running"))
    assert (caught.value.code, seen(work, "running")) == (Exit.COMMAND_FAILED, JobState.GONE)


def test_a_job_that_ignores_the_signal_is_killed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cancel, "GRACE", 0.2)
    start(work, "deaf", "trap '' TERM; echo deaf; sleep 1000 & wait; sleep 1000")
    until(lambda: (job_folder(work, "deaf") / "output").read_text() == "deaf\n")
    scheduler.cancel(ONE, work, attempts("deaf"))
    assert seen(work, "deaf") is JobState.GONE


def test_a_job_that_is_cancelled_before_it_was_handed_over_never_runs(work: Path) -> None:
    scheduler.cancel(ONE, work, attempts("early"))
    assert seen(work, "early") is JobState.UNSEEN
    scheduler.submit(ONE, work, [submission(work, "early", "echo ran")])
    until(lambda: seen(work, "early") is JobState.GONE)
    assert not (job_folder(work, "early") / "output").exists()


def test_children_of_a_killed_job_keep_it_running(work: Path) -> None:
    start(work, "orphaned", f"touch '{work}/up'; sleep 1000")
    until((work / "up").exists)
    process = read_process(job_folder(work, "orphaned") / "local.json")
    assert process
    os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert seen(work, "orphaned") is JobState.RUNNING
    scheduler.cancel(ONE, work, attempts("orphaned"))
    assert seen(work, "orphaned") is JobState.GONE


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("start", 1, JobState.GONE),
        ("boot", "another boot", JobState.GONE),
        ("host", "the name that this machine had before", JobState.RUNNING),
        ("ids", "pid:[1]", JobState.UNKNOWN),
        ("pid", "text", JobState.UNKNOWN),
        ("pid", 1, JobState.UNKNOWN),
    ],
)
def test_identity_is_process_start_and_boot(work: Path, field: str, value: object, expected: JobState) -> None:
    folder = job_folder(work, "other")
    folder.mkdir(parents=True)
    identity = {**local_job.identity(), field: value}
    (folder / "claim").mkdir()
    (folder / "local.json").write_text(json.dumps(identity))
    assert seen(work, "other") is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host": "far-away", "boot": "another boot"}, JobState.UNKNOWN),
        ({"host": "far-away", "ids": ""}, JobState.RUNNING),  # an older ckgit started it, and this machine had another name
        ({"host": "far-away", "ids": "", "start": 1}, JobState.UNKNOWN),  # or it runs in another container
        ({"ids": "", "start": 1}, JobState.GONE),
    ],
)
def test_what_another_machine_is_tells_its_boot_and_not_its_name(work: Path, changes: dict[str, Any], expected: JobState) -> None:
    folder = job_folder(work, "other")
    (folder / "claim").mkdir(parents=True)
    (folder / "local.json").write_text(json.dumps({**local_job.identity(), **changes}))
    assert seen(work, "other") is expected
    if expected is JobState.UNKNOWN:
        with pytest.raises(CkgitError, match="--lost --because"):
            scheduler.check_cancel(ONE, work, attempts("other"))


def test_what_cannot_be_read_is_unknown(work: Path, tmp_path: Path) -> None:
    folder = job_folder(work, "broken")
    folder.mkdir(parents=True)
    (folder / "local.json").write_text('{"pid": 12')
    assert seen(work, "broken") is JobState.UNKNOWN
    assert scheduler.poll(ONE, tmp_path / "gone", attempts("x")).statuses["x"].state is JobState.UNKNOWN


def lose(work: Path, token: str) -> None:
    """The disk, or a cleaning, takes a job's folder."""
    shutil.rmtree(job_folder(work, token))


@pytest.mark.parametrize("emptied", [False, True])
def test_a_job_whose_files_are_lost_runs_on_and_is_not_handed_over_again(work: Path, emptied: bool) -> None:
    start(work, "robbed", f"echo ran >>'{work}/ran'; while ! test -e '{work}/go'; do sleep 0.01; done")
    until((work / "ran").exists)
    lose(work, "robbed")
    if emptied:
        job_folder(work, "robbed").mkdir()
    assert seen(work, "robbed") is JobState.RUNNING
    again = scheduler.submit(TWO, work, [submission(work, "robbed", f"echo ran >>'{work}/ran'")])["robbed"]
    assert (again.state, seen(work, "robbed")) == (JobState.RUNNING, JobState.RUNNING)
    (work / "go").touch()
    until(lambda: seen(work, "robbed") is JobState.GONE)
    assert (work / "ran").read_text() == "ran\n"
    if emptied:
        assert status(work, "robbed").exit_code == 0
    else:
        ended = scheduler.poll(ONE, work, attempts("robbed")).statuses["robbed"].ending
        assert ended
        assert ended.failure is FailureClass.LOST


def test_one_that_waits_for_a_slot_is_seen_and_ended_without_its_files(work: Path) -> None:
    start(work, "running", "sleep 1000")
    start(work, "robbed", f"touch '{work}/ran'")
    lose(work, "robbed")
    assert seen(work, "robbed") is JobState.RUNNING
    scheduler.cancel(ONE, work, attempts("robbed"))
    assert seen(work, "robbed") is JobState.GONE
    scheduler.cancel(ONE, work, attempts("running"))
    assert not (work / "ran").exists()


def test_of_a_job_of_another_machine_whose_files_are_lost_nothing_is_known(work: Path) -> None:
    start(work, "far", "true")
    until(lambda: seen(work, "far") is JobState.GONE)
    lose(work, "far")
    (work / ".ckgit/begun/jobs/far").write_text("far-away")
    until(lambda: seen(work, "far") is JobState.UNKNOWN)  # its process may still be ending


@pytest.mark.parametrize("killed_at", [lambda _: None, lambda note: note.unlink(), lambda note: note.write_text("")])
def test_killed_before_the_hand_over_it_is_handed_over_by_the_next_one(work: Path, killed_at: Callable[[Path], object]) -> None:
    begin_handover(work, job_folder(work, "early"))
    killed_at(work / ".ckgit/begun/jobs/early")
    assert seen(work, "early") is JobState.UNSEEN
    start(work, "early", "true")
    until(lambda: seen(work, "early") is JobState.GONE)
    assert status(work, "early").exit_code == 0


def test_a_claim_without_identity_was_started(work: Path) -> None:
    (job_folder(work, "by-hand") / "claim").mkdir(parents=True)
    assert seen(work, "by-hand") is JobState.GONE


def test_a_job_of_another_machine_is_not_signalled_and_the_others_are(work: Path) -> None:
    folder = job_folder(work, "far")
    folder.mkdir(parents=True)
    (folder / "local.json").write_text(json.dumps({**local_job.identity(), "host": "far-away", "boot": "another boot"}))
    start(work, "near", "sleep 1000")
    with pytest.raises(CkgitError, match="far-away") as caught:
        scheduler.cancel(ONE, work, attempts("far", "near"))
    assert caught.value.code is Exit.UNKNOWN
    assert seen(work, "near") is JobState.GONE  # it is not left running for the other's sake


def test_a_refusal_has_the_words_of_the_system(work: Path) -> None:
    (work / ".ckgit").write_text("a file in the way")
    refused = scheduler.submit(ONE, work, [Submission("t", "s.slurm", "out", Resources())])["t"]
    assert refused.state is JobState.GONE
    assert refused.ending
    assert refused.ending.failure is FailureClass.REFUSED
    assert "could not be started" in refused.ending.sentence
    (work / ".ckgit").unlink()


def test_a_process_that_cannot_write_its_output_is_refused(work: Path) -> None:
    job = submission(work, "nowhere", "true")._replace(output="missing/folder/output")
    refused = scheduler.submit(ONE, work, [job])["nowhere"]
    assert refused.ending
    assert "missing/folder/output" in refused.ending.sentence


HOSTILE = {
    **dict.fromkeys(("HF_TOKEN", "OPENAI_API_KEY", "GIT_DIR", "SLURM_JOB_ID", "BASH_ENV", "CDPATH", "aws_secret"), "canary"),
    **dict.fromkeys(("INSPECT_EVAL_EPOCHS", "HF_HOME", "TRANSFORMERS_CACHE", "TORCH_HOME", "PYTORCH_NVML_BASED_CUDA_CHECK"), "canary"),
    **dict.fromkeys(("PYTHONPATH", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONHASHSEED", "LD_LIBRARY_PATH", "LD_PRELOAD"), "canary"),
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "WANDB_MODE", "XDG_CONFIG_HOME"), "canary"),
    **dict.fromkeys(("LANG", "TZ", "changed", "sampler", "BASH_FUNC_date%%", "PYDANTIC_DISABLE_PLUGINS"), "canary"),
}


def test_the_environment_of_a_job_is_a_list(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEPT:
        monkeypatch.delenv(name, raising=False)
    allowed = {"PATH": "/usr/bin:/bin", "HOME": "/h", "USER": "u", "TMPDIR": "/t", "CUDA_VISIBLE_DEVICES": "1"}
    for name, value in {**HOSTILE, **allowed}.items():
        monkeypatch.setenv(name, value)
    start(work, "env", "env >seen; cat /proc/$PPID/environ >given")
    until(lambda: seen(work, "env") is JobState.GONE)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    given = {**allowed, "PATH": path, "LC_ALL": "C.UTF-8", "CKGIT_JOB": "env"}
    assert dict(pair.split("=", 1) for pair in (work / "given").read_text().strip("\0").split("\0")) == given
    printed = dict(line.split("=", 1) for line in (work / "seen").read_text().splitlines())
    ours = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", **dict.fromkeys(OFFLINE, "1"), "PYTHONUNBUFFERED": "1"}
    ours |= {"PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1", "HF_DATASETS_CACHE": f"{work}/.ckgit/jobs/env/datasets"}
    bash = {name: printed[name] for name in ("PWD", "SHLVL", "OLDPWD", "_") if name in printed}
    assert printed == {**given, **ours, **bash}


def test_sigpipe_ends_a_program_of_a_job_as_in_any_shell(work: Path) -> None:
    start(work, "pipe", "set +e; yes | head -1; echo ${PIPESTATUS[0]}")
    until(lambda: seen(work, "pipe") is JobState.GONE)
    assert (job_folder(work, "pipe") / "output").read_text().split() == ["y", "141"]
