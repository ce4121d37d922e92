import json

from click.testing import CliRunner

from ckgit.cli.init import command


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


def test_as_one_document(tmp_path):
    shown = json.loads(invoke("--dry-run", "--json", tmp_path / "lab").stdout)
    assert (shown["dry_run"], "ckgit.toml" in shown["files"], (tmp_path / "lab").exists()) == (True, True, False)
    made = json.loads(invoke("--json", tmp_path / "lab").stdout)
    assert made == {**shown, "dry_run": False}
    assert json.loads(invoke("--json", tmp_path / "lab").stdout)["files"] == []
