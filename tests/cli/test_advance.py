"""The commands that move an experiment on, as their user sees them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.labs import make_lab
from ckgit.errors import Exit
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import bare_bench, bench, tiny_package  # noqa: F401 - fixtures


def test_one_transition_at_a_time_and_then_nothing_to_do(bench: Bench) -> None:  # noqa: F811
    for state in ("scaffolded", "trained", "evaluated", "analyzed"):
        answer = bench.ckgit("advance", "demo")
        assert answer.stdout.splitlines()[0] == f"demo is {state}"
        assert "->" in answer.stderr
    tip = bench.snapshot.tip
    for words in (["advance"], ["analyze-experiment"]):
        said = bench.ckgit(*words, "demo").stdout
        assert said.startswith("nothing to do: demo is analyzed, and its report is what this ckgit would write")
    assert bench.snapshot.tip == tip
    answer = bench.ckgit("advance", "demo", "--to", "analyzed")
    assert "nothing to do" in answer.stdout
    answer = bench.ckgit("advance", "demo", "--to", "trained", check=False)
    assert answer.returncode == Exit.ILLEGAL_TRANSITION
    assert "ckgit revise demo" in answer.stderr


def test_a_transition_without_jobs_imports_and_starts_little(tmp_path: Path) -> None:
    lab = make_lab(tmp_path / "lab", files=1, experiments=1)  # with the workers of ckgit's own
    code = (
        "import atexit, sys; from ckgit.cli import main; started = [];"
        "sys.addaudithook(lambda event, words: event == 'subprocess.Popen' and started.append(words));"
        "atexit.register(lambda: print(len(started), *sys.modules, file=sys.stderr));"
        "sys.argv = ['ckgit', 'advance', 'e0000']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=lab, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "e0000 is scaffolded"
    processes, *modules = done.stderr.splitlines()[-1].split()
    assert int(processes) <= 13
    heavy = {"rich", "torch", "inspect_ai", "matplotlib", "numpy", "difflib", "pydantic.root_model"}
    jobs = {"results", "accounting", "outputs.planned", "estimates.file"}
    ours = {"lab.history.hand_edits", "lab.export", "lab.parallel", "lab.models.folder", "formats.yaml.edit"}
    ours |= {"orchestrators.engine.orphans"}
    unwanted = heavy | {f"ckgit.{name}" for name in ours} | {f"ckgit.experiment.{name}" for name in jobs}
    assert unwanted & set(modules) == set()


def test_json_tells_the_commits(bench: Bench) -> None:  # noqa: F811
    document = json.loads(bench.ckgit("advance", "demo", "--to", "trained", "--json").stdout)
    assert (document["lifecycle_state"], document["code"]) == ("trained", 0)
    assert [commit["records"] for commit in document["commits"]] == ["scaffold", "submit", "train"]


def test_a_failure_as_text_as_json_and_by_why(bench: Bench) -> None:  # noqa: F811
    bench.fail("rank8/finetune")
    answer = bench.ckgit("advance", "demo", "--to", "trained", check=False)
    assert answer.returncode == Exit.JOBS_FAILED
    assert "1 of 2 jobs failed" in answer.stderr
    assert "next:  ckgit why demo" in answer.stderr
    document = json.loads(bench.ckgit("advance", "demo", "--json", check=False).stdout)
    assert document["code_name"] == "jobs_failed"
    assert [(job["job"], job["failure"], job["reason"]) for job in document["failed"]] == [
        ("rank8/finetune", "error", "the tool ended with exit code 1: the tool says no")
    ]
    told = bench.ckgit("why", "demo").stdout
    assert told.startswith("rank8/finetune (failed, error): the tool ended with exit code 1: the tool says no\n")
    assert "    the tool says no" in told
    bench.mend("rank8/finetune")
    assert bench.ckgit("retry", "demo").stdout.startswith("demo is trained")
    assert "no job of it failed" not in bench.ckgit("why", "demo").stdout  # its evaluations wait
    assert bench.ckgit("retry", "demo", check=False).returncode == Exit.ILLEGAL_TRANSITION


def test_cancel_and_no_wait(bench: Bench) -> None:  # noqa: F811
    bench.hold()
    answer = bench.ckgit("advance", "demo", "--to", "trained", "--no-wait", check=False)
    assert answer.returncode == Exit.IN_FLIGHT
    assert "next:  ckgit advance demo" in answer.stderr
    assert "would end rank4/finetune" in bench.ckgit("cancel", "demo", "--dry-run").stdout
    assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs cancelled")
    assert "rank4/finetune" in bench.ckgit("retry", "demo", "--dry-run").stdout


def test_the_original_names(bench: Bench) -> None:  # noqa: F811
    assert bench.ckgit("run-experiment", "demo", check=False).returncode == Exit.ILLEGAL_TRANSITION
    assert bench.ckgit("scaffold-experiment", "demo").stdout.startswith("demo is scaffolded")
    assert bench.ckgit("scaffold-experiment", "demo", check=False).returncode == Exit.ILLEGAL_TRANSITION
    assert bench.ckgit("run-experiment", "demo").stdout.startswith("demo is evaluated")


def test_dry_run_prints_and_the_name_may_be_left_out(bench: Bench) -> None:  # noqa: F811
    subprocess.run(["git", "switch", "--quiet", "exp/demo"], cwd=bench.folder, check=True)
    assert "scaffold demo: designed -> scaffolded" in bench.ckgit("advance", "--dry-run").stdout
    assert bench.ckgit("advance").stdout.startswith("demo is scaffolded")
    document = json.loads(bench.ckgit("advance", "--dry-run", "--json").stdout)
    assert [job["jobs"] for job in document["submissions"]] == [["rank4/finetune"], ["rank8/finetune"]]


def followed(bench: Bench, **environment: str) -> str:  # noqa: F811
    """What a terminal is sent while the two trainings run, and end."""
    bench.hold()
    ours, theirs = pty.openpty()
    command = bench.command("advance", "demo", "--to", "trained")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm", **environment})
    os.close(theirs)
    bench.until(lambda: len(bench.executions()) == 2)
    time.sleep(0.5)
    bench.go()
    process.communicate(timeout=30)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert process.returncode == 0
    return shown


COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m")


def test_on_a_terminal_the_whole_and_each_running_job_have_a_line_that_is_redrawn(bench: Bench) -> None:  # noqa: F811
    shown = followed(bench)
    assert "0 of 5 jobs done" in shown
    assert re.search(r"rank4/finetune  \x1b\[32m━+\S* +1/3  loss 0.4", shown)
    assert re.search(r"\x1b\[32mrank8/finetune: done in 0:0\d\x1b\[0m\r\n", shown)
    assert "\x1b[?25" not in shown  # the cursor stays, whatever ends ckgit


def test_no_color_leaves_bars_and_no_dumb_terminal_is_drawn_on(bench: Bench) -> None:  # noqa: F811
    shown = followed(bench, NO_COLOR="1")
    assert "1/3  loss 0.4" in shown
    assert "━" in shown
    assert not COLOUR.search(shown)


def test_a_dumb_terminal_gets_lines_alone(bench: Bench) -> None:  # noqa: F811
    shown = followed(bench, TERM="dumb")
    assert "rank4/finetune: done in 0:0" in shown
    assert "\x1b" not in shown
    assert "loss" not in shown


def test_without_a_terminal_nothing_is_drawn_and_what_draws_is_not_imported(bench: Bench) -> None:  # noqa: F811
    command = [sys.executable, "-X", "importtime", *bench.command("advance", "demo", "--to", "trained")[1:]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "rank8/finetune: done in 0:0" in said
    assert "\x1b" not in said
    assert "of 5 jobs" not in said
    assert not re.search(r"\| +rich\b", said)
