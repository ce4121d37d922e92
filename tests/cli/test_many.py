"""Thousands of experiments, runs and jobs: what is printed stays short and counts the rest, and --json has all of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench

RUNS = 60
MANY = {
    "variables": {"seed": list(range(RUNS))},
    "runs": [],
    "tools": {"preparation": "tiny-trainer", "evaluation": "none"},
    "evaluation": {"tasks": []},
}


def branches(folder: Path, count: int) -> None:
    """So many copies of experiment `demo`."""
    tip = subprocess.run(["git", "rev-parse", "exp/demo"], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    refs = "".join(f"create refs/heads/exp/copy{number} {tip}\n" for number in range(count))
    subprocess.run(["git", "update-ref", "--stdin"], input=refs, cwd=folder, text=True, check=True)


@pytest.mark.slow
def test_without_a_name_in_a_lab_of_many_experiments(bench: Bench) -> None:
    branches(bench.folder, 5000)
    done = bench.ckgit("status", check=False)
    assert done.returncode == Exit.USAGE
    assert len(done.stderr) < 500
    assert "and 4,991 more (ckgit list shows all)" in done.stderr


@pytest.mark.slow
def test_a_name_that_is_misspelt(bench: Bench) -> None:
    branches(bench.folder, 3)
    for words in (["status"], ["show"], ["log"], ["why"], ["advance"], ["retry"], ["cancel"], ["revise"], ["worker", "run-tiny-trainer"]):
        done = bench.ckgit(*words, "dmo", check=False)
        assert done.returncode == Exit.USAGE, done.stderr
        assert "there is no experiment dmo" in done.stderr
        assert "next:  did you mean demo? ckgit list shows all" in done.stderr
        assert "ckgit design" not in done.stderr
    for words in (["validate", "dmo"], ["design", "new", "--like", "dmo"], ["advance", "exp/Demo", "--dry-run"]):
        done = bench.ckgit(*words, check=False)
        assert done.returncode == Exit.USAGE
        assert "did you mean demo?" in done.stderr, words
    assert "ckgit design something_else makes one" in bench.ckgit("status", "something_else", check=False).stderr


def half_trained(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["show", "demo", "rnk4"], "rank4"),
        (["retry", "demo", "--run", "rnak4"], "rank4"),
        (["retry", "demo", "--job", "rank4/finetun"], "rank4/finetune"),
        (["cancel", "demo", "--run", "Rank8"], "rank8"),
        (["worker", "run-tiny-triner", "demo"], "run-tiny-trainer"),
        (["worker", "run-tiny-trainer", "demo", "--run", "ranc8"], "rank8"),
        (["worker", "run-tiny-trainer", "demo", "--run", "ranc8", "--dry-run"], "rank8"),
        (["worker", "scaffold-tiny-trainer", "demo", "--run", "bse"], "base"),
        (["advance", "demo", "--cluster", "locl"], "local"),
    ],
)
def test_other_names_that_are_misspelt(kept: Callable[..., Bench], words: list[str], near: str) -> None:
    done = kept(half_trained).ckgit(*words, check=False)
    assert done.returncode == Exit.USAGE, done.stderr
    assert f"did you mean {near}" in done.stderr


@pytest.fixture
def many(designed) -> Bench:
    """An experiment of many runs, scaffolded."""
    bench: Bench = designed(**MANY)
    bench.advance(State.SCAFFOLDED)
    return bench


def test_why_tells_jobs_together_of_which_the_same_is_to_be_said(many: Bench) -> None:
    text = many.ckgit("why", "demo").stdout
    names = ", ".join(f"seed{number}/finetune" for number in range(5))
    assert text == f"{names} and {RUNS - 5} more (waiting): it was not submitted yet; ckgit advance demo does that\n"
    assert len(json.loads(many.ckgit("why", "demo", "--json").stdout)["jobs"]) == RUNS


@pytest.mark.slow
def test_why_tells_failures_of_one_kind_together(many: Bench) -> None:
    for number in range(RUNS):
        many.fail(f"seed{number}/finetune")
    done = many.ckgit("advance", "demo", check=False)
    assert done.returncode == Exit.JOBS_FAILED
    assert f"and {RUNS - 20} more\n" in done.stderr
    text = many.ckgit("why", "demo").stdout
    assert f"and {RUNS - 5} more (failed, error): the tool ended with exit code 1: the tool says no\n" in text
    assert text.count("\n") == 3
    message = many.message()
    assert message.count("the tool says no") == 50
    assert f"- and {RUNS - 50} more (jobs.json has them all)" in message
    assert f"and {RUNS - 5} more that failed" in many.ckgit("status", "demo").stdout


def test_a_preview_shows_one_script_and_counts_the_others(many: Bench) -> None:
    text = many.ckgit("advance", "demo", "--dry-run").stdout
    document = json.loads(many.ckgit("advance", "demo", "--dry-run", "--json").stdout)
    assert len(document["submissions"]) == RUNS
    assert [one["jobs"] for one in document["submissions"]] == [[f"seed{number}/finetune"] for number in range(RUNS)]
    assert all("#!/" in one["scripts"][0] for one in document["submissions"])
    first = "".join(f"  | {line}\n" for line in document["submissions"][0]["scripts"][0].splitlines())
    assert first in text
    assert text.count("#!/") == 1
    assert text.count("would submit seed") == 20
    assert f"and would submit {RUNS - 20} more\nthe scripts of the other {RUNS - 1} are in --json\n" in text
    assert "more files" not in text


def test_the_files_of_a_large_scaffold_are_counted(designed) -> None:
    bench = designed(**MANY)
    text = bench.ckgit("advance", "demo", "--dry-run").stdout
    assert text.count("  write  ") == 20
    written = len(json.loads(bench.ckgit("advance", "demo", "--dry-run", "--json").stdout)["commits"][0]["files"])
    assert f"  and {written - 20} more files" in text


def test_every_problem_up_to_a_limit(bare_bench: Bench, tmp_path: Path) -> None:
    rows = "\n".join(f"  - {{name: r{number}, type: wrong}}" for number in range(300))
    file = tmp_path / "design.yaml"
    file.write_text(f"experiment: {{question: Why?}}\nmodels: [tiny]\ndata: {{words: {{path: data/words.json}}}}\nruns:\n{rows}\n")
    for words in (["design", "new", "--from", str(file)], ["validate", str(file)]):
        done = bare_bench.ckgit(*words, check=False)
        assert done.returncode == Exit.INVALID_DESIGN
        assert (done.stdout + done.stderr).count(f"{file}:") == 50
        assert "more (--json has them all)" in done.stdout + done.stderr
    problems = json.loads(bare_bench.ckgit("validate", str(file), "--json", check=False).stdout)["problems"]
    assert len(problems) >= 300


def test_a_ledger_of_many_jobs_is_told_in_lines(many: Bench) -> None:
    many.hold()
    done = many.ckgit("advance", "demo", "--no-wait", check=False)
    assert done.returncode == Exit.IN_FLIGHT
    first = ", ".join(f"seed{number}/finetune" for number in range(10))
    assert f"{first} and {RUNS - 10} more: queued\n" in done.stderr
    assert done.stderr.count(": queued") == 1
    shown = many.ckgit("cancel", "demo", "--dry-run").stdout
    assert shown.count("would end seed") == 20
    assert f"and {RUNS - 20} more\n" in shown
    assert many.ckgit("cancel", "demo").stdout.startswith(f"{RUNS} jobs cancelled")
