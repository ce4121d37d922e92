"""`ckgit bisect` in a real lab: runs of two experiments, what they do not tell, and the design that would (jobs are bash)."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.options import AdvanceOptions
from tests.by_hand import commit_by_hand
from tests.docs.console import blocks
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.conftest import bare_bench, tiny_package  # noqa: F401 - fixtures
from tests.whole import ROOT

pytest.importorskip("duckdb")
TASK = {"name": "capitalization"}


def analyzed(bench: Bench, name: str, runs: list[dict[str, Any]], **changes: Any) -> None:
    about = {"name": name, "question": "Does training help?", "date": "2026-11-23"}
    design_demo(bench.lab, {"experiment": about, "variables": {}, "runs": runs, **changes}, name)
    advance(bench.lab, name, AdvanceOptions(to=State.ANALYZED), bench.heard)


def run(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


@pytest.fixture
def two(bare_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:  # noqa: F811
    """Two experiments whose runs differ in rank and learning rate."""
    monkeypatch.chdir(tmp_path)
    analyzed(bare_bench, "one", [run("a", lora_rank=4, lr=1e-4, seed=1), {"name": "base", "type": "control"}])
    analyzed(bare_bench, "two", [run("b", lora_rank=16, lr=1e-3, seed=1)])
    return bare_bench


def test_what_no_run_tells_a_design_would_and_then_it_is_told(two: Bench) -> None:
    done = two.ckgit("bisect", "one/a", "two/b", "--design", "between")
    assert "No run tells what lr and lora_rank account for apart from each other; 1 more setting would." in done.stdout
    assert "Runs that would decide\n- lr: B, lora_rank: A (seed 1)" in done.stdout
    assert "next: read it, then ckgit design between --from between.yaml" in done.stdout
    assert "# Made for review: nothing was committed." in Path("between.yaml").read_text()
    assert two.ckgit("bisect", "one/a", "two/b", "--design", "between", check=False).returncode == Exit.USAGE  # it is there
    two.ckgit("design", "between", "--from", os.path.abspath("between.yaml"))  # noqa: PTH100
    shown = json.loads(two.ckgit("show", "between", "--json").stdout)
    assert [each["run"] for each in shown["runs"]] == ["between1_seed1"]
    advance(two.lab, "between", AdvanceOptions(to=State.ANALYZED), two.heard)
    document = json.loads(two.ckgit("bisect", "one/a", "two/b", "--json").stdout)
    assert document["wanted"] == []
    assert document["design"] is None
    assert [step["on_way"] for step in document["steps"]] == [True, True]
    assert document["steps"][0]["after"] == document["steps"][1]["before"] == ["between/between1_seed1"]
    assert document["gap"]["difference"] == pytest.approx(sum(step["difference"] for step in document["steps"]))
    assert {step["told"] for step in document["steps"]} == {"unknown"}  # this evaluator's number is no mean of its rows


def test_a_run_of_the_same_experiment_and_what_training_makes(two: Bench) -> None:
    document = json.loads(two.ckgit("bisect", "one/base", "a", "--json").stdout)
    [factor] = document["factors"]
    assert factor["name"] == "training and its settings"
    assert document["steps"][0]["difference"] == pytest.approx(0.4)
    assert (document["wanted"], document["design"]) == ([], None)


def test_a_prompt_that_differs_is_one_step_that_no_design_of_as_holds(two: Bench) -> None:
    more = {"evaluation": {"tasks": [TASK | {"prompt": "{input}?"}]}}
    analyzed(two, "three", [run("c", lora_rank=4, lr=1e-3, seed=1)], **more)
    document = json.loads(two.ckgit("bisect", "one/a", "three/c", "--json").stdout)
    assert document["factors"][0]["name"] == "lr"
    assert document["factors"][1]["name"].startswith("what the designs say elsewhere (design.task.prompt)")
    [wanted] = document["wanted"]
    assert (wanted["parameters"], wanted["designed"]) == ({"lr": 1e-3}, True)
    assert "      lr: 1e-3\n" in document["design"]


def test_what_cannot_be_compared_is_told_with_what_can(two: Bench) -> None:
    for words, said in (
        (("one/a", "nothing/b"), "there is no experiment 'nothing'"),
        (("one/a", "one/b"), "one has no run 'b'"),
        (("one", "two/b"), "one has 2 runs, and one run is compared with another"),
        (("one/a", "one/a"), "A and B are the same run"),
        (("one/a", "two/b", "--task", "other"), "A and B have no task 'other' in common"),
        (("one/a", "two/b", "--metric", "f1"), "A and B have no metric 'f1' in common"),
    ):
        done = two.ckgit("bisect", *words, check=False)
        assert done.returncode == Exit.USAGE, words
        assert said in done.stderr
        assert "state: nothing was compared" in done.stderr


def test_an_experiment_that_is_not_analyzed_is_told_with_what_analyzes_it(two: Bench) -> None:
    about = {"name": "begun", "question": "Does it?", "date": "2026-11-23"}
    design_demo(two.lab, {"experiment": about, "variables": {}, "runs": [run("c", lora_rank=4)]}, "begun")
    done = two.ckgit("bisect", "one/a", "begun/c", check=False)
    assert done.returncode == Exit.USAGE
    assert "begun is designed, and only what is analyzed can be compared" in done.stderr
    assert "next:  ckgit advance begun --to analyzed" in done.stderr
    two.ckgit("close", "begun", "--because", "enough")
    done = two.ckgit("bisect", "begun", "one/a", check=False)
    assert "next:  ckgit close begun --reopen, then ckgit advance begun --to analyzed" in done.stderr
    commit_by_hand(two.folder, "analysis/results.json", "{}", experiment="one")
    done = two.ckgit("bisect", "one/a", "two/b", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert "one has no results that can be read" in done.stderr


def test_a_lab_in_which_nothing_is_analyzed_says_what_to_do(bare_bench: Bench) -> None:  # noqa: F811
    done = bare_bench.ckgit("bisect", "a/x", "b/y", check=False)
    assert "next:  ckgit design NAME makes the first one" in done.stderr
    about = {"name": "begun", "question": "Does it?", "date": "2026-11-23"}
    design_demo(bare_bench.lab, {"experiment": about}, "begun")
    done = bare_bench.ckgit("bisect", "a/x", "b/y", check=False)
    assert "next:  ckgit advance begun --to analyzed" in done.stderr


def test_what_the_page_on_watching_shows_works(two: Bench) -> None:
    page = (ROOT / "docs/watching.md").read_text()
    shown = [line.removeprefix("$ ckgit ") for block in blocks(page) for line in block.splitlines() if line.startswith("$ ckgit ")]
    [pages, serve, named] = map(shlex.split, shown)
    two.ckgit(*pages)
    assert Path("lab-pages/index.html").exists()
    assert f"--{serve[1].removeprefix('--')}" in two.ckgit(serve[0], "--help").stdout
    assert [named[0], *named[3:]] == ["bisect", "--design", "between"]
    two.ckgit("bisect", "one/a", "two/b", *named[3:])
    assert Path("between.yaml").exists()
