"""From a design to its runs and cells: all that the design covers."""

import json

import pytest

from ckgit.experiment.checks.problems import problems, unrecorded
from ckgit.experiment.design.expand import build_plan, label
from ckgit.experiment.design.model import Recorded, Resources, RunType, Stage
from ckgit.experiment.design.plan import Source, generation, prompts, resources, scorers
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.formats.numbers import short_value
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters

BASE = {
    "schema_version": 1,
    "state": "designed",
    "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
    "models": ["tiny", "large"],
    "data": {"words": {"path": "data/words.json"}, "more": {"path": "data/more.jsonl"}},
    "evaluation": {"tasks": [{"name": "capitalization"}]},
}


def summary(**parts):
    document = {**BASE, **parts}
    return read_summary(document)


def plan(**parts):
    design = summary(**parts)
    assert problems(design) == []
    return build_plan(design)


def names(**parts):
    return [run.name for run in plan(**parts).runs]


def test_variables_expand_to_runs_named_by_what_varies():
    assert names(variables={"lora_rank": [4, 8], "lr": [1e-5, 0.0003]}) == ["rank4_lr1e-5", "rank4_lr3e-4", "rank8_lr1e-5", "rank8_lr3e-4"]


def test_the_order_of_variables_is_the_order_in_names_and_in_the_hash():
    one, other = {"lr": [0.1], "seed": [1]}, {"seed": [1], "lr": [0.1]}
    assert names(variables=one) == ["lr0.1_seed1"]
    assert names(variables=other) == ["seed1_lr0.1"]
    assert summary(variables=one).digest != summary(variables=other).digest


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("lr", 1e-5, "lr1e-5"),
        ("lr", 0.00025, "lr2.5e-4"),
        ("lr", 0.5, "lr0.5"),
        ("lr", 10.0, "lr10"),
        ("lora_rank", 8, "rank8"),
        ("shuffle", True, "shuffletrue"),
        ("model", "tiny", "tiny"),
        ("method", "full", "full"),
        ("dtype", "bf16", "bf16"),
        ("template_date", "2026-11-23", "2026-11-23"),
        ("prompt", "Say {input}", "prompt2"),
        ("prompt", "{input}", "prompt2"),
        ("system_prompt", "plain", "system_prompt2"),
        ("base_recipe", "llama3_2/1B_lora_single_device", "base_recipe2"),
        ("lora_attn_modules", ["q_proj", "v_proj"], "attnq_proj-v_proj"),
    ],
)
def test_parts_of_names(parameter, value, expected):
    assert label(TorchtuneParameters, parameter, value, 2) == expected


def test_what_varies_is_kept_with_its_value():
    runs = plan(variables={"lora_rank": [4], "prompt": ["Say {input}"]}).runs
    assert runs[0].varied == {"lora_rank": "4", "prompt": "Say {input}"}


def test_a_value_comes_from_run_then_controls_then_recipe_then_default():
    recipe = {"recipes": {"r": {"lr": 0.1, "batch_size": 32, "epochs": 7, "lora_alpha": 64.0}}}
    runs = [{"name": "own", "parameters": {"lr": 0.3}}, {"name": "plain"}]
    own, plain = plan(controls={"lr": 0.2, "batch_size": 16, "base_recipe": "r"}, runs=runs, recorded=recipe).runs
    assert (own["lr"], own.settings["lr"].source) == (0.3, Source.RUN)
    assert (plain["lr"], plain.settings["lr"].source) == (0.2, Source.DESIGN)
    assert (plain["batch_size"], plain["epochs"], plain.settings["epochs"].source) == (16, 7, Source.RECIPE)
    assert (plain["dtype"], plain.settings["dtype"].source) == ("bf16", Source.DEFAULT)
    assert plain["lora_alpha"] == 64.0


def test_defaults_that_follow_from_other_values():
    (run,) = plan(runs=[{"name": "a", "parameters": {"lora_rank": 16}}]).runs
    assert (run["lora_alpha"], run["model"], run["data"], str(run["template_date"])) == (32.0, "tiny", "words", "2026-11-23")


def test_full_fine_tuning_has_no_lora_settings():
    (run,) = plan(runs=[{"name": "a", "parameters": {"method": "full"}}]).runs
    assert not [name for name in run.settings if "lora" in name]


def test_runs_of_all_types_models_data_and_prompts():
    runs = [
        {"name": "own", "parameters": {"model": "large", "data": "more", "prompt": "Other: {input}", "seed": 3}},
        {"name": "base", "type": "control", "parameters": {"model": "large", "prompt": "P {input}"}},
        {"name": "old", "type": "eval-only", "checkpoint": "large"},
    ]
    made = plan(variables={"model": ["tiny", "large"]}, runs=runs)
    assert [(run.name, run.type, run.model, run["data"]) for run in made.runs] == [
        ("tiny", RunType.FINE_TUNED, "tiny", "words"),
        ("large", RunType.FINE_TUNED, "large", "words"),
        ("own", RunType.FINE_TUNED, "large", "more"),
        ("base", RunType.CONTROL, "large", "words"),
        ("old", RunType.EVAL_ONLY, "large", "words"),
    ]
    assert made.run("own")["prompt"] == "Other: {input}"
    assert [run.name for run in made.training] == ["tiny", "large", "own"]
    with pytest.raises(KeyError):
        made.run("nobody")


def cells(**evaluation):
    made = plan(
        controls={"epochs": 3},
        runs=[{"name": "a"}, {"name": "b", "parameters": {"epochs": 1}}, {"name": "base", "type": "control"}],
        evaluation={"tasks": [{"name": "t1"}, {"name": "t2"}], **evaluation},
    )
    return [f"{cell.run}/{cell.name}" for cell in made.cells]


def test_without_a_matrix_every_run_is_evaluated_after_its_last_epoch():
    assert cells() == ["a/t1_epoch2", "a/t2_epoch2", "b/t1_epoch0", "b/t2_epoch0", "base/t1_base", "base/t2_base"]


def test_the_matrix_chooses_runs_tasks_and_epochs_and_overlaps_count_once():
    matrix = [
        {"runs": ["a"], "tasks": ["t1"], "epochs": [0, 2]},
        {"runs": ["a", "base"], "tasks": ["t1"], "epochs": "last"},
        {"runs": ["a"], "tasks": ["t2"], "epochs": "all"},
    ]
    assert cells(matrix=matrix) == ["a/t1_epoch0", "a/t1_epoch2", "base/t1_base", "a/t2_epoch0", "a/t2_epoch1", "a/t2_epoch2"]


def test_a_task_s_prompt_generation_and_scorers_go_before_the_shared_ones():
    evaluation = {
        "tasks": [
            {"name": "own", "prompt": "T {input}", "system_prompt": "", "generation": {"max_tokens": 5}, "scorers": [{"name": "exact"}]},
            {"name": "plain"},
        ],
        "generation": {"max_tokens": 20, "temperature": 0.5, "seed": 1},
        "scorers": [{"name": "match", "args": {"location": "exact", "ignore_case": False}}],
    }
    design = summary(controls={"system_prompt": "S", "prompt": "R {input}"}, runs=[{"name": "a"}], evaluation=evaluation)
    (run,) = build_plan(design).runs
    own, plain = design.evaluation.tasks
    assert prompts(run, own) == ("T {input}", "")
    assert prompts(run, plain) == ("R {input}", "S")
    assert (generation(design, own).max_tokens, generation(design, own).temperature) == (5, 0.5)
    assert generation(design, plain).max_tokens == 20
    assert [scorer.name for scorer in scorers(design, own)] == ["exact"]
    assert [scorer.name for scorer in scorers(design, plain)] == ["match"]


def test_resources_of_a_run_go_before_the_experiment_s_and_the_cluster_s():
    compute = {"training": {"time": "01:00:00", "mem": "8G"}, "evaluation": {"gpus": 1}}
    design = summary(compute=compute, runs=[{"name": "a", "compute": {"training": {"mem": "16G"}}}])
    (run,) = build_plan(design).runs
    cluster = Resources(cpus_per_task=2, time="02:00:00")
    assert resources(design, run, Stage.TRAINING, cluster) == Resources(time="01:00:00", mem="16G", cpus_per_task=2)
    assert resources(design, run, Stage.EVALUATION, cluster) == Resources(time="02:00:00", gpus=1, cpus_per_task=2)


def test_fine_tuning_without_evaluation_and_evaluation_without_fine_tuning():
    assert plan(tools={"evaluation": "none"}, evaluation={}, runs=[{"name": "a"}]).cells == ()
    made = plan(tools={"preparation": "none"}, runs=[{"name": "base", "type": "control"}])
    assert (made.training, len(made.cells)) == ((), 1)


def test_the_same_summary_gives_the_same_plan():
    parts = {
        "variables": {"lora_rank": [4, 8]},
        "controls": {"epochs": 2},
        "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"epochs": "all"}]},
    }
    assert plan(**parts) == plan(**json.loads(json.dumps(parts)))


def test_the_design_hash_is_that_of_the_design_alone():
    one = summary(runs=[{"name": "a"}])
    recorded = Recorded(models={"tiny": "a" * 64})
    assert one.model_copy(update={"recorded": recorded}).digest == one.digest
    assert summary(runs=[{"name": "a"}], state="analyzed").digest == one.digest
    assert summary(runs=[{"name": "a", "type": "fine-tuned"}], controls={}).digest == one.digest
    assert summary(runs=[{"name": "a"}], controls={"lr": 0.1}).digest != one.digest
    assert summary(runs=[{"name": "a"}], data=dict(reversed(BASE["data"].items()))).digest != one.digest


def test_what_was_changed_after_it_was_measured_is_named():
    design = summary(controls={"base_recipe": "r"}, runs=[{"name": "a"}], recorded={"models": {"tiny": "a" * 64}})
    found = unrecorded(design, build_plan(design))
    assert found == ["data words", "data more", "model large", "task file tasks/capitalization.py", "base recipe r"]


def test_short_values():
    assert [short_value(value) for value in (0.0, 1e-10, 123.456, [1, 0.5], None)] == ["0", "1e-10", "123.456", "1-0.5", "None"]


def test_a_copy_that_is_changed_has_a_hash_of_its_own():
    first = summary()
    assert first.digest == first.digest
    changed = first.model_copy(update={"controls": first.controls.model_copy(update={"epochs": 7})})
    fresh = type(first).model_validate_json(changed.model_dump_json(exclude_none=True))
    assert changed.digest == fresh.digest != first.digest
    assert "digest" not in first.model_dump()
