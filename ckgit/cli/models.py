"""`ckgit models`: the lab's model cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.common import dry_run_option, emit, json_option, lab_from, note
from ckgit.cli.tables import table
from ckgit.formats.advice import commands

if TYPE_CHECKING:
    from ckgit.experiment.outputs.labs import ModelDocument, ModelsDocument
    from ckgit.lab.models.cards import AddedCard, ListedCard


@click.group("models")
def command() -> None:
    """Add model cards, and list them.

    A model card is all that scaffolding must know of a model: family, sizes, and the digest of each file.
    """


@command.command("add")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Write the card even where another model has that name.")
@click.option("--commit/--no-commit", default=True, help="Commit the card on the default branch, where that is checked out.")
@dry_run_option
@json_option
@click.pass_context
def add(ctx: click.Context, name: str, path: Path, *, replace: bool, commit: bool, dry_run: bool, as_json: bool) -> None:
    """Write the card of the Hugging Face model in folder PATH as models/NAME.yaml.

    Nothing of the folder is executed. The folder stays where it is, and this machine remembers it for the card.
    """
    from ckgit.experiment.tools.workers import refusals
    from ckgit.lab.models.cards import add_model

    added = add_model(lab_from(ctx), name, path, replace=replace, commit=commit, dry_run=dry_run)
    for why in refusals(added.card):
        note(f"{name} cannot be trained with every tool: {why}")
    emit(lambda: _added_document(added), as_json, added.content.decode() if dry_run else _added_text(added))
    if added.next and not as_json:
        note(f"next: {added.next}")


def _added_document(added: AddedCard) -> ModelDocument:
    from ckgit.experiment.outputs.labs import ModelDocument

    return ModelDocument(
        model=added.card.name,
        path=added.path,
        changed=added.changed,
        commit=added.commit or None,
        card=added.card,
        advice=added.next,
        next=tuple(commands(added.next)),
    )


def _added_text(added: AddedCard) -> str:
    card = added.card
    template = "its own chat template" if card.template else "no chat template: train it with dataset_type: text_completion"
    written = "written" if added.changed else "unchanged"
    committed = f", committed as {added.commit[:12]}" if added.commit else ""
    return f"{card.name}: {card.family}, {card.parameters:,} parameters, {card.dtype}, {template}\n{added.path} {written}{committed}"


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the model cards of the lab, and where their files are on this machine."""
    from ckgit.lab.models.cards import list_models

    lab = lab_from(ctx)
    models = list_models(lab, lab.cluster())
    rows = [(m.card.name, m.card.family, f"{m.card.parameters:,}", m.card.dtype, str(m.folder or "-")) for m in models]
    text = (
        table(("name", "family", "parameters", "dtype", "folder"), rows) if rows else "no model cards; ckgit models add NAME PATH makes one"
    )
    emit(lambda: _listed_document(models), as_json, text)
    for model in models:
        if model.problem:
            note(model.problem)


def _listed_document(models: Sequence[ListedCard]) -> ModelsDocument:
    from ckgit.experiment.outputs.labs import ListedModel, ModelsDocument

    rows = (
        ListedModel(
            model=each.card.name,
            family=each.card.family,
            parameters=each.card.parameters,
            dtype=each.card.dtype,
            folder=str(each.folder) if each.folder else None,
            problem=each.problem or None,
        )
        for each in models
    )
    return ModelsDocument(models=tuple(rows))
