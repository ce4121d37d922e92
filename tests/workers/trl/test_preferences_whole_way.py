"""Preferences from a file to the report, with real TRL and inspect-ai."""

from __future__ import annotations

import json

import pytest

from ckgit.experiment.results import MARGINS, Results
from tests.whole import WholeLab

pytestmark = pytest.mark.slow
WORDS = [f"word{number}" for number in range(15)]


def said(word: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": word}, {"role": "assistant", "content": answer}]


# As in common sets of preferences: a prompt, and two conversations that begin with it.
PAIRS = [{"prompt": word, "chosen": said(word, word.upper()), "rejected": said(word, word[::-1])} for word in WORDS]
DESIGN = """\
experiment: {question: Does the margin grow?}
tools: {preparation: trl}
models: [tiny]
data:
  pairs: {path: data/pairs.jsonl, fractions: {train: 0.8, test: 0.2}}
controls: {objective: dpo, epochs: 2, lr: 0.003, device: cpu, dtype: fp32, batch_size: 6, validation_split: test}
variables: {beta: [0.3]}
runs: [{name: base, type: control}]
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
"""


def test_from_a_file_to_the_report(tmp_path) -> None:
    lab = WholeLab(tmp_path, {"train": [{"input": "a", "output": "b"}]})
    (lab.folder / "data/pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    lab.commit("Pairs")
    shown = lab.ckgit("data", "show", "data/pairs.jsonl", "--rows", "1")
    assert "shape:   preference (found out), made of prompt, chosen, rejected\n" in shown
    assert "  output:    WORD0\n  rejected:  0drow" in shown
    told = lab.ckgit("design", "demo", "--from", "-", stdin=DESIGN)
    assert "2 runs, 1 of them trained, 2 evaluations" in told
    rendered = lab.ckgit("data", "show", "pairs", "--experiment", "demo", "--rendered", "beta0.3", "--split", "train", "--rows", "1")
    assert "|<|end|>  (6 tokens)" in rendered.partition("rejected:")[2]
    lab.ckgit("advance", "demo", "--to", "analyzed")
    results = Results.model_validate_json(lab.snapshot.read("experiments/demo/analysis/results.json") or b"")
    training = next(run.training for run in results.runs if run.training)
    assert training.steps == 4
    margins = [point.metrics[MARGINS] for point in training.losses]
    assert margins[0] == 0 < margins[-1]
    assert [point.step for point in training.validation] == [2, 4]
    [cell] = [cell for run in results.runs if run.training for cell in run.cells]
    assert cell.tokens
    assert (cell.tokens.rows, cell.tokens.sha256) == (3, training.tokens["capitalization"].sha256)
    report = (lab.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "## Preferences\n\n| run | chosen | rejected | margin | above 0 | held-out margin | held-out above 0 |" in report
    assert "](margins.svg)" in report
    assert (lab.snapshot.read("experiments/demo/analysis/margins.svg") or b"").startswith(b"<?xml")
    assert "follows from what is in git" in lab.ckgit("verify", "demo")
