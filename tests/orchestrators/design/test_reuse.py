"""A design takes over what a training of another experiment left, where it was made from the same: asked for, and never silently."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.options import AdvanceOptions
from tests.orchestrators.bench import Bench, Heard
from tests.orchestrators.review.lies import Liar

TELLING = {"preparation": "telling-trainer", "evaluation": "telling-evaluator"}
RAN = ("base.eval.capitalization_base", "rank16.eval.capitalization_epoch0", "rank16.finetune", "rank8.eval.capitalization_epoch0")
LIKE = ("--like", "demo", "--set", "variables.lora_rank=[8, 16]")


@pytest.fixture
def told(designed: Callable[..., Bench]) -> Bench:
    """An analyzed experiment whose tools tell what decides their results."""
    bench = designed(tools=TELLING)
    bench.advance(State.ANALYZED)
    (bench.steer / "executions").unlink()
    return bench


def configure(bench: Bench, line: str) -> None:
    config = bench.folder / "ckgit.toml"
    config.write_text(f"{line}\n{config.read_text()}")
    subprocess.run(["git", "commit", "-qam", "How to reuse"], cwd=bench.folder, check=True)


def snapshot(bench: Bench, name: str) -> Snapshot:
    return take_snapshot(open_lab(bench.folder), name)


def ran(bench: Bench) -> list[str]:
    return sorted(".".join(token.split(".")[1:-2]) for token in bench.executions())


def test_it_is_offered_and_never_done_silently(told: Bench) -> None:
    done = told.ckgit("design", "next", *LIKE)
    assert "rank8 (rank8 of demo) was trained from the same: --reuse takes over what is there" in done.stderr
    assert snapshot(told, "next").kept_jobs() is None
    assert "made from the same as rank8 of demo, which was not taken over" in told.ckgit("show", "next", "rank8").stdout
    assert "the most like it is rank4 of demo, which differs in lora_rank: 4, now 16" in told.ckgit("show", "next", "rank16").stdout
    assert "training:" not in told.ckgit("show", "next", "base").stdout


def test_what_is_taken_over_is_evaluated_and_not_trained(told: Bench) -> None:
    done = told.ckgit("design", "next", *LIKE, "--reuse")
    assert "taken over" in done.stderr
    kept = snapshot(told, "next").kept_jobs()
    assert kept
    assert {(job.experiment, job.commit) for job in kept.jobs.values()} == {("demo", told.snapshot.tip)}
    advance(told.lab, "next", AdvanceOptions(to=State.ANALYZED), Heard())
    assert ran(told) == [f"next.{job}" for job in RAN]
    assert told.ckgit("verify", "next").stdout.endswith("all that is recorded follows from what is in git\n")
    assert "training:  taken over: ckgit.demo.rank8.finetune.1." in told.ckgit("show", "next", "rank8").stdout
    report = (snapshot(told, "next").read("experiments/next/analysis/report.md") or b"").decode()
    assert "| rank8/finetune | demo: " in report


def test_a_revision_of_it_keeps_what_was_taken_over(told: Bench) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    advance(told.lab, "next", AdvanceOptions(to=State.ANALYZED), Heard())
    before = len(told.executions())
    told.ckgit("revise", "next", "--set", "evaluation.tasks.0.limit=1")
    advance(told.lab, "next", AdvanceOptions(to=State.ANALYZED), Heard())
    assert [token for token in told.executions()[before:] if "finetune" in token] == []
    assert told.ckgit("verify", "next").returncode == 0


@pytest.mark.parametrize(("line", "kept"), [('reuse = "always"', True), ('reuse = "never"', False)])
def test_a_lab_says_whether_it_is_asked(told: Bench, line: str, kept: bool) -> None:
    configure(told, line)
    done = told.ckgit("design", "next", *LIKE)
    assert ("trained from the same" in done.stderr) is kept
    assert (snapshot(told, "next").kept_jobs() is not None) is kept


def test_another_rate_or_a_training_without_checkpoints_is_not_offered(told: Bench) -> None:
    assert "from the same" not in told.ckgit("design", "next", *LIKE, "--set", "controls.lr=0.5").stderr
    told.work.rename(told.work.with_name("away"))
    assert "from the same" not in told.ckgit("design", "other", *LIKE).stderr


def test_a_clone_without_the_other_experiment_says_what_it_cannot_check(told: Bench, tmp_path: Path) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    advance(told.lab, "next", AdvanceOptions(to=State.ANALYZED), Heard())
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--single-branch", "-b", "exp/next", f"file://{told.folder}", str(clone)], check=True)
    subprocess.run(["git", "fetch", "-q", "origin", "main:main"], cwd=clone, check=True)
    done = told._replace(folder=clone).ckgit("verify", "next")
    assert "which this clone does not have" in done.stdout


@pytest.mark.parametrize("what", ["lr", "log"])
def test_a_design_that_takes_over_something_else_is_found_out(told: Bench, what: str) -> None:
    told.ckgit("design", "next", *LIKE, "--reuse")
    liar = Liar(told.folder, "next")
    if what == "lr":
        liar.edit(0, liar.replaced("rank8/setup.txt", b"lr 0.0003", b"lr 0.5000"))
    else:
        liar.edit(0, liar.replaced("rank8/training.log", b"loss:0.2", b"loss:0.1"))
    document = json.loads(told.ckgit("verify", "next", "--json", check=False).stdout)
    assert "kept" in {each["rule"] for each in document["experiments"][0]["findings"]}
