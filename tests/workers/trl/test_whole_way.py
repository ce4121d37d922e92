"""TRL from the design to the report, with inspect-ai: what is evaluated is the merged folder, and who trained it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.results import Results, last_evaluated
from tests.whole import WholeLab

pytestmark = pytest.mark.slow
ROWS = [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(12)]
DESIGN = """\
experiment: {question: Does TRL train what is evaluated?}
tools: {preparation: trl}
models: [tiny]
data:
  words: {path: data/words.json}
controls: {epochs: 4, lr: 0.003, device: cpu, dtype: fp32, batch_size: 5, validation_split: test, keep_best: true,
  early_stopping_patience: 1, early_stopping_threshold: 100}
variables: {lora_rank: [4]}
runs: [{name: base, type: control}, {name: alone, parameters: {lora_rank: 4, save: adapter}}]
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
  matrix: [{runs: [rank4, alone]}, {runs: [rank4], epochs: best}, {runs: [base]}]
"""
STOPPED = "after 2 of 4 epochs the validation loss had not fallen by more than 100 for 1 measurement; it was lowest"


def test_from_design_to_report(tmp_path) -> None:
    lab = WholeLab(tmp_path, {"train": ROWS, "test": ROWS[:3]})
    designed = lab.ckgit("design", "demo", "--from", "-", stdin=DESIGN)
    assert "3 runs, 2 of them trained, 4 evaluations" in designed
    assert "3 steps per epoch, at most 12 in all" in (lab.snapshot.read("experiments/demo/design-experiment.log") or b"").decode()
    lab.ckgit("advance", "demo", "--to", "analyzed")
    assert f"stopped early: {STOPPED}" in " ".join(lab.ckgit("show", "demo", "rank4").split())
    assert f"rank4/finetune stopped early at step 6 of 12: {STOPPED}" in " ".join(lab.ckgit("status", "demo").split())
    assert f"rank4 stopped early: {STOPPED}" in " ".join(lab.ckgit("show", "demo").split())
    results = Results.model_validate_json(lab.snapshot.read("experiments/demo/analysis/results.json") or b"")
    trained, alone = [run for run in results.runs if run.training]
    assert trained.training
    assert (trained.training.steps, len(trained.training.losses)) == (6, 6)
    best, last = trained.training.checkpoints
    found = [(cell.checkpoint, cell.weights, cell.tokens and cell.tokens.rows) for cell in trained.cells]
    assert found == [("last", last.weights, 3), ("best", best.weights, 3)]
    assert (last.epoch, last.step, last_evaluated(trained.cells).checkpoint) == (1, 6, "last")
    assert [point.step for point in trained.training.validation] == [3, 6]
    report = (lab.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "### rank4: trl\n\nMerged models differ from adapter and base by at most " in report
    assert "| trl | 1.16.0 |" in report
    assert "| 6 of 12 |" in report
    assert f"- **rank4 stopped early:** {STOPPED}" in report
    rows = json.loads(lab.ckgit("sql", "SELECT steps, planned_steps FROM runs WHERE run = 'rank4'", "--format", "json"))
    assert rows == [{"steps": 6, "planned_steps": 12}]
    shown = json.loads(lab.ckgit("show", "demo", "rank4", "--json"))
    assert shown["runs"][0]["parameters"]["lora_rank"] == {"value": 4, "source": "run"}
    assert "what could be checked follows from what is in git" in lab.ckgit("verify", "demo", "--deep")
    [without] = alone.cells
    assert (without.samples, without.tokens) == (trained.cells[0].samples, trained.cells[0].tokens)
    saved = alone.training and alone.training.checkpoints[-1]
    assert saved
    assert saved.weights == without.weights != last.weights
    assert {"adapter_config.json", "adapter_model.safetensors", "base/model.safetensors"} <= saved.files.keys()
    assert "model.safetensors" not in saved.files
    assert "is an adapter alone" in lab.ckgit("models", "add", "mine", "--from", "demo", "alone", code=Exit.EVIDENCE_MISSING)
    lab.ckgit("clean", "demo", "--checkpoints", "--keep", "last", "--yes")
    artifacts = Path(lab.ledger.work_tree) / "experiments/demo/rank4/artifacts"
    assert [path.name for path in artifacts.iterdir() if path.is_dir()] == ["last"]
