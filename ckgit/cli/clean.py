"""`ckgit clean`: what experiments hold on disk, and taking away what was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments
from ckgit.cli.output.tables import printable, table, wrapped
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, note
from ckgit.cli.shared.subscribers import Terminal
from ckgit.errors import CkgitError, Exit
from ckgit.formats.advice import commands
from ckgit.formats.listing import first_of, plural
from ckgit.formats.markdown import size
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.upkeep.again import made_again
from ckgit.orchestrators.upkeep.clean import Removal, WhatToRemove, plan_removal, remove
from ckgit.orchestrators.upkeep.disk import ExperimentOnDisk, TreeOnDisk, look

if TYPE_CHECKING:
    from ckgit.experiment.outputs.upkeep.disk import CleanDocument, CleanedExperiment, ListedTree
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.engine.experiment import RecordedCommit

_NAMED = 20  # folders that are listed before somebody is asked


@click.command("clean")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=experiments)
@click.option("--checkpoints", is_flag=True, help="Remove checkpoints; the work trees' other files stay.")
@click.option("--work", is_flag=True, help="Remove work trees in which nothing goes on any more.")
@click.option("--all", "every", is_flag=True, help="Both, and the work tree of an analyzed experiment.")
@click.option("--keep", multiple=True, metavar="best|last|RUN", help="Leave these checkpoints; may be given several times.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is removed.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed and committed; do nothing.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    keep: tuple[str, ...],
    *,
    checkpoints: bool,
    work: bool,
    every: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show what experiments hold on disk, and remove what is asked for.

    Without options it only shows: of each experiment, or of each NAME, its work trees and checkpoints, and what makes those again.
    Nothing is removed that a later step needs, that a job may use, that is another clone's, or to which a link leads. What is removed of
    an open experiment is recorded on its branch first; results and logs are in git, and stay.
    """
    lab = lab_from(ctx)
    wanted = WhatToRemove(checkpoints or every, work or every, every, keep)
    named = list(dict.fromkeys(experiment_name(lab, name) for name in names))
    _refuse_unclear(wanted, named)
    found = list(look(lab, named))
    if not wanted.checkpoints and not wanted.work:
        emit(lambda: _document([_of_disk(lab, each) for each in found]), as_json, "\n".join(_shown(lab, found, detailed=bool(named))))
        return
    _carry_out(lab, found, wanted, yes=yes, dry_run=dry_run, as_json=as_json)


def _refuse_unclear(wanted: WhatToRemove, named: Sequence[str]) -> None:
    if (wanted.checkpoints or wanted.work) and not named:
        what, onward = f"{wanted.words} removes files of experiments that are named, and none is", "what each one holds: ckgit clean"
    elif wanted.keep and (wanted.work or not wanted.checkpoints):
        what = "--keep goes with --checkpoints alone: a work tree is removed whole"
        onward = f"ckgit clean {named[0] if named else 'NAME'} --checkpoints --keep=best"
    else:
        return
    raise CkgitError(what, code=Exit.USAGE, state="nothing was removed", next=onward)


def _carry_out(lab: Lab, found: Sequence[ExperimentOnDisk], wanted: WhatToRemove, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Plan for all, ask once, then remove one by one."""
    events = Events(Terminal())
    planned = [plan_removal(lab, each, wanted, None if dry_run else events) for each in found]
    if not as_json:
        for each in planned:
            note("\n".join(_told(each, dry_run=dry_run)))
    if not dry_run and any(each.removed for each in planned):
        _ask(planned, wanted, yes=yes)
    made = {} if dry_run else {each.experiment.name: remove(lab, each, events) for each in planned if each.removed}
    emit(lambda: _document([_cleaned(lab, each, made) for each in planned], dry_run=dry_run), as_json, _ended(planned, dry_run=dry_run))


def _ask(planned: Sequence[Removal], wanted: WhatToRemove, *, yes: bool) -> None:
    """Have a person agree.

    Raises:
        CkgitError: USAGE, there is nobody to ask.
        click.Abort: they do not.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        line = " ".join([wanted.words, "--yes", *(each.experiment.name for each in planned if each.removed)])
        raise CkgitError(
            "there is no terminal on which it could be asked whether this is to be removed",
            code=Exit.USAGE,
            state="nothing was removed",
            next=f"ckgit clean {line}",
        )
    click.confirm(f"Remove {size(sum(each.bytes for each in planned))}?", default=False, abort=True, err=True)


def _told(planned: Removal, *, dry_run: bool) -> Iterator[str]:
    name = planned.experiment.name
    if not planned.removed:
        yield f"{name}: nothing of that kind is there to be removed"
    else:
        yield f"{name}: {'would remove' if dry_run else 'to be removed'}: {plural(len(planned.removed), 'folder')}, {size(planned.bytes)}"
        yield from first_of((f"  {printable(each.path)}  {size(each.bytes)}" for each in planned.removed), _NAMED, more="more folders")
    yield from (wrapped(f"  stays: {printable(str(each.path))}: {each.why}", 4) for each in planned.stays)
    if planned.commit and dry_run:
        yield f"  would be recorded by a commit `clean {name}` on exp/{name}"
    elif planned.removed and planned.experiment.over:
        yield f"  not recorded in git: {name} is {planned.experiment.over}, and no step follows"


def _ended(planned: Sequence[Removal], *, dry_run: bool) -> str:
    if not any(each.removed for each in planned):
        return "nothing was removed"
    total = size(sum(each.bytes for each in planned))
    return f"{total} would be free" if dry_run else f"{total} are free now"


def _shown(lab: Lab, found: Sequence[ExperimentOnDisk], *, detailed: bool) -> Iterator[str]:
    if not found:
        yield "no experiment holds anything on this machine's disks"
        return
    rows = [
        [each.name, _standing(each), size(each.bytes), size(_of_checkpoints(each)), str(len(each.trees)), _may_go(each)]
        for each in sorted(found, key=lambda one: -one.bytes)
    ]
    yield table(["experiment", "", "on disk", "checkpoints", "work trees", "may go"], rows)
    for each in found if detailed else ():
        yield from _detailed(lab, each)
    if not detailed:
        yield f"{size(sum(each.bytes for each in found))} in all; ckgit clean NAME shows one by its runs"


def _standing(found: ExperimentOnDisk) -> str:
    state = str(found.row.state) if found.row and found.row.state else ""
    return " ".join(filter(None, [state, f"({found.over})" if found.over and state else found.over]))


def _of_checkpoints(found: ExperimentOnDisk) -> int:
    return sum(each.bytes for tree in found.trees for each in tree.checkpoints)


def _may_go(found: ExperimentOnDisk) -> str:
    """The command that frees most without harm, where there is one."""
    idle = [tree for tree in found.trees if tree.ours and (not tree.present or found.over)]
    if idle or found.left:
        return f"ckgit clean {found.name} --work"
    done = found.row and found.row.state in ("evaluated", "analyzed")
    return f"ckgit clean {found.name} --checkpoints" if done and _of_checkpoints(found) else ""


def _detailed(lab: Lab, found: ExperimentOnDisk) -> Iterator[str]:
    again = made_again(lab, found)
    for tree in found.trees:
        kind = "in use by the branch" if tree.present else "of ckgit reproduce" if tree.copy else "of an older commit"
        whose = kind if tree.ours else "of another clone or lab; never touched"
        yield f"\n{printable(str(tree.work))}: {size(tree.bytes)}, {whose}"
        logs = size(sum(tree.logs.values()))
        yield f"  exported from git, and written again from there: {size(tree.exported)}; what jobs left beside checkpoints: {logs}"
        rows = [[each.run, each.path.name, size(each.bytes), again[str(tree.work), each.run]] for each in tree.checkpoints]
        if rows:
            yield "\n".join(f"  {line}" for line in table(["run", "checkpoint", "bytes", "made again"], rows).splitlines())
    yield from (f"\n{printable(str(each.path))}: {size(each.bytes)}, left by a command that was killed" for each in found.left)


def _document(found: Sequence[CleanedExperiment], *, dry_run: bool = False) -> CleanDocument:
    from ckgit.experiment.outputs.upkeep.disk import CleanDocument

    idle = [each.experiment for each in found[:1] if not each.removed and each.trees]
    advice = f"ckgit clean {idle[0]} --dry-run --all shows what could be removed" if idle else ""
    return CleanDocument(experiments=tuple(found), dry_run=dry_run, advice=advice, next=tuple(commands(advice)))


def _of_disk(lab: Lab, found: ExperimentOnDisk) -> CleanedExperiment:
    from ckgit.experiment.outputs.upkeep.disk import CleanedExperiment

    again = made_again(lab, found)
    return CleanedExperiment(
        experiment=found.name,
        lifecycle_state=found.row.state if found.row else None,
        over=found.over,
        bytes=found.bytes,
        trees=tuple(_listed_tree(tree, again) for tree in found.trees),
    )


def _listed_tree(tree: TreeOnDisk, again: Mapping[tuple[str, str], str]) -> ListedTree:
    from ckgit.experiment.outputs.upkeep.disk import ListedCheckpoint, ListedTree

    checkpoints = (
        ListedCheckpoint(run=each.run, path=str(each.path), bytes=each.bytes, sha256=each.sha256, again=again[str(tree.work), each.run])
        for each in tree.checkpoints
    )
    return ListedTree(
        path=str(tree.work),
        cluster=tree.cluster,
        bytes=tree.bytes,
        ours=tree.ours,
        present=tree.present,
        exported=tree.exported,
        logs=dict(tree.logs),
        checkpoints=tuple(checkpoints),
    )


def _cleaned(lab: Lab, planned: Removal, made: Mapping[str, RecordedCommit | None]) -> CleanedExperiment:
    from ckgit.experiment.outputs.upkeep.disk import LeftOnDisk, ListedRemoval

    commit = made.get(planned.experiment.name)
    removed = tuple(ListedRemoval(path=each.path, bytes=each.bytes, sha256=each.sha256) for each in planned.removed)
    stays = tuple(LeftOnDisk(path=str(each.path), why=each.why) for each in planned.stays)
    shown = _of_disk(lab, planned.experiment)
    return shown.model_copy(update={"removed": removed, "stays": stays, "commit": commit.commit if commit else None})
