"""Filling the database: what it has of commits that no experiment is at any more goes, and what is new is read. Nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckgit.lab.git.command import unreadable
from ckgit.lab.lab import Lab
from ckgit.results.from_git.reading import read_rows
from ckgit.results.from_git.rows import Row
from ckgit.results.from_git.sources import ResultsSource
from ckgit.results.tables import TABLES, columns, definitions

_OWN = "ckgit"  # the schema in which the database keeps what it was made from
_SOURCES = f"{_OWN}.sources"
_KINDS = {name: "BOOLEAN" if name == "current" else "VARCHAR" for name in ResultsSource._fields}
_LARGEST = 2**63  # of a BIGINT


def make_tables(connection: Any) -> None:
    """Make the empty tables."""
    own = ", ".join(f"{name} {kind}" for name, kind in _KINDS.items())
    for statement in (*definitions(), f"CREATE SCHEMA {_OWN}", f"CREATE TABLE {_SOURCES} ({own})"):
        connection.execute(statement)


def fill(connection: Any, lab: Lab, sources: Sequence[ResultsSource], tell: Callable[[int], None]) -> None:
    """Bring a database to what some commits hold.

    Args:
        connection: to a database with our tables, which may be written.
        sources: every commit that results are read from.
        tell: told how many of them are to be read.
    """
    known = {ResultsSource(*row) for row in connection.execute(f"FROM {_SOURCES}").fetchall()}
    unread = {name for (name,) in connection.execute("SELECT experiment FROM experiments WHERE problem IS NOT NULL").fetchall()}
    lost = unreadable(lab.root, [each.commit for each in sources], lab.base)
    # what those lacked that could not be read may be installed now, and of what git has lost no number is shown
    known -= {each for each in known if each.experiment in unread or each.commit in lost}
    gone, new = known - {*sources}, [each for each in sources if each not in known]
    connection.execute("BEGIN")
    if names := [*unread, *(each.experiment for each in gone), *(each.experiment for each in new if each.commit in lost)]:
        for table in (*TABLES, _SOURCES):
            connection.execute(f"DELETE FROM {table} WHERE experiment IN (SELECT unnest($1::VARCHAR[]))", [names])  # noqa: S608 - our names
    if new:
        tell(len(new))
    for chunk in read_rows(lab, new):
        _insert_all(connection, chunk)
    _insert(connection, _SOURCES, _KINDS, [each._asdict() for each in new])
    connection.execute("COMMIT")


def _insert_all(connection: Any, chunk: Sequence[Mapping[str, list[Row]]]) -> None:
    """The rows of some experiments. Of one with a number that no column takes, the row that says so is there, and nothing else."""
    fitting = [each if _fits(each) else _without_numbers(each) for each in chunk]
    for table, model in TABLES.items():
        _insert(connection, table, columns(model), [row for each in fitting for row in each.get(table, ())])


def _fits(rows: Mapping[str, list[Row]]) -> bool:
    few = [value for name, table in rows.items() if name != "samples" for row in table for value in row.values()]
    numbers = [*few, *(row["repeat"] for row in rows["samples"])]  # the only whole number of what there is most of
    return not any(isinstance(value, int) and abs(value) >= _LARGEST for value in numbers)


def _without_numbers(rows: Mapping[str, list[Row]]) -> Mapping[str, list[Row]]:
    [own] = rows["experiments"]
    said = "; ".join(filter(None, [own["problem"], "a number in its results or jobs is too large, so that these are left out"]))
    return {"experiments": [{**own, "runs": 0, "cells": 0, "problem": said}], "commits": rows["commits"]}


def _insert(connection: Any, table: str, kinds: Mapping[str, str], rows: Sequence[Row]) -> None:
    if not rows:
        return
    listed = ", ".join(f"unnest(${at}::{kind}[])" for at, kind in enumerate(kinds.values(), start=1))
    connection.execute(f"INSERT INTO {table} SELECT {listed}", [[row[column] for row in rows] for column in kinds])
