"""A task of one's own, from `ckgit task new` to the report: a multiple choice with probabilities, real torchtune and inspect."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.whole import tiny_llama

pytestmark = pytest.mark.slow
WORDS = ["apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house", "ideal", "knife", "lemon", "ocean", "onion", "uncle"]
ROWS = [{"word": word, "kind": "V" if word[0] in "aeiou" else "C", "split": split} for split in ("train", "test") for word in WORDS]
DESIGN = """
experiment: {question: Does it learn to tell vowels?, claims: [{metric: brier, task: vowels, left: tuned, right: base, direction: less}]}
models: [tiny_llama]
data: {words: {path: data/words.jsonl, input_column: word, output_column: kind}}
controls: {epochs: 3, batch_size: 4, lr: 0.003, device: cpu, dtype: fp32, prompt: "{input}?"}
runs: [{name: tuned}, {name: base, type: control}]
evaluation:
  matrix: [{tasks: [vowels]}, {runs: [base], tasks: [vowels_by_scorer, remembered]}]
  tasks:
    - {name: vowels, generation: {max_tokens: 3}}
    - {name: vowels_by_scorer, file: tasks/vowels.py, function: vowels, scorers: [{name: tasks/scorers.py@risk_scorer, args: {of: [V, C]}}]}
    - {name: remembered}
"""
# Any task of inspect: it takes nothing, and has data of its own.
REMEMBERED = """
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import includes


@task
def remembered():
    return Task(dataset=MemoryDataset([Sample(input="Say yes", target="yes"), Sample(input="Say no", target="no")]), scorer=includes())
"""
SCORERS = """
from inspect_ai.scorer import Score, mean, scorer, stderr


@scorer(metrics=[mean(), stderr()])
def risk_scorer(of):
    async def score(state, target):
        return Score(value=of.index(target.text) / 10, answer=state.output.completion)

    return score
"""


def test_a_multiple_choice_of_ones_own_has_its_probabilities_in_the_log_and_its_calibration_in_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    assert ckgit("init", str(folder)).returncode == 0

    def do(*words: str) -> str:
        done = ckgit("-C", str(folder), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    do("models", "add", "tiny_llama", str(tiny_llama()))
    (folder / "data/words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    columns = ("--input-column", "word", "--output-column", "kind")
    do("task", "new", "vowels", "--template", "multiple-choice", "--data", "data/words.jsonl", *columns, "--prompt", "{input}?")
    assert 'LABELS = ("C", "V")' in (folder / "tasks/vowels.py").read_text()
    (folder / "tasks/scorers.py").write_text(SCORERS)
    (folder / "tasks/remembered.py").write_text(REMEMBERED)
    run_git(folder, "add", "data", "tasks")
    run_git(folder, "commit", "--quiet", "--message=My data and my task")
    (tmp_path / "design.yaml").write_text(DESIGN)
    do("design", "mine", "--from", str(tmp_path / "design.yaml"))
    assert "3 of 14 rows" in do("task", "check", "vowels", "--experiment", "mine")
    do("advance", "mine", "--to", "analyzed")

    snapshot = take_snapshot(open_lab(folder), "mine")
    assert sorted(snapshot.summary.summary.recorded.files) == ["tasks/scorers.py"]
    results = json.loads(snapshot.read("experiments/mine/analysis/results.json") or b"")
    cells = {(run["name"], cell["task"]): cell for run in results["runs"] for cell in run["cells"]}
    tuned = {metric["name"]: metric["value"] for metric in cells["tuned", "vowels"]["metrics"]}
    assert list(tuned) == ["accuracy", "brier", "ece", "auc", "told"]
    assert tuned["told"] == 1.0
    assert 0 <= tuned["brier"] <= 1
    assert [metric["value"] for metric in cells["base", "vowels_by_scorer"]["metrics"]] == [pytest.approx(0.1 * 8 / 14)]
    assert (len(cells["base", "remembered"]["samples"]), cells["base", "remembered"]["tokens"]) == (2, None)
    report = (snapshot.read("experiments/mine/analysis/report.md") or b"").decode()
    assert all(f" {name} " in report for name in ("brier", "ece", "auc"))
    assert [line for line in report.splitlines() if line.startswith("| base | remembered") and "not checked" in line]
    assert _probabilities(snapshot.read(cells["tuned", "vowels"]["log"]) or b"") == {1.0}
    verified = do("verify", "mine", "--deep", "--json")
    told = json.dumps(json.loads(verified))
    assert "label brier, ece, auc, told is not one of inspect's: it is not computed again" in told


def _probabilities(log: bytes) -> set[float]:
    """The sum of each answer's probabilities."""
    from inspect_ai.log import read_eval_log

    with tempfile.NamedTemporaryFile(suffix=".eval") as file:
        file.write(log)
        file.flush()
        samples = read_eval_log(file.name).samples or []
        return {round(sum(sample.scores["label"].metadata["probabilities"].values()), 9) for sample in samples}
