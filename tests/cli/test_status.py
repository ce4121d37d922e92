"""`ckgit status` on experiments in every situation (jobs are bash)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench


def status(bench: Bench, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bench.ckgit("status", "demo", "--json", *words).stdout)
    return found


def test_before_anything_ran(bench: Bench) -> None:
    lines = bench.ckgit("status", "demo").stdout.splitlines()
    assert lines[0].startswith("demo: designed (commit ")
    assert lines[1:] == ["next: ckgit advance demo"]


def test_jobs_are_counted_by_stage(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    text = bench.ckgit("status", "demo").stdout
    assert "demo: evaluated" in text
    assert "  training    2 of 2 done\n  evaluation  3 of 3 done\n" in text
    assert status(bench)["stages"] == [
        {"stage": "training", "total": 2, "conditions": {"done": 2}},
        {"stage": "evaluation", "total": 3, "conditions": {"done": 3}},
    ]
    assert status(bench)["totals"] == {"total": 5, "conditions": {"done": 5}}


def test_jobs_that_are_out_are_looked_at(bench: Bench) -> None:
    bench.hold()
    bench.advance(wait=False)
    bench.advance(wait=False)
    bench.until(lambda: any(job["seen"] == "running" for job in status(bench)["open"]))
    assert "0 of 2 done, " in bench.ckgit("status", "demo").stdout
    assert " running" in bench.ckgit("status", "demo").stdout
    bench.go()
    bench.until(lambda: all(job["seen"] == "gone" for job in status(bench)["open"]))
    assert "0 of 2 done, 2 ended and not collected yet" in bench.ckgit("status", "demo").stdout


def test_how_far_running_jobs_are_in_words_and_as_data(bench: Bench) -> None:
    assert status(bench)["progress"] is None
    bench.hold()
    bench.advance(wait=False)
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    found = status(bench)["progress"]
    whole = {key: value for key, value in found.items() if key != "jobs"}
    assert whole == {"done": 0, "failed": 0, "total": 5, "seconds_left": whole["seconds_left"]}
    expected = {"loading": False, "step": 1, "steps": 3, "loss": 0.4, "note": ""}
    assert [(job["job"], expected | job == job) for job in found["jobs"]] == [("rank4/finetune", True), ("rank8/finetune", True)]
    assert found["jobs"][0].keys() == {*expected, "job", "elapsed", "rate", "seconds_left"}
    lines = bench.ckgit("status", "demo").stdout.splitlines()
    assert lines[2].startswith("  0 of 5 jobs done")
    assert lines[3].startswith("  rank4/finetune  1/3  loss 0.4")
    bench.go()
    bench.advance(State.TRAINED)
    assert status(bench)["progress"] is None


def test_a_branch_whose_design_cannot_be_read_has_no_progress_and_all_else(bench: Bench) -> None:
    bench.hold()
    bench.advance(wait=False)
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    commit_by_hand(bench.folder, "../../models/tiny.yaml", "family: [")
    found = status(bench)
    assert found["progress"] is None
    assert [job["seen"] for job in found["open"]] == ["running", "running"]
    bench.go()


def test_a_work_tree_of_another_machine_is_unknown_and_no_error(bench: Bench) -> None:
    bench.hold()
    bench.advance(wait=False)
    bench.advance(wait=False)
    away = bench.work.with_name("away")
    bench.work.rename(away)
    text = bench.ckgit("status", "demo").stdout
    away.rename(bench.work)
    assert "0 of 2 done, 2 unknown" in text
    assert "is not on this machine" in text
    bench.go()


def test_failures_are_named_with_their_reason_and_the_next_command(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    bench.advance(State.TRAINED)
    text = bench.ckgit("status", "demo").stdout
    assert "1 of 2 done, 1 failed" in text
    assert "  failed: rank4/finetune: the tool ended with exit code 1: the tool says no" in text
    assert text.endswith("next: ckgit why demo; then ckgit retry demo\n")
    bench.advance(State.TRAINED, accept_missing=True)
    text = bench.ckgit("status", "demo").stdout
    assert "1 of 2 done, 1 accepted as missing" in text
    assert "  accepted as missing: rank4/finetune" in text
    assert text.endswith("next: ckgit advance demo\n")


@pytest.mark.parametrize("content", ["{", "[]", '{"attempts": [{"job": "x"}]}', '{"attempts": null}', "{}"])
def test_a_ledger_that_cannot_be_read_is_never_nothing(bench: Bench, content: str) -> None:
    bench.advance()
    commit_by_hand(bench.folder, "jobs.json", content)
    done = bench.ckgit("status", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert "exp/demo:experiments/demo/jobs.json: the ledger cannot be read" in done.stderr


def test_without_a_name_the_checked_out_experiment_is_meant(bench: Bench) -> None:
    nothing = bench.ckgit("status", check=False)
    assert nothing.returncode == Exit.USAGE
    assert "which experiment?" in nothing.stderr
    assert "name one of: demo" in nothing.stderr
    subprocess.run(["git", "checkout", "--quiet", "exp/demo"], cwd=bench.folder, check=True)
    assert bench.ckgit("status").stdout.startswith("demo: designed")


def test_a_branch_name_and_a_bad_name(bench: Bench) -> None:
    assert bench.ckgit("status", "exp/demo").stdout.startswith("demo: designed")
    bad = bench.ckgit("status", "a$(b)", check=False)
    assert bad.returncode == Exit.USAGE
    assert "at position 2" in bad.stderr
    absent = bench.ckgit("status", "nope", "--json", check=False)
    assert absent.returncode == Exit.USAGE
    assert json.loads(absent.stderr)["error"]["what"] == "there is no experiment nope"
    assert absent.stdout == ""


def test_outside_of_a_lab(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ckgit", "-C", str(tmp_path_factory.mktemp("nowhere")), "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == Exit.USAGE
    assert "not inside a lab" in done.stderr


def test_what_is_slow_to_import_is_not_imported(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    code = (
        "import sys; from ckgit.cli import group;"
        f"group.main(['-C', {str(bench.folder)!r}, 'status', 'demo'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    frameworks = {"torch", "inspect_ai", "matplotlib", "numpy"}
    heavy = frameworks | {"pydantic", "ruamel", "rich", "transitions", "shutil", "ckgit.experiment.design.model"}
    assert heavy & set(done.stderr.split()) == set()
