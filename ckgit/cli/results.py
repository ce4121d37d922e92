"""`ckgit results`: the numbers of all experiments of a lab."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable
from ckgit.cli.output.writing import replacing
from ckgit.cli.shared.answering import asked, check_output, format_options, moment_options, print_answer, write_answer
from ckgit.cli.shared.common import json_option, lab_from, note
from ckgit.results.database import NOW, Moment

if TYPE_CHECKING:
    from ckgit.lab.lab import Lab


@click.command("results")
@click.option(
    "--where", "conditions", metavar="CONDITION", multiple=True, help="NAME=VALUE, or a condition in SQL; all that are given must hold."
)
@click.option("--columns", metavar="NAMES", default="", help="Columns and parameters, separated by commas.")
@click.option("--sort", metavar="NAMES", default="", help="In which order; one that begins with - is descending.")
@click.option("--limit", type=click.IntRange(min=0), help="At most so many; 0 for all. A terminal is given as many as fit.")
@click.option("--lost", is_flag=True, help="Also what branches have lost, or were deleted with.")
@moment_options
@format_options
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE", help="Write the whole database into a DuckDB file instead.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    conditions: tuple[str, ...],
    columns: str,
    sort: str,
    limit: int | None,
    lost: bool,
    as_of: str,
    at: str,
    form: str,
    output: Path | None,
    export: Path | None,
    as_json: bool,
) -> None:
    """Show the numbers of all experiments: a row for each metric of each evaluation.

    Of experiments that are analyzed, whatever holds them: a branch here or on a remote, the default branch, or what keeps a closed one.
    A NAME of --where is a column of the table `results`, or a parameter of runs (lora_rank, lr); = may also be != < <= > >=.
    """
    from ckgit.results.asking import DEFAULT, ResultsQuestion, results

    if export is not None and (conditions or columns or sort or output or as_json or form != "table"):
        raise click.UsageError("--export goes alone, or with --as-of or --at: it writes all tables.", ctx)
    lab, moment = lab_from(ctx), Moment(as_of, at)
    if export is not None:
        _export(lab, moment, export)
        return
    check_output(lab, form, output, as_json=as_json)
    question = ResultsQuestion(conditions, _names(columns) or DEFAULT, _names(sort), lost, limit or None)
    found = asked(lab, lambda connection: (results(connection, question), _without(connection)), moment)
    answer, without = found
    if not answer.rows:
        note(_nothing(conditions, without, moment))
    words = [word for option in ("where", "columns", "sort") for word in _words(option, conditions, columns, sort)]
    rest = shlex.join(["ckgit", "results", *words, *(["--lost"] if lost else []), "--limit", "0"]) if limit is None else ""
    if output is not None:
        write_answer(lab, answer, form, output)
    elif answer.rows or as_json or form != "table":
        print_answer(answer, form, as_json=as_json, rest=rest)


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _words(option: str, conditions: tuple[str, ...], columns: str, sort: str) -> list[str]:
    given = {"where": conditions, "columns": (columns,), "sort": (sort,)}[option]
    return [word for value in given if value for word in (f"--{option}", value)]


def _without(connection: Any) -> list[tuple[str, str]]:
    """Experiments without results, and their state."""
    query = "SELECT experiment, state FROM experiments WHERE current AND cells = 0 ORDER BY committed DESC LIMIT 1"
    found: list[tuple[str, str]] = connection.execute(query).fetchall()
    return found


def _nothing(conditions: tuple[str, ...], without: list[tuple[str, str]], moment: Moment) -> str:
    if conditions:
        return "no result meets these conditions; `ckgit results` shows all"
    if moment != NOW:
        when = f"at {moment.at}" if moment.at else f"as of {moment.as_of}"
        return f"no experiment had results {when}; `ckgit results` shows those of now"
    if without:
        return f"no experiment has results yet: they are there when one is analyzed. ckgit advance {without[0][0]} --to analyzed"
    return "no experiments yet; `ckgit design NAME` makes the first one"


def _export(lab: Lab, moment: Moment, file: Path) -> None:
    from ckgit.results.export_file import export_to

    with replacing(lab, file) as part:
        asked(lab, lambda connection: export_to(connection, part), moment)
        size = part.stat().st_size
    say(f"{printable(str(file))}: {size:,} bytes, with the tables experiments, runs, cells, metrics, samples, attempts, claims and commits")
