import json

from click.testing import CliRunner

from ckgit.cli.models import command
from tests.lab.models.test_folder import CONFIG, WEIGHTS


def call(lab_folder, *words):
    return CliRunner().invoke(command, list(map(str, words)), obj=lab_folder, catch_exceptions=False)


def make_model(folder):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


def test_a_model_is_added_and_listed(lab_folder, tmp_path):
    folder = make_model(tmp_path / "model")
    shown = call(lab_folder, "add", "fresh", folder)
    assert (
        shown.stdout.splitlines()[0]
        == "fresh: llama, 88 parameters, float32, no chat template: train it with dataset_type: text_completion"
    )
    assert "models/fresh.yaml written, committed as" in shown.stdout
    assert str(folder) in call(lab_folder, "list").stdout
    listed = json.loads(call(lab_folder, "list", "--json").stdout)["models"]
    assert [(each["model"], each["parameters"]) for each in listed] == [("fresh", 88), ("tiny", 100_000)]


def test_a_dry_run_shows_the_card(lab_folder, tmp_path):
    shown = call(lab_folder, "add", "fresh", make_model(tmp_path / "model"), "--dry-run")
    assert "family: llama" in shown.stdout
    assert not (lab_folder / "models/fresh.yaml").exists()


def test_json_tells_what_was_done(lab_folder, tmp_path):
    document = json.loads(call(lab_folder, "add", "fresh", make_model(tmp_path / "model"), "--no-commit", "--json").stdout)
    assert (document["changed"], document["commit"], document["path"]) == (True, None, "models/fresh.yaml")
    assert document["card"]["parameters"] == 88
