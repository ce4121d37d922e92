"""Parameters that TRL alone has: under its name in a design, and passed on as they are."""

import json

import pytest
from pydantic import ValidationError

from ckgit.experiment.checks.messages import findings, own_key
from ckgit.experiment.checks.problems import problems as design_problems
from ckgit.experiment.claims.settings import settings_of
from ckgit.formats.yaml.document import read_yaml
from ckgit.results.from_git.rows import run_rows
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from ckgit.workers.trl import worker
from ckgit.workers.trl.design.own import NEEDS, TrlOwnParameters
from ckgit.workers.trl.design.parameters import OWN, TrlParameters
from tests.workers import designs
from tests.workers.trl.jobs import RUN, make_tree, python

BETA = f"{OWN}adam_beta2"


def context(**design):
    return designs.context(tools={"preparation": "trl"}, **design)


def finetune(ctx, run="run"):
    return read_yaml(worker.scaffold(ctx)[f"experiments/capital/{run}/finetune.yaml"].decode()).value


def refused(document, parameters=TrlParameters):
    with pytest.raises(ValidationError) as caught:
        parameters.model_validate_json(json.dumps(document))
    [(_, message)] = findings(caught.value, parameters, document)
    return message


def test_what_trl_alone_has_is_written_as_it_stands_in_the_design():
    ctx = context(controls={"trl": {"adam_beta2": 0.95, "neftune_noise_alpha": 5, "lora_modules_to_save": ["embed_tokens"]}})
    written = finetune(ctx)
    assert (written["adam_beta1"], written["adam_beta2"], written["neftune_noise_alpha"]) == (0.9, 0.95, 5)
    assert written["lora_modules_to_save"] == ["embed_tokens"]
    setup = read_yaml(worker.scaffold(ctx)[f"{RUN}/setup_finetune.yaml"].decode()).value
    assert setup["parameters"][BETA] == {"source": "design", "value": 0.95}


def test_a_run_has_its_own_beside_those_of_the_controls():
    own = {"name": "run", "parameters": {"trl": {"adam_beta2": 0.9}}}
    ctx = context(controls={"trl": {"adam_beta1": 0.8, "adam_beta2": 0.95}}, runs=[own])
    run = ctx.plan.run("run")
    assert (run[f"{OWN}adam_beta1"], run[BETA], run.varied) == (0.8, 0.9, {BETA: "0.9"})


def test_one_of_them_is_varied_by_its_whole_name():
    ctx = context(runs=[], variables={BETA: [0.95, 0.99], f"{OWN}use_rslora": [True]})
    assert design_problems(ctx.summary) == []
    assert [run.name for run in ctx.plan.runs] == ["adam_beta20.95_use_rsloratrue", "adam_beta20.99_use_rsloratrue"]
    assert finetune(ctx, "adam_beta20.99_use_rsloratrue")["adam_beta2"] == 0.99
    for name, value, said in (
        (f"{OWN}adam_bta2", 0.9, "unknown key adam_bta2: did you mean adam_beta2?"),
        (BETA, 2, "adam_beta2 must be less than 1; found 2"),
        ("trl", {"adam_beta2": 0.9}, "trl holds several parameters; vary one of them by its whole name, e.g. trl.adam_beta1"),
    ):
        [problem] = design_problems(ctx.summary.model_copy(update={"variables": {name: (value,)}}))
        assert problem.message == said
        assert problem.path.startswith(f"variables.{name}")


def test_results_claims_and_comparisons_have_it_by_its_whole_name():
    claim = {"task": "capitalization", "metric": "match.accuracy", "left": {BETA: 0.99}, "direction": "greater", "right": {BETA: 0.95}}
    about = {"name": "capital", "question": "Which?", "date": "2026-11-23"}
    design = {"runs": [], "variables": {BETA: [0.95, 0.99], "seed": [0, 1]}}
    ctx = context(**design, experiment={**about, "claims": [claim]})
    assert design_problems(ctx.summary) == []
    rows = run_rows("capital", ctx.plan, None)
    assert [json.loads(row["parameters"])[BETA] for row in rows] == [0.95, 0.95, 0.99, 0.99]
    assert [setting.name for setting in settings_of(ctx.plan.runs, ctx.summary.parameters)] == [f"{BETA} 0.95", f"{BETA} 0.99"]
    lacking = context(**design, experiment={**about, "claims": [{**claim, "left": {BETA: 0.5}}]})
    assert f"no run has {BETA} 0.5 (there are 0.95, 0.99)" in [problem.message for problem in design_problems(lacking.summary)]


def test_another_value_is_another_training():
    def made(**controls):
        ctx = context(controls=controls)
        return worker.made_from(ctx, worker.jobs(ctx)[0], lambda _: None)

    assert made() == made(trl={"adam_beta2": 0.999}) != made(trl={"adam_beta2": 0.95}) != made(trl={"neftune_noise_alpha": 5})
    assert context().summary.digest != context(controls={"trl": {"adam_beta2": 0.95}}).summary.digest


def test_what_ckgit_decides_is_refused_with_its_own_name():
    assert refused({"trl": {"learning_rate": 1e-4}}) == "learning_rate is not passed on: write lr, beside this section"
    assert refused({"trl": {"lr": 1e-4}}) == "lr is not passed on: write lr, beside this section"
    assert refused({"trl": {"output_dir": "x"}}) == "output_dir is not passed on: ckgit decides which files a job leaves, and where"
    assert refused({"trl": {"adam_bta2": 0.9}}) == "unknown key adam_bta2: did you mean adam_beta2?"
    assert refused({"trl": {"": 0.9}}).startswith('unknown key "" (known here: adam_beta1, ')
    assert refused({"trl": {"adam_beta2": "0.9"}}).startswith("expected a number; found '0.9'")


def test_a_section_of_another_tool_is_refused():
    for section, other in (({"torchtune": {"loss": {}}}, TrlParameters), ({"trl": {"adam_beta2": 0.9}}, TorchtuneParameters)):
        [name] = section
        said = f"{name} is a parameter of {name}, and not of the tool that the design names; leave it out, or write tools: "
        assert refused(section, other).startswith(said)


def test_what_means_nothing_beside_another_value_is_refused():
    def said(**controls):
        return [problem.message for problem in design_problems(context(controls=controls).summary)]

    assert said(method="full", trl={"use_rslora": True}) == ["trl.use_rslora means nothing with method: full"]
    assert said(optimizer="sgd", trl={"adam_beta2": 0.9}) == ["trl.adam_beta2 means nothing with optimizer: sgd"]
    assert said(objective="dpo", trl={"loss_type": "dft"}) == ["trl.loss_type means nothing with objective: dpo"]
    ahead = {"dataloader_prefetch_factor": 2}
    assert said(trl=ahead) == ["trl.dataloader_prefetch_factor means nothing without trl.dataloader_num_workers"]
    assert said(trl=ahead | {"dataloader_num_workers": 1}) == []
    smooth = {"label_smoothing_factor": 0.1}
    assert said(trl=smooth | {"loss_type": "dft"}) == ["trl.label_smoothing_factor means nothing with trl.loss_type: dft"]
    assert said(trl=smooth) == said(trl=smooth | {"loss_type": "nll"}) == said(trl={"loss_type": "dft"}) == []
    for name in ("torch_empty_cache_steps", "dataloader_pin_memory"):
        assert said(trl={name: 1 if "steps" in name else True}) == [f"trl.{name} means nothing with device: cpu"]
        assert said(device="cuda", trl={name: 1 if "steps" in name else True}) == []
    assert said(trl={"torch_compile_mode": "default"}) == ["trl.torch_compile_mode means nothing with compile: false"]


def test_what_would_change_by_a_validation_or_never_be_trained_is_refused():
    noise = context(controls={"validation_split": "test", "trl": {"neftune_noise_alpha": 5}})
    [problem] = worker.check(noise)
    assert "with trl.neftune_noise_alpha a validation draws from the random numbers of the training" in problem.message
    [problem] = worker.check(context(controls={"trl": {"lora_modules_to_save": ["lm_head"]}}))
    assert "TRL computes the loss from lm_head itself" in problem.message


def test_an_attention_that_a_gpu_alone_has_is_refused_on_a_cpu():
    [problem] = worker.check(context(controls={"trl": {"attn_implementation": "flash_attention_2"}}))
    assert problem.message == "run run: flash_attention_2 needs a GPU; with device: cpu write sdpa or eager"
    assert worker.check(context(controls={"trl": {"attn_implementation": "eager"}})) == []


def test_a_share_of_the_loss_of_experts_is_refused_where_there_are_none():
    share = {"controls": {"trl": {"router_aux_loss_coef": 0.01}}}
    [problem] = worker.check(context(**share))
    assert problem.message == "run run: llama has no experts, whose loss router_aux_loss_coef is a share of; leave it out"
    assert worker.check(context(cards=(designs.card(model_type="qwen3_moe", family="qwen3_moe"),), **share)) == []


EXPERTS = """
from transformers import CONFIG_MAPPING
from ckgit.workers.trl.design.own import DENSE
from ckgit.workers.trl.model import CannotTrainError
from ckgit.workers.trl.trainer import make_trainer
print({name: True for name in DENSE if hasattr(CONFIG_MAPPING[name]().get_text_config(), "output_router_logits")})
import pathlib
try:
    make_trainer(pathlib.Path(sys.argv[1]), [{"input_ids": [5, 6], "labels": [5, 6]}])
except CannotTrainError as refusal:
    print(refusal)
"""


@pytest.mark.slow
def test_so_it_is_in_a_job_and_transformers_says_which_models_have_none(tmp_path, random_model):
    make_tree(tmp_path, random_model, {})
    config = tmp_path / RUN / "finetune.yaml"
    config.write_text(config.read_text() + "router_aux_loss_coef: 0.01\n")
    said = "the model (llama) has no experts; take trl.router_aux_loss_coef out of the design"
    assert python(tmp_path, EXPERTS, str(config)).splitlines() == ["{}", said]


FIELDS = """
import dataclasses, json
from trl import DatasetMixtureConfig, DPOConfig, ModelConfig, ScriptArguments, SFTConfig
from ckgit.workers.trl.design.parameters import TrlParameters
every = [SFTConfig, ModelConfig, ScriptArguments, DatasetMixtureConfig]
of_answers = [field.name for each in every for field in dataclasses.fields(each) if field.init]
print(json.dumps([of_answers, [field.name for each in (DPOConfig, ModelConfig) for field in dataclasses.fields(each)]]))
"""


@pytest.mark.slow
def test_every_field_of_the_installed_trl_is_passed_on_or_refused_with_a_reason(tmp_path):
    fields, of_preferences = json.loads(python(tmp_path, FIELDS))
    passed = TrlOwnParameters.model_fields
    assert {*passed, *TrlOwnParameters.decided} <= {*fields}
    assert {name for name in passed if NEEDS.get(name, ("",))[0] != "objective"} <= {*of_preferences}
    said = {field: own_key(field, TrlOwnParameters, TrlParameters) for field in fields if field not in passed}
    assert [field for field, words in said.items() if "not passed on: " not in words and "is not supported: " not in words] == []
    written = finetune(context(controls={"validation_split": "test"})).keys() | finetune(context(controls={"method": "full"})).keys()
    assert written - {*passed} <= said.keys()


# Each on its own, where a CPU and this model can tell.
CHANGES = {
    "adam_beta1": 0.5,
    "adam_beta2": 0.5,
    "adam_epsilon": 1e-3,
    "loss_type": "dft",
    "label_smoothing_factor": 0.2,
    "neftune_noise_alpha": 5,
    "use_rslora": True,
    "lora_modules_to_save": ["embed_tokens"],
}
ONLY_SPEED = {"dataloader_pin_memory": True, "full_determinism": True, "torch_empty_cache_steps": 1}
WEIGHTS = """
import hashlib, json, pathlib
from ckgit.workers.trl.trainer import make_trainer, read_rows
rows = read_rows(pathlib.Path("rows.jsonl"))
found = {}
for config in sorted(pathlib.Path("configs").glob("*.yaml")):
    trainer = make_trainer(config, rows)
    trainer.train()
    weights = [value.detach().numpy().tobytes() for name, value in sorted(trainer.model.named_parameters()) if value.requires_grad]
    found[config.stem] = hashlib.sha256(b"".join(weights)).hexdigest()
print(json.dumps(found))
"""


@pytest.mark.slow
def test_none_of_them_is_passed_over_in_silence(tmp_path, random_model):
    """What should change the weights does, and what should not does not."""
    designs_of = {"none": {}, **{name: {name: value} for name, value in {**CHANGES, **ONLY_SPEED}.items()}}
    (tmp_path / "configs").mkdir()
    for name, own in designs_of.items():
        ctx = make_tree(tmp_path / name, random_model, {"controls": {"batch_size": 5, "lr": 0.01, "trl": own}})
        (tmp_path / "configs" / f"{name}.yaml").write_bytes(worker.scaffold(ctx)[f"{RUN}/finetune.yaml"])
    (tmp_path / "models").symlink_to(tmp_path / "none/models")
    rows = [{"input_ids": [5, 6, 7, 8 + n], "labels": [-100, 6, 7, 8 + n]} for n in range(10)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    weights = json.loads(python(tmp_path, WEIGHTS).splitlines()[-1])
    assert {name for name in weights if weights[name] == weights["none"]} == {"none", *ONLY_SPEED}
    assert len({*weights.values()}) == 1 + len(CHANGES)
