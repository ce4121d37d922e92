import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from ckgit.cli.show import _result_lines, _scores
from ckgit.errors import Exit
from ckgit.experiment.design.model import RunType, State
from ckgit.experiment.results import CellResult, Metric, RunRow, Sample
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench


def shown(bench: Bench, *words: str) -> Any:
    return json.loads(bench.ckgit("show", "demo", *words, "--json").stdout)


def test_a_design_with_its_runs(bench: Bench) -> None:
    text = bench.ckgit("show", "demo").stdout
    assert text.startswith("demo: designed\nquestion:    Does training help?\n")
    assert "tools:       tiny-trainer for preparation, tiny-evaluator for evaluation" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["rank4", "fine-tuned", "4", "0", "of", "2"] in rows
    assert ["base", "control", "0", "of", "1"] in rows


def test_results_once_it_is_analyzed(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    text = bench.ckgit("show", "demo").stdout
    assert "rank4  fine-tuned  4          2 of 2     0.2         capitalization epoch 0 accuracy 0.900 [0.704, 1.000]" in text
    assert "[95 % over rows]: 95 % confidence interval over the evaluated rows; variance between training seeds is not included." in text
    assert "report: git show exp/demo:experiments/demo/analysis/report.md" in text
    document = shown(bench)
    assert [run["results"]["cells"][0]["metrics"][0]["value"] for run in document["runs"]] == [0.9, 0.9, 0.5]
    assert document["runs"][0]["results"]["cells"][0]["samples"] == []
    samples = shown(bench, "rank4")["runs"][0]["results"]["cells"][0]["samples"]
    assert [(sample["id"], sample["scores"]) for sample in samples] == [(0, {"match": "C"}), (1, {"match": "C"})]


def test_what_it_took_is_shown_before_it_is_analyzed_too(bench: Bench) -> None:
    assert "GPU-hours" not in bench.ckgit("show", "demo").stdout
    bench.fail("rank4/finetune")
    bench.advance(State.TRAINED)
    lines = [line.split() for line in bench.ckgit("show", "demo").stdout.splitlines()]
    assert ["stage", "attempts", "queue", "wait", "elapsed", "GPU-hours", "CPU", "time", "peak", "memory", "GPU", "use"] in lines
    [training] = [line for line in lines if line[0:1] == ["training"]]
    assert training[:4] == ["training", "2", "(1", "failed)"]
    assert training[-4:] == ["–"] * 4  # noqa: RUF001 - no scheduler counted the GPUs, and locally nobody counts the rest
    document = shown(bench)["accounting"]
    [training, *_, everything] = document["costs"]
    assert (training["stage"], training["attempts"], training["elapsed_seconds"]["known"]) == ("training", 2, 2)
    assert training["cpu_seconds"] == {"value": None, "known": 0}
    assert everything["attempts"] == len(document["attempts"])
    of_run = shown(bench, "rank4")["accounting"]
    assert [(each["job"], each["phase"]) for each in of_run["attempts"]] == [("rank4/finetune", "failed")]
    assert "rank4/finetune  1        failed" in bench.ckgit("show", "demo", "rank4").stdout


def test_a_run_that_is_not_trained_has_no_settings_of_training(bench: Bench) -> None:
    used = shown(bench, "base")["runs"][0]["parameters"]
    assert {"lr", "epochs", "lora_rank", "seed", "method"} & used.keys() == set()
    assert (used["prompt"], used["model"]["value"]) == ({"value": "{input}", "source": "default"}, "tiny")
    assert "lora_rank" not in bench.ckgit("show", "demo", "base").stdout


def test_a_run_with_every_parameter_and_its_source(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    text = bench.ckgit("show", "demo", "rank8").stdout
    assert text.startswith("demo rank8: fine-tuned, model tiny\n")
    lines = [line.split() for line in text.splitlines()]
    assert ["lora_rank", "8", "run"] in lines
    assert ["lr", "0.0003", "default"] in lines
    assert ["capitalization_epoch0", "test", "{input}", '""', "max_tokens", "128,", "temperature", "0.0", "the", "task's", "own"] in lines
    assert any(line[:3] == ["rank8/finetune", "1", "done"] for line in lines)
    run = shown(bench, "rank8")["runs"][0]
    assert run["parameters"]["lora_rank"] == {"value": 8, "source": "run"}
    assert [job["condition"] for job in run["jobs"]] == ["done", "not submitted"]


def test_there_is_no_such_run(bench: Bench) -> None:
    done = bench.ckgit("show", "demo", "rank9", check=False)
    assert done.returncode == Exit.USAGE
    assert "demo has no run 'rank9'" in done.stderr
    assert "name one of: rank4, rank8, base" in done.stderr
    assert "did you mean" not in bench.ckgit("show", "demo", "rank6", check=False).stderr  # another value is another run
    assert "did you mean rank8?" in bench.ckgit("show", "demo", "lora_rank8", check=False).stderr


@pytest.mark.parametrize("words", [(), ("base",)])
def test_damaged_results_are_not_taken_for_none(bench: Bench, words: tuple[str, ...]) -> None:
    bench.advance(State.ANALYZED)
    commit_by_hand(bench.folder, "analysis/results.json", "{}")
    done = bench.ckgit("show", "demo", *words, check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert "the results cannot be read" in done.stderr


def test_claims_with_their_verdict(designed: Callable[..., Bench]) -> None:
    claim = {"metric": "accuracy", "task": "capitalization", "left": "rank4", "right": "base", "direction": "greater", "by": 0.9}
    bench = designed(experiment={"name": "demo", "question": "q", "date": "2026-11-23", "claims": [claim]})
    bench.advance(State.ANALYZED)
    [line] = [line for line in bench.ckgit("show", "demo").stdout.splitlines() if "greater than" in line]
    stated = "accuracy on capitalization: rank4 greater than base by at least 0.9"
    why = "the whole interval falls short of 0.9: at most 0.6772; rank4 was trained with one seed: this does not generalize to its settings"
    assert re.split(" {2,}", line) == ["these two models; another seed may differ: not supported", stated, "0.400 [0.123, 0.677]", "2", why]
    assert shown(bench)["claims"][0]["judgement"] == "not supported"


def test_what_has_no_score_is_counted_for_a_run_and_for_all() -> None:
    metrics = (
        Metric(scorer="match", name="accuracy", value=1.0, stderr=0.0, samples=2, asked=8, low=0.071, high=1.0, interval="Wilson"),
        Metric(scorer="match", name="auc", value=None, samples=2, asked=8),
    )
    samples = tuple(Sample(id=place, scores={"match": 1.0 if place < 2 else None}) for place in range(8))
    cell = CellResult(run="a", task="t", log="a.eval", log_sha256="0" * 64, seconds=1.0, samples=samples, metrics=metrics)
    row = RunRow(name="a", type=RunType.CONTROL, cells=(cell,))
    assert _scores(row) == ["t accuracy 1.000 [0.071, 1.000] (2 of 8 scored)", "t auc undefined (2 of 8 scored)"]
    assert list(_result_lines(row))[:2] == [
        "t: accuracy (match) 1.000 [0.071, 1.000] (2 of 8 scored), 2 rows",
        "t: auc (match) undefined (2 of 8 scored), 2 rows",
    ]


def test_results_of_an_earlier_version_are_shown_by_their_errors() -> None:
    metrics = (Metric(scorer="match", name="accuracy", value=0.54, stderr=0.05, samples=100),)
    samples = tuple(Sample(id=place, scores={"match": 1.0 if place < 54 else 0.0}) for place in range(100))
    cell = CellResult(run="a", task="t", log="a.eval", log_sha256="0" * 64, seconds=1.0, samples=samples, metrics=metrics)
    row = RunRow(name="a", type=RunType.CONTROL, cells=(cell,))
    assert _scores(row) == ["t accuracy 0.54 (standard error 0.05)"]


def test_metrics_of_one_name_are_told_apart_by_their_scorer() -> None:
    metrics = tuple(Metric(scorer=scorer, name="accuracy", value=value, samples=2) for scorer, value in (("match", 0.5), ("includes", 1.0)))
    shared: dict[str, Any] = {"run": "base", "log": "base.eval", "log_sha256": "0" * 64, "seconds": 1.0, "samples": ()}
    cells = (CellResult(task="both", metrics=metrics, **shared), CellResult(task="one", metrics=metrics[:1], **shared))
    row = RunRow(name="base", type=RunType.CONTROL, cells=cells)
    assert _scores(row) == ["both accuracy (match) 0.5", "both accuracy (includes) 1", "one accuracy 0.5"]


def test_what_jobs_left_that_ended_since_the_last_commit_is_shown_and_is_no_result_yet(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.hold("rank8/eval/capitalization_epoch0")
    bench.advance(State.EVALUATED, wait=False)
    before = bench.snapshot.tip
    token = bench.latest("rank4/eval/capitalization_epoch0").token
    bench.until((bench.work / ".ckgit/jobs" / token / "status.json").exists)
    text = bench.ckgit("show", "demo", "rank4").stdout
    assert "ended, and not committed yet; it counts when all of its stage is judged:\n  rank4/eval/capitalization_epoch0: accuracy" in text
    [run] = shown(bench, "rank4")["runs"]
    assert run["results"] is None
    [ended] = run["ended"]
    assert (ended["cells"][0]["metrics"][0]["value"], ended["cells"][0]["samples"], ended["problems"]) == (0.9, [], [])
    assert shown(bench, "rank8")["runs"][0]["ended"] == []
    assert bench.snapshot.tip == before
    bench.go("rank8/eval/capitalization_epoch0")
    bench.advance(State.EVALUATED)
    assert "ended" not in bench.ckgit("show", "demo", "rank4").stdout.partition("\nweights:")[2]
    assert shown(bench, "rank4")["runs"][0]["ended"] == []
