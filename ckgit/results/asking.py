"""Questions to the database: SQL as it is written, or put together from conditions, columns and an order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import choose, escaped
from ckgit.results.database import damage

T = TypeVar("T")
_CONDITION = re.compile(r"([A-Za-z_][\w.-]*) *(!=|<=|>=|=|<|>) *([^\s'\"()<>=!;]+)")
_COLUMNS = "DESCRIBE runs shows a table's columns"
_COLUMN = re.compile(r"[A-Za-z_][\w.-]*")
_NUMBERS = ("BIGINT", "DOUBLE")
_WORDS = {"BOOLEAN": {"true": "true", "false": "false"}}
DEFAULT = ("experiment", "run", "task", "epoch", "metric", "value", "low", "high", "scored")
_ORDER = "experiment, number, task, epoch, checkpoint, scorer, metric"
UNREAD = "SELECT experiment, problem FROM experiments WHERE problem IS NOT NULL AND current ORDER BY experiment"


class AnsweredRows(NamedTuple):
    """Rows of a question."""

    columns: Sequence[str]
    kinds: Sequence[str]  # type in SQL of each column
    rows: Sequence[Sequence[Any]]


class ResultsQuestion(NamedTuple):
    """What `ckgit results` is asked."""

    where: Sequence[str] = ()  # conditions in SQL, or NAME=VALUE
    columns: Sequence[str] = ()  # of the view, or names of parameters
    sort: Sequence[str] = ()  # likewise; one that begins with - is descending
    lost: bool = False  # whether what branches have lost, or were deleted with, is asked for, too
    limit: int | None = None


def ask(connection: Any, query: str) -> AnsweredRows:
    """The rows of one statement.

    Raises:
        CkgitError: USAGE, it is no statement that can be answered; says why.
    """

    def rows(statement: Any) -> AnsweredRows:
        found = connection.execute(statement)
        if found.description is None:
            raise _refused("that statement has no rows")
        return AnsweredRows([each[0] for each in found.description], [str(each[1]) for each in found.description], found.fetchall())

    return answer(connection, query, rows)


def answer(connection: Any, query: str, take: Callable[[Any], T]) -> T:
    """What is made of one statement.

    Args:
        take: is given the statement.

    Raises:
        CkgitError: as `ask`.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(query)
        if len(statements) != 1:
            raise _refused(f"one statement is answered at a time; these are {len(statements)}" if statements else "there is no statement")
        return take(statements[0])
    except damage():
        raise
    except duckdb.Error as error:
        raise _told(connection, error) from None


def tables_of(connection: Any) -> dict[str, list[str]]:
    """Columns of each table and view."""
    listed = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main' ORDER BY ALL"
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(listed).fetchall():
        found.setdefault(table, []).append(column)
    return found


def _refused(what: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was read", next=_COLUMNS)


def _told(connection: Any, error: Exception) -> CkgitError:
    """An error of DuckDB's in our words."""
    text = str(error).partition("\n\nLINE ")[0]
    what = escaped(" ".join(text.partition(": ")[2].split()) or text)
    if "file system operations are disabled" in text or "disabled through configuration" in text or "has been locked" in text:
        what = "a query reads the tables of this lab, and no file, extension, network or setting"
    elif "read-only" in text:
        what = "a query changes nothing: the tables follow from git"
    tables = tables_of(connection)
    missing = re.search(r'column "([^"]*)" not found|Table with name (\S+) does not exist', text)
    names = {column for columns in tables.values() for column in columns} if missing and missing[1] else [*tables]
    if missing:
        what = f"there is no column {missing[1]!r}" if missing[1] else f"there is no table {missing[2]!r}"
        return CkgitError(escaped(what), code=Exit.USAGE, state="nothing was read", next=choose(missing[1] or missing[2], sorted(names)))
    return CkgitError(what, code=Exit.USAGE, state="nothing was read", next=_COLUMNS)


def results(connection: Any, question: ResultsQuestion) -> AnsweredRows:
    """Rows of the view `results`.

    Raises:
        CkgitError: USAGE, a condition, a column or the order is none; says why.
    """
    try:
        return ask(connection, query_of(connection, question))
    except CkgitError:
        _check_each(connection, question)
        raise


def _check_each(connection: Any, question: ResultsQuestion) -> None:
    """Raise what is wrong with one condition by itself, naming it."""
    for text in question.where:
        try:
            ask(connection, f"EXPLAIN {query_of(connection, ResultsQuestion([text]))}")
        except CkgitError as error:
            error.where = f"--where {escaped(text)}"
            raise


def query_of(connection: Any, question: ResultsQuestion) -> str:
    """The statement that a question comes to."""
    known = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE results)").fetchall())
    names = _Names(connection, known)
    shown = ", ".join(names.shown(column) for column in question.columns) or "*"
    held = [] if question.lost else ["current"]
    conditions = [*held, *(f"({names.condition(text)}\n)" for text in question.where)]  # a comment ends with its line
    order = [f"{names.expression(name.lstrip('-'))}{' DESC' if name.startswith('-') else ''} NULLS LAST" for name in question.sort]
    where = " WHERE " + " AND ".join(conditions) if conditions else ""
    limit = f" LIMIT {question.limit}" if question.limit else ""
    # it is the user's own, and can do nothing but read
    return f"SELECT {shown} FROM results{where} ORDER BY {', '.join([*order, _ORDER])}{limit}"  # noqa: S608


class _Names:
    """Names that a question may use: columns of the view, and parameters of runs."""

    def __init__(self, connection: Any, known: dict[str, str]) -> None:
        self.connection, self.known = connection, known

    def shown(self, name: str) -> str:
        return name if name in self.known else f'{self.expression(name)} AS "{name}"'

    def expression(self, name: str) -> str:
        if name in self.known:
            return name
        if not _COLUMN.fullmatch(name) or name not in self._parameters():
            advice = choose(name, [*self.known, *self._parameters()], of="columns and parameters")
            raise CkgitError(f"there is no column {name!r}", code=Exit.USAGE, state="nothing was read", next=advice)
        return f"(parameters->>'$.\"{name}\"')"

    def _parameters(self) -> list[str]:
        query = "SELECT DISTINCT unnest(json_keys(parameters)) AS name FROM runs ORDER BY name"
        return [name for (name,) in self.connection.execute(query).fetchall()]

    def condition(self, text: str) -> str:
        """`NAME=VALUE` with a plain word for a value, or SQL as it stands."""
        found = _CONDITION.fullmatch(text.strip())
        if not found or found[3] in self.known:
            return text
        name, relation, value = found[1], found[2], found[3]
        expression, kind = self.expression(name), self.known.get(name, "")
        if word := _WORDS.get(kind, {}).get(value.lower()):
            return f"{expression} {relation} {word}"
        if _is_number(value) and kind in ("", *_NUMBERS):
            return f"TRY_CAST({expression} AS DOUBLE) {relation} {float(value)!r}"
        quoted = value.replace("'", "''")
        if relation in ("=", "!=") and set(value) & set("*?"):
            return f"{'NOT ' if relation == '!=' else ''}{expression} GLOB '{quoted}'"
        return f"{expression} {relation} '{quoted}'"


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False
