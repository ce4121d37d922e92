"""A scorer that abstains, through the whole program: real jobs, inspect-ai, the report and `ckgit show`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.whole import shell, tiny_llama

pytestmark = pytest.mark.slow
TASK = '''\
from inspect_ai import Task, task
from inspect_ai.scorer import Score, accuracy, scorer, stderr

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset


@scorer(metrics=[accuracy(), stderr()])
def shy():
    """Of the polite prompt it scores rows 1 and 2 alone; of the other one all, and rows 1 to 4 are right."""
    async def score(state, target):
        polite = "Please" in state.input_text
        value = 1.0 if state.sample_id <= 4 else 0.0
        return Score(value=float("nan") if polite and state.sample_id > 2 else value)
    return score


@task
def abstain(data, split="test", prompt="{input}", system_prompt="", input_column="input", output_column="output", scorers=None):
    dataset = rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column)
    return Task(dataset=dataset, solver=ask(system_prompt), scorer=shy())
'''
DESIGN = """\
schema_version: 1
experiment:
  name: shy
  question: Which prompt?
  date: 2026-11-23
  claims: [{metric: accuracy, task: abstain, left: polite, right: plain, direction: greater}]
models: [tiny_llama]
data: {words: {path: data/words_5L.json}}
tools: {preparation: none}
controls: {device: cpu, dtype: fp32}
runs:
  - {name: polite, type: control, parameters: {prompt: "Please: {input}"}}
  - {name: plain, type: control}
evaluation:
  tasks: [{name: abstain, limit: 8}]
  generation: {max_tokens: 2}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab after the experiment."""
    model, folder = tiny_llama(), tmp_path_factory.mktemp("shy")
    (folder / "home").mkdir()
    command(folder, "init", "lab", "--slots", "1")
    command(folder / "lab", "models", "add", "tiny_llama", str(model))
    (folder / "lab/tasks/abstain.py").write_text(TASK)
    (folder / "design.yaml").write_text(DESIGN)
    for words in (("add", "."), ("commit", "--quiet", "--message=A task that abstains")):
        subprocess.run(["git", *words], cwd=folder / "lab", env=environment(folder), check=True)
    command(folder / "lab", "design", "shy", "--from", "../design.yaml")
    command(folder / "lab", "advance", "shy", "--to", "analyzed")
    return folder / "lab"


def environment(folder: Path) -> dict[str, str]:
    return shell(folder / "home", warm=True) | {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def command(folder: Path, *words: str) -> str:
    place = folder if (folder / "home").exists() else folder.parent
    done = subprocess.run(["ckgit", *words], cwd=folder, env=environment(place), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_scored_rows_support_nothing(lab: Path) -> None:
    [verdict] = json.loads(command(lab, "show", "shy", "--json"))["claims"]
    assert verdict["judgement"] == "undecided"
    assert (verdict["paired"], verdict["samples"], verdict["left_scored"], verdict["left_asked"]) == (True, 8, 2, 8)
    # Bonett and Price: missing as 0 is -0.2 - 0.371877, as 1 is 0.4 + 0.411125
    assert (verdict["low"], verdict["high"]) == (pytest.approx(-0.571877, abs=1e-6), pytest.approx(0.811125, abs=1e-6))


def test_the_count_stands_beside_the_number_everywhere(lab: Path) -> None:
    number = "accuracy 1.000 [0.071, 1.000] (2 of 8 scored)"
    folder = "experiments/shy/analysis"
    report = subprocess.run(["git", "show", f"exp/shy:{folder}/report.md"], cwd=lab, capture_output=True, text=True, check=True).stdout
    log = subprocess.run(["git", "log", "--format=%B", "exp/shy"], cwd=lab, capture_output=True, text=True, check=True).stdout
    picture = subprocess.run(["git", "show", f"exp/shy:{folder}/scores.svg"], cwd=lab, capture_output=True, text=True, check=True).stdout
    shown = command(lab, "show", "shy")
    assert f"abstain {number}" in shown
    assert "0.500 [-0.572, 0.811] (polite: 2 of 8 scored)" in shown
    assert "abstain: accuracy (shy) 1.000 [0.071, 1.000] (2 of 8 scored)" in command(lab, "show", "shy", "polite")
    assert "| accuracy | 1.000 [0.071, 1.000] (2 of 8 scored) | 2 of 8 |" in report
    assert f"polite/eval/abstain_base: {number}, 8 samples" in log
    assert "<!-- 1 (2 of 8 scored) -->" in picture
    for text in (shown, report, log):
        assert "±" not in text.partition("How the numbers are made")[0]
