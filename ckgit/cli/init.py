"""`ckgit init`: make a lab."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.shared.common import dry_run_option, emit, json_option

if TYPE_CHECKING:
    from ckgit.experiment.outputs.labs import InitDocument
    from ckgit.lab.init import NewLab


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--slots", type=click.IntRange(min=1), default=1, show_default=True, help="Jobs that run here at the same time.")
@click.option("--hooks/--no-hooks", default=None, help="Install ckgit's git hooks, or do not ask; see `ckgit hooks`.")
@click.option("--ci", type=click.Choice(["github"]), help="Also write the workflows that review and run experiments there.")
@click.option("--example", type=click.Choice(["survey"]), help="Also write the files of an example; see docs/survey.md.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, folder: Path, slots: int, *, hooks: bool | None, ci: str | None, example: str | None, dry_run: bool, as_json: bool
) -> None:
    """Make a lab in DIR, or make an existing repository one.

    A lab gets a configuration (ckgit.toml), a sample task and sample data, in one commit. In an existing repository only
    files that it lacks are added: nothing is changed, and what you have staged or edited stays as it is. A lab gets by --ci the workflows
    that it lacks, and by --example the files.
    """
    from ckgit.lab.init import make_lab, plan_lab

    place = (ctx.obj if isinstance(ctx.obj, Path) else Path()) / folder
    make = plan_lab if dry_run else make_lab
    made = make(place, slots, ci=ci, with_example=example)
    if hooks is None and made.files and not made.was_lab and not dry_run and not as_json and sys.stdin.isatty():
        hooks = click.confirm("Have git check experiments before it commits or pushes?", default=True)
    installed = _install(made.folder) if hooks and not dry_run else ()
    offered = hooks is None
    emit(lambda: _document(made, installed, dry_run=dry_run), as_json, _text(made, folder, installed, offered=offered, dry_run=dry_run))


def _install(folder: Path) -> tuple[str, ...]:
    """Names of the hooks that the lab has now."""
    from ckgit.errors import CkgitError
    from ckgit.lab.hooks.folder import hooks_folder
    from ckgit.lab.hooks.install import install

    try:
        return tuple(hook.name for hook in install(hooks_folder(folder)) if hook.condition == "installed")
    except CkgitError as error:
        error.state = "the lab is made; no hook was installed"
        raise


def _document(made: NewLab, installed: tuple[str, ...], *, dry_run: bool) -> InitDocument:
    from ckgit.experiment.outputs.labs import InitDocument

    files = tuple(sorted(made.files))
    return InitDocument(lab=str(made.folder), branch=made.branch, files=files, hooks=installed, dry_run=dry_run)


def _text(made: NewLab, folder: Path, installed: tuple[str, ...], *, offered: bool, dry_run: bool) -> str:
    hooks = [f"installed the hooks {', '.join(installed)}"] if installed else []
    if not made.files:
        nothing = "" if installed else "; there is nothing to do"
        return "\n".join([f"{made.folder} is a lab already (ckgit.toml is on branch {made.branch}){nothing}", *hooks])
    lines = [_made(made, dry_run=dry_run), *(f"  {path}" for path in sorted(made.files))]
    if dry_run:
        return "\n".join(lines)
    later = _NEXT_OF_CI if any(path.startswith(".github/") for path in made.files) else _NEXT_OF_EXAMPLE
    return "\n".join([*lines, *hooks, later if made.was_lab else _next(folder, offered=offered)])


_NEXT_OF_CI = "next: name in ckgit.toml who approves experiments ([review] approvers), and set up a runner: docs/ci-github.md of ckgit"

_NEXT_OF_EXAMPLE = "next: ckgit design NAME --template survey; docs/survey.md of ckgit says which models it needs"


def _made(made: NewLab, *, dry_run: bool) -> str:
    if made.was_lab:
        return f"{'would add' if dry_run else 'added'} to the lab {made.folder}, by one commit on branch {made.branch}:"
    return f"{'would make' if dry_run else 'made'} {made.folder} a lab, by one commit on branch {made.branch} with these new files:"


def _next(folder: Path, *, offered: bool) -> str:
    change = [] if folder == Path() else [f"  cd {shlex.quote(str(folder))}"]
    hooks = ["  ckgit hooks install           have git check experiments before it commits or pushes"] if offered else []
    return "\n".join(
        [
            "next:",
            *change,
            "  ckgit models add NAME PATH    describe a folder with a model (Hugging Face layout), by a card that is committed",
            "  ckgit design NAME             design an experiment, on a branch of its own",
            *hooks,
        ]
    )
