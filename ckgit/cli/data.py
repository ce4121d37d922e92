"""`ckgit data`: the rows of a data set, and data sets that come into the lab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.tables import printable
from ckgit.cli.shared.common import dry_run_option, emit, experiment_name, json_option, lab_from, note
from ckgit.errors import CkgitError, Exit
from ckgit.formats.advice import commands
from ckgit.formats.rows import Shape

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ckgit.experiment.outputs.labs import AddedDataDocument, DataDocument, ShownToken
    from ckgit.orchestrators.data.add import AddedData
    from ckgit.orchestrators.queries.data import SeenData, SeenRow, Token


UNSAID = "not known: a design must say which columns are meant, by input_column and output_column, or by input and output"


@click.group("data")
def command() -> None:
    """Show the rows of data, and bring data into the lab.

    How rows are read and divided into splits is in docs/your-data.md.
    """


def _files(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    from ckgit.cli.completion import files

    return files(ctx, param, typed)


def _experiments(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    from ckgit.cli.completion import experiments

    return experiments(ctx, param, typed)


@command.command("show")
@click.argument("what", metavar="NAME|PATH", shell_complete=_files)
@click.option("--experiment", metavar="NAME", shell_complete=_experiments, help="The experiment that has the data set NAME.")
@click.option("--rendered", metavar="RUN", help="Render each row as that run's model is sent it and trained on it, token by token.")
@click.option("--split", help="This split only.")
@click.option("--rows", default=3, show_default=True, type=click.IntRange(0), help="So many rows of each split.")
@json_option
@click.pass_context
def show(
    ctx: click.Context, what: str, *, experiment: str | None, rendered: str | None, split: str | None, rows: int, as_json: bool
) -> None:
    """Show rows, splits, columns and shape of a data set.

    With --rendered, what is sent and what is trained: the loss of the other tokens is masked.
    """
    from ckgit.orchestrators.queries.data import WantedRows, look_at_experiment, look_at_path

    if rendered and not experiment:
        message = "--rendered renders rows for a run of an experiment"
        raise CkgitError(message, code=Exit.USAGE, state="nothing was changed", next="add --experiment NAME")
    lab, wanted = lab_from(ctx), WantedRows(rows, split, rendered)
    seen = look_at_experiment(lab, experiment_name(lab, experiment), what, wanted) if experiment else look_at_path(lab, what, wanted)
    emit(lambda: _document(seen, rendered), as_json, "\n".join(_lines(seen)))


def _lines(seen: SeenData) -> Iterator[str]:
    layout = seen.found.source.layout
    yield f"{f'{seen.name}: ' if seen.name else ''}{seen.path}, sha256 {seen.sha256}"
    told = " (found out)" if seen.found.shape and seen.found.shape is not Shape.COLUMNS else ""
    used = [column for column in layout.used if column in seen.found.columns]  # a system message is taken where there is one
    made = f"{layout.shape}{told}, made of {', '.join(map(printable, used))}"
    yield f"shape:   {made if seen.found.is_known else UNSAID}"
    yield f"columns: {', '.join(map(printable, seen.found.columns))}"
    yield f"splits:  {', '.join(f'{printable(split)} {count:,}' for split, count in seen.splits.items())}"
    for row in seen.rows:
        yield ""
        yield from _row_lines(row)


def _row_lines(seen: SeenRow) -> Iterator[str]:
    yield f"{printable(seen.split)}, {seen.place}:"
    if seen.tokens is not None:
        yield _line("sent", _token_line(seen.tokens, trained=False))
        yield _line("trained", _token_line(seen.tokens, trained=True))
        if seen.rejected is not None:
            yield _line("rejected", _token_line(seen.rejected, trained=True))
        return
    row = seen.row
    if row is None:
        yield from (_line(name, str(value)) for name, value in seen.raw.items())
        return
    said = [("system", row.system or ""), *row.history, ("input", row.input), ("output", row.output), ("rejected", row.rejected or "")]
    yield from (_line(name, text) for name, text in said if name not in ("system", "rejected") or text)


def _line(name: str, text: str) -> str:
    return f"  {printable(name) + ':':<11}{printable(text)}".rstrip()


def _token_line(tokens: Sequence[Token], *, trained: bool) -> str:
    """The tokens that are trained, or those whose loss is masked, with a bar between two."""
    found = [token for token in tokens if token.trained is trained]
    return f"{'|'.join(printable(token.text) for token in found)}  ({len(found)} tokens)"


def _shown(tokens: Sequence[Token] | None) -> tuple[ShownToken, ...] | None:
    from ckgit.experiment.outputs.labs import ShownToken

    return None if tokens is None else tuple(ShownToken(**token._asdict()) for token in tokens)


def _document(seen: SeenData, rendered: str | None) -> DataDocument:
    from ckgit.experiment.outputs.labs import DataDocument, DataRow, ShownMessage

    rows = (
        DataRow(
            split=each.split,
            place=each.place,
            columns=json.loads(json.dumps(each.raw, default=str)),
            system=each.row.system if each.row else None,
            history=tuple(ShownMessage(**turn._asdict()) for turn in (each.row.history if each.row else ())),
            input=each.row.input if each.row else None,
            output=each.row.output if each.row else None,
            rejected=each.row.rejected if each.row else None,
            tokens=_shown(each.tokens),
            rejected_tokens=_shown(each.rejected),
        )
        for each in seen.rows
    )
    return DataDocument(
        data=seen.name,
        path=seen.path,
        sha256=seen.sha256,
        shape=str(seen.found.source.layout.shape),
        columns=tuple(seen.found.columns),
        splits=dict(seen.splits),
        run=rendered,
        rows=tuple(rows),
    )


@command.command("add")
@click.argument("source", metavar="PATH|NAME", shell_complete=_files)
@click.option("--name", help="What the data set is called; by default as its file.")
@click.option("--config", metavar="NAME", help="Configuration of a data set on the hub.")
@click.option("--split", help="Fetch this split of the hub's only.")
@click.option("--revision", help="Branch, tag or commit on the hub.")
@click.option("--outside", is_flag=True, help="Put it under the cluster's data_root, where git does not keep it.")
@click.option("--commit/--no-commit", default=True, help="Commit the files on the default branch, where that is checked out.")
@dry_run_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    source: str,
    *,
    name: str | None,
    config: str | None,
    split: str | None,
    revision: str | None,
    outside: bool,
    commit: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring a file, a saved folder, or a data set of the Hugging Face hub into the lab.

    It is read once, and what to write into a design is printed. Jobs fetch nothing: this command does, where there is a network.
    """
    from ckgit.orchestrators.data.add import Fetched, add_data

    wanted = Fetched(config, split, revision)
    added = add_data(lab_from(ctx), source, name, wanted, outside=outside, commit=commit, dry_run=dry_run)
    emit(lambda: _added_document(added), as_json, _added_text(added))
    if added.next and not as_json:
        note(f"next: {added.next}")


def _added_text(added: AddedData) -> str:
    splits = ", ".join(f"{printable(split)} {count:,}" for split, count in added.found.splits.items())
    files = "\n".join(f"{path}: {size:,} bytes" for path, size in added.files.items())
    committed = f"\ncommitted as {added.commit[:12]}" if added.commit else ""
    columns = "" if added.found.is_known else f"\ncolumns: {', '.join(map(printable, added.found.columns))}"
    choose = "" if added.found.is_known else ", with the columns that you mean"
    return f"{added.name}: rows by split: {splits}{columns}\n{files}{committed}\n\nIn a design{choose}:\n\n{added.design.rstrip()}"


def _added_document(added: AddedData) -> AddedDataDocument:
    from ckgit.experiment.outputs.labs import AddedDataDocument

    return AddedDataDocument(
        data=added.name,
        files=dict(added.files),
        sha256=added.sha256,
        splits=added.found.splits,
        design=added.design,
        commit=added.commit or None,
        advice=added.next,
        next=tuple(commands(added.next)),
    )
