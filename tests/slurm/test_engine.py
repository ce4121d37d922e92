"""An experiment of bash jobs on SLURM, from design to report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.lab.lab import Lab
from ckgit.orchestrators.commands import many
from ckgit.orchestrators.commands.cancel import cancel
from ckgit.orchestrators.engine.options import AdvanceOptions, Selection
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.orchestrators.queries.why import why
from ckgit.orchestrators.review.verify import deep
from ckgit.schedulers.slurm.scheduler import scheduler
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench, Heard, design_demo
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.clusters import eventually

CONFIG = """\
schema_version = 1
name = "test-lab"
default_cluster = "site"

[clusters.site]
scheduler = "slurm"
work_root = "{work}"
models_root = "models"
poll_seconds = 0.3
grace_seconds = 6
setup = ["{slurm}", "export TINY='{steer}' PYTHONPATH='{path}'"]
training = {{time = "00:05:00", mem = "200M", cpus_per_task = 1}}
evaluation = {{time = "00:05:00", mem = "200M", cpus_per_task = 1}}
advance = {{time = "00:05:00", mem = "400M", cpus_per_task = 1}}
"""


@pytest.fixture
def bench(lab: Lab, tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch, slurm) -> Iterator[Bench]:  # noqa: F811 - the fixture
    """A lab whose default cluster is SLURM, with experiment `demo` in state designed."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tiny_package)
    path = os.pathsep.join([str(tiny_package), str(Path(__file__).parents[2])])
    monkeypatch.setenv("PYTHONPATH", path)
    steer = tmp_path / "steer"
    steer.mkdir()
    (lab.root / "ckgit.toml").write_text(CONFIG.format(slurm=slurm.set_up, work=tmp_path / "work", steer=steer, path=path))
    for words in (["config", "user.name", "A Job"], ["config", "user.email", "job@example.org"], ["commit", "-qam", "a site"]):
        subprocess.run(["git", *words], cwd=lab.root, check=True)
    made = Bench(lab.root, steer, Heard())
    design_demo(made.lab)
    yield made
    for file in steer.glob("hold*"):
        file.unlink()
    if (ledger := made.snapshot.ledger()) and ledger.work_tree:
        scheduler.cancel(made.lab.cluster(), Path(ledger.work_tree), ledger.attempts)


def once_each(bench: Bench) -> bool:
    return len(set(bench.executions())) == len(bench.executions())


def state_of(slurm, token: str, wanted: str) -> str:
    """The state that a job comes to."""
    return eventually(lambda: slurm.ask("squeue", "-h", "-t", "all", "-n", token, "-o", "%T"), wanted.__eq__)


def test_from_design_to_report_watched(bench: Bench) -> None:
    assert bench.advance(State.EVALUATED).code is Exit.DONE
    cluster, attempts = bench.lab.cluster(), bench.ledger.attempts
    bench.until(lambda: len(scheduler.usage(cluster, bench.work, attempts).usage) == len(attempts), seconds=60)  # accounting comes late
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    assert [event for event in bench.history() if event != "submit"] == ["design", "scaffold", "train", "evaluate", "analyze"]
    assert len(bench.executions()) == 5
    assert once_each(bench)
    for attempt in bench.ledger.attempts:
        assert attempt.job_id
        assert attempt.usage
        assert attempt.usage.queue_seconds is not None
        assert attempt.usage.cpu_seconds is not None
    log = (bench.snapshot.read("experiments/demo/run-experiment.log") or b"").decode()
    assert "squeue" in log
    done = bench.ckgit("verify", "demo", "--deep", check=False)
    assert done.stdout.endswith(f"{len(bench.history())} commits: all that is recorded follows from what is in git\n"), done.stdout


def test_a_job_id_of_somebody_else_is_found_by_who_asks_the_cluster(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "_LATE", 0.0)  # as if accounting had heard of all by now
    bench.advance(State.TRAINED)
    one, other = bench.latest("rank4/finetune").job_id, bench.latest("rank8/finetune").job_id
    ledger = bench.snapshot.ledger_bytes() or b""
    commit_by_hand(bench.folder, "jobs.json", ledger.decode().replace(f'"job_id": "{one}"', f'"job_id": "{other}"'))
    done = bench.ckgit("verify", "demo", "--deep", check=False)
    assert done.returncode == Exit.NOT_VERIFIED
    assert f"rank4/finetune, attempt 1: its status says job_id {one}, and the ledger {other} [account]" in done.stdout
    shutil.rmtree(bench.work / ".ckgit/jobs" / bench.latest("rank4/finetune").token)
    done = bench.ckgit("verify", "demo", "--deep", check=False)
    assert f"slurm knows no job {other} of this user that is called {bench.latest('rank4/finetune').token} [account]" in done.stdout


def test_from_design_to_report_while_nobody_watches(bench: Bench) -> None:
    result = bench.advance(State.ANALYZED, wait=False, detach=True)
    assert (result.code, result.state) == (Exit.DONE, State.SCAFFOLDED)
    assert "is left to its cluster" in result.message
    assert "left to job ckgit.demo.advance." in bench.ckgit("status", "demo").stdout
    bench.until(lambda: bench.snapshot.state is State.ANALYZED, seconds=120)
    assert len([token for token in bench.executions() if "advance" not in token]) == 5
    assert once_each(bench)
    assert bench.ledger.detached is None
    assert "all that is recorded follows from what is in git" in bench.ckgit("verify", "demo", check=False).stdout


def test_an_interactive_advance_takes_over_from_the_job(bench: Bench, slurm) -> None:
    bench.hold()
    bench.advance(State.ANALYZED, wait=False, detach=True)
    assert bench.ledger.detached
    token = bench.ledger.detached.token
    bench.until(lambda: len(bench.executions()) >= 2, seconds=60)
    done = bench.ckgit("advance", "demo", "--no-wait", check=False)
    assert (done.returncode, f"demo is left to job {token} (queued)" in done.stderr) == (Exit.IN_FLIGHT, True), done.stderr
    assert bench.ledger.detached.token == token
    process = bench.start("advance", "demo", "--to", "analyzed", "--take-over")
    assert state_of(slurm, token, "CANCELLED") == "CANCELLED"
    bench.go()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert bench.ledger.detached is None
    assert once_each(bench)
    assert not (bench.work / ".ckgit/jobs" / token / "claim").exists()


def test_cancel_ends_the_job_that_goes_on_too(bench: Bench, slurm) -> None:
    bench.hold()
    bench.advance(State.ANALYZED, wait=False, detach=True)
    assert bench.ledger.detached
    token = bench.ledger.detached.token
    assert json.loads(bench.ckgit("status", "demo", "--json").stdout)["left_to"]["seen"] == "queued"
    cancel(open_partially(bench.lab, "demo"), Selection(), bench.heard)
    assert bench.ledger.detached is None
    assert {attempt.phase for attempt in bench.ledger.attempts} == {Phase.CANCELLED}
    for each in (token, *(attempt.token for attempt in bench.ledger.attempts)):  # SLURM has them, and will not start them any more
        assert state_of(slurm, each, "CANCELLED") == "CANCELLED"
    bench.go()
    assert bench.snapshot.state is State.SCAFFOLDED
    assert not (bench.work / ".ckgit/jobs" / token / "claim").exists()


def test_a_failed_run_is_explained_and_tried_again_alone_with_more_time(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    [reason] = [each for each in why(open_partially(bench.lab, "demo")) if each.job == "rank8/finetune"]
    assert "the tool says no" in reason.reason
    bench.mend("rank8/finetune")
    from ckgit.experiment.design.compute import Resources

    before = len(bench.executions())
    code = bench.retry(resources=Resources(time="00:06:00")).code
    assert code is Exit.DONE
    again = bench.latest("rank8/finetune")
    assert (again.number, again.resources and again.resources.time) == (2, "00:06:00")
    assert len([token for token in bench.executions()[before:] if "finetune" in token]) == 1


def test_a_job_that_someone_cancelled_is_cancelled_by_whom(bench: Bench) -> None:
    bench.hold("rank8/finetune")
    bench.advance(State.SCAFFOLDED)
    process = bench.start("advance", "demo", "--to", "trained")
    bench.until(lambda: any("rank8" in token for token in bench.executions()), seconds=60)
    token = next(token for token in bench.executions() if "rank8" in token)
    subprocess.run(["scancel", f"--name={token}"], check=True)
    _, said = process.communicate(timeout=120)
    assert process.returncode == Exit.JOBS_FAILED, said
    attempt = bench.latest("rank8/finetune")
    assert (attempt.phase, attempt.failure) == (Phase.CANCELLED, FailureClass.CANCELLED)
    assert "cancelled by root" in (attempt.reason or "")


def test_arrays_run_each_task_once_and_a_failed_task_is_tried_again_alone(bench: Bench) -> None:
    with (bench.folder / "ckgit.toml").open("a") as file:
        file.write("arrays = true\n")
    subprocess.run(["git", "commit", "-qam", "arrays"], cwd=bench.folder, check=True)
    bench.fail("rank8/finetune")
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    first = [attempt.token for attempt in bench.ledger.attempts if "finetune" in attempt.job]
    assert [token.rpartition(".array_")[2] for token in first] == ["0", "1"]
    bench.mend("rank8/finetune")
    assert bench.retry().code is Exit.DONE
    assert ".array" not in bench.latest("rank8/finetune").token
    assert once_each(bench)
    done = bench.ckgit("verify", "demo", "--deep", check=False)
    assert "it does not hold" not in done.stdout, done.stdout


def test_two_experiments_are_followed_with_one_squeue_a_round(bench: Bench, slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    if slurm.is_real:
        pytest.skip("only the fake counts its calls")
    experiment = {"name": "other", "question": "Again?", "date": "2026-11-23"}
    design_demo(bench.lab, {"experiment": experiment, "variables": {"lora_rank": [2]}}, name="other")
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 8:
            bench.go()
        time_sleep(seconds)

    time_sleep = time.sleep
    monkeypatch.setattr(many, "time", SimpleNamespace(sleep=sleep))
    bench.hold()
    ended = many.advance_together(bench.lab, ["demo", "other"], AdvanceOptions(to=State.TRAINED), bench.heard)
    assert [each.code for each in ended.values()] == [Exit.DONE, Exit.DONE]
    assert len(slurm.calls("squeue")) <= len(naps)
    assert once_each(bench)


def test_the_limit_of_jobs_holds_for_experiments_together(bench: Bench, slurm) -> None:
    if slurm.is_real:
        pytest.skip("it takes a minute on a real one and shows no more")
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + "max_submit = 2\n")
    subprocess.run(["git", "commit", "-qam", "a limit"], cwd=bench.folder, check=True)
    experiment = {"name": "other", "question": "Again?", "date": "2026-11-23"}
    design_demo(bench.lab, {"experiment": experiment, "variables": {"lora_rank": [2]}}, name="other")
    bench.hold()
    process = bench.start("advance", "demo", "other", "--to", "trained")
    bench.until(lambda: len(bench.executions()) == 2, seconds=60)
    looks = len(slurm.calls("squeue"))
    assert eventually(lambda: len(slurm.calls("squeue")), lambda now: now >= looks + 4) >= looks + 4
    assert len(slurm.calls("sbatch")) == 2
    bench.go()
    _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.DONE, said
    assert once_each(bench)


def test_jobs_are_run_again_on_slurm(bench: Bench, slurm) -> None:
    bench.advance(State.ANALYZED)
    before = bench.executions()
    done = bench.ckgit("reproduce", "demo", "rank4", "base")
    assert "same bytes: 3 jobs of rank4, base, on cluster site by " in done.stdout
    again = bench.executions()[len(before) :]
    assert len(again) == 3
    assert once_each(bench)
    for token in again:
        assert state_of(slurm, token, "COMPLETED")


def test_an_interrupt_ends_what_is_run_again_on_slurm(bench: Bench, slurm) -> None:
    bench.advance(State.ANALYZED)
    before = len(bench.executions())
    bench.hold()
    process = bench.start("reproduce", "demo", "rank4")
    bench.until(lambda: len(bench.executions()) == before + 1, seconds=60)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, "1 job of it ended, and nothing was recorded" in told) == (Exit.INTERRUPTED, True), told
    assert state_of(slurm, bench.executions()[-1], "CANCELLED")
