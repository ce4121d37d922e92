"""Tasks from templates: each is whole Python, its own test passes, and it can be tried."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import CkgitError
from ckgit.lab.tasks.new import TEMPLATES, NewTask, TaskFacts, plan_task
from tests.command_line import ckgit

ROWS = {"match": "ONE TWO SIX", "multiple-choice": "A B A", "numeric": "1 2 6", "judged": "one two six", "code": "1==1 2==2 6==6"}
SCORES = {
    "match": ["C", "I", "C"],
    "multiple-choice": ["C", "I", "C"],
    "numeric": [0.0, None, 0.0],
    "judged": ["C", "I", "C"],
    "code": ["C", "I", "C"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with a task of each template, and rows that each understands."""
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Ada")
            patch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")
        folder = tmp_path_factory.mktemp("tasks") / "lab"
        assert ckgit("init", str(folder)).returncode == 0
    for template, outputs in ROWS.items():
        name = f"my_{template.replace('-', '_')}"
        data = [{"input": f"row {number}", "output": output} for number, output in enumerate(outputs.split() * 2)]
        (folder / f"data/{name}.json").write_text(json.dumps({"test": data}))
        done = ckgit("-C", str(folder), "task", "new", name, "--template", template, "--data", f"data/{name}.json")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_tests_of_all_templates_pass_with_plain_pytest(made: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tasks"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_task_is_tried_on_its_rows_and_tells_right_from_wrong(made: Path, template: str) -> None:
    name = f"my_{template.replace('-', '_')}"
    options = {"judged": ["--arg", "judge=mockllm/model"], "code": ["--arg", "sandbox=local"]}.get(template, [])
    done = ckgit("-C", str(made), "task", "check", name, *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["trial"]
    if template == "code":  # the mock answers with the tests themselves, and these are right
        assert found["rows"][0]["answer"] == "1==1"
    assert [next(iter(row["scores"].values())) for row in found["rows"]] == SCORES[template]
    assert (found["samples"], found["error"]) == (6, None)


def test_a_task_that_fails_is_told_of_by_the_places_in_its_own_file(made: Path) -> None:
    (made / "tasks/failing.py").write_text("from inspect_ai import task\n\nprint(1)\n@task\ndef failing():\n    return undefined\n")
    done = ckgit("-C", str(made), "task", "check", "failing")
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "task failing failed: NameError: name 'undefined' is not defined",
        "  tasks/failing.py, line 6, in failing",
    ]
    (made / "tasks/failing.py").write_text("from inspect_ai import task\n\n@task\ndef failing(:\n")
    syntax = ckgit("-C", str(made), "task", "check", "failing")
    assert (syntax.returncode, "tasks/failing.py: it is not Python: line 4" in syntax.stderr) == (2, True)
    (made / "tasks/failing.py").write_text("def failing(): ...\n")
    without = ckgit("-C", str(made), "task", "check", "failing")
    assert (without.returncode, "tasks/failing.py: it has no @task function failing (it has: none)" in without.stderr) == (2, True)
    needs = ckgit("-C", str(made), "task", "check", "my_judged")
    assert (needs.returncode, "needs judge" in needs.stderr) == (2, True)
    unknown = ckgit("-C", str(made), "task", "check", "my_mtch")
    assert (unknown.returncode, "did you mean my_match?" in unknown.stderr) == (2, True)


def test_nothing_is_overwritten(made: Path) -> None:
    (made / "tasks/my_match.md").write_text("my own words\n")
    done = ckgit("-C", str(made), "task", "new", "my_match", "--template", "code")
    assert done.returncode == 2
    assert "tasks/my_match.py and tasks/test_my_match.py and tasks/my_match.md exist already" in done.stderr
    assert (made / "tasks/my_match.md").read_text() == "my own words\n"
    assert ckgit("-C", str(made), "task", "new", "other", "--template", "code", "--dry-run").returncode == 0
    assert not (made / "tasks/other.py").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("json", "an installed module has that name"),
        ("pytest", "an installed module has that name"),
        ("my-task", "it names a function"),
        ("class", "it names a function"),
        ("../up", "it names a function"),
        ("test_it", "pytest would take the task for a test"),
    ],
)
def test_names_that_would_not_work_are_refused(name: str, words: str) -> None:
    with pytest.raises(CkgitError, match=words):
        plan_task(name, "match", TaskFacts())


HOSTILE = TaskFacts(
    data="data/a b.json",
    split='te"st',
    prompt='Say "{input}"\nnow: \'it\' \\ ü \u202e 😀',
    system_prompt="Be '''terse''' \"\"\"",
    input_column="a'b",
    output_column='c"d',
    labels=("x", 'y"', "z'\n"),
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_whatever_is_asked_stands_in_the_task_as_it_was_given(template: str) -> None:
    new: NewTask = plan_task("mine", template, HOSTILE)
    tree = ast.parse(new.files["tasks/mine.py"])
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "mine"]
    given = zip(reversed(function.args.args), reversed(function.args.defaults), strict=False)
    defaults = {argument.arg: value.value for argument, value in given if isinstance(value, ast.Constant)}
    for field in ("split", "prompt", "system_prompt", "input_column", "output_column"):
        assert defaults[field] == getattr(HOSTILE, field), field
    assert defaults["data"] == "../data/a b.json"
    if template == "multiple-choice":
        [labels] = [node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LABELS"]
        assert ast.literal_eval(labels) == HOSTILE.labels
    ast.parse(new.files["tasks/test_mine.py"])
    assert not any(b"my_task" in content or b"my_data" in content for content in new.files.values())
