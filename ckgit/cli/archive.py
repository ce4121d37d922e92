"""`ckgit archive`: an experiment in one file, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ckgit.cli.completion import experiments, files
from ckgit.cli.output.tables import printable
from ckgit.cli.shared.common import dry_run_option, emit, experiment_name, json_option, lab_from
from ckgit.errors import CkgitError, Exit
from ckgit.formats.advice import commands
from ckgit.formats.listing import plural
from ckgit.formats.markdown import size
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.upkeep.archive import CHECKPOINTS, LOGS, WrittenArchive, archive, plan_archive
from ckgit.orchestrators.upkeep.delete import delete
from ckgit.orchestrators.upkeep.restore import restore

if TYPE_CHECKING:
    from ckgit.experiment.outputs.upkeep.branches import ArchiveDocument
    from ckgit.lab.lab import Lab


@click.command("archive")
@click.argument("name", required=False, shell_complete=experiments)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The new file; else NAME-COMMIT.ckgit.tar.")
@click.option("--with", "parts", multiple=True, type=click.Choice([LOGS, CHECKPOINTS]), help="What of its work trees goes along.")
@click.option("--remove", is_flag=True, help="Then delete the branch, as `delete` does.")
@click.option("--restore", "restored", type=click.Path(path_type=Path), metavar="FILE", shell_complete=files, help="Bring FILE back.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    name: str | None,
    output: Path | None,
    parts: tuple[str, ...],
    remove: bool,
    restored: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put an experiment into one file, or bring one back.

    It has the branch with its whole history, what else this lab keeps of it, a digest of each part, and on request files of its work trees.
    --restore checks all of it, and brings it back, also into another lab; it replaces nothing that is there.
    """
    lab = lab_from(ctx)
    if restored and (name or output or parts or remove):
        what = "--restore takes the archive alone"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was restored", next="ckgit archive --restore FILE")
    if restored:
        found = _Archived.of(restore(lab, restored, dry_run=dry_run), back=True)
    else:
        found = _archived(lab, experiment_name(lab, name), output, parts, remove=remove, dry_run=dry_run)
    found = found._replace(dry_run=dry_run)
    emit(lambda: _document(found), as_json, "\n".join([*_lines(found), f"next: {_advice(found)}"]))


class _Archived(NamedTuple):
    """What became of an archive."""

    name: str
    file: Path
    bytes: int
    sha256: str
    commit: str
    refs: Sequence[str]
    files: int  # of work trees
    back: bool = False  # whether it was restored
    removed: bool = False  # whether the branch was deleted
    dry_run: bool = False

    @classmethod
    def of(cls, found: WrittenArchive, *, back: bool = False, removed: bool = False) -> _Archived:
        """What is told of an archive that is there."""
        made = found.manifest
        return cls(made.experiment, found.file, found.bytes, found.sha256, made.commit, [*made.refs], len(made.files) - 1, back, removed)


def _archived(lab: Lab, name: str, output: Path | None, parts: tuple[str, ...], *, remove: bool, dry_run: bool) -> _Archived:
    tip = take_snapshot(lab, name, kept=True).tip
    target = (output or Path(f"{name}-{tip[:12]}.ckgit.tar")).absolute()
    planned = plan_archive(lab, name, target, parts)
    if remove:
        delete(lab, name, at_authority=False, dry_run=True)  # which may be refused, and that is to be known before
    if dry_run:
        held = sum(each.bytes for each in planned.members)
        return _Archived(name, target, held, "", tip, [*planned.refs], len(planned.members), removed=remove)
    written = archive(lab, planned, target)
    if remove:
        delete(lab, name, at_authority=False)
    return _Archived.of(written, removed=remove)


def _lines(found: _Archived) -> Iterator[str]:
    held = f"{plural(len(found.refs), 'ref')} and {plural(found.files, 'file')} of work trees"
    if found.back:
        yield f"{found.name} {'could be' if found.dry_run else 'is'} there again, at {found.commit[:12]}: {held}"
    elif found.dry_run:
        yield f"would write {printable(str(found.file))}: {held} ({size(found.bytes)})"
    else:
        yield f"{printable(str(found.file))}: {size(found.bytes)}, {held}"
        yield f"SHA-256 {found.sha256}"
    if found.removed:
        yield f"exp/{found.name} {'would be' if found.dry_run else 'is'} deleted here"


def _advice(found: _Archived) -> str:
    if found.dry_run:
        return "the same command without --dry-run"
    if found.back:
        return f"ckgit status {found.name}"
    if found.removed:
        return f"ckgit delete {found.name} --undo brings the branch back"
    return f"ckgit clean {found.name} shows what it holds on disk"


def _document(found: _Archived) -> ArchiveDocument:
    from ckgit.experiment.outputs.upkeep.branches import ArchiveDocument

    advice = _advice(found)
    return ArchiveDocument(
        experiment=found.name,
        file=str(found.file),
        bytes=found.bytes,
        sha256=found.sha256,
        commit=found.commit,
        refs=tuple(found.refs),
        files=found.files,
        restored=found.back,
        removed=found.removed,
        dry_run=found.dry_run,
        advice=advice,
        next=tuple(commands(advice)),
    )
