import json

import pytest

from ckgit.errors import CkgitError
from ckgit.lab.lab import open_lab
from ckgit.lab.models.cards import add_model, list_models
from ckgit.lab.models.find import find_model
from tests.lab.models.test_folder import CONFIG, WEIGHTS


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


def add(lab, folder, name="fresh", *, replace=False, commit=True, dry_run=False):
    return add_model(lab, name, folder, replace=replace, commit=commit, dry_run=dry_run)


def test_the_card_alone_is_committed_and_what_is_staged_stays_staged(lab, model, run):
    (lab.root / "data/words.json").write_text("{}")
    (lab.root / "new.txt").write_text("mine")
    run(lab.root, "add", "new.txt")
    added = add(lab, model)
    assert run(lab.root, "show", "--format=%s", "--name-only", "HEAD").split() == ["Add", "model", "fresh", "models/fresh.yaml"]
    assert run(lab.root, "status", "--porcelain").splitlines() == [" M data/words.json", "A  new.txt"]
    assert (added.changed, added.commit, added.next) == (True, run(lab.root, "rev-parse", "HEAD"), "")


def test_another_clone_on_this_machine_finds_the_files(lab, model, run, tmp_path):
    added = add(lab, model)
    run(tmp_path, "clone", "--quiet", str(lab.root), "clone")
    clone = open_lab(tmp_path / "clone")
    assert find_model(clone, clone.cluster(), added.card, added.content) == model
    assert [(each.card.name, each.folder) for each in list_models(clone)] == [("fresh", model), ("tiny", None)]


def test_adding_again_changes_nothing(lab, model, run):
    first = add(lab, model)
    again = add(lab, model)
    assert (again.changed, again.commit, again.next) == (False, "", "")
    assert run(lab.root, "rev-parse", "HEAD") == first.commit


def test_another_model_of_that_name_is_kept_unless_it_shall_be_replaced(lab, model, run):
    add(lab, model)
    (model / "tokenizer.json").write_text('{"other": 1}')
    with pytest.raises(CkgitError, match="another model of that name"):
        add(lab, model)
    assert run(lab.root, "status", "--porcelain") == ""
    assert add(lab, model, replace=True).commit == run(lab.root, "rev-parse", "HEAD")


def test_on_another_branch_the_card_is_written_and_the_user_is_told_what_to_do(lab, model, run):
    run(lab.root, "switch", "--quiet", "--create", "other")
    added = add(lab, model)
    assert added.commit == ""
    assert "git add models/fresh.yaml && git commit -m 'Add model fresh' -- models/fresh.yaml" in added.next
    assert run(lab.root, "status", "--porcelain") == "?? models/fresh.yaml"


def test_where_git_does_not_commit_the_card_is_written_all_the_same(lab, model, run, monkeypatch):
    hook = lab.git_dir / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    added = add(lab, model)
    assert (lab.root / "models/fresh.yaml").is_file()
    assert added.next.startswith("git did not commit it")


def test_a_dry_run_writes_nothing(lab, model, run):
    assert add(lab, model, dry_run=True).changed
    assert run(lab.root, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["../x", "-x", "a b", ""])
def test_a_name_that_is_none_is_refused(lab, model, name):
    with pytest.raises(CkgitError, match="is not a name for a model"):
        add(lab, model, name)


@pytest.mark.parametrize(
    "setting",
    [
        "status.showUntrackedFiles=no",
        "core.excludesFile={home}/ignored",
        "core.safecrlf=true",
        "core.autocrlf=true",
        "commit.cleanup=scissors",
    ],
)
def test_the_card_is_committed_whatever_the_users_git_is_set_to(lab, model, run, monkeypatch, tmp_path, setting):
    (tmp_path / "ignored").write_text("models/\n*.yaml\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    run(lab.root, "config", "--global", "core.autocrlf", "true" if "crlf" in setting else "false")
    run(lab.root, "config", "--global", *setting.format(home=tmp_path).split("=", 1))

    added = add(lab, model)

    assert added.next == ""
    assert added.commit == run(lab.root, "rev-parse", "main")
    assert run(lab.root, "show", "main:models/fresh.yaml") == added.content.decode().rstrip("\n")
    assert add(lab, model).commit == ""


def test_a_card_whose_commit_cannot_be_signed_is_left_to_the_user(lab, model, run):
    run(lab.root, "config", "commit.gpgsign", "true")
    run(lab.root, "config", "gpg.program", "false")

    added = add(lab, model)

    assert added.commit == ""
    assert "failed to sign" in added.next
    assert "git add models/fresh.yaml && git commit" in added.next
