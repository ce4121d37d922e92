"""The whole database as a file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ckgit.results.tables import TABLES, definitions


def export_to(connection: Any, file: Path) -> None:
    """Write all tables into a new DuckDB file.

    Raises:
        OSError: it cannot be written.
    """
    import duckdb

    file.unlink(missing_ok=True)  # of a first try, where what the connection reads turned out to be damaged
    try:
        with duckdb.connect(str(file)) as written:
            for statement in definitions():
                written.execute(statement)
            for table in TABLES:
                written.register("rows_of_it", connection.sql(f"FROM {table}").to_arrow_table())
                written.execute(f"INSERT INTO {table} FROM rows_of_it")
            written.execute("CHECKPOINT")  # closing does it, too, and is silent where the disk is full
    except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
        raise OSError(error) from None
    finally:
        file.with_name(f"{file.name}.wal").unlink(missing_ok=True)  # which is there where it was cut short
