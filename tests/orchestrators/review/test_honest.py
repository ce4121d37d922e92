"""Of histories that people make honestly, verification finds nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from ckgit.orchestrators.review.verify.branch import verify_branch
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench

pytestmark = pytest.mark.slow


def found(bench: Bench) -> list[str]:
    return [str(each) for each in verify_branch(bench.lab, "demo", bench.snapshot.tip).findings]


def git(bench: Bench, *words: str) -> None:
    subprocess.run(["git", *words], cwd=bench.folder, check=True, capture_output=True)


def plain(bench: Bench) -> None:
    bench.advance(State.ANALYZED)


def retried(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    bench.ckgit("retry", "demo")
    bench.fail("base/eval/capitalization_base")
    bench.advance(State.EVALUATED)
    bench.mend("base/eval/capitalization_base")
    bench.ckgit("retry", "demo", "--mem", "2G")
    bench.advance(State.ANALYZED)


def accepted_as_missing(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.ckgit("advance", "demo", "--accept-missing")
    bench.ckgit("advance", "demo", "--to", "analyzed", "--accept-missing")


def cancelled(bench: Bench) -> None:
    bench.hold()
    bench.ckgit("advance", "demo", "--to", "trained", "--no-wait", check=False)
    bench.ckgit("cancel", "demo")
    bench.go()
    bench.ckgit("retry", "demo")
    bench.advance(State.ANALYZED)


def declared_lost(bench: Bench) -> None:
    bench.hold()
    bench.ckgit("advance", "demo", "--to", "trained", "--no-wait", check=False)
    bench.until(lambda: len(bench.executions()) == 2)
    bench.work.rename(bench.work.with_name("away"))
    bench.ckgit("cancel", "demo", "--lost", "--because", "the disk is gone")
    bench.go()
    bench.ckgit("revise", "demo")
    bench.advance(State.ANALYZED)


def revised(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    bench.ckgit("revise", "demo", "--set", "controls.lr=1e-3")
    bench.advance(State.ANALYZED)


def another_profile(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace("slots = 2", "slots = 2\naccount = 'other'"))
    git(bench, "commit", "-qam", "An account")
    bench.ckgit("advance", "demo", "--cluster", "local")
    bench.advance(State.ANALYZED)


def moved(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    config = bench.folder / "ckgit.toml"
    config.write_text(f"{config.read_text()}\n[clusters.there]\nwork_root = 'elsewhere'\nsetup = {config.read_text().split('setup = ')[1]}")
    git(bench, "commit", "-qam", "Another place")
    bench.ckgit("advance", "demo", "--cluster", "there")
    bench.advance(State.ANALYZED)


def with_notes(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    commit_by_hand(bench.folder, "notes.md", "mine")
    bench.advance(State.ANALYZED)
    commit_by_hand(bench.folder, "notes.md", "more")


def brought_back(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    commit_by_hand(bench.folder, "rank4/training.log", "nothing")
    done = bench.ckgit("advance", "demo", check=False)
    line = next(line for line in done.stderr.splitlines() if "next:" in line)
    subprocess.run(["bash", "-euc", line.partition("next:")[2]], cwd=bench.folder, check=True, capture_output=True)
    git(bench, "switch", "-q", "main")
    bench.advance(State.ANALYZED)


def rebased(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    (bench.folder / "README.md").write_text("a lab")
    git(bench, "add", "README.md")
    git(bench, "commit", "-qm", "A readme")
    git(bench, "rebase", "-q", "main", "exp/demo")
    git(bench, "switch", "-q", "main")


def merged(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    git(bench, "merge", "-q", "--no-ff", "--no-edit", "exp/demo")


def pulled_with_a_merge(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    git(bench, "branch", "theirs", "exp/demo")
    bench.advance(State.TRAINED)
    git(bench, "switch", "-q", "theirs")
    (bench.folder / "experiments/demo/notes.md").write_text("mine")
    git(bench, "add", "experiments")
    git(bench, "commit", "-qm", "Notes")
    git(bench, "merge", "-q", "--no-edit", "exp/demo")
    git(bench, "branch", "-f", "exp/demo", "theirs")
    git(bench, "switch", "-q", "main")
    bench.advance(State.ANALYZED)


def designed_by_hand(bench: Bench) -> None:
    path = bench.folder / "experiments/demo/experiment_summary.md"
    git(bench, "switch", "-q", "exp/demo")
    path.write_text(path.read_text().replace("Does training help?", "Does it help?"))
    git(bench, "commit", "-qam", "Another question")
    git(bench, "switch", "-q", "main")
    bench.advance(State.ANALYZED)


def a_branch_by_hand(bench: Bench) -> None:
    """The branch and its summary were made without ckgit."""
    summary = bench.snapshot.summary_bytes()
    git(bench, "switch", "-q", "--orphan", "aside")
    git(bench, "branch", "-q", "-D", "exp/demo")
    git(bench, "update-ref", "-d", "refs/ckgit/tips/demo")
    git(bench, "switch", "-q", "-c", "exp/demo", "main")
    path = bench.folder / "experiments/demo/experiment_summary.md"
    path.parent.mkdir(parents=True)
    path.write_bytes(summary)
    git(bench, "add", "experiments")
    git(bench, "commit", "-qm", "My design")
    git(bench, "switch", "-q", "main")
    bench.advance(State.ANALYZED)


def main_was_merged_into_it(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    (bench.folder / "README.md").write_text("a lab")
    git(bench, "add", "README.md")
    git(bench, "commit", "-qm", "A readme")
    git(bench, "switch", "-q", "exp/demo")
    git(bench, "merge", "-q", "--no-edit", "main")
    git(bench, "switch", "-q", "main")
    bench.advance(State.ANALYZED)


def with_lines_of_ones_own(bench: Bench) -> None:
    """What one person's configuration adds is in no script, and each submission tells of it."""
    own = Path(os.environ["XDG_CONFIG_HOME"]) / "ckgit" / "config.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("[clusters.local]\naccount = 'mine'\nsetup = ['export MINE=1']\n")
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    bench.ckgit("retry", "demo")
    own.unlink()
    bench.advance(State.ANALYZED)


def closed(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    bench.ckgit("close", "demo", "--because", "Rank 8 is no better; three seeds said so.")
    commit_by_hand(bench.folder, "notes.md", "mine")


def closed_and_reopened(bench: Bench) -> None:
    path = bench.folder / "experiments/demo/experiment_summary.md"
    git(bench, "switch", "-q", "exp/demo")
    path.write_text(path.read_text().replace("Does training help?", "Does it help?"))
    git(bench, "commit", "-qam", "Another question")
    git(bench, "switch", "-q", "main")
    for state in State:
        bench.advance(state)
        bench.ckgit("close", "demo", "--because", "No time.")
        bench.ckgit("close", "demo", "--reopen", *(["--because", "Time."] if state is State.TRAINED else []))


def cleaned(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.ckgit("revise", "demo", "--set", "variables.lora_rank=[4, 8, 16]")
    for state in State:
        bench.advance(state)
        bench.ckgit("clean", "demo", "--work", "--yes")
    bench.ckgit("clean", "demo", "--all", "--yes")


WAYS = (plain, retried, accepted_as_missing, cancelled, declared_lost, revised, another_profile, moved, with_notes, brought_back)
MORE = (rebased, merged, pulled_with_a_merge, designed_by_hand, a_branch_by_hand, main_was_merged_into_it, with_lines_of_ones_own)
OVER = (closed, closed_and_reopened, cleaned)


@pytest.mark.parametrize("way", [*WAYS, *MORE, *OVER], ids=lambda way: way.__name__)
def test_nothing_is_found(bench: Bench, way: Callable[[Bench], None]) -> None:
    way(bench)
    assert bench.snapshot.state is State.ANALYZED
    assert found(bench) == []
