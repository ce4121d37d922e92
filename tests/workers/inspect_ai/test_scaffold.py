"""What is rendered for a cell, and what is refused. Nothing here needs inspect-ai."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ckgit.experiment.design.model import Stage
from ckgit.experiment.worker import reasons_against
from ckgit.workers.inspect_ai import worker
from ckgit.workers.inspect_ai.run_config import _batch
from tests.workers.inspect_ai.examples import DATA, TASK, make_context

TUNED = "experiments/cap/tuned/eval/capitalization_epoch0"
BASE = "experiments/cap/base/eval/capitalization_base"


def config(path: str, **paths: object) -> dict:
    yaml = pytest.importorskip("yaml")  # inspect reads its configs with PyYAML
    return yaml.safe_load(worker.scaffold(make_context(**paths))[f"{path}.yaml"])


def test_each_cell_has_a_script_and_a_config():
    assert sorted(worker.scaffold(make_context())) == [f"{BASE}.slurm", f"{BASE}.yaml", f"{TUNED}.slurm", f"{TUNED}.yaml"]


def test_one_run_alone():
    whole = worker.scaffold(make_context())
    assert worker.scaffold(make_context(), "base") == {path: whole[path] for path in (f"{BASE}.slurm", f"{BASE}.yaml")}
    assert worker.scaffold(make_context(), "base") | worker.scaffold(make_context(), "tuned") == whole


def test_the_same_design_gives_the_same_bytes():
    assert worker.scaffold(make_context()) == worker.scaffold(make_context())


def test_config_of_a_fine_tuned_run():
    document = config(TUNED)
    assert document["task"] == {
        "task": "tasks/capitalization.py@capitalization",
        "args": {
            "data": "../data/words.json",
            "split": "test",
            "input_column": "input",
            "output_column": "output",
            "prompt": "Word: {input}",
            "system_prompt": "Use {capitals}.",
        },
    }
    assert document["model"]["model"] == "ckgit/tuned_epoch0"
    args = document["model"]["args"]
    assert args["model_path"] == "experiments/cap/tuned/artifacts/epoch_0"
    assert (args["device"], args["dtype"], args["do_sample"], args["template_date"]) == ("cpu", "float32", False, "2026-11-23")
    assert args["rows"]["trained_from"] == "models/plain"
    assert args["rows"]["training_saw"] == "experiments/cap/tuned/artifacts/tokens.json"
    assert document["generate_config"] == {"max_connections": 4, "max_tokens": 4}


def test_a_config_says_of_which_design_and_files_its_log_is():
    context = make_context()
    files = {"tasks/capitalization.py": hashlib.sha256(TASK).hexdigest(), "data/words.json": hashlib.sha256(DATA).hexdigest()}
    assert config(TUNED)["metadata"]["ckgit"] == {"experiment": "cap", "design": context.summary.digest, "files": files}


def test_a_control_is_the_base_model_and_was_not_trained():
    args = config(BASE)["model"]["args"]
    assert args["model_path"] == args["rows"]["trained_from"] == "models/plain"
    assert "training_saw" not in args["rows"]


def test_temperature_zero_never_reaches_transformers_and_another_one_does():
    sampled = config(TUNED, evaluation__generation={"temperature": 0.7, "top_p": 0.9, "seed": 3})
    assert sampled["model"]["args"]["do_sample"] is True
    assert sampled["generate_config"] == {"max_connections": 4, "max_tokens": 128, "temperature": 0.7, "top_p": 0.9, "seed": 3}
    greedy = config(TUNED, evaluation__generation={"temperature": 0.0})
    assert greedy["model"]["args"]["do_sample"] is False
    assert "temperature" not in greedy["generate_config"]


@pytest.mark.parametrize(
    "prompt", ["{input}: é 🙂 'x' \"y\" \\ # % ${HOME}\n\t- a: b", "{input}1e-5", "no {input}", "\x85\u2028{input}\x7f"]
)
def test_prompts_come_back_as_they_are(prompt: str):
    document = config(TUNED, controls__prompt=prompt)
    assert document["task"]["args"]["prompt"] == document["model"]["args"]["rows"]["prompt"] == prompt


def test_scorers_and_arguments_are_passed_where_the_function_takes_them():
    task = TASK.replace(b"system_prompt: str", b"on: float = 0.0, system_prompt: str")
    scorers = [{"name": "match", "args": {"location": "exact", "ignore_case": False}}, {"name": "includes"}]
    args = config(TUNED, task=task, evaluation__scorers=scorers, evaluation__tasks__0__args={"on": 1e-05})["task"]["args"]
    assert args["scorers"] == [{"name": "match", "args": {"location": "exact", "ignore_case": False}}, {"name": "includes", "args": {}}]
    assert args["on"] == 1e-05


@pytest.mark.parametrize(("samples", "batch"), [(None, 32), (4, 4), (32, 32), (33, 17), (100, 25)])
def test_batches_are_of_one_size(samples: int | None, batch: int):
    assert _batch(samples) == batch


def test_a_limit_is_inspects_own_and_known_to_the_check():
    document = config(TUNED, evaluation__tasks__0__limit=3)
    assert document["eval_config"]["limit"] == document["model"]["args"]["rows"]["limit"] == 3
    assert "limit" not in document["task"]["args"]


def test_a_task_prompt_goes_before_the_runs():
    document = config(TUNED, evaluation__tasks__0__prompt="{input}?", evaluation__tasks__0__system_prompt="")
    assert document["task"]["args"]["prompt"] == document["model"]["args"]["rows"]["prompt"] == "{input}?"
    assert document["task"]["args"]["system_prompt"] == ""


def test_the_script_is_bash_and_holds_the_digests():
    files = worker.scaffold(make_context())
    for path in (TUNED, BASE):
        script = files[f"{path}.slurm"]
        subprocess.run(["bash", "-n"], input=script, check=True)
        for name, content in {"tasks/capitalization.py": TASK, "data/words.json": DATA, f"{path}.yaml": files[f"{path}.yaml"]}.items():
            assert f"{hashlib.sha256(content).hexdigest()}  {name}" in script.decode()
    weights = "models/plain/model.safetensors"
    assert weights in files[f"{BASE}.slurm"].decode()
    assert weights not in files[f"{TUNED}.slurm"].decode()  # the base weights are not what is evaluated


def test_jobs():
    tuned, base = worker.jobs(make_context())
    assert (tuned.name, tuned.stage, tuned.run, tuned.tasks, tuned.epoch) == (
        "tuned/eval/capitalization_epoch0",
        Stage.EVALUATION,
        "tuned",
        ("capitalization",),
        0,
    )
    assert (base.name, base.epoch, base.folder) == ("base/eval/capitalization_base", None, "experiments/cap/base/eval")
    assert tuned.script == f"{TUNED}.slurm"


def test_eval_only_is_evaluated_from_its_own_card():
    runs = [{"name": "old", "type": "eval-only", "checkpoint": "dated"}]
    args = config("experiments/cap/old/eval/capitalization_base", runs=runs)["model"]["args"]
    assert args["model_path"] == args["rows"]["trained_from"] == "models/dated"


def refusal(task: bytes = TASK, **paths: object) -> str:
    return "\n".join(reasons_against(worker.check(make_context(task=task, **paths))))


def test_a_missing_task_file():
    assert "there is no file tasks/other.py" in refusal(evaluation__tasks__0__file="tasks/other.py")


def test_a_missing_task_in_the_file_names_those_that_are_there():
    assert "has no @task function 'capitals' (it has: capitalization)" in refusal(evaluation__tasks__0__function="capitals")


def test_a_task_file_that_is_not_python():
    assert "not Python: line 1" in refusal(task=b"def (")


def test_nothing_of_a_task_file_is_executed(tmp_path: Path):
    mark = tmp_path / "executed"
    worker.scaffold(make_context(task=TASK + f"\nopen({str(mark)!r}, 'w')\n".encode()))
    assert not mark.exists()


SIGNATURE = TASK[TASK.index(b"capitalization(") + len("capitalization(") : TASK.index(b") -> Task")]


@pytest.mark.parametrize(
    ("parameters", "paths", "words"),
    [
        ("data, split, prompt", {}, "does not take 'system_prompt'"),
        ("data, split, system_prompt", {}, "does not take 'prompt'"),
        ("data, prompt, system_prompt", {}, "does not take 'split'"),
        ("data, split, prompt, system_prompt", {"evaluation__scorers": [{"name": "match"}]}, "does not take 'scorers'"),
        ("data, split, prompt, system_prompt", {"evaluation__tasks__0__args": {"shots": 3}}, "does not take 'shots'"),
        ("prompt, system_prompt", {"evaluation__tasks__0__data": "words"}, "does not take 'data'"),
        ("data, split, prompt, system_prompt, shots", {}, "needs 'shots'"),
        ("data, split, prompt, system_prompt", {"data__words__input_column": "text"}, "'input_column', which data set 'words' gives"),
    ],
)
def test_what_a_task_function_must_take(parameters: str, paths: dict, words: str):
    assert b"data: str" in SIGNATURE
    assert words in refusal(task=TASK.replace(SIGNATURE, parameters.encode()), **paths)


def test_a_task_with_data_of_its_own_is_not_compared():
    task = TASK.replace(SIGNATURE, b"prompt=None, system_prompt=None")
    document = config(TUNED, task=task)
    assert "rows" not in document["model"]["args"]
    assert document["task"]["args"] == {"prompt": "Word: {input}", "system_prompt": "Use {capitals}."}


def test_any_task_of_inspect_with_data_of_its_own_is_taken_and_its_prompts_are_warned_of():
    context = make_context(task=TASK.replace(SIGNATURE, b""))
    [found] = worker.check(context)
    assert found.warning
    assert "brings data of its own and takes no prompt and no system_prompt: it asks in its own words" in found.message
    own = make_context(task=TASK.replace(SIGNATURE, b""), controls__prompt="{input}", controls__system_prompt="")
    assert worker.check(own) == []
    refused = make_context(task=TASK.replace(SIGNATURE, b""), evaluation__tasks__0__prompt="Do: {input}")
    assert any("does not take 'prompt'" in problem.message and not problem.warning for problem in worker.check(refused))


def test_the_sample_task_takes_data_with_columns_of_its_own(tmp_path: Path):
    pytest.importorskip("inspect_ai")
    args = config(TUNED, data__words__input_column="word", data__words__output_column="capitals")["task"]["args"]
    (tmp_path / "words.json").write_text('{"test": [{"word": "apple", "capitals": "APPLE"}]}')
    names: dict = {}
    exec(compile(TASK, "capitalization.py", "exec"), names)  # noqa: S102 - the task file that ckgit init writes
    [sample] = names["capitalization"](**args | {"data": str(tmp_path / "words.json")}).dataset
    assert (sample.input, sample.target) == ("Word: apple", "APPLE")


def test_a_task_with_keywords_takes_everything():
    args = config(TUNED, task=TASK.replace(SIGNATURE, b"**settings"))["task"]["args"]
    assert args["input_column"] == "input"
    assert args["data"] == "../data/words.json"


def test_other_problems():
    assert "has no split dev" in refusal(evaluation__tasks__0__split="dev")
    assert "mean nothing at temperature 0" in refusal(evaluation__generation={"top_k": 5})
    assert "model base has no chat template" in refusal(models=["base"])


def test_importing_the_worker_imports_no_framework():
    code = (
        "import sys; from ckgit.workers.inspect_ai import worker; import ckgit.workers.inspect_ai.scaffold; "
        "print(sorted({'torch', 'inspect_ai', 'transformers', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []


def test_an_adapter_alone_is_evaluated_beside_its_model_whose_weights_are_checked_and_without_torchao():
    context = make_context()
    alone = [replace(cell, checkpoint=cell.checkpoint and cell.checkpoint._replace(adapter=True)) for cell in context.plan.cells]
    weights = " models/plain/model.safetensors"
    beside = context._replace(plan=replace(context.plan, cells=tuple(alone)))
    whole, adapter = (worker.scaffold(each)[f"{TUNED}.slurm"].decode() for each in (context, beside))
    assert ("--hide=torchao" in whole, "peft" in whole, weights in whole) == (False, False, False)
    assert ("--hide=torchao" in adapter, "peft" in adapter, weights in adapter) == (True, True, True)
