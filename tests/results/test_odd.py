"""Odd and hostile things in a lab's results: each is shown as it is, or told of, and nothing is dropped without a word."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ckgit
from bench.many_results import add_results
from ckgit.errors import Exit
from tests.command_line import ckgit as command
from tests.conftest import run_git

HOSTILE = "\x1b[31mred\x07\n</td><script>alert(1)</script>'; DROP TABLE runs; --\u202e"
WORDS = [sys.executable, "-m", "ckgit"]


def recommit(lab: Path, name: str, change: Callable[[Any], None], version: str = "") -> None:
    """The results of an experiment, committed otherwise, in a step of ckgit's of some version."""
    path = f"experiments/{name}/analysis/results.json"
    document = json.loads(run_git(lab, "show", f"exp/{name}:{path}"))
    change(document)
    hand = lab.parent / f"hand-{name}"
    run_git(lab, "worktree", "add", "--quiet", str(hand), f"exp/{name}")
    (hand / path).write_text(json.dumps(document))
    message = run_git(lab, "log", "-1", "--format=%B", f"exp/{name}") + (f"\nCkgit-Version: {version}" if version else "")
    run_git(hand, "commit", "--quiet", "--all", f"--message={message}")
    run_git(lab, "worktree", "remove", "--force", str(hand))


def cells_of(document: Any) -> list[Any]:
    return [cell for run in document["runs"] for cell in run["cells"]]


def with_metric(name: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for cell in cells_of(document):
            cell["metrics"][0]["name"] = name

    return change


@pytest.mark.parametrize("name", ["pass/at_1", "a/b/c", "=1+1", "%", HOSTILE])
def test_a_metric_of_any_name_is_shown_and_compared(many: Path, name: str) -> None:
    for experiment in ("r0000", "r0001"):
        recommit(many, experiment, with_metric(name))
    quoted = name.replace("'", "''")
    asked = f"SELECT count(*) FROM metrics WHERE metric = '{quoted}'"  # noqa: S608 - test data
    assert ckgit.open(many).sql(asked, engine="polars").rows() == [(20,)]
    for words in (
        ("results",),
        ("results", "--format", "csv"),
        ("results", "--format", "latex"),
        ("compare", "r0000", "r0001"),
        ("bisect", "r0000/rank2", "r0001/rank2"),
        ("bisect", "r0000/rank2", "r0001/rank2", "--metric", name),
        ("bisect", "r0000/rank2", "r0001/rank2", "--metric", f"match/{name}"),
    ):
        done = command("-C", str(many), *words)
        assert done.returncode == 0, (words, done.stderr)
        if "csv" not in words:
            assert not {"\x1b", "\x07", "\u202e"} & {*done.stdout, *done.stderr}, words
    document = json.loads(command("-C", str(many), "compare", "r0000", "r0001", "--json").stdout)
    assert {each["metric"] for each in document["metrics"]} == {name}
    assert all(each["low"] is not None for each in document["metrics"])


def test_hostile_text_is_kept_as_it_is_and_steers_nothing(many: Path) -> None:
    def change(document: Any) -> None:
        document["question"] = HOSTILE
        document["runs"][0]["name"] = HOSTILE
        for cell in document["runs"][0]["cells"]:
            cell["run"] = HOSTILE
        for cell in cells_of(document):
            for sample in cell["samples"]:
                sample |= {"answer": HOSTILE, "target": HOSTILE, "scores": {HOSTILE: HOSTILE}}

    recommit(many, "r0001", change)
    lab = ckgit.open(many)
    assert lab.sql("SELECT DISTINCT answer, target, score_text FROM samples WHERE experiment = 'r0001'", engine="polars").rows() == [
        (HOSTILE, HOSTILE, HOSTILE)
    ]
    assert (HOSTILE,) in lab.sql("SELECT run FROM runs", engine="polars").rows()
    assert len(lab.table("runs", engine="polars")) == 7  # rank2 was planned, and the other has results
    query = f'SELECT run AS "{HOSTILE.replace(chr(34), "")}" FROM runs'  # noqa: S608
    for words in (
        ("results",),
        ("sql", "FROM samples"),
        ("sql", query),
        ("compare", "r0000", "r0001"),
        ("compare", f"r0001/{HOSTILE}", "r0000/rank2"),
    ):
        done = command("-C", str(many), *words)
        assert done.returncode == 0, (words, done.stderr)
        assert not {"\x1b", "\x07", "\u202e"} & {*done.stdout, *done.stderr}, words
    assert "\\x1b[31mred\\x07\\n" in command("-C", str(many), "sql", "FROM samples").stdout


def test_a_log_that_does_not_say_when_it_ended_took_no_time_that_is_known(many: Path) -> None:
    def change(document: Any) -> None:
        for cell in cells_of(document):
            cell["seconds"] = 0.0  # as it is read where completed_at is absent

    recommit(many, "r0001", change)
    rows = ckgit.open(many).sql("SELECT DISTINCT experiment, seconds FROM cells ORDER BY 1", engine="polars").rows()
    assert rows == [("r0000", 7.0), ("r0001", None), ("r0002", 7.0)]


def test_results_of_a_newer_version_are_told_as_such(many: Path) -> None:
    recommit(many, "r0001", lambda document: document.update(from_the_future=[1], runs=3), version="99.1.0")
    done = command("-C", str(many), "results")
    [told] = done.stderr.splitlines()
    assert told.startswith("warning: r0001: the last step of r0001 was made by ckgit 99.1.0, which is newer than this one")
    assert "analysis/results.json cannot be read: runs: " in told
    assert "and 1 more" in told
    assert "r0001" not in done.stdout
    assert "r0002" in done.stdout
    compared = command("-C", str(many), "compare", "r0000", "r0001")
    assert compared.returncode == Exit.EVIDENCE_MISSING
    assert "newer than this one" in compared.stderr


def test_a_thousand_runs_of_one_experiment_are_all_there(lab_folder: Path) -> None:
    add_results(lab_folder, range(1), runs=1000, samples=2)
    lab = ckgit.open(lab_folder)
    counted = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM cells), (SELECT count(*) FROM samples)"
    assert lab.sql(counted, engine="polars").rows() == [(1000, 5000, 10_000)]
    done = command("-C", str(lab_folder), "results", "--where", "run=rank1001", "--where", "last")
    assert len(done.stdout.splitlines()) == 2
    done = command("-C", str(lab_folder), "compare", "r0000", "r0000")
    assert done.returncode == 0
    assert "1000 comparisons were made" in done.stdout
    refused = command("-C", str(lab_folder), "compare", "r0000/rank2", "r0000/rnk")
    assert len(refused.stderr) < 1000


def _little(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 5_000, 100_000, 400_000])
def test_on_a_full_disk_it_is_said_that_there_is_no_room_and_the_next_one_has_all(many: Path, tmp_path: Path, size: int) -> None:
    words = [*WORDS, "-C", str(many), "results", "--format", "csv"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, preexec_fn=_little(size))
    assert done.returncode == Exit.COMMAND_FAILED, (done.stdout, done.stderr)
    assert "the tables of the results cannot be written" in done.stderr
    assert "next:  make room there, or set TMPDIR" in done.stderr
    assert done.stdout == ""
    assert [path.name for path in (many / ".git/ckgit/results").iterdir()] == ["lock"]
    whole = subprocess.run(words, check=True, capture_output=True, text=True)
    assert len(whole.stdout.splitlines()) == 31
    add_results(many, range(3, 6), runs=2, samples=8)  # what is there already is copied, which takes room, too
    done = subprocess.run(words, check=False, capture_output=True, text=True, preexec_fn=_little(size))
    assert done.returncode == Exit.COMMAND_FAILED, (done.stdout, done.stderr)
    assert len(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()) == 61


def test_where_the_repository_alone_has_no_room_it_is_made_elsewhere(many: Path, tmp_path: Path) -> None:
    (many / ".git/ckgit").mkdir(exist_ok=True)
    (many / ".git/ckgit/results").symlink_to("/proc/nowhere")
    done = subprocess.run(
        [*WORDS, "-C", str(many), "results"], check=False, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 31)
    assert not [*tmp_path.glob("ckgit-results-*")]


FILLER = """\
import sys, time
from ckgit.results.from_git import reading
import ckgit
real = reading._rows
def slowly(*words):
    time.sleep(0.05)
    return real(*words)
reading._rows = slowly
print(ckgit.open(sys.argv[1]).sql("SELECT count(*) FROM samples", engine="polars").rows()[0][0])
"""


def test_two_that_fill_at_once_both_have_all(many: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", FILLER, str(many)], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [int(process.communicate()[0]) for process in started] == [3 * 2 * 5 * 8] * 3
    names = {path.suffix for path in (many / ".git/ckgit/results").iterdir()}
    assert names == {"", ".duckdb"}


def test_each_thing_that_cannot_be_read_is_listed(many: Path) -> None:
    """Also of more than are told of by default."""
    add_results(many, range(3, 8), runs=2, samples=8)
    for number in range(6):
        recommit(many, f"r{number:04}", lambda document: document.update(runs=3))
    done = command("-C", str(many), "results")
    assert "and 3 more could not be read whole: ckgit sql" in done.stderr
    query = done.stderr.rpartition('ckgit sql "')[2].rstrip('"\n')
    listed = command("-C", str(many), "sql", query).stdout
    assert [line.split()[0] for line in listed.splitlines()[1:]] == [f"r{number:04}" for number in range(6)]
