"""A preparation that is no training, as a package of its own brings it: from its design to the report, with real inspect-ai."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.whole import ROOT, shell, tiny_llama

PACKAGE = ROOT / "tests/packages/ckgit-prompts"
DESIGN = """\
schema_version: 1
experiment:
  name: ask
  question: Which way of asking is best?
  date: 2026-11-23
  claims: [{metric: accuracy, task: capitalization, left: chosen, right: base, direction: greater}]
tools: {preparation: prompts}
models: [tiny_llama]
data: {words: {path: data/echo.json}}
controls: {device: cpu, dtype: fp32, prompt: "Please say the following word to me: {input}", rows: 2}
runs:
  - {name: chosen, parameters: {candidates: ["Now you say the word {input}", "{input}"]}}
  - {name: base, type: control}
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 8}
"""
WORDS = {
    name: [{"input": word, "output": word} for word in words]
    for name, words in {"train": ["apple", "bread"], "test": ["chair", "dress"]}.items()
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as an installer leaves it. (That pip can install such a one is shown in test_tiny_evaluator.)"""
    folder = tmp_path_factory.mktemp("site")
    for module in PACKAGE.glob("*.py"):
        shutil.copy(module, folder)
    info = folder / "ckgit_prompts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ckgit-prompts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ckgit.workers]\nprompts = ckgit_prompts:worker\n")
    return folder


def environment(site: Path, home: Path) -> dict[str, str]:
    found = shell(home, warm=True) | {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return found | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


def ckgit(site: Path, folder: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(["ckgit", *words], cwd=folder, env=environment(site, folder), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def checked(site: Path, folder: Path, design: str, code: int = 3) -> list[str]:
    (folder / "design.yaml").write_text(design)
    said = ckgit(site, folder, "validate", "design.yaml", code=code)
    return [line.strip().removeprefix("design.yaml:") for line in said.splitlines() if line.strip().startswith("design.yaml:")]


def test_its_parameters_are_checked_with_their_places(site: Path, tmp_path: Path) -> None:
    wrong = DESIGN.replace("rows: 2", "row: 2").replace("candidates:", "lr: 0.1, candidates:")
    assert checked(site, tmp_path, wrong) == [
        "10:94: unknown key row: did you mean rows?",
        "12:33: lr is not supported: no weights are trained here",
    ]


def test_its_values_are_checked_with_their_places(site: Path, tmp_path: Path) -> None:
    varied = DESIGN.replace("runs:\n", "variables: {rows: [1, many], seed: [1, 2]}\nruns:\n").replace("rows: 2}", "train_split: train}")
    assert checked(site, tmp_path, varied) == [
        "11:23: expected a whole number; found 'many'; a number is written without quotes",
        (
            "11:30: seed is a parameter of torchtune and trl, and not of the tool that the design names; leave it out, "
            "or write tools: {preparation: torchtune}"
        ),
    ]


def test_a_tool_that_is_misspelt_is_told(site: Path, tmp_path: Path) -> None:
    assert checked(site, tmp_path, DESIGN.replace("preparation: prompts", "preparation: promts")) == [
        "7:9: no installed worker does training with promts; did you mean prompts?"
    ]


def test_the_schema_of_a_design_is_that_of_its_tool(site: Path, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    schema = json.loads(ckgit(site, tmp_path, "schema", "design"))
    validator = jsonschema.Draft202012Validator(schema)

    def problems(**changes: object) -> list[str]:
        document = yaml.safe_load(DESIGN.replace("2026-11-23", "'2026-11-23'")) | changes
        return sorted(error.message for error in validator.iter_errors(document))

    assert problems() == []
    assert len(problems(controls={"lr": 0.1})) == 1
    assert problems(controls={"lr": 0.1}, tools={"preparation": "torchtune"}, runs=[]) == []
    assert len(problems(controls={"rows": 2}, tools={}, runs=[])) == 1
    assert problems(variables={"rows": [1, 2]}) == []
    assert len(problems(variables={"rows": ["many"]})) == 1
    assert len(problems(variables={"seed": [1]})) == 1
    results = json.loads(ckgit(site, tmp_path, "schema", "results"))
    assert {"$ref": "#/$defs/PromptSearch"} in results["$defs"]["TrainingResult"]["properties"]["own"]["anyOf"]


@pytest.fixture(scope="module")
def lab(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab after the experiment."""
    model, folder = tiny_llama(), tmp_path_factory.mktemp("ask")
    ckgit(site, folder, "init", "lab", "--slots", "1")
    lab = folder / "lab"
    ckgit(site, lab, "models", "add", "tiny_llama", str(model))
    (lab / "data/echo.json").write_text(json.dumps(WORDS))
    config = lab / "ckgit.toml"
    setup = f"export PYTHONPATH='{site}{os.pathsep}{ROOT}'"
    config.write_text(config.read_text().replace('scheduler = "local"\n', f'scheduler = "local"\nsetup = ["{setup}"]\n'))
    (folder / "design.yaml").write_text(DESIGN)
    for words in (("add", "."), ("commit", "--quiet", "--message=Words to say again")):
        subprocess.run(["git", *words], cwd=lab, env=environment(site, folder), check=True)
    ckgit(site, lab, "design", "ask", "--from", "../design.yaml")
    ckgit(site, lab, "advance", "ask", "--to", "analyzed")
    return lab


@pytest.mark.slow
def test_it_goes_from_its_design_to_the_report(site: Path, lab: Path) -> None:
    shown = json.loads(ckgit(site, lab, "show", "ask", "--json"))
    chosen, base = (run["results"] for run in shown["runs"])
    assert shown["lifecycle_state"] == "analyzed"
    assert chosen["training"]["own"]["kept"] == "{input}"
    assert [trial["prompt"] for trial in chosen["training"]["own"]["tried"]] == ["Now you say the word {input}", "{input}"]
    assert chosen["training"]["steps"] == 2
    assert [cell["metrics"][0]["value"] for cell in chosen["cells"]] == [1.0]
    assert [cell["metrics"][0]["value"] for cell in base["cells"]] == [0.0]
    assert chosen["remarks"] == []


@pytest.mark.slow
def test_the_report_says_what_was_tried(lab: Path) -> None:
    report = subprocess.run(
        ["git", "show", "exp/ask:experiments/ask/analysis/report.md"], cwd=lab, capture_output=True, text=True, check=True
    ).stdout
    assert "### chosen: prompts\n\n| prompt | loss of the answers |  |" in report
    assert "| {input} | " in report
    assert " | kept |" in report


@pytest.mark.slow
def test_what_was_asked_is_what_was_left(site: Path, lab: Path) -> None:
    """The evaluation's own log has the prompt, and so has what the branch says of it."""
    [cell] = json.loads(ckgit(site, lab, "show", "ask", "chosen", "--json"))["runs"][0]["cells"]
    assert cell["prompt"] == "{input}"
