"""`ckgit schema`: the JSON schemas of ckgit's files and documents."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable, table
from ckgit.cli.shared.common import emit, json_option
from ckgit.errors import CkgitError, Exit
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
    files = {folder / f"{each}.json": each for each in names}
    if other := next((file for file, each in files.items() if file.exists() and not _is_schema(file, each)), None):
        what, onward = "a file is there that is no schema of ckgit's", "name another folder, or move this file away"
        raise CkgitError(what, code=Exit.USAGE, where=str(other), state="nothing was written", next=onward)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, each in files.items():
            part = file.with_name(f".ckgit-{os.getpid()}")
            part.write_bytes(schema(each))
            part.replace(file)
            say(printable(str(file)))
    except OSError as error:
        what = f"it cannot be written: {error.strerror}"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(folder), next="make room there, or name another folder") from None


def _is_schema(file: Path, name: str) -> bool:
    """Whether a file is the schema of that name, as any ckgit has it."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "$schema" in document and document.get("title") == MODELS[name][1]
