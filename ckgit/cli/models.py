"""`ckgit models`: the lab's model cards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments, models
from ckgit.cli.fetching import FetchedFiles, from_hub, would_fetch
from ckgit.cli.output.tables import table, wrapped
from ckgit.cli.shared.common import dry_run_option, emit, json_option, lab_from, note
from ckgit.formats.advice import commands
from ckgit.formats.markdown import size

if TYPE_CHECKING:
    from ckgit.experiment.card import HubSource, TrainedSource
    from ckgit.experiment.outputs.labs import ModelDocument, ModelsDocument, ShowModelDocument
    from ckgit.lab.lab import Lab
    from ckgit.lab.models.cards import AddedCard, ListedCard


@click.group("models")
def command() -> None:
    """Add model cards, list and show them.

    A model card is all that scaffolding must know of a model: family, sizes, and the digest of each file.
    """


@command.command("add")
@click.argument("name")
@click.argument("path", metavar="[PATH | RUN]")
@click.argument("epoch", metavar="[EPOCH]", required=False, type=int)
@click.option("--from", "experiment", metavar="EXPERIMENT", shell_complete=experiments, help="Take what a run of this experiment trained.")
@click.option("--revision", metavar="REV", help="Of a model in the hub: a branch, a tag or a commit. Its newest one without.")
@click.option("--replace", is_flag=True, help="Write the card even where another model has that name.")
@click.option("--commit/--no-commit", default=True, help="Commit the card on the default branch, where that is checked out.")
@dry_run_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    name: str,
    path: str,
    epoch: int | None,
    *,
    experiment: str | None,
    revision: str | None,
    replace: bool,
    commit: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the card of the Hugging Face model in folder PATH as models/NAME.yaml.

    Where PATH is no folder here but a model of the hub, as org/name, its files are fetched into the cluster's models_root; the card has
    the commit they are of. Nothing of the model is executed. A folder stays where it is, and this machine remembers it for the card;
    where it was moved, the same command with its new place says so, and card and designs stay as they are.
    With --from EXPERIMENT RUN [EPOCH] the model is a checkpoint that the lab has trained, that of the last epoch where none is named. Its
    files are copied beside the lab's other models, and the card says which training they are from.
    """
    from ckgit.experiment.tools.workers import refusals
    from ckgit.lab.models.cards import add_model
    from ckgit.lab.models.hub import is_hub_name

    lab = lab_from(ctx)
    _refuse_contradictions(path, epoch, experiment=experiment, revision=revision)
    fetched = None
    source: HubSource | TrainedSource | None
    if experiment:
        folder, source = _trained(lab, name, experiment.removeprefix("exp/"), path, epoch, dry_run=dry_run)
    elif is_hub_name(path):
        fetched = from_hub(lab, name, path, revision, replace=replace, dry_run=dry_run)
        if dry_run and not fetched.here:
            emit(lambda: would_fetch(name, fetched), as_json, fetched.text())
            return
        folder, source = fetched.folder, fetched.source
    else:
        folder, source = Path(path), None
    added = add_model(lab, name, folder, replace=replace, commit=commit, dry_run=dry_run, source=source)
    for why in refusals(added.card):
        note(f"{name} cannot be trained with every tool: {why}")
    emit(lambda: _added_document(added, fetched), as_json, added.content.decode() if dry_run else _added_text(added))
    if added.next and not as_json:
        note(f"next: {added.next}")


def _refuse_contradictions(path: str, epoch: int | None, *, experiment: str | None, revision: str | None) -> None:
    """Refuse options that are of another kind of model than the one that is added."""
    from ckgit.lab.models.hub import is_hub_name

    if experiment:
        return
    if epoch is not None:
        raise click.UsageError("EPOCH is of a run, and needs --from EXPERIMENT")
    if revision and not is_hub_name(path):
        raise click.UsageError(f"--revision is of a model in the hub, and {path} is a folder")


def _trained(lab: Lab, name: str, experiment: str, run: str, epoch: int | None, *, dry_run: bool) -> tuple[Path, TrainedSource]:
    """The folder of a checkpoint and which it is; with a dry run it stays where it is."""
    from ckgit.orchestrators.design.beginnings.trained import bring, trained_model

    found = trained_model(lab, experiment, run, epoch)
    return found.folder if dry_run else bring(lab, name, found), found.source


def _added_document(added: AddedCard, fetched: FetchedFiles | None) -> ModelDocument:
    from ckgit.experiment.outputs.labs import ModelDocument

    return ModelDocument(
        model=added.card.name,
        path=added.path,
        changed=added.changed,
        commit=added.commit or None,
        card=added.card,
        fetched=fetched.document() if fetched else None,
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

    listed = list_models(lab_from(ctx))
    rows = [(m.card.name, m.card.family, f"{m.card.parameters:,}", m.card.dtype, _bytes(m), m.license or "", _folder(m)) for m in listed]
    header = ("name", "family", "parameters", "dtype", "files", "license", "folder")
    text = table(header, rows, less=("dtype", "files")) if rows else "no model cards; ckgit models add NAME PATH makes one"
    emit(lambda: _listed_document(listed), as_json, text)
    for model in listed:
        if model.problem:
            note(model.problem)


def _bytes(model: ListedCard) -> str:
    return size(sum(file.bytes for file in model.card.files.values()))


def _folder(model: ListedCard) -> str:
    return str(model.folder or "not on this machine")


def _listed_document(listed: Sequence[ListedCard]) -> ModelsDocument:
    from ckgit.experiment.outputs.labs import ListedModel, ModelsDocument

    rows = (
        ListedModel(
            model=each.card.name,
            family=each.card.family,
            parameters=each.card.parameters,
            dtype=each.card.dtype,
            bytes=sum(file.bytes for file in each.card.files.values()),
            folder=str(each.folder) if each.folder else None,
            problem=each.problem or None,
            license=each.license,
        )
        for each in listed
    )
    return ModelsDocument(models=tuple(rows))


@command.command("show")
@click.argument("name", shell_complete=models)
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, *, as_json: bool) -> None:
    """Show model card NAME: family, sizes, licence, and where its files come from and are."""
    from ckgit.lab.models.cards import show_model

    model = show_model(lab_from(ctx), name)
    emit(lambda: _shown_document(model), as_json, "\n".join(_shown(model)))
    if model.problem:
        note(model.problem)


def _shown(model: ListedCard) -> Iterator[str]:
    card = model.card
    sizes = card.architecture
    lines = {
        "family": card.family,
        "parameters": f"{card.parameters:,}, stored as {card.dtype}",
        "layers": f"{sizes.num_hidden_layers} of width {sizes.hidden_size}, {sizes.num_attention_heads} heads",
        "vocabulary": f"{sizes.vocab_size:,} tokens",
        "context": f"{sizes.max_position_embeddings:,} tokens",
        "template": "its own" if card.template else "none: train it with dataset_type: text_completion",
        "license": model.license or "none is named in its folder" if model.folder else "not known without its files",
        "hub": f"{card.hub.repo} at {card.hub.revision}" if card.hub else "not fetched by ckgit",
        **({"trained": card.trained.in_words} if card.trained else {}),
        "files": f"{len(card.files)}, {_bytes(model)}",
        "folder": _folder(model),
    }
    yield f"{card.name} ({model.path})"
    yield from (wrapped(f"  {name:<12}{text}", 14) for name, text in lines.items())


def _shown_document(model: ListedCard) -> ShowModelDocument:
    from ckgit.experiment.outputs.labs import ShowModelDocument

    return ShowModelDocument(
        path=model.path,
        card=model.card,
        folder=str(model.folder) if model.folder else None,
        problem=model.problem or None,
        license=model.license,
    )
