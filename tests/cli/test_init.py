import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from ckgit.cli.init import command
from ckgit.errors import CkgitError
from ckgit.lab.hooks.folder import IN_CLONES


def invoke(*args, obj=None):
    return CliRunner().invoke(command, [str(arg) for arg in args], obj=obj, catch_exceptions=False)


def test_it_says_what_it_made_and_what_comes_next(tmp_path):
    result = invoke("my lab", obj=tmp_path)

    assert result.exit_code == 0
    assert f"made {tmp_path / 'my lab'} a lab" in result.output
    assert "  ckgit.toml\n" in result.output
    assert "  cd 'my lab'\n  ckgit models add" in result.output
    assert "then commit" not in result.output  # ckgit models add commits the card itself
    assert (tmp_path / "my lab/ckgit.toml").is_file()


def test_a_dry_run_writes_nothing(tmp_path):
    result = invoke("--dry-run", tmp_path / "lab")

    assert "would make" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_second_time_there_is_nothing_to_do(lab_folder):
    assert "there is nothing to do" in invoke(obj=lab_folder).output


def test_workflows_for_a_lab_that_is_there(lab_folder):
    would = invoke("--ci", "github", "--dry-run", obj=lab_folder).output
    did = invoke("--ci", "github", obj=lab_folder).output

    assert f"would add to the lab {lab_folder}, by one commit on branch main:\n  .github/workflows/experiment-comment.yml" in would
    assert f"added to the lab {lab_folder}" in did
    assert "[review] approvers" in did
    assert "there is nothing to do" in invoke("--ci", "github", obj=lab_folder).output


def test_as_one_document(tmp_path):
    shown = json.loads(invoke("--dry-run", "--json", tmp_path / "lab").stdout)
    assert (shown["dry_run"], "ckgit.toml" in shown["files"], (tmp_path / "lab").exists()) == (True, True, False)
    made = json.loads(invoke("--json", tmp_path / "lab").stdout)
    assert made == {**shown, "dry_run": False}
    assert json.loads(invoke("--json", tmp_path / "lab").stdout)["files"] == []


def test_hooks_are_offered_and_installed_where_they_are_asked_for(tmp_path, monkeypatch):
    assert "  ckgit hooks install   " in invoke(tmp_path / "one").output
    assert not (tmp_path / "one/.git/hooks/pre-commit").exists()
    output = invoke("--hooks", tmp_path / "two").output
    assert "installed the hooks pre-commit, prepare-commit-msg, commit-msg, pre-push\n" in output
    assert "ckgit hooks install" not in output
    assert (tmp_path / "two/.git/hooks/pre-commit").exists()
    assert "ckgit hooks" not in invoke("--no-hooks", tmp_path / "three").output
    assert not list((tmp_path / "three").glob(".git/hooks/*[!e]"))
    assert json.loads(invoke("--hooks", "--json", tmp_path / "one").stdout)["hooks"][0] == "pre-commit"
    assert json.loads(invoke("--hooks", "--dry-run", "--json", tmp_path / "four").stdout)["hooks"] == []


@pytest.mark.parametrize(("answer", "installed"), [("y\n", True), ("\n", True), ("n\n", False)])
def test_on_a_terminal_it_asks(tmp_path, monkeypatch, answer, installed):
    monkeypatch.setattr("ckgit.cli.init.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    done = CliRunner().invoke(command, [str(tmp_path / "lab")], input=answer, catch_exceptions=False)
    assert "Have git check experiments" in done.output
    assert (tmp_path / "lab/.git/hooks/pre-commit").exists() == installed
    assert "ckgit hooks install " not in done.output


def test_a_hooks_folder_of_others_is_told_when_the_lab_is_made(tmp_path, monkeypatch):
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n\thooksPath = {tmp_path}/shared\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with pytest.raises(CkgitError) as caught:
        invoke("--hooks", tmp_path / "lab")
    assert caught.value.state == "the lab is made; no hook was installed"
    assert (tmp_path / "lab/ckgit.toml").exists()


def test_pre_commit_is_offered_the_same_hooks():
    found = YAML(typ="safe").load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    assert [each["entry"] for each in found] == [f"ckgit hooks run {name}" for name in IN_CLONES]
    assert [each["stages"] for each in found] == [[name] for name in IN_CLONES]
    assert [each.get("pass_filenames", True) for each in found] == ["msg" in name for name in IN_CLONES]
