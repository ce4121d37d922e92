"""What the commands share that ask a lab's results: their options, and how rows are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable, table
from ckgit.cli.output.writing import refuse_others, write_file
from ckgit.cli.shared.common import note, print_document
from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import plural
from ckgit.results.database import Moment, answered

if TYPE_CHECKING:
    from ckgit.lab.lab import Lab
    from ckgit.results.asking import AnsweredRows

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
FORMATS = ("table", "csv", "json", "parquet", "latex")
_MANY = 20  # experiments whose reading takes so long that it is said
_BESIDE, _LEAST = 4, 10  # lines of a terminal that are not rows; rows on one of any height
_MOST_TOLD = 3  # experiments that could not be read
_LONGEST = 60  # characters of a cell on a terminal


def moment_options(function: F) -> F:
    """Add `--as-of` and `--at`."""
    function = click.option("--at", metavar="COMMIT", default="", help="The experiments that a commit has, as it has them.")(function)
    return click.option("--as-of", metavar="DATE", default="", help="What the tips of all branches were then.")(function)


def format_options(function: F) -> F:
    """Add `--format` and `--output`."""
    function = click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the rows into a file.")(function)
    return click.option(
        "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="A table for people, or a file of rows."
    )(function)


def asked(lab: Lab, question: Callable[[Any], T], moment: Moment) -> T:
    """What a question gives; experiments that could not be read are told of."""

    def with_unread(connection: Any) -> T:
        found = question(connection)
        _tell_unread(connection)
        return found

    return answered(lab, with_unread, moment, _say_reading)


def _say_reading(count: int) -> None:
    if count > _MANY:
        note(f"reading {count:,} experiments; what they hold is kept for the next time")


def _tell_unread(connection: Any) -> None:
    from ckgit.results.asking import UNREAD

    unread = connection.execute(UNREAD).fetchall()
    for experiment, problem in unread[:_MOST_TOLD]:
        note(f"warning: {experiment}: {printable(problem)}")
    if len(unread) > _MOST_TOLD:
        more = f"and {len(unread) - _MOST_TOLD:,} more could not be read whole"
        note(f'{more}: ckgit sql "{UNREAD}"')


def check_output(lab: Lab, form: str, output: Path | None, *, as_json: bool) -> None:
    """Raise what is wrong with where rows are to go, before they are looked for.

    Raises:
        click.UsageError: --json prints a document, which is in no other format and in no file.
        CkgitError: USAGE, somebody else's file is there.
    """
    if as_json and (output or form != "table"):
        raise click.UsageError("--json goes without --format and --output: --format json --output FILE writes rows into a file.")
    refuse_others(lab, [output] if output else [])


def write_answer(lab: Lab, answer: AnsweredRows, form: str, output: Path) -> None:
    """Write rows into a file, and say so."""
    content = f"{_table(answer, '')}\n".encode() if form == "table" else _written(answer, form)
    write_file(lab, output, content)
    say(f"{printable(str(output))}: {plural(len(answer.rows), 'row')}, {len(content):,} bytes")


def print_answer(answer: AnsweredRows, form: str, *, as_json: bool, rest: str = "") -> None:
    """Print rows.

    Args:
        rest: the command that shows all of them, where a terminal does not.
    """
    if as_json:
        print_document(_document(answer))
    elif form == "table":
        say(_table(answer, rest))
    elif form == "parquet" and sys.stdout.isatty():
        what = "Parquet is no text for a terminal"
        raise CkgitError(what, code=Exit.USAGE, state="nothing was written", next="name a file: --output results.parquet")
    else:
        say_bytes(_written(answer, form))


def say_bytes(content: bytes) -> None:
    """Write what is no text for people to standard output as it is."""
    sys.stdout.flush()
    if (buffer := getattr(sys.stdout, "buffer", None)) is not None:
        buffer.write(content)
        buffer.flush()


def _written(answer: AnsweredRows, form: str) -> bytes:
    from ckgit.results.exports import WRITERS

    return WRITERS[form](answer)


def _table(answer: AnsweredRows, rest: str) -> str:
    from ckgit.results.exports import short

    if not answer.rows:
        return "no row"
    most = _most() if rest else len(answer.rows)
    rows = [[_cut(short(value)) for value in row] for row in answer.rows[:most]]
    more = len(answer.rows) - len(rows)
    return "\n".join([table(answer.columns, rows), *([f"and {more:,} more: {rest}"] if more else [])])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST or not sys.stdout.isatty() else f"{text[: _LONGEST - 1]}…"


def _most() -> int:
    if not sys.stdout.isatty():
        return sys.maxsize
    import shutil  # which brings what packs archives, 2 ms

    return max(shutil.get_terminal_size().lines - _BESIDE, _LEAST)


def _document(answer: AnsweredRows) -> Any:
    from ckgit.experiment.outputs.across.answers import RowsDocument
    from ckgit.results.exports import documents

    return RowsDocument(columns=tuple(answer.columns), kinds=tuple(answer.kinds), rows=tuple(documents(answer)))
