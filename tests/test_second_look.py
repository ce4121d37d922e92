"""A mistake is found after training: with real torchtune and inspect-ai, it costs what it touches and nothing more."""

from __future__ import annotations

import shutil

import pytest

from ckgit.experiment.results import Results
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.whole import WholeLab

pytestmark = pytest.mark.slow
ROWS = [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(12)]
DESIGN = """\
experiment: {question: What does a mistake cost?}
models: [tiny]
data:
  words: {path: data/words.json}
controls: {epochs: 1, lr: 0.003, device: cpu, dtype: fp32, batch_size: 4}
runs: [{name: one}]
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
"""
LATER = """\
experiment: {question: What does it answer now?}
tools: {preparation: none}
models: [upper]
data:
  words: {path: data/words.json}
controls: {model: upper, device: cpu, dtype: fp32}
runs: [{name: before, type: eval-only, checkpoint: upper}]
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
"""
TRAINING, EVALUATION = "one/finetune", "one/eval/capitalization_epoch0"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> WholeLab:
    """One run, trained and evaluated; then its task is mended on the default branch."""
    made = WholeLab(tmp_path_factory.mktemp("look"), {"train": ROWS, "test": ROWS[:2]})
    made.ckgit("design", "demo", "--from", "-", stdin=DESIGN)
    made.ckgit("advance", "demo", "--to", "analyzed")
    task = made.folder / "tasks/capitalization.py"
    task.write_text(task.read_text().replace("ignore_case=False", "ignore_case=True"))
    made.commit("Case does not matter")
    return made


def ran(lab: WholeLab) -> list[str]:
    return [attempt.job for attempt in lab.ledger.attempts if not attempt.kept]


def results(lab: WholeLab) -> Results:
    return Results.model_validate_json(lab.snapshot.read("experiments/demo/analysis/results.json") or b"")


def test_a_task_that_is_mended_costs_one_evaluation(lab: WholeLab) -> None:
    before = results(lab)
    said = lab.ckgit("revise", "demo")
    assert "main has a newer tasks/capitalization.py" in said
    assert "nothing changes" in said
    shown = lab.ckgit("revise", "demo", "--update", "tasks/capitalization.py", "--dry-run")
    assert shown.index("one  kept      again") < shown.index("would commit to exp/demo")
    assert lab.snapshot.state == "analyzed"

    lab.ckgit("revise", "demo", "--update", "tasks/capitalization.py")
    lab.ckgit("advance", "demo", "--to", "analyzed")

    assert ran(lab) == [EVALUATION]
    after = results(lab)
    assert after.runs[0].training == before.runs[0].training
    assert after.runs[0].cells[0].weights == before.runs[0].cells[0].weights
    assert after.runs[0].cells[0].log_sha256 != before.runs[0].cells[0].log_sha256
    assert "all that is recorded follows from what is in git" in lab.ckgit("verify", "demo")
    report = lab.snapshot.read("experiments/demo/analysis/report.md") or b""
    assert b"## What was kept" in report
    assert TRAINING.encode() in report


def test_another_prompt_of_the_task_costs_no_training(lab: WholeLab) -> None:
    """Training had compared other tokens than those that are asked now: the evaluation compares them by itself."""
    lab.ckgit("revise", "demo", "--set", 'evaluation.tasks.0.prompt="Say {input}"')
    lab.ckgit("advance", "demo", "--to", "analyzed")
    assert ran(lab) == [EVALUATION]
    report = (lab.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "recorded nothing for this task" in report
    assert "all that is recorded follows from what is in git" in lab.ckgit("verify", "demo")


def test_a_run_that_is_added_costs_one_training(lab: WholeLab) -> None:
    lab.ckgit("revise", "demo", "--set", "runs=[{name: one}, {name: two, parameters: {lr: 0.01}}]")
    lab.ckgit("advance", "demo", "--to", "analyzed")
    assert sorted(ran(lab)) == ["two/eval/capitalization_epoch0", "two/finetune"]
    assert [run.name for run in results(lab).runs] == ["one", "two"]
    assert "all that is recorded follows from what is in git" in lab.ckgit("verify", "demo")


def test_what_was_trained_is_a_model_for_other_designs(lab: WholeLab) -> None:
    """Its card says where it came from, the report of whoever takes it says so, and its files outlive the work tree."""
    lab.ckgit("models", "add", "upper", "--from", "demo", "nobody", code=2)
    assert "has no checkpoint of epoch 7 (it has: 0)" in lab.ckgit("models", "add", "upper", "--from", "demo", "one", "7", code=8)
    lab.ckgit("models", "add", "upper", "--from", "demo", "one", "0")
    lab.ckgit("models", "add", "upper", "--from", "demo", "one")  # the same one
    shutil.move(lab.ledger.work_tree, f"{lab.ledger.work_tree}-away")
    lab.ckgit("design", "later", "--from", "-", stdin=LATER)
    lab.ckgit("advance", "later", "--to", "analyzed")
    found = take_snapshot(open_lab(lab.folder), "later")
    report = (found.read("experiments/later/analysis/report.md") or b"").decode()
    assert "- upper: epoch_0 of run one of demo at" in report
    later = Results.model_validate_json(found.read("experiments/later/analysis/results.json") or b"")
    trained = results(lab).runs[0].training
    assert trained
    assert later.runs[0].cells[0].weights == trained.checkpoints[0].weights
