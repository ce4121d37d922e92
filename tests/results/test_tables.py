"""The tables have what git has: each number is held against the files themselves, read by nothing of ours."""

from __future__ import annotations

import hashlib
import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

import ckgit
from ckgit.errors import CkgitError
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import open_lab
from ckgit.results.database import FORMAT
from ckgit.results.from_git.reading import _found
from ckgit.results.from_git.sources import ResultsSource
from ckgit.results.tables import TABLES, VIEWS, columns, definitions
from tests.by_hand import commit_by_hand
from tests.cli.test_damaged import DAMAGE
from tests.command_line import ckgit as command
from tests.conftest import run_git
from tests.orchestrators.bench import Bench


def committed(lab: Path, path: str, name: str = "demo") -> Any:
    return json.loads(run_git(lab, "show", f"exp/{name}:experiments/{name}/{path}"))


def rows(lab: Path, query: str) -> list[Any]:
    """What a query gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what could not be read, which tests look at themselves
        return [tuple(row) for row in ckgit.open(lab).sql(query, engine="polars").rows()]


def test_every_metric_and_sample_is_there_as_it_was_committed(many: Path) -> None:
    expected_metrics, expected_samples = [], []
    for name in ("r0000", "r0001", "r0002"):
        for run in committed(many, "analysis/results.json", name)["runs"]:
            for cell in run["cells"]:
                place = (name, run["name"], cell["task"], cell["epoch"])
                expected_metrics += [(*place, m["scorer"], m["name"], m["value"], m["low"], m["high"]) for m in cell["metrics"]]
                expected_samples += [(*place, str(s["id"]), s["scores"]["match"], s["target"]) for s in cell["samples"]]
    assert len(expected_samples) == 3 * 2 * 5 * 8
    found = rows(many, "SELECT experiment, run, task, epoch, scorer, metric, value, low, high FROM metrics")
    assert sorted(found) == sorted(expected_metrics)
    assert sorted(rows(many, "SELECT experiment, run, task, epoch, sample, score, target FROM samples")) == sorted(expected_samples)
    last = rows(many, "SELECT DISTINCT epoch FROM cells WHERE last")
    assert last == [(4,)]


def test_an_experiment_that_ran_is_in_every_table(real: Bench) -> None:
    attempts = committed(real.folder, "jobs.json")["attempts"]
    told = [(each["job"], each["number"], each["phase"], each.get("failure"), each.get("exit_code")) for each in attempts]
    assert ("rank4/finetune", 1, "failed", "error", 1) in told
    assert sorted(rows(real.folder, "SELECT job, number, phase, failure, exit_code FROM attempts")) == sorted(told)
    log = run_git(real.folder, "log", "--reverse", "--format=%H %(trailers:key=Ckgit-Event,valueonly,separator=%x2C)", "main..exp/demo")
    assert [f"{oid} {event}" for oid, event in rows(real.folder, "SELECT commit, event FROM commits ORDER BY number")] == log.splitlines()
    runs = rows(real.folder, "SELECT run, type, model, parameters->>'lora_rank', varied->>'lora_rank', steps FROM runs ORDER BY number")
    assert [run[:3] for run in runs] == [("rank4", "fine-tuned", "tiny"), ("rank8", "fine-tuned", "tiny"), ("base", "control", "tiny")]
    assert [run[3:] for run in runs] == [("4", "4", 3), ("8", "8", 3), (None, None, None)]  # what is not trained has no rank
    [verdict] = committed(real.folder, "analysis/results.json")["claims"]
    found = rows(real.folder, "SELECT left_side, right_side, judgement, difference, low, high, samples, paired FROM claims")
    keys = ("judgement", "difference", "low", "high", "samples", "paired")
    assert found == [("rank4", "base", *(verdict.get(key) for key in keys))]
    [own] = rows(real.folder, 'SELECT state, held, "current", runs, cells, problem, design_hash FROM experiments')
    assert own[:6] == ("analyzed", "branch", True, 3, 3, None)
    assert own[6] == committed(real.folder, "analysis/results.json")["design"]
    taken = [each["usage"]["elapsed_seconds"] for each in attempts if "usage" in each]
    assert rows(real.folder, "SELECT sum(elapsed_seconds) FROM attempts") == [(pytest.approx(sum(taken)),)]


def test_each_column_that_is_documented_is_there_and_no_other(real: Bench) -> None:
    for name, model in {**TABLES, **VIEWS}.items():
        found = rows(real.folder, f"SELECT column_name, column_type FROM (DESCRIBE {name})")  # noqa: S608 - our names
        assert found == [*columns(model).items()], name
        assert all(field.description for field in model.model_fields.values()) or name == "results"


def test_who_changes_a_table_gives_it_another_format() -> None:
    """What was kept is read by whoever has the same format: raise FORMAT, and put the new digest here."""
    digest = hashlib.sha256("\n".join(definitions()).encode()).hexdigest()[:12]
    assert {FORMAT: digest} == {"4": "29050769cc91"}


def test_one_that_cannot_be_read_is_told_of_and_the_others_are_there(many: Path) -> None:
    def spoil(name: str, path: str, content: str) -> None:
        hand = many.parent / "hand"
        run_git(many, "worktree", "add", "--quiet", str(hand), f"exp/{name}")
        (hand / "experiments" / name / path).write_text(content)
        run_git(hand, "commit", "--quiet", "--all", "--message=spoiled")
        run_git(many, "worktree", "remove", str(hand))

    spoil("r0001", "analysis/results.json", '{"runs": "\x1b[31mnone"}')
    done = command("-C", str(many), "results")
    assert done.returncode == 0
    assert "warning: r0001: analysis/results.json cannot be read" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == {"r0000", "r0002"}
    assert rows(many, "SELECT runs, cells FROM experiments WHERE problem IS NOT NULL") == [(2, 0)]
    assert rows(many, "SELECT count(*) FROM attempts WHERE experiment = 'r0001'") == [(2,)]
    spoil("r0000", "experiment_summary.md", "no front matter")
    spoil("r0002", "jobs.json", "[1")
    told = command("-C", str(many), "sql", "SELECT experiment, problem FROM experiments ORDER BY 1", "--json")
    problems = dict(json.loads(told.stdout)["rows"])
    assert "the state cannot be read" in problems["r0000"]
    assert "jobs.json cannot be read" in problems["r0002"]
    assert len(json.loads(told.stdout)["notes"]) == 3
    assert rows(many, "SELECT DISTINCT experiment FROM metrics") == [("r0002",)]


def test_a_number_that_no_column_takes_is_told_of(many: Path) -> None:
    text = run_git(many, "show", "exp/r0001:experiments/r0001/analysis/results.json")
    hand = many.parent / "hand"
    run_git(many, "worktree", "add", "--quiet", str(hand), "exp/r0001")
    (hand / "experiments/r0001/analysis/results.json").write_text(text.replace('"steps": 100', f'"steps": {10**30}', 1))
    run_git(hand, "commit", "--quiet", "--all", "--message=spoiled")
    found = dict(rows(many, "SELECT experiment, problem FROM experiments"))
    assert found["r0000"] is found["r0002"] is None
    assert "too large" in found["r0001"]


GOOD = ("experiment_summary.md", "defaults.json", "jobs.json", "analysis/results.json")


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_in_the_place_of_a_file_is_told_of(many: Path, damage: str) -> None:
    source = ResultsSource("r0001", "r0001", "0" * 40, "branch", current=True)
    lab = open_lab(many)
    whole = [*read_objects(lab.root, [f"exp/r0001:experiments/r0001/{file}" for file in GOOD])]
    assert _found(source, *whole).problem is None
    for at, file in enumerate(GOOD):
        found = _found(source, *(DAMAGE[damage] if each == at else content for each, content in enumerate(whole)))
        known = file in ("jobs.json", "defaults.json") and DAMAGE[damage] is None  # which need not be there
        assert bool(found.problem) is not known, file
        assert (found.problem or " ").isprintable()


def test_results_of_another_design_are_named_and_not_used(real: Bench, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(real.folder), str(clone)], check=True)
    run_git(clone, "branch", "exp/demo", "origin/exp/demo")
    before = run_git(clone, "show", "exp/demo:experiments/demo/analysis/results.json")
    commit_by_hand(clone, "analysis/results.json", before.replace(json.loads(before)["design"], "0" * 64))
    with pytest.warns(UserWarning, match="demo: analysis/results.json is of another design"):
        ckgit.open(clone).results()
    [(problem, cells)] = rows(clone, 'SELECT problem, cells FROM experiments WHERE "current"')
    assert (problem, cells) == ("analysis/results.json is of another design, and is left out", 0)


def test_nothing_but_a_lab_is_opened(tmp_path: Path) -> None:
    with pytest.raises(CkgitError, match="not inside a lab"):
        ckgit.open(tmp_path)
