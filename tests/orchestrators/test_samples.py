"""samples.parquet on a branch: verified like the rest, and left out where it is too large for the lab."""

from __future__ import annotations

import io
import subprocess

import pytest
from pyarrow import parquet

from ckgit.experiment.design.model import State
from ckgit.experiment.results import Results
from ckgit.orchestrators.analyze import files
from ckgit.orchestrators.review.verify.branch import verify_branch
from tests.orchestrators.bench import Bench

PATH = "experiments/demo/analysis/samples.parquet"


def findings(bench: Bench) -> list[tuple[str, str | None]]:
    return [(each.rule, each.path) for each in verify_branch(bench.lab, "demo", bench.snapshot.tip).findings]


def test_it_is_committed_and_follows_from_the_logs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.advance(State.ANALYZED)
    rows = parquet.read_table(io.BytesIO(bench.snapshot.read(PATH) or b"")).to_pylist()
    assert {row["run"] for row in rows} == {"base", "rank4", "rank8"}
    assert PATH not in [path for _, path in findings(bench)]
    monkeypatch.setattr(files, "samples_file", lambda _: b"another")
    assert ("report", PATH) in findings(bench)


def test_one_that_is_too_large_is_left_out_and_the_report_says_so(bench: Bench) -> None:
    toml = bench.folder / "ckgit.toml"
    toml.write_text("max_log_bytes = 1000\n" + toml.read_text())
    subprocess.run(["git", "commit", "-qam", "A small limit"], cwd=bench.folder, check=True)
    bench.advance(State.ANALYZED)
    assert bench.snapshot.read(PATH) is None
    found = Results.model_validate_json(bench.snapshot.read("experiments/demo/analysis/results.json") or b"")
    assert (found.samples_left_out or 0) > 1000
    assert found.max_bytes == 1000
    assert b"`samples.parquet`, every answer, is not committed" in (bench.snapshot.read("experiments/demo/analysis/report.md") or b"")
    toml.write_text(toml.read_text().replace("1000", "5000000"))  # whoever verifies may have another limit
    assert PATH not in [path for _, path in findings(bench)]
