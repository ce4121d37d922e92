from ckgit.workers.torchtune import worker
from tests.workers.designs import DATA, WORDS, card, context


def problems(**design):
    return [problem.message for problem in worker.check(context(**design))]


def places(**design):
    return [problem.path for problem in worker.check(context(**design))]


def test_a_sound_design_passes():
    assert problems() == []


def test_chat_needs_a_template():
    [problem] = problems(cards=(card(template=None),))
    assert "has no chat template; a base model is trained with dataset_type: text_completion" in problem
    assert problems(cards=(card(template=None),), controls={"dataset_type": "text_completion"}) == []


def test_rows_that_make_no_step_are_refused():
    [problem] = problems(controls={"batch_size": 5, "gradient_accumulation_steps": 2})
    assert "9 rows in split train make no step" in problem
    assert "which takes 10 (batch_size" in problem
    assert problems(controls={"batch_size": 9}) == []


def test_a_log_without_a_line_is_refused():
    [problem] = problems(controls={"batch_size": 3, "epochs": 2, "log_every_n_steps": 7})
    assert problem.endswith("log_every_n_steps is 7, but training takes 6 steps: its log would hold no loss")
    assert problems(controls={"batch_size": 3, "epochs": 2, "log_every_n_steps": 6}) == []


def test_a_split_that_is_not_there_is_named_with_those_that_are():
    [problem] = problems(controls={"train_split": "training"})
    assert "there is no split training to train on (splits: train, test)" in problem


def test_data_that_changed_after_the_design_is_refused():
    ctx = context()
    changed = ctx._replace(sources={DATA: ctx.sources[DATA] + b" "})
    [problem] = worker.check(changed)
    assert problem.message == "data/words.json has changed since the design was made; run: ckgit revise capital"


def test_data_that_was_not_measured_is_refused():
    assert any("data/words.json was not measured by design" in problem for problem in problems(recorded={}))


def test_a_missing_card_is_refused_with_the_command_that_makes_it():
    ctx = context()
    [problem] = worker.check(ctx._replace(cards={}))
    assert problem.message.endswith("make it with: ckgit models add tiny PATH")


def test_text_that_torchtune_would_replace_is_refused():
    [problem] = problems(controls={"prompt": "cost ${x} {input}"})
    assert "prompt holds '${'" in problem
    for column in ("input_column", "output_column"):
        [problem] = problems(data={"words": {"path": DATA, column: "${oc.env:HOME}"}})
        assert f"{column} holds '${{'" in problem
    [problem] = problems(controls={"system_prompt": "???"})
    assert "system_prompt is '???'" in problem
    for name, text in [("prompt", "{input} ${oc.env:HOME}"), ("system_prompt", "${oc.env:HOME}")]:
        [problem] = problems(evaluation={"tasks": [{"name": "capital", name: text}]})
        assert problem.startswith(f"task capital: {name} holds '${{'")


def test_what_the_builder_cannot_represent_is_refused():
    [problem] = problems(cards=(card(architecture={"attention_bias": True}),))
    assert "has no attention bias" in problem


def test_only_trained_runs_are_checked():
    assert problems(cards=(card(template=None),), words=WORDS, runs=[{"name": "base", "type": "control"}]) == []


def test_distributed_training_needs_cuda():
    gpus = {"training": {"gpus": 2}}
    assert "need CUDA" in problems(compute=gpus)[0]
    assert problems(compute=gpus, controls={"device": "cuda"}) == []
    nodes = problems(compute={"training": {"gpus": 2, "nodes": 2}}, controls={"device": "cuda"})
    assert nodes == ["run run: torchtune trains on one node here; leave compute.training.nodes out"]


def test_each_problem_has_its_place_in_the_design():
    assert places(controls={"prompt": "cost ${x} {input}"}) == ["controls.prompt"]
    assert places(variables={"prompt": ["{input}", "${x} {input}"]}) == ["variables.prompt.1"]
    assert places(data={"words": {"path": DATA, "input_column": "${x}"}}) == ["data.words.input_column"]
    assert places(controls={"batch_size": 3, "log_every_n_steps": 70}) == ["controls.log_every_n_steps"]


def test_a_value_of_a_base_recipe_is_refused_with_its_recipe_and_how_to_replace_it():
    recorded = context().summary.recorded.model_copy(update={"recipes": {"some/recipe": {"apply_lora_to_output": True}}})
    [problem] = worker.check(context(controls={"base_recipe": "some/recipe"}, recorded=recorded.model_dump(mode="json")))
    assert problem.message.endswith("; base_recipe some/recipe gives apply_lora_to_output, and a value in controls goes before it")
    assert problem.path == "controls.base_recipe"
