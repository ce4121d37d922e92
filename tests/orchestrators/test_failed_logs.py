"""Logs of evaluations that failed, committed by processes that never imported inspect; a stand-in for its command leaves the log."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import Exit
from tests.orchestrators.bench import Bench

ROOT = Path(__file__).parents[2]
CELL, LOG = "base/eval/capitalization_base", "experiments/demo/base/eval/logs/capitalization_base.eval"
INSPECT_AI = "0.3.285"  # the version that ckgit[run] wants
INSPECT = """\
import os, shutil, sys
def main():
    folder = sys.argv[sys.argv.index("--log-dir") + 1]
    os.makedirs(folder, exist_ok=True)
    shutil.copy({log!r}, folder + "/made.eval")
"""
_PACK = """\
import sys, zipfile, zipfile_zstd
with zipfile.ZipFile(sys.argv[1], "w", 93) as archive:
    archive.writestr("header.json", '{"status": "error", "error": {"message": "the model said no"}}')
    archive.writestr("samples/1_epoch_1.json", sys.argv[2])
"""


def pack(log: Path, sample: str = "{}") -> bytes:
    """Write a log as inspect packs it, in another process: Zstandard is not known to this one by accident."""
    subprocess.run([sys.executable, "-c", _PACK, log, sample], check=True)
    return log.read_bytes()


@pytest.fixture
def evaluated(designed: Callable[..., Bench], bare_bench: Bench, run: Callable[..., str]) -> Bench:
    """The experiment in state trained, with one evaluation to come; its log will be a copy of steer/log.eval."""
    pytest.importorskip("zstandard")
    site = bare_bench.steer / "site"
    info = site / "inspect_ai-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: inspect-ai\nVersion: {INSPECT_AI}\n")
    (info / "entry_points.txt").write_text("[console_scripts]\ninspect = stand_in:main\n")
    (site / "stand_in.py").write_text(INSPECT.format(log=str(bare_bench.steer / "log.eval")))
    bare_bench.set_up(f"export PYTHONPATH='{site}:{ROOT}'")
    tools = {"preparation": "tiny-trainer", "evaluation": "inspect-ai"}
    bench = designed(variables={}, data={}, tools=tools, controls={"device": "cpu", "dtype": "fp32"})
    bench.apart("advance", "demo", "--to", "trained")
    return bench


def advance(bench: Bench) -> None:
    """See the evaluation fail, and its failure committed."""
    done = bench.apart("advance", "demo", check=False)
    assert (done.returncode, bench.history()[-1]) == (Exit.JOBS_FAILED, "fail"), done.stderr


def check_retry(bench: Bench) -> None:
    """A further attempt is made, and fails again."""
    assert bench.apart("retry", "demo", check=False).returncode == Exit.JOBS_FAILED
    assert (bench.history()[-2:], bench.latest(CELL).number) == (["retry", "fail"], 2)


def test_the_log_of_a_failed_evaluation_is_committed(evaluated: Bench) -> None:
    content = pack(evaluated.steer / "log.eval")
    advance(evaluated)
    assert evaluated.snapshot.read(LOG) == content
    assert "the model said no" in evaluated.apart("why", "demo").stdout
    check_retry(evaluated)


@pytest.mark.parametrize("damage", ["cut", "sample"])
def test_a_log_that_cannot_be_searched_stays_and_a_note_is_committed(evaluated: Bench, damage: str) -> None:
    log = evaluated.steer / "log.eval"
    whole = pack(log, "x" * 10)
    with zipfile.ZipFile(log) as archive:
        start = archive.getinfo("samples/1_epoch_1.json").header_offset + len("samples/1_epoch_1.json") + 30
    log.write_bytes(whole[: len(whole) // 2] if damage == "cut" else whole[:start] + bytes(4) + whole[start + 4 :])
    advance(evaluated)
    note = json.loads(evaluated.snapshot.read(f"{LOG}.json") or b"")
    content = (evaluated.work / LOG).read_bytes()
    assert content == log.read_bytes()
    assert (note["not_committed"], note["bytes"], note["sha256"]) == (LOG, len(content), hashlib.sha256(content).hexdigest())
    assert note["reason"].startswith("the log cannot be unpacked: ")
    assert evaluated.snapshot.read(LOG) is None
    said = {"cut": "the log cannot be read, it was cut short or damaged: File is not a zip file", "sample": "the model said no"}[damage]
    assert said in evaluated.apart("why", "demo").stdout
    check_retry(evaluated)


def test_a_secret_is_found_in_what_inspect_packs(evaluated: Bench) -> None:
    pack(evaluated.steer / "log.eval", "hf_" + "aB3" * 12)
    done = evaluated.apart("advance", "demo", check=False)
    assert done.returncode == Exit.USAGE
    assert "samples/1_epoch_1.json:1: a Hugging Face token: hf_a" in done.stderr
