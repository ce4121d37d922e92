"""What commands share: options, the lab they work in, and how they print."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckgit.cli.output.streams import NOTES, json_text, say
from ckgit.cli.output.tables import wrapped
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.formats.listing import first_of, in_words

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ckgit.experiment.outputs.fields import PrintedDocument
    from ckgit.lab.lab import Lab

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Add `--json`, handed over as the keyword `as_json`. With it, what is noted goes into the document."""
    return click.option("--json", "as_json", is_flag=True, callback=_keep_notes, help="Print one JSON document.")(function)


def _keep_notes(ctx: click.Context, _param: click.Parameter, as_json: bool) -> bool:
    NOTES.kept = [] if as_json else None
    if as_json:
        importlib.import_module("ckgit.experiment.outputs.refusals")  # where no file can be opened any more, that can be told
        from ckgit.lab.git.waiting import TOLD

        told, TOLD.by = TOLD.by, note
        ctx.call_on_close(lambda: setattr(TOLD, "by", told))  # the command after it in one process may print for a person
    return as_json


def dry_run_option(function: F) -> F:
    """Add `--dry-run`, handed over as the keyword `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Print what would be written, submitted and committed; do nothing.")(function)


def name_argument(function: F) -> F:
    """Add the optional argument NAME, handed over as `name`; resolve it with `experiment_name`."""
    return click.argument("name", required=False, shell_complete=_experiments)(function)


def _experiments(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """What a shell is told; imported when it asks."""
    from ckgit.cli.completion import experiments

    return experiments(ctx, param, typed)


def lab_from(ctx: click.Context) -> Lab:
    """The lab that `-C` names, or that the current folder is in.

    Raises:
        CkgitError: there is none.
    """
    from ckgit.lab.lab import open_lab

    lab = open_lab(ctx.obj if isinstance(ctx.obj, Path) else Path())
    if warning := lab.config_warning():
        note(f"note: {warning}")
    return lab


def experiment_name(lab: Lab, name: str | None) -> str:
    """`name` (also written `exp/NAME`), or the checked-out experiment when it is None.

    Raises:
        CkgitError: it cannot be a name, or none is given and none is checked out; lists what there is.
    """
    from ckgit.lab.experiments import list_experiments
    from ckgit.lab.lab import checked_out_experiment

    if name is not None:
        plain = name.removeprefix("exp/")
        if problem := name_problem(plain):
            raise CkgitError(f"{name!r} is not a name of an experiment: {problem}", code=Exit.USAGE, next="ckgit list shows them all")
        return plain
    if here := checked_out_experiment(lab):
        return here
    known = [row.name for row in sorted(list_experiments(lab), key=lambda row: row.date, reverse=True)]
    raise CkgitError(
        "which experiment? No NAME is given, and the checked-out branch is not an experiment's",
        code=Exit.USAGE,
        next=f"name one of: {in_words(known)} (ckgit list shows all)" if known else "ckgit design NAME makes the first one",
    )


def sentence(text: str | None, longest: int) -> str:
    """What a person gives as a reason, on one line; empty where it is none: too long, or not to be printed."""
    plain = " ".join((text or "").split())
    return plain if len(plain) <= longest and plain.isprintable() else ""


def emit(document: Callable[[], PrintedDocument], as_json: bool, text: str) -> None:
    """Print the result on standard output: the document that is made then as JSON, or `text` for people."""
    if as_json:
        print_document(document())
    else:
        say(text)


def print_document(document: PrintedDocument) -> None:
    """Print a document, with what was noted on the way."""
    say(json_text(document.model_copy(update={"notes": tuple(NOTES.kept or ())}).model_dump(mode="json")))


def markdown_text(text: str) -> str:
    """Markdown for standard output: laid out on a terminal, as it is where it goes elsewhere. Nothing in it steers a terminal."""
    import sys

    from ckgit.cli.output.tables import printable

    plain = "\n".join(map(printable, text.splitlines()))
    if not sys.stdout.isatty():
        return plain
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(file=sys.stdout)
    with console.capture() as shown:
        console.print(Markdown(plain, hyperlinks=False))
    return shown.get().rstrip("\n")


def note(text: str) -> None:
    """Print progress or a remark on standard error, where it does not mix with results; with `--json`, keep it for the document."""
    if NOTES.kept is None:
        say(text, err=True)
    else:
        NOTES.kept.append(text)


def warn(warnings: Iterable[str]) -> None:
    """Say on standard error what to look at again in a design; its document has it as warnings."""
    if NOTES.kept is not None:
        return
    for text in first_of((f"warning: {text}" for text in warnings), more="more warnings (--json has them all)"):
        note(wrapped(text, 2))
