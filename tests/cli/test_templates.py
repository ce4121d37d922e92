"""Each template becomes a valid design in a fresh lab, and what a lab of one's own has is what it is filled with."""

import json
import re
from pathlib import Path

import pytest

from ckgit.cli.design import command
from ckgit.examples.tiny_model import tiny_card
from ckgit.experiment.card import FileDigest, Template
from ckgit.experiment.design.plan import Plan
from ckgit.lab.context import load_context
from ckgit.lab.lab import open_lab
from ckgit.lab.models.card_file import dump_card
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.design.beginnings.templates import templates
from tests.command_line import ckgit
from tests.conftest import run_git

FILES = {"model.safetensors": FileDigest(sha256="0" * 64, bytes=1)}


def card(name, *, bare=False):
    return dump_card(tiny_card(name, FILES, None if bare else Template(sha256="0" * 64, uses_date=False))).decode()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The lab of `ckgit init`, with the card of a tiny model."""
    folder = tmp_path_factory.mktemp("fresh") / "lab"
    environment = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert ckgit("init", str(folder)).returncode == 0
        (folder / "models/tiny_llama.yaml").write_text(card("tiny_llama"))
        run_git(folder, "add", "models")
        run_git(folder, "commit", "--quiet", "--message=A model")
    return folder


def plan_of(folder: Path, name: str) -> Plan:
    lab = open_lab(folder)
    return load_context(lab, take_snapshot(lab, name)).plan


# An example with files of its own: tests/examples/test_survey_lab.py designs it.
OF_ANY_LAB = sorted(set(templates()) - {"survey"})


@pytest.mark.parametrize("template", OF_ANY_LAB)
def test_it_is_designed_is_valid_and_is_scaffolded_in_a_fresh_lab(fresh, template):
    made = ckgit("design", template, "--template", template, "--set", "experiment.purpose=To try it.", folder=fresh)
    assert made.returncode == 0, made.stderr
    assert made.stderr.splitlines()[0] == f"{template} with model tiny_llama, data data/words_5L.json and task capitalization"
    assert "is valid" in ckgit("validate", template, folder=fresh).stdout
    assert "is scaffolded" in ckgit("advance", template, "--to", "scaffolded", folder=fresh).stdout
    summary = run_git(fresh, "show", f"exp/{template}:experiments/{template}/experiment_summary.md")
    assert 'purpose: "To try it."' in summary
    assert templates()[template] in summary
    assert summary.partition("\n---\n")[0].count("#") > 5  # it is explained


def test_a_template_says_what_it_says_of_a_lab_of_its_own(fresh):
    found = {}
    for name in ("full-vs-lora", "prompt-comparison", "eval-only"):
        assert ckgit("design", f"{name}-2", "--template", name, folder=fresh).returncode == 0
        found[name] = plan_of(fresh, f"{name}-2")
    assert [(run.name, run["method"]) for run in found["full-vs-lora"].training] == [("full", "full"), ("lora", "lora")]
    assert len({run["prompt"] for run in found["prompt-comparison"].runs}) == 2
    assert [(run.type, run.model) for run in found["eval-only"].runs] == [("eval-only", "tiny_llama")]


def test_a_learning_curve_ends_with_all_rows(fresh):
    assert ckgit("design", "curve", "--template", "data-size", folder=fresh).returncode == 0
    assert [run["max_samples"] for run in plan_of(fresh, "curve").training] == [37, 75, 150, 300]


def test_the_help_names_every_template():
    named = next(param.help for param in command.params if param.name == "template").rpartition(": ")[2]
    assert set(re.findall(r"[a-z-]+-[a-z-]+|survey", named)) == set(templates())


@pytest.fixture
def own(lab_folder, run):
    """A lab with two models, of which the first has no chat template, rows of other columns and splits, and a task of its own."""
    (lab_folder / "models/base.yaml").write_text(card("base", bare=True))
    run(lab_folder, "rm", "--quiet", "data/words.json", "tasks/capitalization.py")
    rows = {"fit": [{"id": "7", "question": f"{n}?", "answer": "a"} for n in range(16)], "valid": [{"question": "5?", "answer": "b"}]}
    (lab_folder / "data").mkdir(exist_ok=True)
    (lab_folder / "data/qa.json").write_text(json.dumps(rows))
    (lab_folder / "tasks").mkdir(exist_ok=True)
    (lab_folder / "tasks/mine.py").write_text("from inspect_ai import task\n\n\n@task\ndef answers(**arguments): ...\n")
    run(lab_folder, "add", "--all")
    run(lab_folder, "commit", "--quiet", "--message=Mine")
    return lab_folder


def test_it_is_filled_with_what_the_lab_has(own):
    done = ckgit("design", "mine", "--template", "lora-sweep", folder=own)
    assert done.returncode == 0, done.stderr
    plan = plan_of(own, "mine")
    run = plan.training[0]
    assert (run.model, run["dataset_type"], run["train_split"]) == ("base", "text_completion", "fit")
    task = plan.cells[0].task
    assert (task.name, task.source, task.split) == ("answers", "tasks/mine.py", "valid")
    data = take_snapshot(open_lab(own), "mine").summary.summary.data["rows"]
    assert (data.path, data.input_column, data.output_column) == ("data/qa.json", "question", "answer")


def test_rows_with_two_answers_are_trained_on_as_such(own, run):
    (own / "data/qa.json").unlink()
    (own / "data/qa.jsonl").write_text("\n".join(json.dumps({"prompt": f"{n}?", "chosen": "a", "rejected": "b"}) for n in range(20)))
    run(own, "rm", "--quiet", "models/base.yaml")
    run(own, "add", "--all")
    run(own, "commit", "--quiet", "--message=Pairs")
    done = ckgit("design", "mine", "--template", "lora-sweep", folder=own)
    assert done.returncode == 0, done.stderr
    run = plan_of(own, "mine").training[0]
    assert (run["objective"], run["lr"], run["lora_rank"]) == ("dpo", 2e-5, 4)
    assert ckgit("design", "as-it-is", "--template", "eval-only", folder=own).returncode == 0


def test_models_that_are_evaluated_alone_are_all_of_the_lab(own):
    assert ckgit("design", "mine", "--template", "eval-only", folder=own).returncode == 0
    runs = plan_of(own, "mine").runs
    assert [(run.name, run.model, run["dataset_type"]) for run in runs] == [("base", "base", "text_completion"), ("tiny", "tiny", "chat")]


def test_rows_that_nothing_divides_are_divided(own, run):
    (own / "data/qa.json").unlink()
    (own / "data/qa.csv").write_text("question,answer\n" + "".join(f"{n}?,a\n" for n in range(20)))
    run(own, "add", "--all")
    run(own, "commit", "--quiet", "--message=A table")
    done = ckgit("design", "curve", "--template", "data-size", folder=own)
    assert done.returncode == 0, done.stderr
    found = take_snapshot(open_lab(own), "curve").summary.summary
    assert found.recorded.data["rows"].splits == {"train": 16, "test": 4}
    assert found.variables["max_samples"] == (8, 16)
    assert ckgit("design", "as-it-is", "--template", "eval-only", folder=own).returncode == 0


@pytest.mark.parametrize(
    ("lost", "words"),
    [("models", "the lab has no model card"), ("data", "there is no data file in data/"), ("tasks", "the lab has no task in tasks/")],
)
def test_what_the_lab_lacks_is_said(lab_folder, run, lost, words):
    run(lab_folder, "rm", "--quiet", "-r", lost)
    run(lab_folder, "commit", "--quiet", "--message=Less")
    done = ckgit("design", "cap", "--template", "lora-sweep", folder=lab_folder)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_template_that_does_not_exist_is_told_with_those_that_do(lab_folder):
    done = ckgit("design", "cap", "--template", "ppo", folder=lab_folder)
    assert (done.returncode, "choose one of: " in done.stderr) == (2, True)


def test_rows_that_cannot_be_read_are_told_by_their_file(lab_folder, run):
    (lab_folder / "data/words.json").write_text("[1, 2]")
    run(lab_folder, "commit", "--quiet", "--all", "--message=Numbers")
    done = ckgit("design", "cap", "--template", "lora-sweep", folder=lab_folder)
    assert (done.returncode, "data/words.json: its rows are no objects with columns" in done.stderr) == (2, True), done.stderr
