"""QLoRA: trained beside a base of 4 bits, and evaluated as it was trained."""

from __future__ import annotations

import importlib.util
import json

import pytest

from ckgit.errors import CkgitError
from ckgit.experiment.checks.problems import problems as design_problems
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.results import Results
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers import installed
from ckgit.workers.inspect_ai import worker as inspect_ai
from ckgit.workers.trl import worker
from ckgit.workers.trl.outputs.log import LOG_NAME, loss_points
from tests.whole import WholeLab
from tests.workers import designs
from tests.workers.trl.jobs import ARTIFACTS, RUN, TOKEN, Trained, make_tree, python

TASK = b"from inspect_ai import task\n\n\n@task\ndef capitalization(data, split, prompt, system_prompt):\n    pass\n"
DESIGN = """\
experiment: {question: Is it evaluated as it was trained?}
tools: {preparation: trl}
models: [tiny]
data:
  words: {path: data/words.json}
controls: {method: qlora, epochs: 2, lr: 0.003, device: cpu, dtype: fp32, batch_size: 5}
variables: {lora_rank: [4]}
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
"""
BITSANDBYTES = importlib.util.find_spec("bitsandbytes")
ROWS = [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(12)]

TRAINED = """
import os
from pathlib import Path
from ckgit.workers.trl import prepare, train

os.environ["CKGIT_JOB"] = "job-1"
top = Path.cwd()
for name in sys.argv[2:]:
    os.chdir(top / name)
    run = Path(sys.argv[1])
    assert train.train(run, prepare.main(run)) == 0
"""


def context(**controls):
    ctx = designs.context(tools={"preparation": "trl"}, controls={"method": "qlora", **controls})
    return ctx._replace(cluster=Cluster(), sources={**ctx.sources, "tasks/capitalization.py": TASK})


def test_its_base_is_quantized_and_its_checkpoints_are_adapters():
    ctx = context()
    files = worker.scaffold(ctx)
    written = read_yaml(files[f"{RUN}/finetune.yaml"].decode()).value
    assert (written["use_peft"], written["load_in_4bit"], written["bnb_4bit_quant_type"]) == (True, True, "nf4")
    assert "--extra=trl,qlora" in files[f"{RUN}/finetune.slurm"].decode()
    [checkpoint], [plain] = ctx.plan.run("run").checkpoints, context(method="lora", save="adapter").plan.run("run").checkpoints
    assert (checkpoint.adapter, checkpoint.quantized, plain.adapter, plain.quantized) == (True, True, True, False)
    [save] = [problem.message for problem in design_problems(context(save="both").summary)]
    assert save == "save means nothing with method: qlora"


def test_where_validation_would_change_it_by_hand_its_configuration_says_so():
    """The job keeps bitsandbytes from packing the base anew, and TRL's command does not."""
    said = "TRL's command trains on other numbers after the first validation"
    for controls, there in (({"validation_split": "test"}, True), ({}, False), ({"validation_split": "test", "method": "lora"}, False)):
        assert (said in worker.scaffold(context(**controls))[f"{RUN}/finetune.yaml"].decode()) is there


def test_its_evaluation_needs_the_base_and_finds_no_torchao():
    """PEFT refuses to load an adapter beside the one that torchtune needs."""
    [script] = [text.decode() for path, text in inspect_ai.scaffold(context()).items() if path.endswith(".slurm")]
    assert "--hide=torchao" in script
    assert "--module=bitsandbytes" in script
    assert "--extra=qlora" in script
    assert "models/tiny/model.safetensors" in script
    saved_alone = inspect_ai.scaffold(context(method="lora", save="adapter"))
    [alone] = [text.decode() for path, text in saved_alone.items() if path.endswith(".slurm")]
    assert "bitsandbytes" not in alone
    [merged] = [text.decode() for path, text in inspect_ai.scaffold(context(method="lora")).items() if path.endswith(".slurm")]
    assert "--hide" not in merged
    assert "models/tiny/model.safetensors" not in merged


def test_without_what_it_needs_neither_job_is_submitted(monkeypatch, tmp_path):
    monkeypatch.setattr(installed, "_is_there", lambda module: module != "bitsandbytes")
    ctx = context()
    for tool, extra in ((worker, "trl,qlora"), (inspect_ai, "qlora")):
        with pytest.raises(CkgitError, match="need bitsandbytes, which this installation of ckgit does not have") as caught:
            tool.ready(ctx, tool.jobs(ctx)[0], tmp_path)
        assert f'pip install "ckgit[{extra}]"' in caught.value.next


def test_an_optimizer_of_8_bits_is_refused_on_a_cpu():
    [problem] = worker.check(context(method="lora", optimizer="adamw_8bit"))
    assert problem.message == "run run: adamw_8bit needs a GPU; with device: cpu write adamw"
    assert worker.check(context(method="lora", optimizer="adamw_8bit", device="cuda")) == []


def test_preferences_are_not_trained_beside_a_quantized_base():
    found = [problem.message for problem in worker.check(context(objective="dpo"))]
    assert "run run: preferences are not trained beside a quantized base; write method: lora" in found


# As on a CPU that multiplies bf16, whatever this one does: a layer packs itself anew where it computes without gradients.
COMPUTED = """
import torch
from bitsandbytes.nn import modules
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from ckgit.workers.loading import NF4, as_trained

modules.has_avx512bf16 = lambda: True
rounded = BitsAndBytesConfig(**NF4, bnb_4bit_compute_dtype=torch.float32)
model = as_trained(AutoModelForCausalLM.from_pretrained("models/tiny", quantization_config=rounded, dtype=torch.float32))
rows = torch.tensor([[5, 6, 7]])
before = model.train()(rows).logits
with torch.no_grad():
    held_out = model.eval()(rows).logits
packed = [layer for layer in model.modules() if getattr(getattr(layer, "weight", None), "quant_state", None)]
assert len(packed) == 14, len(packed)
print(bool(before.equal(held_out)), *{getattr(layer.weight.quant_state, "packing_format_for_cpu", False) for layer in packed})
"""


@pytest.mark.skipif(not BITSANDBYTES, reason="ckgit[qlora] is not installed")
def test_without_gradients_its_base_computes_as_with_them(tmp_path, random_model):
    make_tree(tmp_path, random_model, {})
    assert python(tmp_path, COMPUTED).split() == ["True", "False"]


@pytest.mark.slow
@pytest.mark.skipif(not BITSANDBYTES, reason="ckgit[qlora] is not installed")
def test_a_validation_changes_no_byte_that_is_trained_beside_it(tmp_path, random_model, run_warm):
    found = []
    for name, validation in (("plain", {}), ("validated", {"validation_split": "test", "validate_every_n_steps": 1})):
        controls = {"method": "qlora", "batch_size": 5, "epochs": 2, "lr": 0.003, **validation}
        ctx = make_tree(tmp_path / name, random_model, {"controls": controls})
        done = Trained(ctx, tmp_path / name, run_warm(tmp_path / name, worker.jobs(ctx)[0].script, TOKEN))
        assert done.code == 0, done.output()
        found += done.evidence().results
    plain, validated = found
    assert [point.step for point in validated.validation] == [1, 2, 3, 4]
    assert validated.losses == plain.losses
    assert [each.files for each in validated.checkpoints] == [each.files for each in plain.checkpoints]
    assert validated.own["loaded_by"] == 0


@pytest.mark.slow
@pytest.mark.skipif(not BITSANDBYTES, reason="ckgit[qlora] is not installed")
def test_rows_are_packed_with_it(tmp_path, random_model):
    common = {"method": "qlora", "epochs": 4, "lr": 0.01, "lora_rank": 4}
    designs = {"plain": {"batch_size": 9}, "packed": {"packing_length": 300, "batch_size": 1}}
    for name, more in designs.items():
        (tmp_path / name).mkdir()
        make_tree(tmp_path / name, random_model, {"controls": {**common, **more}})
    python(tmp_path, TRAINED, RUN, *designs)
    plain, packed = ([point.loss for point in loss_points((tmp_path / name / ARTIFACTS / LOG_NAME).read_bytes())] for name in designs)
    assert plain[0] - plain[-1] > 0.3
    assert packed == pytest.approx(plain, abs=2e-4)  # adapters have 16 bits


@pytest.mark.slow
@pytest.mark.skipif(not BITSANDBYTES, reason="ckgit[qlora] is not installed")
def test_from_design_to_report(tmp_path) -> None:
    lab = WholeLab(tmp_path, {"train": ROWS, "test": ROWS[:3]})
    lab.ckgit("design", "demo", "--from", "-", stdin=DESIGN)
    lab.ckgit("advance", "demo", "--to", "analyzed")
    results = Results.model_validate_json(lab.snapshot.read("experiments/demo/analysis/results.json") or b"")
    [run] = results.runs
    assert run.training
    assert run.training.own["loaded_by"] < 1e-6
    assert run.training.losses[-1].loss < run.training.losses[0].loss
    assert run.training.versions["bitsandbytes"] == "0.50.2"
    [cell] = run.cells
    first, last = run.training.checkpoints
    assert (cell.weights, cell.tokens and cell.tokens.rows) == (last.weights, 3)
    assert first.weights != last.weights
    names = set(last.files)
    assert {"quantization.json", "adapter_config.json", "adapter_model.safetensors", "config.json", "base/model.safetensors"} <= names
    assert "model.safetensors" not in names
    report = (lab.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert "The adapter is evaluated beside its base of 4 bits, as it was trained" in report
    assert "what could be checked follows from what is in git" in lab.ckgit("verify", "demo", "--deep")
    shown = json.loads(lab.ckgit("show", "demo", "rank4", "--json"))
    assert shown["runs"][0]["parameters"]["method"] == {"value": "qlora", "source": "design"}
    assert "none are left beside a quantized base" in lab.ckgit("models", "add", "mine", "--from", "demo", "rank4", code=8)
    lab.ckgit("design", "other", "--like", "demo", "--reuse")
    lab.ckgit("advance", "other", "--to", "evaluated")  # in a work tree to which the adapter was brought
    assert "what could be checked follows from what is in git" in lab.ckgit("verify", "other", "--deep")
