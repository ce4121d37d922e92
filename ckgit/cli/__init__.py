"""The `ckgit` command: a click group that imports a command's module only when that command runs."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckgit import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Heading of `ckgit --help` to its commands, each with the first sentence of its own help. The module of `a-b` is ckgit.cli.a_b.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Begin": {
        "init": "Make a lab in DIR, or make an existing repository one.",
        "models": "Add model cards, list and show them.",
        "data": "Show the rows of data, and bring data into the lab.",
        "ci": "What the workflows of a lab ask on GitHub.",
        "hooks": "Have git check experiments before it commits or pushes.",
        "quickstart": "Make a lab and take its first experiment from design to report.",
    },
    "Design": {
        "task": "Write a task of one's own, try it on a few rows, and list what there is.",
        "design": "Design experiment NAME on a branch of its own.",
        "validate": "Check a design: report every problem at once, and warn of likely mistakes.",
        "import": "Turn an experiment of another project into a design.",
        "revise": "Take experiment NAME back to designed, to change its design.",
        "schema": "Print the JSON schema NAME, or list the schemas.",
    },
    "Run": {
        "advance": "Take an experiment to its next state.",
        "retry": "Run again what failed.",
        "cancel": "Cancel the jobs that are queued or running.",
        "close": "Close an experiment that is not gone on with, and say why.",
        "worker": "Run one worker alone, or list the workers.",
    },
    "Look": {
        "status": "Show where an experiment stands.",
        "list": "List the experiments of the lab.",
        "dashboard": "Write the whole lab as pages of HTML: what runs, what failed, what was found, and what it cost.",
        "watch": "Watch the lab in the terminal: experiments, jobs with their progress, and what happens.",
        "log": "Show the history of an experiment, commit by commit.",
        "show": "Show an experiment's design, runs and results, or one run.",
        "report": "Write an experiment's report where it can be read, and say its answer.",
        "view": "Look at an experiment's evaluations, answer by answer, in inspect's viewer.",
        "why": "Say why jobs failed or wait.",
        "review": "Say of an experiment what a careful colleague would.",
        "verify": "Check that an experiment's numbers follow from what is in git.",
        "reproduce": "Run an experiment's jobs again, and say whether they leave the same.",
    },
    "Across experiments": {
        "results": "Show the numbers of all experiments: a row for each metric of each evaluation.",
        "compare": "Compare experiments, or runs of them: how they differ, and what came of it.",
        "bisect": "Say which differing parameters explain a gap between two runs, by runs that exist.",
        "sql": "Answer a QUERY in DuckDB's SQL over the results of all experiments.",
    },
    "After a month": {
        "doctor": "Say whether this lab and this machine are fit, and what mends them.",
        "clean": "Show what experiments hold on disk, and remove what is asked for.",
        "archive": "Put an experiment into one file, or bring one back.",
        "delete": "Delete an experiment's branch, in a way that can be undone.",
    },
    "One step each": {
        "design-experiment": "Design experiment NAME on a branch of its own.",
        "scaffold-experiment": "Write the files for every job.",
        "run-experiment": "Run the jobs of training and evaluation.",
        "analyze-experiment": "Read the logs and write the report.",
    },
}
COMMANDS: Mapping[str, str] = {name: text for section in SECTIONS.values() for name, text in section.items()}


class LazyGroup(click.Group):
    """Knows its commands by name and one line; imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the order of the help."""
        return [*COMMANDS]  # `list` names the module of `ckgit list` here, once that is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command of that name, or None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        from ckgit.cli.examples import epilog

        if "_CKGIT_COMPLETE" in os.environ:
            from ckgit.cli.completion import stand_in

            if known := stand_in(cmd_name):
                return known
        module = importlib.import_module(f"ckgit.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = copy(module.command)  # one may stand under two names
        command.epilog = epilog(cmd_name)
        for name, part in getattr(command, "commands", {}).items():
            part.epilog = epilog(f"{cmd_name} {name}")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, without importing any, and our own options."""
        from ckgit.cli.completion import item

        named = [item(name, text=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ckgit.formats.listing import near_ones

            near = near_ones(args[0], COMMANDS, 3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "`ckgit --help` lists them."
            raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """One line a command, by section, without importing any."""
        width = max(map(len, COMMANDS))
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-C", "folder", metavar="DIR", default=".", type=click.Path(path_type=Path), help="Work as if started in DIR.")
@click.version_option(__version__, message="ckgit %(version)s")
@click.pass_context
def group(ctx: click.Context, folder: Path) -> None:
    """Run language-model fine-tuning experiments from git.

    An experiment is a branch: designed, scaffolded, trained, evaluated, analyzed. `ckgit status` says what comes next.
    """
    _check_current_folder(folder)
    ctx.obj = folder


def _check_current_folder(folder: Path) -> None:
    """Raise where what follows would be relative to a folder that somebody has deleted."""
    try:
        folder.absolute()
    except FileNotFoundError:
        from ckgit.errors import CkgitError, Exit

        raise CkgitError(
            "the current folder has been deleted",
            code=Exit.USAGE,
            state="nothing was done",
            next="change to another folder, or name one by its full path: ckgit -C DIR",
        ) from None


def main() -> None:
    """Run the command line and end the process with the exit code that DESIGN names."""
    from ckgit.cli.errors import guarded
    from ckgit.cli.output import streams

    streams.prepare()

    gc.set_threshold(200_000)  # almost all that is made in a command's first second stays
    # pydantic would look for plugins in every installed package, and no model of ours wants any.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    code = guarded(_invoke, sys.argv[1:])
    gc.freeze()  # or the collector would look through all that was imported, 30 ms, while the process ends
    sys.exit(code)


def _invoke() -> Any:
    """Like `group.main`, which would swallow a closed pipe."""
    if "_CKGIT_COMPLETE" in os.environ:
        with contextlib.suppress(Exception):  # the user is in the middle of a line
            group.main(prog_name="ckgit")  # answers the shell and ends the process
        return 0
    with group.make_context("ckgit", sys.argv[1:]) as ctx:
        return group.invoke(ctx)
