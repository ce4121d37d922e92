"""Experiments and runs side by side: what differs, and differences over the rows that both answered, held against scipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from bench.many_results import add_results
from ckgit.analysis.comparing.same_rows import UNTOLD
from ckgit.analysis.statistics.linearised import clustered_variance
from ckgit.lab.summary.file import SummaryFile
from tests.command_line import ckgit as command
from tests.conftest import run_git
from tests.orchestrators.bench import Bench


@pytest.fixture
def pair(lab_folder: Path) -> Path:
    add_results(lab_folder, range(2), runs=3, samples=60)
    return lab_folder


def compared(lab: Path, *names: str) -> Any:
    done = command("-C", str(lab), "compare", *names, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def committed(lab: Path, name: str) -> Any:
    return json.loads(run_git(lab, "show", f"exp/{name}:experiments/{name}/analysis/results.json"))


def change(lab: Path, name: str, change_it: Any) -> None:
    """Results are committed otherwise."""
    document = committed(lab, name)
    for run in document["runs"]:
        for cell in run["cells"]:
            change_it(cell)
            scores = [sample["scores"]["match"] for sample in cell["samples"]]
            cell["metrics"][0]["value"] = sum(scores) / len(scores)
    hand = lab.parent / f"hand-{name}"
    if not hand.exists():
        run_git(lab, "worktree", "add", "--quiet", str(hand), f"exp/{name}")
    (hand / f"experiments/{name}/analysis/results.json").write_text(json.dumps(document))
    run_git(hand, "commit", "--quiet", "--all", "--message=otherwise")


def scores_of(lab: Path, name: str, run: str) -> dict[Any, float]:
    [cell] = [cell for each in committed(lab, name)["runs"] if each["name"] == run for cell in each["cells"] if cell["epoch"] == 4]
    return {sample["id"]: sample["scores"]["match"] for sample in cell["samples"]}


def test_only_what_differs_is_shown(pair: Path) -> None:
    found = compared(pair, "r0000", "r0001")
    assert {each["place"]: each["values"] for each in found["differences"]} == {
        "controls.lr": [1e-05, 2e-05],
        "experiment.question": ["Which rank is best, number 0?", "Which rank is best, number 1?"],
    }
    runs = compared(pair, "r0000/rank2", "r0000/rank4", "r0001/rank4")
    assert {each["place"]: each["values"] for each in runs["differences"]} == {
        "lora_rank": [2, 4, 4],
        "lora_alpha": [4.0, 8.0, 8.0],
        "lr": [1e-05, 1e-05, 2e-05],
    }
    pairs = [(each["left_run"], each["right_run"]) for each in runs["metrics"]]
    assert pairs == [("r0000/rank2", "r0000/rank4"), ("r0000/rank2", "r0001/rank4")]


def test_differences_over_the_same_rows_are_those_of_scipy(pair: Path) -> None:
    def graded(cell: Any) -> None:
        for at, sample in enumerate(cell["samples"]):
            sample["scores"]["match"] = (sample["scores"]["match"] + at % 7 + cell["epoch"]) / 13

    for name in ("r0000", "r0001"):
        change(pair, name, graded)
    [found] = compared(pair, "r0000/rank2", "r0001/rank3")["metrics"]
    one, other = scores_of(pair, "r0000", "rank2"), scores_of(pair, "r0001", "rank3")
    wanted = stats.ttest_rel([other[key] for key in other], [one[key] for key in other])
    interval = wanted.confidence_interval(0.95)
    assert found["difference"] == pytest.approx(sum(other.values()) / 60 - sum(one.values()) / 60)
    assert (found["low"], found["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (found["interval"], found["rows"], found["remark"]) == ("paired t", 60, "")


def test_of_rows_that_are_not_the_same_only_those_that_are(pair: Path) -> None:
    def others(cell: Any) -> None:
        cell["samples"] = cell["samples"][:50]
        cell["metrics"][0]["samples"] = 50
        for sample in cell["samples"][:10]:
            sample["target"] = "Other"

    change(pair, "r0001", others)
    [found] = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"]
    one, other = scores_of(pair, "r0000", "rank2"), scores_of(pair, "r0001", "rank2")
    shared = range(11, 51)
    assert (found["rows"], found["left_rows"], found["right_rows"]) == (40, 60, 50)
    assert found["left_value"] == pytest.approx(sum(one[key] for key in shared) / 40)
    more = sum(other[key] > one[key] for key in shared) + 1
    less = sum(other[key] < one[key] for key in shared) + 1
    p, q, n = more / 42, less / 42, 42
    half = stats.norm.ppf(0.975) * ((p + q - (p - q) ** 2) / n) ** 0.5  # Bonett and Price 2012
    assert (found["low"], found["high"]) == (pytest.approx(p - q - half), pytest.approx(p - q + half))
    assert found["remark"].startswith("not the same rows: 40 are in both, of 60 and 50")
    shown = command("-C", str(pair), "compare", "r0000/rank2", "r0001/rank2").stdout
    assert "- r0000/rank2 and r0001/rank2, accuracy of capitalization: not the same rows: 40 are in both" in shown


def test_of_rows_that_have_nothing_in_common_no_difference_is_claimed(pair: Path) -> None:
    def strangers(cell: Any) -> None:
        for sample in cell["samples"]:
            sample["target"] = "Other"

    change(pair, "r0001", strangers)
    [found] = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"]
    assert (found["rows"], found["low"]) == (0, None)
    assert found["remark"] == "not the same rows: no id with the same question and target is in both"


def asking(first: int) -> Any:
    """Rows that ask one thing after the other, from this one on."""
    return lambda cell: cell.update(asked="".join(f"{first + at:06x}" for at in range(len(cell["samples"]))))


def test_rows_that_ask_something_else_are_not_the_same_though_ids_and_targets_are(pair: Path) -> None:
    change(pair, "r0000", asking(0))
    [before] = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"]
    assert before["rows"] == 60  # of older results nobody knows
    change(pair, "r0001", asking(1))  # as where a row was taken out
    [found] = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"]
    assert (found["rows"], found["low"]) == (0, None)
    assert found["remark"] == "not the same rows: no id with the same question and target is in both"


def test_rows_that_belong_together_are_in_the_interval(pair: Path) -> None:
    def grouped(cell: Any) -> None:
        cell["clusters"] = [at // 10 for at in range(60)]

    alone = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"][0]
    change(pair, "r0001", grouped)
    [found] = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"]
    one, other = scores_of(pair, "r0000", "rank2"), scores_of(pair, "r0001", "rank2")
    variance, df = clustered_variance([other[key] - one[key] for key in other], [at // 10 for at in range(60)])
    half = stats.t.ppf(0.975, df) * variance**0.5
    assert found["interval"] == "CR2"
    assert (found["low"], found["high"]) == (pytest.approx(found["difference"] - half), pytest.approx(found["difference"] + half))
    assert found["difference"] == pytest.approx(alone["difference"])


def test_where_results_do_not_say_which_rows_belong_together_there_is_no_interval(pair: Path) -> None:
    run_git(pair, "worktree", "add", "--quiet", str(pair.parent / "hand"), "exp/r0001")
    summary = pair.parent / "hand/experiments/r0001/experiment_summary.md"
    before = summary.read_text()
    summary.write_text(before.replace("{name: capitalization}", "{name: capitalization, clusters: person}"))
    digests = [SummaryFile.parse(text.encode(), "r0001").summary.digest for text in (before, summary.read_text())]
    for file in ("analysis/results.json", "jobs.json"):
        path = summary.parent / file
        path.write_text(path.read_text().replace(*digests))
    run_git(pair.parent / "hand", "commit", "--quiet", "--all", "--message=clusters")
    [found] = compared(pair, "r0000/rank2", "r0001/rank2")["metrics"]
    assert (found["rows"], found["low"]) == (60, None)
    assert found["remark"] == UNTOLD
    done = command("-C", str(pair), "bisect", "r0000/rank2", "r0001/rank2", "--json")
    bisected = json.loads(done.stdout)
    assert (bisected["rows"], bisected["gap"]["low"], bisected["gap"]["difference"]) == (60, None, pytest.approx(found["difference"]))
    assert UNTOLD in bisected["remarks"]


def test_what_is_not_there_is_said(pair: Path, real: Bench) -> None:
    for words, says in (
        (("r0000", "r001"), "there is no experiment 'r001'"),
        (("r0000/rank2", "r0001/rank22"), "r0001 has no run 'rank22'"),
        (("r0000",), "Name two experiments or runs"),
    ):
        done = command("-C", str(pair), "compare", *words)
        assert done.returncode == 2
        assert says in done.stderr


def test_runs_of_an_experiment_that_ran(real: Bench) -> None:
    """What is reported as an accuracy and is not the mean of its rows is not compared row by row."""
    [found] = compared(real.folder, "demo/base", "demo/rank4")["metrics"]
    assert (found["left_value"], found["right_value"], found["difference"], found["rows"]) == (0.5, 0.9, pytest.approx(0.4), 2)
    assert (found["low"], found["high"]) == (None, None)
    assert found["remark"] == "it is not a mean of the rows' scores, so rows cannot be paired"


def test_of_a_run_that_was_not_trained_no_training_is_compared(real: Bench) -> None:
    found = compared(real.folder, "demo/base", "demo/rank4")
    assert [(each["place"], each["values"]) for each in found["differences"]] == [("type", ["control", "fine-tuned"])]
