"""Digests of a model folder's files, and the lines that name those that are not as recorded."""

import hashlib
from pathlib import Path

import pytest

from ckgit.experiment.card import folder_digest
from ckgit.workers.digests import changed, differences, digests, options, parse_file_options


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.safetensors", "config.json", "chat_template.jinja", "README.md", ".hidden.json", "adapter_config.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "adapter").mkdir()
    return tmp_path


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_loading_reads_is_digested(folder: Path) -> None:
    found = digests(folder)
    assert {name: (each.sha256, each.bytes) for name, each in found.items()} == {
        name: (sha256(name), len(name)) for name in ("chat_template.jinja", "config.json", "model.safetensors")
    }
    listed = "".join(f"{sha256(name)}  {name}\n" for name in ("chat_template.jinja", "config.json", "model.safetensors"))
    assert folder_digest(found) == sha256(listed)  # sha256sum chat_template.jinja config.json model.safetensors | sha256sum


def test_each_file_that_is_not_as_recorded_is_named(folder: Path) -> None:
    recorded = {name: each.sha256 for name, each in digests(folder).items()}
    assert list(differences(folder, digests(folder), recorded)) == []
    (folder / "model.safetensors").write_text("model.safetensorz")
    (folder / "config.json").unlink()
    (folder / "tokenizer.json").write_text("new")
    lines = list(differences(folder, digests(folder), recorded))
    named = [str(folder / name) for name in ("config.json", "model.safetensors", "tokenizer.json")]
    assert [line.partition(": FAILED (")[0] for line in lines] == named
    assert "it is not there" in lines[0]
    assert f"its SHA-256 is {sha256('model.safetensorz')[:12]}, recorded was {sha256('model.safetensors')[:12]}" in lines[1]
    assert "was not there when the others were recorded" in lines[2]


def test_a_command_is_told_of_files_whatever_their_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder / "a=b c.json"
    odd.write_text("odd")
    words, files = parse_file_options(["run", *options(digests(folder)), "last"])
    assert words == ["run", "last"]
    assert files["a=b c.json"] == sha256("odd")
    monkeypatch.chdir(folder)
    assert changed(files) == []
    odd.write_text("even")
    assert changed(files) == [f"a=b c.json: FAILED (its SHA-256 is {sha256('even')[:12]}, recorded was {sha256('odd')[:12]})"]


def test_of_an_adapter_alone_what_it_is_loaded_beside_counts_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base, folder = tmp_path / "models/tiny", tmp_path / "adapter"
    for each in (base, folder):
        each.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(b"weights")
    (folder / "adapter_model.safetensors").write_bytes(b"adapter")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "models/tiny"}')
    before = digests(folder)
    assert sorted(before) == ["adapter_config.json", "adapter_model.safetensors", "base/model.safetensors"]
    (base / "model.safetensors").write_bytes(b"other")
    [line] = differences(folder, digests(folder), {name: file.sha256 for name, file in before.items()})
    assert line.startswith(f"{folder}/base/model.safetensors: FAILED (its SHA-256 is ")
    (folder / "model.safetensors").write_bytes(b"merged")  # then it is not alone, and nothing is loaded beside it
    assert sorted(digests(folder)) == ["model.safetensors"]
    (folder / "model.safetensors").unlink()
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="does not say which model the adapter is of"):
        digests(folder)
