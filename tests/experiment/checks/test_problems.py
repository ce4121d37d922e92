"""What a design can get wrong although each of its values is well-formed."""


import pytest

from ckgit.experiment.checks.problems import MOST_RUNS, problems, value_problems
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters

BASE = {
    "schema_version": 1,
    "state": "designed",
    "experiment": {"name": "x", "question": "Q?", "date": "2026-11-23"},
    "models": ["tiny"],
    "data": {"words": {"path": "data/words.json"}},
    "runs": [{"name": "a"}],
    "evaluation": {"tasks": [{"name": "t"}]},
}
CLAIM = {"metric": "accuracy", "task": "t", "left": "a", "right": "base", "direction": "greater"}
TWO = [{"name": "a"}, {"name": "base", "type": "control"}]
SCORERS = [{"name": "exact"}, {"name": "match"}]


def found(**parts):
    summary = read_summary({**BASE, **parts})
    return [(problem.path, problem.message) for problem in problems(summary)]


@pytest.mark.parametrize(
    ("controls", "hint"),
    [
        ({"dataset_type": "chat_completion"}, "; did you mean chat? (text_completion is for a base model without a chat template)"),
        ({"dataset_type": "completion"}, "; did you mean text_completion?"),
        ({"dataset_type": "text-completion"}, "; did you mean text_completion?"),
        ({"dtype": "bfloat16"}, "; did you mean bf16?"),
        ({"dtype": "torch.float32"}, "; did you mean fp32?"),
        ({"dtype": "fp16"}, "; did you mean bf16? (fp16 is not supported)"),
        ({"device": "GPU"}, "; did you mean cuda?"),
        ({"optimizer": "AdamW"}, "; did you mean adamw?"),
        ({"optimizer": "paged_adamw_8bit"}, "; did you mean adamw?"),
        ({"lr_scheduler": "linear"}, "; linear is not supported; use cosine or constant"),
        ({"lr_scheduler": "constant_with_warmup"}, "; did you mean constant?"),
        ({"method": "qlora"}, "; weights are not quantized here; lora trains the same matrices beside the model's own weights"),
        ({"method": "sft"}, "; did you mean full?"),
        ({"lora_attn_modules": ["o_proj"]}, "; did you mean output_proj?"),
        ({"lora_attn_modules": ["gate_proj"]}, "; an MLP's projections are changed with apply_lora_to_mlp: true"),
        ({"device": "tpu"}, "; jobs run on cuda and cpu"),
    ],
)
def test_another_tool_s_value_is_answered_with_ours(controls, hint):
    (name, value), *_ = controls.items()
    [problem] = value_problems(TorchtuneParameters, name, [value])
    assert problem.message.partition("; found ")[2] == f"{(value[0] if isinstance(value, list) else value)!r}{hint}"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("micro_batch_size", "did you mean batch_size?"),
        ("lora_r", "did you mean lora_rank?"),
        ("base_model", "did you mean model?"),
        ("sequence_len", "did you mean max_seq_len?"),
        ("warmup_ratio", "warmup_ratio is not supported: warm-up is counted in optimizer steps: num_warmup_steps"),
        ("load_in_4bit", "weights are not quantized here"),
    ],
)
def test_another_tool_s_key_is_answered_with_ours(key, words):
    [problem] = value_problems(TorchtuneParameters, key, [1])
    assert words in problem.message


def claims(*changed):
    return {**BASE["experiment"], "claims": [{**CLAIM, **change} for change in changed]}


def test_a_sound_design_has_none():
    assert found(runs=TWO, experiment=claims({}, {"by": 0.5, "scorer": "match"})) == []


@pytest.mark.parametrize(
    ("parts", "path", "message"),
    [
        ({"runs": []}, "", "the design makes no runs: give variables, or write runs out"),
        ({"variables": {"lr": []}}, "variables.lr", "lr has no values, so the design makes no runs"),
        ({"variables": {"learning_rate": [1, 2]}}, "variables.learning_rate", "unknown key learning_rate: did you mean lr?"),
        ({"variables": {"lr": [0.1, "x"]}}, "variables.lr.1", "expected a number; found 'x'; a number is written without quotes"),
        ({"variables": {"lora_attn_modules": [["q_proj", "z"]]}}, "variables.lora_attn_modules.0.1", "expected q_proj or"),
        ({"variables": {"lr": [None]}}, "variables.lr.0", "null is no value to compare"),
        ({"variables": {"lr": [0.1, 0.10]}}, "variables.lr", "two values give the same part of a run's name, lr0.1"),
        ({"variables": {"lr": [0.1]}, "controls": {"lr": 0.2}}, "variables.lr", "either held or varied"),
        ({"variables": {"seed": list(range(200)), "lora_rank": list(range(1, 100))}}, "variables", f"at most {MOST_RUNS:,}"),
        ({"variables": {"prompt": ["no place"]}}, "variables.prompt.0", "a prompt must contain {input}"),
        ({"runs": [{"name": "a"}, {"name": "A"}]}, "runs.0.name", "two runs are called a (or differ only in case)"),
        ({"variables": {"seed": [1]}, "runs": [{"name": "seed1"}]}, "runs.0.name", "two runs are called seed1"),
        ({"runs": [{"name": "analysis"}]}, "runs.0.name", "a run cannot be called analysis"),
        ({"runs": [{"name": "jobs.json"}]}, "runs.0.name", "ckgit's own files have that name"),
        ({"runs": [{"name": "x.log"}]}, "runs.0.name", "ckgit's own files have that name"),
        ({"variables": {"lora_attn_modules": [["q_proj"] * 20]}}, "variables", "a name has at most 64 characters"),
        ({"models": ["tiny", "Tiny"]}, "models.0", "the model tiny is here twice"),
        ({"evaluation": {"tasks": [{"name": "t"}, {"name": "T"}]}}, "evaluation.tasks.0.name", "two tasks are called t"),
        ({"evaluation": {"tasks": [{"name": "train"}]}}, "evaluation.tasks.0.name", "a task cannot be called train"),
        (
            {"runs": [{"name": "b", "type": "control", "parameters": {"lr": 1}}]},
            "runs.0.parameters.lr",
            "lr means nothing in a run of type control",
        ),
        (
            {"runs": [{"name": "b", "type": "control", "compute": {"training": {"gpus": 1}}}]},
            "runs.0.compute.training",
            "a run of type control is not trained",
        ),
        (
            {"runs": [{"name": "b", "type": "eval-only", "checkpoint": "tiny", "parameters": {"model": "tiny"}}]},
            "runs.0.parameters.model",
            "evaluates its checkpoint",
        ),
        (
            {"runs": [{"name": "b", "parameters": {"method": "full", "lora_rank": 4}}]},
            "runs.0.parameters.lora_rank",
            "means nothing with method: full",
        ),
        ({"controls": {"method": "full", "lora_alpha": 4}}, "controls.lora_alpha", "means nothing with method: full"),
        (
            {"controls": {"method": "full"}, "variables": {"lora_rank": [4]}},
            "variables.lora_rank",
            "means nothing in a run with method: full",
        ),
        ({"tools": {"preparation": "none"}}, "tools.preparation", "tools.preparation is none, but a is a fine-tuned run"),
        (
            {"controls": {"device": "cpu"}, "compute": {"training": {"gpus": 2}}},
            "compute.training.gpus",
            "2 GPUs, but run a trains on device: cpu",
        ),
        (
            {"controls": {"device": "cpu"}, "runs": [{"name": "a", "compute": {"training": {"gpus": 4}}}]},
            "runs.0.compute.training.gpus",
            "4 GPUs, but run a trains on device: cpu",
        ),
        ({"controls": {"model": "tinny"}}, "controls.model", "tinny is not under models; did you mean tiny?"),
        ({"variables": {"model": ["huge"]}}, "variables.model.0", "huge is not under models (tiny)"),
        ({"runs": [{"name": "o", "type": "eval-only", "checkpoint": "old"}]}, "runs.0.checkpoint", "old is not under models"),
        ({"runs": [{"name": "a", "parameters": {"data": "others"}}]}, "runs.0.parameters.data", "others is not under data (words)"),
        ({"data": {}}, "data", "run a has no data to train on"),
        (
            {"evaluation": {"tasks": [{"name": "t", "data": "word"}]}},
            "evaluation.tasks.0.data",
            "word is not under data; did you mean words?",
        ),
        (
            {"evaluation": {"tasks": [{"name": "t", "args": {"split": "x"}}]}},
            "evaluation.tasks.0.args.split",
            "split is a key of the task itself",
        ),
        ({"evaluation": {}}, "evaluation", "no run is evaluated: give tasks, or set tools.evaluation: none"),
        ({"tools": {"evaluation": "none"}}, "tools.evaluation", "tools.evaluation is none, but evaluation has tasks"),
        ({"tools": {"evaluation": "none"}, "evaluation": {}, "experiment": claims({})}, "experiment.claims", "no claim can be judged"),
        ({"tools": {"preparation": "none", "evaluation": "none"}, "evaluation": {}, "runs": TWO[1:]}, "tools.evaluation", "nothing to do"),
        (
            {"runs": TWO, "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"runs": ["a"]}]}},
            "runs.1.name",
            "neither trained nor evaluated",
        ),
        ({"evaluation": {"tasks": [{"name": "t"}], "matrix": [{"runs": ["b"]}]}}, "evaluation.matrix.0.runs.0", "there is no run b"),
        ({"evaluation": {"tasks": [{"name": "t"}], "matrix": [{"tasks": ["t", "tt"]}]}}, "evaluation.matrix.0.tasks.1", "did you mean t?"),
        (
            {"controls": {"epochs": 2}, "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"epochs": [0, 2]}]}},
            "evaluation.matrix.0.epochs.1",
            "epoch 2 of run a is never trained: it has 2 epochs, counted from 0",
        ),
        (
            {"runs": TWO, "experiment": claims({"task": "u"})},
            "experiment.claims.0.task",
            "the claim is about task u, which is not evaluated",
        ),
        (
            {"runs": TWO, "experiment": claims({}, {"right": "bass"})},
            "experiment.claims.1.right",
            "there is no run bass; did you mean base?",
        ),
        ({"runs": TWO, "experiment": claims({"right": "a"})}, "experiment.claims.0.right", "the claim compares a with itself"),
        (
            {
                "runs": [*TWO, {"name": "b"}],
                "experiment": claims({}),
                "evaluation": {"tasks": [{"name": "t"}], "matrix": [{"runs": ["b", "base"]}]},
            },
            "experiment.claims.0.left",
            "run a is not evaluated on task t",
        ),
        (
            {"runs": TWO, "experiment": claims({}), "evaluation": {"tasks": [{"name": "t"}], "scorers": SCORERS}},
            "experiment.claims.0",
            "task t has several scorers; say which with scorer: exact or match",
        ),
        (
            {"runs": TWO, "experiment": claims({"scorer": "exakt"}), "evaluation": {"tasks": [{"name": "t", "scorers": SCORERS}]}},
            "experiment.claims.0.scorer",
            "task t has no scorer exakt; did you mean exact?",
        ),
    ],
)
def test_a_problem_says_where_and_what(parts, path, message):
    every = found(**parts)
    assert [one for one in every if one[0] == path and message in one[1]], every


# Claims about settings: each as a user would get it wrong

SEEDS = {"lora_rank": [4, 16], "lr": [1e-4, 3e-4], "seed": [0, 1]}
SETTINGS = {"left": {"lora_rank": 16}, "right": {"lora_rank": 4}}
BASE_RUN = [{"name": "base", "type": "control"}]


def about(**claim):
    whole = {"metric": "accuracy", "task": "t", "direction": "greater", **claim}
    return found(variables=SEEDS, runs=BASE_RUN, experiment={**BASE["experiment"], "claims": [whole]})


@pytest.mark.parametrize(
    "claim",
    [
        SETTINGS,
        {**SETTINGS, "direction": "same", "by": 0.05},
        {"left": {"lora_rank": [4, 16]}, "right": "base", "best": True},
        {"left": {"lora_rank": 16, "lr": 1e-4}, "right": {"lora_rank": 4}},
        {"left": {"type": "fine-tuned"}, "right": {"type": "control"}},
    ],
)
def test_a_sound_claim_about_settings_has_no_problem(claim):
    assert about(**claim) == []


@pytest.mark.parametrize(
    ("claim", "place", "said"),
    [
        ({**SETTINGS, "left": {"lora_rank": 8}}, "left.lora_rank", "no run has lora_rank 8 (there are 4, 16)"),
        ({**SETTINGS, "left": {"lora_rank": [16, 32]}}, "left.lora_rank", "no run has lora_rank 32 (there are 4, 16)"),
        ({**SETTINGS, "left": {"lr": 2e-4}}, "left.lr", "no run has lr 2e-4 (there are 1e-4, 3e-4)"),
        ({**SETTINGS, "left": {"lora_rank": []}}, "left.lora_rank", "lora_rank names no value; leave it out where any will do"),
        ({**SETTINGS, "left": {"lora_rnk": 8}}, "left.lora_rnk", "there is no parameter lora_rnk; did you mean lora_rank?"),
        ({**SETTINGS, "left": {"zz": 8}}, "left.zz", "there is no parameter zz (what varies is lora_rank, lr, seed)"),
        (
            {**SETTINGS, "left": {"lora_rank": "16"}},
            "left.lora_rank",
            "no run has lora_rank 16 as it is written here: the runs have 16 without quotes",
        ),
        ({**SETTINGS, "left": {"type": "contrl"}}, "left.type", "no run has type contrl; did you mean control?"),
        (
            {**SETTINGS, "left": {"type": "control", "lora_rank": 16}},
            "left",
            "no run has type control, lora_rank 16 together, though some have each of them",
        ),
        ({**SETTINGS, "right": {"lora_rank": 16}}, "right", "the claim compares lora_rank 16 with itself"),
        (
            {**SETTINGS, "right": {"type": "fine-tuned"}},
            "right",
            "the two sides have settings in common, (lora_rank 16, lr 1e-4) and (lora_rank 16, lr 3e-4): name what they differ in",
        ),
        (
            {"left": {"seed": 0}, "right": {"seed": 1}},
            "right",
            "the two sides differ in the seed alone, which is chance: name what else they differ in",
        ),
        (
            {**SETTINGS, "right": "rank4_lr1e-4_seed0"},
            "right",
            (
                "run rank4_lr1e-4_seed0 is one training of its settings, and is compared with settings: "
                "name its settings, too, {lora_rank: 4, lr: 1e-4}"
            ),
        ),
        (
            {"left": {"lora_rank": 16, "lr": 1e-4}, "right": "base", "best": True},
            "best",
            "best is of several settings, and only lora_rank 16, lr 1e-4 has lora_rank 16, lr 1e-4: leave best out, or name several values",
        ),
        (
            {"direction": "increases", "along": "lora_rank"},
            "along",
            "a trend needs at least 3 values of lora_rank (there are 4, 16); of two values say that one is greater than the other",
        ),
        (
            {"direction": "increases", "along": "seed"},
            "along",
            "a seed is chance, so nothing goes up or down with it: name what varies besides",
        ),
        ({"direction": "increases", "along": "rank"}, "along", "there is no parameter rank; did you mean lora_rank?"),
        (
            {"direction": "decreases", "along": "optimizer"},
            "along",
            "optimizer is no number here (adamw), so nothing goes up or down with it",
        ),
    ],
)
def test_a_claim_about_settings_that_are_not_there_says_which_are(claim, place, said):
    assert about(**claim) == [(f"experiment.claims.0.{place}", said)]


def test_settings_of_a_training_are_none_of_a_run_that_was_not_trained():
    claim = {**CLAIM, "left": {"lora_rank": 16}, "right": {"lora_rank": 4}}
    parts = {"runs": [{"name": "a"}, *BASE_RUN], "controls": {"lora_rank": 16}, "experiment": {**BASE["experiment"], "claims": [claim]}}
    assert found(**parts) == [("experiment.claims.0.right.lora_rank", "no run has lora_rank 4 (there is 16)")]


def test_settings_that_are_not_evaluated_by_the_task_say_so():
    matrix = {"tasks": [{"name": "t"}, {"name": "u"}], "matrix": [{"tasks": ["t"]}, {"tasks": ["u"], "runs": ["base"]}]}
    claim = {**CLAIM, "task": "u", **SETTINGS}
    said = found(variables=SEEDS, runs=BASE_RUN, evaluation=matrix, experiment={**BASE["experiment"], "claims": [claim]})
    assert said == [
        ("experiment.claims.0.left", "of the runs with lora_rank 16 none is evaluated on task u"),
        ("experiment.claims.0.right", "of the runs with lora_rank 4 none is evaluated on task u"),
    ]
