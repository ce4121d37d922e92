"""`ckgit delete`: an experiment's branch is deleted, or brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments
from ckgit.cli.shared.common import dry_run_option, emit, experiment_name, json_option, lab_from
from ckgit.formats.advice import commands
from ckgit.formats.markdown import size
from ckgit.orchestrators.upkeep.delete import DeletedBranch, delete, undo

if TYPE_CHECKING:
    from ckgit.experiment.outputs.upkeep.branches import DeleteDocument


@click.command("delete")
@click.argument("name", shell_complete=experiments)
@click.option("--authority", "at_authority", is_flag=True, help="Delete the authority's branch, too; its commits stay there.")
@click.option("--undo", "undone", is_flag=True, help="Bring back the branch that was deleted last.")
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, name: str, *, at_authority: bool, undone: bool, dry_run: bool, as_json: bool) -> None:
    """Delete an experiment's branch, in a way that can be undone.

    refs/ckgit/deleted/NAME/COMMIT keeps its commits in this clone. Jobs must have ended. What it holds on disk stays, until ckgit clean
    NAME --work. The name is free again only where it never had results.
    """
    lab = lab_from(ctx)
    experiment = experiment_name(lab, name)
    found = undo(lab, experiment, dry_run=dry_run) if undone else delete(lab, experiment, at_authority=at_authority, dry_run=dry_run)
    emit(lambda: _document(found, dry_run=dry_run), as_json, "\n".join([*_lines(found, dry_run=dry_run), f"next: {_advice(found)}"]))


def _lines(found: DeletedBranch, *, dry_run: bool) -> list[str]:
    would = "would be" if dry_run else "is"
    if found.undone:
        return [f"exp/{found.name} {would} there again, at {found.commit[:12]}"]
    there = f", and that of {found.authority}" if found.authority else ""
    lines = [f"exp/{found.name}{there} {would} deleted; {found.kept_as} keeps it in this clone"]
    return [*lines, f"{size(found.bytes)} stay on disk: ckgit clean {found.name} --work removes them"] if found.bytes else lines


def _advice(found: DeletedBranch) -> str:
    if found.undone:
        return f"ckgit status {found.name}"
    return f"ckgit delete {found.name} --undo brings it back"


def _document(found: DeletedBranch, *, dry_run: bool) -> DeleteDocument:
    from ckgit.experiment.outputs.upkeep.branches import DeleteDocument

    advice = _advice(found)
    return DeleteDocument(
        experiment=found.name,
        commit=found.commit,
        undone=found.undone,
        kept_as=found.kept_as,
        bytes=found.bytes,
        authority=bool(found.authority),
        dry_run=dry_run,
        advice=advice,
        next=tuple(commands(advice)),
    )
