"""Machines, users and work trees go: jobs that nobody can ask any more are declared lost; what cannot be ended is not called cancelled."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.jobs.folder import job_folder
from ckgit.schedulers.local import job as local_job
from ckgit.schedulers.local.process import read_process
from tests.orchestrators.bench import Bench
from tests.orchestrators.commands.next_commands import follow, named


@pytest.fixture
def out(bench: Bench) -> Bench:
    """Two trainings run."""
    bench.advance(State.SCAFFOLDED)
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    return bench


def kill(bench: Bench) -> None:
    """End the jobs without a word, as a machine that stops does."""
    for attempt in bench.ledger.open():
        process = read_process(job_folder(bench.work, attempt.token) / "local.json")
        assert process
        os.killpg(process.pid, signal.SIGKILL)


def tell(bench: Bench, **changes: Any) -> None:
    """Have the jobs' files say that they were started elsewhere."""
    for attempt in bench.ledger.open():
        file = job_folder(bench.work, attempt.token) / "local.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_machine_that_is_renamed_still_knows_its_jobs(out: Bench) -> None:
    tell(out, host="the-name-before")
    out.go()
    assert out.ckgit("advance", "demo").returncode == 0
    assert (out.snapshot.state, len(out.executions())) == (State.TRAINED, 2)


def test_what_runs_on_another_machine_is_not_called_cancelled(out: Bench) -> None:
    kill(out)
    tell(out, host="node7", boot="another")
    tip = out.snapshot.tip
    done = out.ckgit("cancel", "demo", check=False)
    assert (done.returncode, out.snapshot.tip) == (Exit.UNKNOWN, tip)
    assert "nothing was recorded" in done.stderr
    assert named(done)[-1] == ["cancel", "demo", "--lost", "--because", "node7 is no more"]
    assert out.ckgit("cancel", "demo", "--dry-run", check=False).returncode == Exit.UNKNOWN
    done = out.ckgit(*named(done)[-1])
    assert {(each.phase, each.failure, each.reason) for each in out.ledger.attempts} == {
        (Phase.FAILED, FailureClass.LOST, "declared lost: node7 is no more")
    }
    assert "node7 is no more" in out.message()
    assert named(done) == [["retry", "demo"]]
    out.go()
    done = follow(out, done)
    assert (done.returncode, out.snapshot.state) == (0, State.TRAINED), done.stderr


def test_what_a_file_calls_a_machine_is_one_word_to_a_shell(out: Bench) -> None:
    kill(out)
    tell(out, host="x'; touch pwned; '", boot="another")
    done = out.ckgit("cancel", "demo", check=False)
    line = next(line for line in done.stderr.splitlines() if "next:" in line)
    words = shlex.split(line.partition("no more: ")[2])
    assert words == ["ckgit", "cancel", "demo", "--lost", "--because", "x'; touch pwned; ' is no more"]


def test_from_advance_one_command_after_the_other_leads_on(out: Bench) -> None:
    kill(out)
    tell(out, host="node7", boot="another")
    done = out.ckgit("advance", "demo", "--no-wait", check=False)
    assert (done.returncode, named(done)) == (Exit.UNKNOWN, [["advance", "demo"], ["cancel", "demo"]])
    done = out.ckgit("cancel", "demo", check=False)
    assert out.ckgit(*named(done)[-1]).returncode == 0


def test_a_job_that_is_seen_to_run_is_not_lost(out: Bench) -> None:
    tip = out.snapshot.tip
    done = out.ckgit("cancel", "demo", "--lost", "--because", "I think so", check=False)
    assert (done.returncode, out.snapshot.tip, named(done)) == (Exit.ILLEGAL_TRANSITION, tip, [["cancel", "demo"]])
    out.go()


def test_a_reason_is_a_sentence(out: Bench) -> None:
    tip, lost = out.snapshot.tip, ("--lost", "--because")
    for words in (("--lost",), ("--because", "x"), (*lost, " "), (*lost, "x" * 301), (*lost, "\x1b[2J")):
        done = out.ckgit("cancel", "demo", *words, check=False)
        assert (done.returncode, out.snapshot.tip) == (Exit.USAGE, tip)
    out.go()


def test_a_work_tree_that_is_gone_is_left(out: Bench) -> None:
    kill(out)
    shutil.rmtree(out.work)
    done = out.ckgit("advance", "demo", check=False)
    assert named(done)[-2][:3] == ["cancel", "demo", "--lost"]
    assert "revise" in done.stderr
    assert out.ckgit("status", "demo").returncode == 0
    assert out.ckgit("why", "demo", check=False).returncode in (0, Exit.JOBS_FAILED)
    done = out.ckgit(*named(done)[-2])
    assert not out.ledger.open()
    assert named(done) == [["revise", "demo"]]
    done = out.ckgit("revise", "demo", check=False)
    assert "in flight" not in done.stderr


def test_a_retry_after_a_move_makes_its_work_tree(bench: Bench) -> None:
    with (bench.folder / "ckgit.toml").open("a") as file:
        profile = (bench.folder / "ckgit.toml").read_text().partition("[clusters.local]")[2]
        file.write(f'\n[clusters.other]\nwork_root = "elsewhere"{profile}')
    subprocess.run(["git", "commit", "-qam", "another"], cwd=bench.folder, check=True)
    for state, job in ((State.SCAFFOLDED, "rank4/finetune"), (State.TRAINED, "rank4/eval/capitalization_epoch0")):
        bench.fail(job.replace("/", "-"))
        assert bench.advance(State.TRAINED if state is State.SCAFFOLDED else State.EVALUATED).code is Exit.JOBS_FAILED
        to = "other" if state is State.SCAFFOLDED else "local"
        bench.ckgit("advance", "demo", "--cluster", to, check=False)
        assert bench.ledger.cluster == to
        bench.mend(job.replace("/", "-"))
        done = bench.ckgit("retry", "demo")
        assert (done.returncode, bench.snapshot.state is state) == (0, False), done.stderr
    assert bench.advance(State.ANALYZED).code is Exit.DONE


NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can make files of another user")


def without_rights(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line of a user who may do no more than any other, where the work tree is another user's."""
    subprocess.run(["chown", "-R", str(NOBODY), str(bench.work)], check=True)
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *bench.command(*words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_root
def test_another_users_job_is_not_called_cancelled(out: Bench) -> None:
    kill(out)
    tip = out.snapshot.tip
    with subprocess.Popen(["sleep", "1000"], user=NOBODY, start_new_session=True) as other:
        tell(out, pid=other.pid, start=local_job.start_ticks(local_job.stat_fields(other.pid) or []))
        done = without_rights(out, "cancel", "demo")
        assert other.poll() is None
        other.kill()
    assert (done.returncode, "belongs to another user" in done.stderr) == (Exit.COMMAND_FAILED, True), done.stderr
    assert (out.snapshot.tip, len(out.ledger.open())) == (tip, 2)


@needs_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_the_work_tree_of_another_user_is_a_sentence_and_costs_no_attempt(bench: Bench, mode: int) -> None:
    bench.advance(State.TRAINED)
    tip = bench.snapshot.tip
    bench.work.chmod(mode)
    done = without_rights(bench, "advance", "demo")
    told = "the work tree belongs to nobody" if mode == 0o755 else "Permission denied"
    assert (done.returncode, told in done.stderr) == (Exit.COMMAND_FAILED, True), done.stderr
    assert bench.snapshot.tip == tip
    for words in (["status", "demo"], ["show", "demo"], ["why", "demo"], ["list"], ["advance", "demo", "--dry-run"], ["retry", "demo"]):
        done = without_rights(bench, *words)
        assert done.returncode not in (1, Exit.BUG), (words, done.stderr)


@needs_root
def test_work_trees_that_cannot_be_seen_are_a_sentence(out: Bench) -> None:
    folder = out.work.parent
    subprocess.run(["chown", str(NOBODY), str(folder)], check=True)
    folder.chmod(0o700)
    for words in (["status", "demo"], ["why", "demo"], ["advance", "demo", "--no-wait"], ["cancel", "demo"], ["list"]):
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *out.command(*words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode not in (1, Exit.BUG), (words, done.stderr)
        assert "Traceback" not in done.stderr
    out.go()


@needs_root
def test_what_another_user_has_committed_is_theirs_to_hand_over(out: Bench) -> None:
    """An intent whose jobs were not handed over yet is not spent by a user who cannot do it."""
    kill(out)
    for attempt in out.ledger.open():
        shutil.rmtree(job_folder(out.work, attempt.token))
    shutil.rmtree(out.work / ".ckgit/begun")
    done = without_rights(out, "advance", "demo", "--no-wait")
    assert done.returncode in (Exit.UNKNOWN, Exit.COMMAND_FAILED), (done.returncode, done.stdout, done.stderr)
    assert [attempt.phase for attempt in out.ledger.attempts] == [Phase.SUBMITTED] * 2


def test_folders_that_cannot_be_seen(tmp_path: Path) -> None:
    from ckgit.jobs.folder import is_there

    (tmp_path / "file").touch()
    assert [is_there(tmp_path), is_there(tmp_path / "none"), is_there(tmp_path / "file" / "x")] == [True, False, False]
