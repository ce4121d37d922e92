"""`ckgit schema`: the JSON schemas of ckgit's files."""

from __future__ import annotations

from pathlib import Path

import click

from ckgit.cli.streams import json_text, say
from ckgit.experiment.schemas import MODELS, schema


@click.command("schema")
@click.argument("name", required=False, type=click.Choice(list(MODELS)))
@click.option("--write", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write every schema to this folder instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document: the schema, or the list of schemas.")
def command(name: str | None, folder: Path | None, *, as_json: bool) -> None:
    """Print the JSON schema NAME, or list the schemas.

    An editor that knows JSON schema checks and completes a design with it.
    """
    if folder is not None:
        _write(folder, [name] if name else list(MODELS))
    elif name is not None:
        say(schema(name).decode(), nl=False)
    elif as_json:
        say(json_text({each: file for each, (_, file) in MODELS.items()}))
    else:
        for each, (_, file) in MODELS.items():
            say(f"{each:12}{file}")


def _write(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in names:
        path = folder / f"{each}.json"
        path.write_bytes(schema(each))
        say(str(path))
