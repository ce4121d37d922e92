"""Where what is kept is from, and what holds when nobody knows that any more."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ckgit.experiment.design.model import State
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.options import AdvanceOptions
from tests.orchestrators.bench import Bench, Heard
from tests.orchestrators.review.lies import Liar
from tests.orchestrators.test_kept import told

__all__ = ["told"]
LIKE = ("--like", "demo", "--set", "variables.lora_rank=[8, 16]")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def rebased(told: Bench) -> None:
    """exp/demo as `git rebase main` leaves it."""
    (told.folder / "note.txt").write_text("x")
    git(told.folder, "add", "note.txt")
    git(told.folder, "commit", "-qm", "note")
    place = told.folder.parent / "hand"
    git(told.folder, "worktree", "add", "-q", str(place), "exp/demo")
    git(place, "rebase", "-q", "main")
    git(told.folder, "worktree", "remove", str(place))


def test_a_clone_that_has_the_source_nowhere_is_told_what_leads_on(told: Bench) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    told.ckgit("close", "demo", "--because", "over")
    git(told.folder, "branch", "-D", "exp/demo")
    other = told.clone("other", f"file://{told.folder}")  # type: ignore[arg-type]
    assert "ckgit revise next --anew" in other.ckgit("advance", "next", check=False).stderr
    git(other.folder, "fetch", "-q", "origin", "refs/ckgit/closed/*:refs/ckgit/closed/*")
    assert other.ckgit("advance", "next").returncode == 0


def test_a_shallow_clone_is_told_what_leads_on(told: Bench) -> None:
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    place = told.folder.parent / "shallow"
    git(told.folder, "clone", "-q", "--depth", "1", "--no-single-branch", f"file://{told.folder}", str(place))
    done = told._replace(folder=place).ckgit("advance", "demo", check=False)
    assert done.returncode == 0 or "--unshallow" in done.stderr


def test_a_rebased_branch_that_keeps_something_verifies_as_one_that_keeps_nothing(told: Bench) -> None:
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    told.advance(State.ANALYZED)
    rebased(told)
    assert told.ckgit("verify", "demo", check=False).returncode == 0


def test_after_a_rebase_what_verification_advises_leads_on(told: Bench) -> None:
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    rebased(told)
    told.ckgit("revise", "demo", "--anew")  # as the finding says
    told.advance(State.ANALYZED)
    assert told.ckgit("verify", "demo", check=False).returncode == 0


def test_a_training_from_a_commit_that_nobody_has_is_not_verified(told: Bench) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    liar = Liar(told.folder, "next")
    real, fake = told.snapshot.tip.encode(), b"deadbeef" * 5
    liar.edit(
        0,
        lambda at: {
            "kept.json": liar.read(at, "kept.json").replace(real, fake),
            "rank8/training.log": liar.read(at, "rank8/training.log").replace(b"loss:0.2", b"loss:0.1"),
        },
    )
    assert told.ckgit("verify", "next", check=False).returncode != 0


def test_what_was_taken_over_can_be_reproduced_or_says_where(told: Bench) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    advance(told.lab, "next", AdvanceOptions(to=State.ANALYZED), Heard())
    told.ckgit("reproduce", "next", "rank8", check=False)
    assert "failed: 2 jobs of rank8" not in told.ckgit("show", "next").stdout
