"""`ckgit sql`: a question to a lab's results in SQL."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from ckgit.cli.shared.answering import asked, check_output, format_options, moment_options, print_answer, write_answer
from ckgit.cli.shared.common import json_option, lab_from
from ckgit.results.database import Moment


@click.command("sql")
@click.argument("query")
@moment_options
@format_options
@json_option
@click.pass_context
def command(ctx: click.Context, *, query: str, as_of: str, at: str, form: str, output: Path | None, as_json: bool) -> None:
    """Answer a QUERY in DuckDB's SQL over the results of all experiments.

    Tables are experiments, runs, cells, metrics, samples, attempts, claims and commits, and the view results. A query reads these, and no
    file, network, extension or setting. A QUERY of - is read from standard input.
    """
    from ckgit.results.asking import ask

    lab = lab_from(ctx)
    check_output(lab, form, output, as_json=as_json)
    text = sys.stdin.read() if query == "-" else query
    answer = asked(lab, lambda connection: ask(connection, text), Moment(as_of, at))
    if output is not None:
        write_answer(lab, answer, form, output)
    else:
        print_answer(answer, form, as_json=as_json, rest=f"ckgit sql {shlex.quote(text)} --format csv")
