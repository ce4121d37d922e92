"""Families that torchtune does not build go from the design to the report, on packed rows: tiny models with random weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.examples.tiny_model import ARCHITECTURE, byte_tokenizer
from ckgit.experiment.results import MARGINS, Results
from ckgit.lab.models.folder import read_card
from ckgit.workers.torchtune import worker as torchtune
from ckgit.workers.trl import worker
from ckgit.workers.trl.outputs.merged import TrlTraining
from tests.orchestrators.review.lies import Liar
from tests.whole import WholeLab
from tests.workers.trl.jobs import TOKEN, Trained
from tests.workers.trl.preferences import make_tree

pytestmark = pytest.mark.slow
FAMILIES = {"qwen3": "Qwen3Config", "gemma3_text": "Gemma3TextConfig", "granite": "GraniteConfig"}
ROWS = [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(9)]
DESIGN = """\
experiment: {question: Do they train?}
tools: {preparation: trl}
models: [qwen3, gemma3_text, granite]
data:
  words: {path: data/words.json}
controls: {device: cpu, dtype: fp32, batch_size: 2, lora_rank: 4, lr: 0.01, packing_length: 40}
variables: {model: [qwen3, gemma3_text, granite]}
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
"""


def write_model(folder: Path, config: str) -> None:
    import torch
    import transformers

    tokenizer = byte_tokenizer()
    sizes = ARCHITECTURE.model_dump(exclude={"rope_theta", "rope_scaling"}, exclude_none=True)
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(1)
    transformers.AutoModelForCausalLM.from_config(getattr(transformers, config)(**sizes, **tokens)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_families_that_are_not_torchtunes_go_from_the_design_to_the_report(tmp_path: Path) -> None:
    lab = WholeLab(tmp_path, {"train": ROWS, "test": ROWS[:2]})
    for family, config in FAMILIES.items():
        write_model(tmp_path / family, config)
        card, _ = read_card(family, tmp_path / family)
        [why] = torchtune.refuses(card)
        assert why.startswith(f"torchtune has no builder for {family}")
        assert list(worker.refuses(card)) == []
        lab.ckgit("models", "add", family, str(tmp_path / family), "--commit")
    lab.ckgit("design", "demo", "--from", "-", stdin=DESIGN)
    assert "9 rows, about " in (lab.snapshot.read("experiments/demo/design-experiment.log") or b"").decode()
    assert "| about 5 |" in lab.ckgit("review", "demo")
    lab.ckgit("advance", "demo", "--to", "analyzed")
    results = Results.model_validate_json(lab.snapshot.read("experiments/demo/analysis/results.json") or b"")
    for run in results.runs:
        assert run.training
        shares = TrlTraining.model_validate(run.training.own, strict=False).merged_by
        assert [share < 1e-5 for share in shares] == [True], run.name
        assert [cell.tokens and cell.tokens.rows for cell in run.cells] == [2]
    report = (lab.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "Trained with trl 1.16.0 (accelerate " in report
    assert {run.varied["model"] for run in results.runs} == FAMILIES.keys()
    assert report.count("9 rows were packed into 5 sequences of 40 tokens, ") == len(FAMILIES)
    assert "follows from what is in git" in lab.ckgit("verify", "demo")
    liar = Liar(lab.folder)
    liar.edit(liar.at("train"), liar.replaced("granite/packing.json", b'"sequences":5', b'"sequences":6'))
    said = lab.ckgit("verify", "demo", code=Exit.NOT_VERIFIED)
    assert "run granite: packing.json, train: it has 6 sequences, and its rows are packed into 5" in said


@pytest.mark.parametrize("family", FAMILIES)
def test_each_of_them_is_trained_on_preferences(tmp_path: Path, run_warm, family: str) -> None:
    write_model(tmp_path / "tiny", FAMILIES[family])
    context = make_tree(tmp_path / "work", tmp_path / "tiny", controls={"lora_rank": 4, "lr": 0.01, "epochs": 2})
    [job] = worker.jobs(context)
    trained = Trained(context, tmp_path / "work", run_warm(tmp_path / "work", job.script, TOKEN))
    assert trained.code == 0, trained.output()
    [result] = trained.evidence().results
    assert result.losses[0].loss == pytest.approx(math.log(2), abs=1e-5)
    assert result.losses[-1].metrics[MARGINS] > 0.1
    assert max(result.own["merged_by"]) < 1e-5
