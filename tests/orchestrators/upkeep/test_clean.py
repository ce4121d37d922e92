"""What is asked for is taken off the disk, and nothing else; the branch says so first."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.jobs.ownership import owner_of
from ckgit.lab.history.cleanings import RemovedThing, message, removals, removed_in
from tests.by_hand import commit_by_hand
from tests.conftest import run_git
from tests.orchestrators.bench import Bench

needs_strace = pytest.mark.skipif(shutil.which("strace") is None and "CI" not in os.environ, reason="needs strace")


def files(folder: Path) -> dict[str, int]:
    """Every file below a folder, with its bytes, links not followed."""
    return {str(each.relative_to(folder)): each.lstat().st_size for each in folder.rglob("*") if each.is_symlink() or each.is_file()}


def checkpoint(bench: Bench, run: str) -> Path:
    return bench.work / "experiments/demo" / run / "artifacts/epoch_0"


@pytest.fixture
def analyzed(bench: Bench) -> Bench:
    bench.advance(State.ANALYZED)
    return bench


def test_without_options_it_only_shows(analyzed: Bench) -> None:
    before, tip = files(analyzed.work), analyzed.snapshot.tip
    shown = json.loads(analyzed.ckgit("clean", "demo", "--json").stdout)["experiments"]
    assert [each["experiment"] for each in shown] == ["demo"]
    [tree] = shown[0]["trees"]
    assert (tree["path"], tree["present"], tree["ours"]) == (str(analyzed.work), True, True)
    assert tree["bytes"] == shown[0]["bytes"] == sum(before.values())
    held = [(each["run"], each["path"], each["bytes"]) for each in tree["checkpoints"]]
    assert held == [(run, str(checkpoint(analyzed, run)), sum(files(checkpoint(analyzed, run)).values())) for run in ("rank4", "rank8")]
    assert [each["again"] for each in tree["checkpoints"]] == [
        f"by training again: ckgit reproduce demo {run}" for run in ("rank4", "rank8")
    ]
    assert "ckgit clean demo --checkpoints" in analyzed.ckgit("clean").stdout
    assert str(analyzed.work) in analyzed.ckgit("clean", "demo").stdout
    assert (files(analyzed.work), analyzed.snapshot.tip) == (before, tip)


def test_a_model_that_is_gone_is_told_before_its_checkpoints_are(analyzed: Bench) -> None:
    shutil.rmtree(analyzed.folder / "models/tiny")
    assert "not here: the files of model tiny are not on this machine" in analyzed.ckgit("clean", "demo").stdout


def test_checkpoints_are_removed_and_recorded_and_nothing_else_is(analyzed: Bench) -> None:
    before, work = files(analyzed.work), analyzed.work
    gone = {path: size for path, size in before.items() if "/artifacts/epoch_" in path}
    shown = analyzed.ckgit("clean", "demo", "--checkpoints", "--dry-run")
    assert "would be recorded by a commit" in shown.stderr
    assert files(work) == before
    done = json.loads(analyzed.ckgit("clean", "demo", "--checkpoints", "--yes", "--json").stdout)
    assert files(work) == {path: size for path, size in before.items() if path not in gone}
    tip = analyzed.snapshot.tip
    assert done["experiments"][0]["commit"] == tip
    assert analyzed.message().startswith("clean demo: analyzed -> analyzed\n\nTo be removed from the disk: 2 folders")
    told = removals(analyzed.folder, "demo", tip)
    assert [(each.path, each.bytes, each.commit) for each in told] == [
        (str(checkpoint(analyzed, run)), sum(size for path, size in gone.items() if f"/{run}/" in path), tip) for run in ("rank4", "rank8")
    ]
    assert analyzed.files_of(tip) == []
    assert "all that is recorded follows" in analyzed.ckgit("verify", "demo").stdout
    removed = json.loads(analyzed.ckgit("status", "demo", "--json").stdout)["removed"]
    assert removed == {"commit": tip, "folders": 2, "left": 0}
    shown = analyzed.ckgit("status", "demo").stdout
    assert f"2 folders of checkpoints or work trees were removed (commit {tip[:12]}); to train again: ckgit reproduce demo" in shown
    assert "nothing to do: demo is analyzed" in analyzed.ckgit("advance", "demo").stdout
    again = analyzed.ckgit("clean", "demo", "--checkpoints", "--yes")
    assert ("nothing was removed" in again.stdout, analyzed.snapshot.tip) == (True, tip)
    assert analyzed.ckgit("reproduce", "demo", "rank4").returncode == 0  # which makes them again, elsewhere
    assert "rank4" in analyzed.ckgit("clean", "demo").stdout


@pytest.mark.parametrize("option", ["--checkpoints", "--all"])
def test_offline_runs_of_wandb_stay_until_they_were_sent(analyzed: Bench, option: str) -> None:
    work, logs = analyzed.work, checkpoint(analyzed, "rank4").with_name("wandb")
    runs = [logs / f"offline-run-20261123_12000{number}-abc" for number in range(2)]
    for run in runs:
        run.mkdir(parents=True)
        (run / "run-abc.wandb").write_bytes(b"what was logged")
    (logs / "latest-run").symlink_to(runs[0].name)
    (runs[0] / "run-abc.wandb.synced").touch()
    told = f"1 offline run of W&B that is not sent yet: wandb sync {runs[1]} sends it"
    done = analyzed.ckgit("clean", "demo", option, "--yes")
    assert told in " ".join(done.stderr.split())
    assert [run for run in ("rank4", "rank8") if checkpoint(analyzed, run).exists()] == []
    assert all((run / "run-abc.wandb").exists() for run in runs)
    (runs[1] / "run-abc.wandb.synced").touch()
    analyzed.ckgit("clean", "demo", option, "--yes")
    assert (logs.exists(), work.exists()) == (False, option == "--checkpoints")


@pytest.mark.parametrize(
    ("keep", "kept", "why"),
    [
        (["best"], ["rank4"], "of rank4, the best by capitalization accuracy, highest with 0.9"),
        (["last"], ["rank4", "rank8"], "the last of rank8"),
        (["rank8"], ["rank8"], "of rank8"),
    ],
)
def test_some_checkpoints_are_kept(analyzed: Bench, keep: list[str], kept: list[str], why: str) -> None:
    options = [word for each in keep for word in ("--keep", each)]
    done = analyzed.ckgit("clean", "demo", "--checkpoints", *options, "--yes")
    assert why in done.stderr
    assert [run for run in ("rank4", "rank8") if checkpoint(analyzed, run).is_dir()] == kept


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--checkpoints", "--keep", "rank5", "demo"], Exit.USAGE),
        (["--all", "--keep", "best", "demo"], Exit.USAGE),
        (["--checkpoints"], Exit.USAGE),
    ],
)
def test_what_is_not_clear_removes_nothing(analyzed: Bench, words: list[str], code: Exit) -> None:
    before = files(analyzed.work)
    assert analyzed.ckgit("clean", *words, "--yes", check=False).returncode == code
    assert files(analyzed.work) == before


def test_best_of_a_branch_that_is_gone_removes_nothing(analyzed: Bench) -> None:
    before, work = files(analyzed.work), analyzed.work
    analyzed.ckgit("delete", "demo")
    done = analyzed.ckgit("clean", "demo", "--checkpoints", "--keep", "best", "--yes", check=False)
    assert (done.returncode, files(work)) == (Exit.EVIDENCE_MISSING, before)


def test_what_is_kept_is_looked_for_in_all_work_trees(analyzed: Bench) -> None:
    analyzed.ckgit("reproduce", "demo", "rank8")  # in one of its own, where there is no rank4
    analyzed.ckgit("clean", "demo", "--checkpoints", "--keep", "best", "--yes")
    left = [each.parent.parent.name for each in analyzed.work.parent.rglob("epoch_0")]
    assert left == ["rank4"]


def test_a_name_that_nothing_has_is_no_experiment_that_holds_nothing(analyzed: Bench) -> None:
    done = analyzed.ckgit("clean", "demu", check=False)
    assert (done.returncode, "did you mean demo?" in done.stderr) == (Exit.USAGE, True)


def test_the_best_is_not_guessed(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    before = files(bench.work)
    done = bench.ckgit("clean", "demo", "--checkpoints", "--keep", "best", "--yes", check=False)
    assert (done.returncode, files(bench.work)) == (Exit.EVIDENCE_MISSING, before), done.stderr


@pytest.mark.parametrize("option", ["--checkpoints", "--all"])
def test_what_the_next_step_needs_stays(bench: Bench, option: str) -> None:
    bench.advance(State.TRAINED)
    before, tip = files(bench.work), bench.snapshot.tip
    done = bench.ckgit("clean", "demo", option, "--yes", check=False)
    assert done.returncode == Exit.ILLEGAL_TRANSITION
    assert "ckgit advance demo goes on to the end; or it is given up first: ckgit close demo" in done.stderr
    assert (files(bench.work), bench.snapshot.tip) == (before, tip)
    bench.advance(State.ANALYZED)


def test_nothing_of_a_job_in_flight_is_touched(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    tip, before = bench.snapshot.tip, sorted(files(bench.work))
    for _ in range(2):  # and when the branch has lost them
        for option in ("--checkpoints", "--work", "--all"):
            done = bench.ckgit("clean", "demo", option, "--yes", check=False)
            assert done.returncode == Exit.IN_FLIGHT, done.stderr
        run_git(bench.folder, "update-ref", "refs/heads/exp/demo", "exp/demo~1")
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", tip)
    assert set(before) <= files(bench.work).keys()
    bench.ckgit("cancel", "demo")


def test_work_trees_of_older_commits_go_and_the_one_that_the_ledger_names_stays(analyzed: Bench) -> None:
    old = analyzed.work
    analyzed.ckgit("revise", "demo", "--set", "variables.lora_rank=[4]")
    analyzed.advance(State.TRAINED)
    new = analyzed.work
    before = files(new)
    assert "ckgit clean demo --work" in analyzed.ckgit("clean").stdout
    analyzed.ckgit("clean", "demo", "--work", "--yes")
    assert (old.exists(), files(new)) == (False, before)
    told = [each.path for each in removals(analyzed.folder, "demo", analyzed.snapshot.tip)]
    assert told[-1] == str(old)
    assert all(path.startswith(str(old)) for path in told)
    analyzed.advance(State.ANALYZED)
    assert "all that is recorded follows" in analyzed.ckgit("verify", "demo").stdout


def test_a_tree_that_a_ledger_names_anywhere_in_it_stays(analyzed: Bench) -> None:
    """A later ckgit may have attempts that ran in other trees than the last."""
    old = analyzed.work
    moved = analyzed.ledger.model_copy(update={"work_tree": f"{old}-2", "moved_from": str(old)})
    shutil.copytree(old, f"{old}-2", symlinks=True)
    commit_by_hand(analyzed.folder, "jobs.json", moved.dump().decode())
    analyzed.ckgit("clean", "demo", "--work", "--yes")
    assert old.is_dir()


def test_links_are_not_followed(analyzed: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "weights").write_text("mine")
    (checkpoint(analyzed, "rank8") / "link").symlink_to(outside)
    shutil.rmtree(checkpoint(analyzed, "rank4"))
    checkpoint(analyzed, "rank4").symlink_to(outside)
    analyzed.ckgit("clean", "demo", "--checkpoints", "--yes")
    assert not checkpoint(analyzed, "rank8").exists()
    assert checkpoint(analyzed, "rank4").is_symlink()
    analyzed.ckgit("clean", "demo", "--all", "--yes")
    assert not analyzed.work.exists()
    assert (outside / "weights").read_text() == "mine"


def test_nothing_is_removed_where_a_link_leads_to_the_experiment(analyzed: Bench, tmp_path: Path) -> None:
    folder = analyzed.work.parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    before = files(tmp_path / "elsewhere")
    analyzed.ckgit("clean", "demo", "--all", "--yes", check=False)
    assert files(tmp_path / "elsewhere") == before


def test_another_clones_work_tree_stays(analyzed: Bench) -> None:
    place = analyzed.work / ".ckgit/owners/tree"
    (place / owner_of(analyzed.work)).rename(place / "ckgit.demo.rank4.finetune.1.ffffffff")
    before = files(analyzed.work)
    done = analyzed.ckgit("clean", "demo", "--all", "--yes")
    assert "jobs of another clone or lab ran there" in done.stderr
    assert files(analyzed.work) == before


def test_a_checkpoint_that_a_model_card_names_stays(analyzed: Bench) -> None:
    link = Path(os.environ["XDG_DATA_HOME"]) / "ckgit/models/some-card"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(checkpoint(analyzed, "rank4"))
    try:
        done = analyzed.ckgit("clean", "demo", "--checkpoints", "--yes")
        assert "a model card names what is in it" in done.stderr
        assert (checkpoint(analyzed, "rank4").exists(), checkpoint(analyzed, "rank8").exists()) == (True, False)
        assert analyzed.ckgit("clean", "demo", "--all", "--yes", check=False).returncode == Exit.ILLEGAL_TRANSITION
        assert checkpoint(analyzed, "rank4").exists()
    finally:
        link.unlink()


def test_of_a_closed_experiment_all_may_go_and_it_stays_closed(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.ckgit("close", "demo", "--because", "no better")
    tip, work = bench.snapshot.tip, bench.work
    done = bench.ckgit("clean", "demo", "--work", "--yes")
    assert "not recorded in git: demo is closed" in done.stderr
    assert (work.exists(), bench.snapshot.tip) == (False, tip)
    assert "no better" in bench.ckgit("status", "demo").stdout


def test_of_a_deleted_branch_the_work_trees_are_found(analyzed: Bench) -> None:
    work = analyzed.work
    analyzed.ckgit("delete", "demo")
    assert "without a branch" in analyzed.ckgit("clean").stdout
    analyzed.ckgit("clean", "demo", "--work", "--yes")
    assert not work.exists()
    assert analyzed.ckgit("clean").stdout == "no experiment holds anything on this machine's disks\n"


def test_without_a_terminal_somebody_has_to_say_yes(analyzed: Bench) -> None:
    before, tip = files(analyzed.work), analyzed.snapshot.tip
    done = analyzed.ckgit("clean", "demo", "--checkpoints", "--keep", "best", check=False)
    assert (done.returncode, "next:  ckgit clean --checkpoints --keep=best --yes demo" in done.stderr) == (Exit.USAGE, True)
    assert (files(analyzed.work), analyzed.snapshot.tip) == (before, tip)


@pytest.mark.parametrize(("answer", "gone"), [(b"n\n", False), (b"y\n", True)])
def test_on_a_terminal_it_asks(analyzed: Bench, answer: bytes, gone: bool) -> None:
    ours, theirs = pty.openpty()
    command = analyzed.command("clean", "demo", "--checkpoints")
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(ours, answer)
    _, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert b"Remove 52 B?" in err
    assert checkpoint(analyzed, "rank4").exists() is not gone
    assert (analyzed.snapshot.event == "clean") is gone


@needs_strace
@pytest.mark.parametrize("number", [1, 20, 60])
def test_killed_while_it_removes_it_has_told_the_truth_and_the_same_command_does_the_rest(analyzed: Bench, number: int) -> None:
    work = analyzed.work
    inject = ["strace", "-f", "-o", os.devnull, "-e", "trace=unlinkat", "-e", f"inject=unlinkat:signal=SIGKILL:when={number}"]
    command = [*inject, sys.executable, "-c", "import sys; sys.dont_write_bytecode = True; from ckgit.cli import main; main()"]
    ended = subprocess.run([*command, "-C", str(analyzed.folder), "clean", "demo", "--all", "--yes"], capture_output=True, check=False)
    assert ended.returncode != 0
    told = {each.path for each in removals(analyzed.folder, "demo", analyzed.snapshot.tip)}
    left = [each for each in work.parent.iterdir() if any(files(each))]
    assert left  # something is there yet, and what is not there was told
    assert str(work) in told
    tip = analyzed.snapshot.tip
    done = analyzed.ckgit("clean", "demo", "--all", "--yes")
    assert "are free now" in done.stdout
    assert list(work.parent.iterdir()) == []
    assert analyzed.snapshot.tip == tip
    assert json.loads(analyzed.ckgit("status", "demo", "--json").stdout)["removed"]["left"] == 0


def test_where_the_authority_does_not_take_the_record_nothing_is_removed(analyzed: Bench, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    run_git(analyzed.folder, "clone", "--quiet", "--bare", str(analyzed.folder), str(bare))
    config = analyzed.folder / "ckgit.toml"
    config.write_text('authority = "origin"\n' + config.read_text())
    run_git(analyzed.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run_git(analyzed.folder, "remote", "add", "origin", str(bare))
    hook = bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    before = files(analyzed.work)
    assert analyzed.ckgit("clean", "demo", "--checkpoints", "--yes", check=False).returncode == Exit.COMMAND_FAILED
    assert files(analyzed.work) == before
    hook.unlink()
    analyzed.ckgit("clean", "demo", "--checkpoints", "--yes")
    assert not checkpoint(analyzed, "rank4").exists()
    assert run_git(bare, "rev-parse", "exp/demo") == analyzed.snapshot.tip


def test_what_a_message_lists_is_read_back() -> None:
    things = [RemovedThing("/a b/c: 1 bytes/d", 7, "0" * 64), RemovedThing("/e", 0)]
    assert removed_in(message(things), "") == things
    assert removed_in("- nothing: of that kind\n- /f: 3 bytes, mostly") == []
