"""`ckgit schema`: the JSON schemas of ckgit's files and documents."""

from __future__ import annotations

from pathlib import Path

import click

from ckgit.cli.common import emit, json_option
from ckgit.cli.streams import say
from ckgit.cli.tables import table
from ckgit.experiment.outputs.labs import ListedSchema, SchemasDocument
from ckgit.experiment.schemas import MODELS, schema


@click.command("schema")
@click.argument("name", required=False, type=click.Choice(list(MODELS)))
@click.option("--write", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write every schema to this folder instead.")
@json_option
def command(name: str | None, folder: Path | None, *, as_json: bool) -> None:
    """Print the JSON schema NAME, or list the schemas.

    An editor that knows JSON schema checks and completes a design with it.
    """
    if folder is not None:
        _write(folder, [name] if name else list(MODELS))
    elif name is not None:
        say(schema(name).decode(), nl=False)
    else:
        emit(_document, as_json, table(["schema", "describes"], [[each, file] for each, (_, file) in MODELS.items()]))


def _document() -> SchemasDocument:
    return SchemasDocument(schemas=tuple(ListedSchema(name=each, describes=file) for each, (_, file) in MODELS.items()))


def _write(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in names:
        path = folder / f"{each}.json"
        path.write_bytes(schema(each))
        say(str(path))
