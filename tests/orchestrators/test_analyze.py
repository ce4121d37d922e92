"""analyze-experiment on experiments that really ran (their jobs are bash): what is reported, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from ckgit.experiment.design import State
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.results import Results
from ckgit.orchestrators.analyze import analyze
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench

FILES = ["analysis/loss.svg", "analysis/report.md", "analysis/results.json", "analysis/scores.svg", "analyze-experiment.log"]
TWICE = """\
import hashlib, sys
from pathlib import Path
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot import take_snapshot
from ckgit.orchestrators.analyze import analyze
lab = open_lab(Path(sys.argv[1]))
files = analyze(lab, take_snapshot(lab, "demo"))
print(hashlib.sha256(b"".join(path.encode() + files[path] for path in sorted(files))).hexdigest())
"""


def evaluated(bench: Bench) -> Bench:
    assert bench.advance(State.EVALUATED).code is Exit.DONE
    return bench


def refusal(bench: Bench) -> CkgitError:
    """What analyze says; nothing may have been written."""
    before = bench.snapshot.tip
    with pytest.raises(CkgitError) as caught:
        bench.advance(State.ANALYZED)
    assert (bench.snapshot.tip, bench.snapshot.state) == (before, State.EVALUATED)
    return caught.value


def test_one_commit_with_exactly_its_files(bench: Bench) -> None:
    evaluated(bench)
    outcome = bench.advance(State.ANALYZED)
    [taken] = outcome.taken
    assert sorted(bench.files_of(taken.commit)) == sorted([*FILES, "experiment_summary.md"])
    assert bench.story()[-1] == "analyze"


def test_the_report_has_every_run_and_score(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    text = (bench.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "| rank4 | fine-tuned | 4 | 3 | 0.2 | 1 s | – |" in text  # noqa: RUF001
    assert "| base | – | match | accuracy | 0.50 ± 0.10 | 2 | 1 s |" in text  # noqa: RUF001
    found = Results.model_validate_json(bench.snapshot.read("experiments/demo/analysis/results.json") or b"")
    assert [len(run.cells) for run in found.runs] == [1, 1, 1]
    assert "| training | 2 | " in text
    assert "| rank8/eval/capitalization_epoch0 | 1 | done | " in text
    assert [costs.attempts for costs in found.accounting.costs] == [2, 3, 5]
    assert found.accounting.costs[2].elapsed_seconds.known == 5


@pytest.mark.slow
def test_the_same_commit_gives_the_same_bytes_in_other_processes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(bench)
    digests = set()
    for seed, zone in (("0", "UTC"), ("9", "America/New_York")):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("TZ", zone)
        done = subprocess.run([sys.executable, "-c", TWICE, str(bench.folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1


def test_a_log_that_is_gone_is_named(bench: Bench) -> None:
    commit_by_hand(evaluated(bench).folder, "rank8/training.log", None)
    error = refusal(bench)
    assert error.code is Exit.EVIDENCE_MISSING
    assert "rank8/finetune: its logs are not on the branch" in error.what
    assert "rank4" not in error.what


def test_every_log_that_cannot_be_read_is_named(bench: Bench) -> None:
    commit_by_hand(evaluated(bench).folder, "rank8/eval/logs/capitalization_epoch0.json", "{")
    commit_by_hand(bench.folder, "base/eval/logs/capitalization_base.json", "not JSON")
    error = refusal(bench)
    assert error.code is Exit.EVIDENCE_MISSING
    assert "rank8/eval/capitalization_epoch0: Expecting" in error.what
    assert "base/eval/capitalization_base: Expecting" in error.what


def test_a_ledger_without_an_attempt_is_no_evidence(bench: Bench) -> None:
    evaluated(bench)
    ledger = bench.ledger
    short = ledger.model_copy(update={"attempts": ledger.attempts[:-1]})
    commit_by_hand(bench.folder, "jobs.json", short.dump().decode())
    assert "base/eval/capitalization_base: it never ran" in refusal(bench).what


def test_what_was_accepted_as_missing_is_in_the_report(bench: Bench) -> None:
    bench.fail("rank8/eval/capitalization_epoch0")
    assert bench.advance(State.EVALUATED).code is Exit.JOBS_FAILED
    assert bench.advance(State.ANALYZED, accept_missing=True).code is Exit.DONE
    text = (bench.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "- rank8/eval/capitalization_epoch0: the tool ended with exit code 1: the tool says no" in text
    assert "| rank8 | 0 |" not in text
    log = (bench.snapshot.read("experiments/demo/analyze-experiment.log") or b"").decode()
    assert "MISSING rank8/eval/capitalization_epoch0: " in log


def test_claims_are_judged(designed: Callable[..., Bench]) -> None:
    claims = [
        {"metric": "accuracy", "task": "capitalization", "left": "rank4", "right": "base", "direction": "greater"},
        {"metric": "accuracy", "task": "capitalization", "left": "rank8", "right": "rank4", "direction": "greater", "by": 0.5},
    ]
    about = {"name": "demo", "question": "q", "date": "2026-11-23", "claims": claims}
    bench = designed(experiment=about)
    bench.advance(State.ANALYZED)
    found = Results.model_validate_json(bench.snapshot.read("experiments/demo/analysis/results.json") or b"")
    assert [verdict.judgement for verdict in found.claims] == ["supported", "not supported"]
    assert (
        "CLAIM rank4 greater than base (accuracy on capitalization): supported"
        in (bench.snapshot.read("experiments/demo/analyze-experiment.log") or b"").decode()
    )


def test_fine_tuning_without_evaluation_has_a_report(designed: Callable[..., Bench]) -> None:
    bench = designed(tools={"preparation": "tiny-trainer", "evaluation": "none"}, evaluation={}, runs=[])
    bench.advance(State.ANALYZED)
    names = [path.rsplit("/", 1)[-1] for path in bench.snapshot.list("experiments/demo/analysis")]
    assert names == ["loss.svg", "report.md", "results.json"]


def test_what_draws_is_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(bench)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    with pytest.raises(CkgitError) as caught:
        analyze(bench.lab, bench.snapshot)
    assert caught.value.code is Exit.TOOL_MISSING
    assert caught.value.next == 'pip install "ckgit[run]"'


def test_analyze_experiment_is_the_transition_alone(bench: Bench) -> None:
    early = bench.ckgit("analyze-experiment", "demo", check=False)
    assert early.returncode == Exit.ILLEGAL_TRANSITION
    evaluated(bench)
    before = bench.snapshot.tip
    shown = bench.ckgit("analyze-experiment", "demo", "--dry-run").stdout
    assert "experiments/demo/analysis/report.md" in shown
    assert bench.snapshot.tip == before
    bench.ckgit("analyze-experiment", "demo")
    assert bench.snapshot.state is State.ANALYZED
