"""`ckgit close`: an experiment is rejected with a reason, or reopened."""

from __future__ import annotations

import click

from ckgit.cli.shared.acting import report, show_plan
from ckgit.cli.shared.common import dry_run_option, experiment_name, json_option, lab_from, name_argument, sentence
from ckgit.cli.shared.subscribers import Terminal
from ckgit.errors import CkgitError, Exit
from ckgit.orchestrators.commands.close import Wanted, close, show
from ckgit.orchestrators.engine.events import Events

_LONGEST = 1000  # characters of a reason


@click.command("close")
@name_argument
@click.option("--because", metavar="TEXT", help="Why, in a sentence or a few that are committed; needed to close it.")
@click.option("--reopen", is_flag=True, help="Open a closed experiment again, in the state that it was closed in.")
@dry_run_option
@json_option
@click.pass_context
def command(ctx: click.Context, name: str | None, because: str | None, *, reopen: bool, dry_run: bool, as_json: bool) -> int:
    """Close an experiment that is not gone on with, and say why.

    It stays findable: list, show, log and verify know it, also when its branch is deleted, since refs/ckgit/closed/NAME keeps it, here
    and at the authority. Its name is not free, and no step follows but --reopen. Jobs must have ended: ckgit cancel NAME ends them.
    """
    lab = lab_from(ctx)
    experiment, wanted = experiment_name(lab, name), Wanted(_because(because), reopen)
    if dry_run:
        return show_plan(show(lab, experiment, wanted), as_json=as_json)
    return report(close(lab, experiment, wanted, Events(Terminal())), as_json=as_json)


def _because(text: str | None) -> str:
    """The reason; empty where none is given.

    Raises:
        CkgitError: USAGE, it is no sentence.
    """
    why = sentence(text, _LONGEST)
    if why or text is None:
        return why
    what = f"--because takes a reason of at most {_LONGEST:,} characters that can be printed"
    raise CkgitError(what, code=Exit.USAGE, state="nothing was changed", next="ckgit close NAME --because 'the claim does not hold'")
