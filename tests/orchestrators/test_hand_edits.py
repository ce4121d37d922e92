"""What of ckgit's own files was changed by hand, with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from ckgit.lab.history.hand_edits import written
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench, design_demo


def edited(bench: Bench) -> dict[str, tuple[str, bool]]:
    """Event of the commit that wrote each file last, and whether it is gone, by path in the experiment's folder."""
    return {edit.path.removeprefix("experiments/demo/"): (edit.records, edit.gone) for edit in written(bench.snapshot).edits}


def test_ckgits_own_commits_change_nothing_by_hand(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    found = written(bench.snapshot)
    assert found.edits == ()
    assert found.paths == set(bench.snapshot.list("experiments/demo")) - {"experiments/demo/experiment_summary.md"}


def test_what_is_ckgits_is_named_and_what_is_the_users_is_not(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    summary = bench.snapshot.summary_bytes().decode()
    commit_by_hand(bench.folder, "notes.md", "mine")
    commit_by_hand(bench.folder, "experiment_summary.md", summary + "\nMy own words.\n")
    assert edited(bench) == {}
    commit_by_hand(bench.folder, "notes.md", "mine again")
    assert edited(bench) == {}
    commit_by_hand(bench.folder, "jobs.json", "{}")
    commit_by_hand(bench.folder, "rank8/training.log", None)
    commit_by_hand(bench.folder, "rank4/finetune.slurm", "exit 0\n")
    assert edited(bench) == {
        "rank4/finetune.slurm": ("scaffold", False),
        "rank8/training.log": ("train", True),
        "jobs.json": ("evaluate", False),
    }


def test_a_file_that_is_as_it_was_again_is_as_ckgit_left_it(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    before = bench.snapshot.read("experiments/demo/jobs.json")
    commit_by_hand(bench.folder, "jobs.json", "{}")
    [edit] = written(bench.snapshot).edits
    command = ["git", "log", "-1", "--format=%H", "--grep=Ckgit-Event: train", "exp/demo"]
    assert edit.left == subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, check=True).stdout.strip()
    commit_by_hand(bench.folder, "jobs.json", (before or b"").decode())
    assert edited(bench) == {}


def test_an_edit_is_seen_beneath_a_later_commit_of_ckgits(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.SCAFFOLDED)
    bench.advance(wait=False)
    commit_by_hand(bench.folder, "rank4/setup.txt", "lr 1\n")
    bench.ckgit("cancel", "demo")
    assert bench.history()[-1] == "cancel"
    assert edited(bench) == {"rank4/setup.txt": ("scaffold", False)}


def test_an_older_experiment_of_this_name_has_no_part_in_it(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    for command in ("merge --quiet exp/demo", "branch --quiet -D exp/demo", "rm -rq experiments", "commit --quiet --message=away"):
        subprocess.run(["git", *command.split()], cwd=bench.folder, check=True)
    design_demo(bench.lab, {"experiment": {"name": "demo", "question": "Again?", "date": "2026-11-24"}})
    assert written(bench.snapshot).paths == frozenset()
    bench.advance()
    assert "experiments/demo/rank4/finetune.slurm" in written(bench.snapshot).paths
    assert not any("training.log" in path for path in written(bench.snapshot).paths)


def blob(bench: Bench, file: Path) -> str:
    """A file as git's."""
    command = ["git", "hash-object", "-w", str(file)]
    return subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("setting", ["log.diffMerges=off", "log.diffMerges=combined", "diff.relative=true", "grep.patternType=perl"])
def test_an_edit_that_was_merged_is_seen_whatever_the_users_log_shows(bench: Bench, tmp_path: Path, setting: str) -> None:
    bench.advance(State.SCAFFOLDED)
    (tmp_path / "edit").write_text("lr 1\n")
    for command in (
        f"config {setting.replace('=', ' ')}",
        "switch --quiet --create side exp/demo",
        "commit --quiet --allow-empty --message=mine",
        "switch --quiet exp/demo",
        "commit --quiet --allow-empty --message=theirs",
        "merge --quiet --no-ff --no-commit side",
        f"update-index --cacheinfo 100644,{blob(bench, tmp_path / 'edit')},experiments/demo/rank4/setup.txt",
        "commit --quiet --message=merged",
        "switch --quiet --force main",
    ):
        subprocess.run(["git", *command.split()], cwd=bench.folder, check=True)

    assert edited(bench) == {"rank4/setup.txt": ("scaffold", False)}
