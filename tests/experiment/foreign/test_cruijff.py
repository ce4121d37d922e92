"""An experiment of cruijff_kit becomes a design, and whatever a design has nothing for is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckgit.experiment.foreign.cruijff import Imported, from_cruijff
from ckgit.experiment.tools.by_tool import DEFAULT_TOOL, parameters_of
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.text import write_yaml
from ckgit.orchestrators.design.validate import DesignFile, validate
from tests.command_line import ckgit

WHOLE = (Path(__file__).parent / "experiment_summary.yaml").read_text()


def imported(text: str) -> Imported:
    document = read_yaml(text)
    assert document.problems == []
    return from_cruijff(document, parameters_of(DEFAULT_TOOL))


def left(text: str) -> dict[str, str]:
    """What is not taken over: its place in the file, and why."""
    return {f"{problem.line}:{problem.path}": problem.message.removeprefix(f"{problem.path}: ") for problem in imported(text).left}


def test_a_whole_experiment_is_a_valid_design() -> None:
    text = write_yaml(imported(WHOLE).design)
    valid = validate(None, DesignFile(text.encode(), "design.yaml"))
    assert list(valid.run_names) == ["rank4", "rank64", "base"]
    assert valid.cells == 5


def test_what_is_known_is_taken_over_as_it_is() -> None:
    design = imported(WHOLE).design
    assert design["controls"] == {"epochs": 2, "batch_size": 4, "lr": 3e-4, "system_prompt": "", "prompt": "{input}"}
    assert design["data"] == {"words_4L": {"path": "data/words_4L.json"}}
    assert design["runs"][1] == {"name": "rank64", "type": "fine-tuned", "parameters": {"lora_rank": 64}}
    task = {"name": "capitalization", "file": "tasks/cap_task.py", "function": "capitalization", "data": "words_4L"}
    assert design["evaluation"]["tasks"] == [task]
    assert design["evaluation"]["matrix"][2] == {"runs": ["base"], "tasks": ["capitalization"]}
    assert (design["evaluation"]["scorers"], design["evaluation"]["generation"]) == ([{"name": "match"}], {"temperature": 1e-7})
    assert "variables" not in design


def test_every_other_key_is_named_in_its_order() -> None:
    found = left(WHOLE)
    assert list(found) == [
        "6:experiment.type", "7:experiment.directory", "12:variables.lora_rank", "19:controls.gpus", "20:controls.run_val_every_n_steps",
        "24:models.base.0.path", "25:models.base.0.size_gb", "28:data.training.path", "30:data.training.format", "31:data.training.size_kb",
        "32:data.training.splits", "52:evaluation.tasks.0.script", "53:evaluation.tasks.0.dataset", "54:evaluation.tasks.0.description",
        "65:output",
    ]  # fmt: skip
    assert "no validation" in found["20:controls.run_val_every_n_steps"]
    assert "ckgit models add Llama-3.2-1B-Instruct /scratch" in found["24:models.base.0.path"]
    assert "tasks/cap_task.py: copy the file there" in found["52:evaluation.tasks.0.script"]


def test_a_key_of_another_name_is_never_passed_over_in_silence() -> None:
    """Each key of the file in turn."""
    lines = WHOLE.splitlines()
    groups = {("models", "base"), ("data", "training")}  # of any name
    said_nothing = {*groups, ("runs", 2, "parameters"), ("evaluation", "matrix", 2, "epochs")}
    for place, (line, column) in read_yaml(WHOLE).keys.items():
        renamed = [*lines[: line - 1], f"{lines[line - 1][: column - 1]}zz_{lines[line - 1][column - 1 :]}", *lines[line:]]
        named = {problem.path for problem in imported("\n".join(renamed)).left}
        parts = [str(part) for part in (*place[:-1], f"zz_{place[-1]}")]
        above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
        assert place in said_nothing or named & above, place


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("runs:\n  - {name: a, type: tuned}\n", "2:runs.0", "a name, and as its type fine-tuned or control or eval-only"),
        ("runs:\n  - {name: a, type: eval-only}\n", "2:runs.0.type", "checkpoint"),
        ("runs:\n  - {name: a, type: control}\nevaluation: {matrix: [{run: b, tasks: [t]}]}\n", "3:evaluation.matrix.0", "not among"),
        ("controls:\n  wandb: {project: x}\n", "2:controls.wandb", "no run has a parameter wandb"),
        ("controls:\n  lr: {min: 1}\n", "2:controls.lr", "no run has a parameter lr"),
        ("slurm:\n  account: me\n", "1:slurm", "cluster profile"),
    ],
)
def test_nothing_is_guessed(text: str, place: str, why: str) -> None:
    found = left(text)
    assert list(found) == [place]
    assert why in found[place]


def test_variables_stand_where_no_run_is_written_out() -> None:
    design = imported("variables: {learning_rate: [1e-5, 1e-4], rank: [4]}\n").design
    assert design["variables"] == {"lr": [1e-5, 1e-4], "lora_rank": [4]}


def test_a_prompt_of_evaluation_that_is_not_that_of_training_is_kept() -> None:
    text = "controls: {system_prompt: Be brief}\nevaluation:\n  system_prompt: ''\n  prompt: '{input}'\n  tasks: [{name: a}]\n"
    assert imported(text).design["evaluation"]["tasks"] == [{"system_prompt": "", "name": "a"}]
    assert left(text) == {}


def test_the_name_of_a_chat_data_set_is_translated() -> None:
    assert imported("controls: {dataset_type: chat_completion}\n").design["controls"] == {"dataset_type": "chat"}


MATCH = "{name: match, args: {location: exact}}"


@pytest.mark.parametrize("written", [f"scorer: {MATCH}", f"scorer: [{MATCH}]", f"scorers: [{MATCH.replace('args', 'params')}]"])
def test_scorers_come_with_their_arguments(written: str) -> None:
    text = f"evaluation:\n  {written}\n"
    assert imported(text).design["evaluation"]["scorers"] == [{"name": "match", "args": {"location": "exact"}}]
    assert left(text) == {}


def test_what_is_imported_is_designed_where_models_and_data_are(lab_folder: Path) -> None:
    text = WHOLE.replace("Llama-3.2-1B-Instruct", "tiny").replace("words_4L.json", "words.json").replace("cap_task.py", "capitalization.py")
    (lab_folder / "experiment_summary.yaml").write_text(text)
    ckgit("-C", str(lab_folder), "import", "cruijff", ".", "--output", "design.yaml")
    done = ckgit("-C", str(lab_folder), "design", "imported", "--from", str(lab_folder / "design.yaml"), "--set", "controls.device=cpu")
    assert done.returncode == 0, done.stderr
    assert "imported is designed: 3 runs, 2 of them trained, 5 evaluations" in done.stdout


def test_what_few_files_have_is_taken_over_too() -> None:
    text = """
experiment: {purpose: To know}
models: [{name: tiny, path: /my models/tiny}]
data: {words: {path: /scratch/w.json}, others: {path: data/o.json}}
controls: {precision: fp32}
evaluation:
  generation: {max_tokens: 8}
  tasks: [{name: a, dataset: /scratch/w.json, limit: 5}, {name: b, dataset: others}]
compute: {training: {time: "01:00:00", gpus: 2}}
"""
    design = imported(text).design
    assert design["experiment"] == {"purpose": "To know"}
    assert design["controls"] == {"dtype": "fp32"}
    assert design["evaluation"]["generation"] == {"max_tokens": 8}
    assert design["evaluation"]["tasks"] == [{"name": "a", "data": "words", "limit": 5}, {"name": "b", "data": "others"}]
    assert design["data"].keys() == {"words", "others"}
    assert design["compute"] == {"training": {"time": "01:00:00", "gpus": 2}}
    found = left(text)
    assert list(found) == ["3:models.0.path", "4:data.words.path", "8:evaluation.tasks.0.dataset"]
    assert found["3:models.0.path"].endswith("ckgit models add tiny '/my models/tiny'")


def test_several_models_and_data_sets_are_told_apart() -> None:
    text = (
        "models: [one, {name: two}]\ndata: {old: {path: data/a.json}}\nruns: [{name: r, type: control, model: two}]\n"
        "evaluation: {tasks: [{name: t, dataset: data/b.json}, {name: u, dataset: old}]}\n"
    )
    design = imported(text).design
    assert design["models"] == ["one", "two"]
    assert design["runs"] == [{"name": "r", "type": "control", "parameters": {"model": "two"}}]
    assert design["data"] == {"old": {"path": "data/a.json"}, "b": {"path": "data/b.json"}}
    assert [task["data"] for task in design["evaluation"]["tasks"]] == ["b", "old"]


def test_the_command_prints_the_design_alone(tmp_path: Path) -> None:
    (tmp_path / "experiment_summary.yaml").write_text(WHOLE)
    shown = ckgit("import", "cruijff", str(tmp_path))
    assert shown.stdout == write_yaml(imported(WHOLE).design)
    assert f"{tmp_path}/experiment_summary.yaml:6:3: experiment.type: a design has nothing like it\n" in shown.stderr
    written = ckgit("-C", str(tmp_path), "import", "cruijff", ".", "--output", "new.yaml")
    assert (tmp_path / "new.yaml").read_text() == shown.stdout
    assert "ckgit validate new.yaml" in written.stdout
    again = ckgit("-C", str(tmp_path), "import", "cruijff", ".", "--output", "new.yaml")
    assert (again.returncode, "there is a file already" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("runs: &a [1]\n", ":1:7: the anchor &a is not supported"),
        ("- a\n", ":1:1: expected a mapping"),
        ("a: 1\na: 2\n", ":2:1: the key a is here twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_of_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "old.yaml").write_text(text)
    refused = ckgit("import", "cruijff", str(tmp_path / "old.yaml"))
    assert (refused.returncode, refused.stdout) == (3, "")
    assert f"old.yaml{told}" in refused.stderr


def test_nothing_of_a_file_reaches_a_terminal_raw(tmp_path: Path) -> None:
    (tmp_path / "experiment_summary.yaml").write_text('"\\e[31mred": 1\n')
    assert "\x1b" not in ckgit("import", "cruijff", str(tmp_path)).stderr
