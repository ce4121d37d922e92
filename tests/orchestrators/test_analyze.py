"""analyze-experiment on experiments that really ran (their jobs are bash): what is reported, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from ckgit.analysis.plots.drawing import Picture
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Ledger, Usage
from ckgit.experiment.results import Results
from ckgit.formats.numbers import duration
from ckgit.formats.yaml.text import write_yaml
from ckgit.orchestrators.analyze.analyze import analyze
from ckgit.orchestrators.design import draft as design
from ckgit.orchestrators.engine.experiment import open_experiment
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import DESIGN, Bench

PICTURES = [f"analysis/{name}.{form}" for name in ("design", "loss", "scores") for form in ("pdf", "png", "svg")]
ANALYSIS = ("report.html", "report.md", "results.json", "samples.parquet")
FILES = [*PICTURES, *(f"analysis/{name}" for name in ANALYSIS), "analyze-experiment.log"]
TWICE = """\
import hashlib, sys
from pathlib import Path
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.analyze.analyze import analyze
from ckgit.orchestrators.engine.experiment import open_experiment
files = analyze(open_experiment(open_lab(Path(sys.argv[1])), "demo"))
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
    result = bench.advance(State.ANALYZED)
    [taken] = result.commits
    assert sorted(bench.files_of(taken.commit)) == sorted([*FILES, "experiment_summary.md"])
    assert bench.history()[-1] == "analyze"


def test_the_report_has_every_run_and_score(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    text = (bench.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "| rank4 | fine-tuned | 4 | 3 | 0.2 | 1 s | " in text
    assert "| base | – | match | accuracy | 0.500 [0.095, 0.905] | 2 | 1 s |" in text  # noqa: RUF001
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
    for seed, zone, locale in (("0", "UTC", "C"), ("9", "America/New_York", "de_DE.UTF-8")):
        monkeypatch.setenv("LC_ALL", locale)
        monkeypatch.setenv("MPLBACKEND", "module://of.a.notebook")
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
    assert "| rank8 | 0 | – | – | – missing: the tool ended with exit code 1: the tool says no | – | – |" in text  # noqa: RUF001
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
        "CLAIM these two models; another seed may differ: supported: accuracy on capitalization: rank4 greater than base, "
        "0.400 [0.123, 0.677]; the whole interval"
        in (bench.snapshot.read("experiments/demo/analyze-experiment.log") or b"").decode()
    )


def test_fine_tuning_without_evaluation_has_a_report(designed: Callable[..., Bench]) -> None:
    bench = designed(tools={"preparation": "tiny-trainer", "evaluation": "none"}, evaluation={}, runs=[])
    bench.advance(State.ANALYZED)
    names = [path.rsplit("/", 1)[-1] for path in bench.snapshot.list("experiments/demo/analysis")]
    assert names == ["loss.pdf", "loss.png", "loss.svg", "report.html", "report.md", "results.json"]


def test_what_draws_is_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(bench)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    with pytest.raises(CkgitError) as caught:
        analyze(open_experiment(bench.lab, "demo"))
    assert caught.value.code is Exit.TOOL_MISSING
    assert caught.value.next == 'pip install "ckgit[run]"'


def lengthened(ledger: Ledger, seconds: float) -> Ledger:
    """A ledger in which every attempt took that long: real ones here take no measurable time."""
    attempts = [each.model_copy(update={"usage": Usage(elapsed_seconds=seconds, gpus=1)}) for each in ledger.attempts]
    return ledger.with_attempts(*attempts)


def test_the_report_says_how_far_the_estimate_was_off(bare_bench: Bench) -> None:
    text = write_yaml({**DESIGN, "controls": {"batch_size": 2, "device": "cpu", "dtype": "fp32"}})
    made = design.draft_new(bare_bench.lab, "demo", text.encode(), "d.yaml")
    design.commit(made)
    bench = evaluated(bare_bench)
    commit_by_hand(bench.folder, "jobs.json", lengthened(bench.ledger, 100.0).dump().decode(), bench.message())  # as ckgit's own
    bench.advance(State.ANALYZED)
    found = Results.model_validate_json(bench.snapshot.read("experiments/demo/analysis/results.json") or b"")
    training, evaluation, everything = found.accounting.estimate
    compared = [(each.jobs, each.compared, each.taken_seconds) for each in found.accounting.estimate]
    assert compared == [(2, 2, 200.0), (3, 3, 300.0), (5, 5, 500.0)]
    expected = made.forecast.estimate.seconds()
    assert everything.estimated_seconds == pytest.approx(sum(expected.values()))
    assert training.ratio == pytest.approx(200 / (expected["rank4/finetune"] + expected["rank8/finetune"]))
    assert evaluation.ratio
    report = (bench.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert f"| training | 2 | {duration(200 / training.ratio)} | 3:20 | {training.ratio:.3g} |" in report
    assert "assumed, as no experiment of this clone, merged ones included, has such a job done on cluster local" in report
    shown = bench.ckgit("show", "demo").stdout
    assert f"training    2     {duration(200 / training.ratio)}" in shown
    of_run = json.loads(bench.ckgit("show", "demo", "base", "--json").stdout)["accounting"]
    assert [(each["stage"], each["jobs"]) for each in of_run["estimate"]] == [("evaluation", 1), (None, 1)]
    learned = design.draft_new(bench.lab, "next", text.encode(), "d.yaml").forecast.estimate
    assert learned.seconds()["rank4/finetune"] == pytest.approx(100, rel=1e-3)


def test_an_estimate_of_another_design_is_not_compared(bare_bench: Bench) -> None:
    design.commit(design.draft_new(bare_bench.lab, "demo", write_yaml({**DESIGN, "controls": {"batch_size": 2}}).encode(), "d.yaml"))
    summary = bare_bench.snapshot.summary_bytes().decode()
    commit_by_hand(bare_bench.folder, "experiment_summary.md", summary.replace("batch_size: 2", "batch_size: 1"))
    assert bare_bench.snapshot.estimate() is None


def test_an_estimate_that_cannot_be_read_is_not_taken_for_none(bench: Bench) -> None:
    commit_by_hand(evaluated(bench).folder, "estimate.json", "{}")
    error = refusal(bench)
    assert error.code is Exit.EVIDENCE_MISSING
    assert "the estimate cannot be read" in error.what
    assert "estimate.json" in error.where


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


def test_an_analyzed_experiment_is_analyzed_again_where_another_report_comes_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # as an earlier ckgit, that drew another picture and wrote another title
        older = {name: Picture("", b"<svg/>", b"", b"") for name in ("scores", "older")}
        patch.setattr("ckgit.orchestrators.analyze.files.pictures_of", lambda _: older)
        bench.advance(State.ANALYZED)
    bench.advance()
    assert bench.history()[-2:] == ["analyze", "analyze"]
    assert bench.snapshot.state is State.ANALYZED
    assert not [path for path in bench.snapshot.list("experiments/demo/analysis") if path.endswith("older.svg")]
    listed = json.loads(bench.ckgit("verify", "demo", "--json", check=False).stdout)["experiments"][0]["findings"]
    assert listed
    assert not [each for each in listed if each["commit"] == bench.snapshot.tip]  # what is wrong is wrong with the first
    assert bench.advance().message.startswith("nothing to do")
