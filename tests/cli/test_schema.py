"""`ckgit schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckgit.cli.schema import command
from ckgit.experiment.schemas import MODELS, schema


def test_without_a_name_it_lists_every_schema() -> None:
    shown = CliRunner().invoke(command, [])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()] == ["schema", *MODELS]
    assert [each["name"] for each in json.loads(CliRunner().invoke(command, ["--json"]).output)["schemas"]] == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_refuses_unknown_keys_at_every_level(name: str) -> None:
    document = json.loads(CliRunner().invoke(command, [name]).output)
    objects = [document, *document.get("$defs", {}).values()]
    assert all(one["additionalProperties"] is False for one in objects if "properties" in one)


def test_every_parameter_of_a_design_is_described() -> None:
    fields = json.loads(schema("design"))["$defs"]["torchtune.parameters"]["properties"]
    assert {name for name, field in fields.items() if not field.get("description")} == set()


def test_write_puts_every_schema_into_a_folder(tmp_path: Path) -> None:
    assert CliRunner().invoke(command, ["--write", str(tmp_path / "schemas")]).exit_code == 0
    assert {path.stem: path.read_bytes() for path in (tmp_path / "schemas").iterdir()} == {name: schema(name) for name in MODELS}


def test_an_unknown_name_is_a_usage_error() -> None:
    shown = CliRunner().invoke(command, ["nothing"])
    assert shown.exit_code == 2
    assert "summary" in shown.output
