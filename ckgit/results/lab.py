"""A lab's results as dataframes: what `ckgit.open` gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import choose
from ckgit.lab.lab import Lab, open_lab
from ckgit.results.asking import UNREAD, ResultsQuestion, answer, ask, query_of, tables_of
from ckgit.results.database import Moment, answered

Engine = Literal["pandas", "polars"]
_MOST_TOLD = 3  # experiments that could not be read


class LabResults:
    """The results of a lab. Each call looks at git again, and reads what is new."""

    def __init__(self, lab: Lab, moment: Moment) -> None:
        self._lab, self._moment = lab, moment

    def __repr__(self) -> str:
        return f"<results of the lab {self._lab.root}>"

    def results(
        self, *, where: Sequence[str] | str = (), columns: Sequence[str] | str = (), lost: bool = False, engine: Engine = "pandas"
    ) -> Any:
        """A dataframe with a row for each metric of each evaluation.

        Args:
            where: conditions that must hold: `lora_rank=8`, or SQL such as `value > 0.9`.
            columns: columns of `results`, or names of parameters, as a list or with commas between; all columns without them.
            lost: also what branches have lost, or were deleted with.
            engine: `pandas`, or `polars`.

        Raises:
            CkgitError: there is no such column, or a condition is none.
        """
        named = [name for part in columns.split(",") if (name := part.strip())] if isinstance(columns, str) else columns
        question = ResultsQuestion([where] if isinstance(where, str) else [*where], named, lost=lost)
        return self._frame(lambda connection: query_of(connection, question), engine)

    def table(self, name: str, *, engine: Engine = "pandas") -> Any:
        """A table as a dataframe: experiments, runs, cells, metrics, samples, attempts, claims, commits or results.

        Raises:
            CkgitError: there is no such table.
        """
        return self._frame(lambda connection: _whole(connection, name), engine)

    def sql(self, query: str, *, engine: Engine = "pandas") -> Any:
        """What a query in DuckDB's SQL gives, as a dataframe. It can read the tables, and nothing else.

        Raises:
            CkgitError: it is none that can be answered; says why.
        """
        return self._frame(lambda _: query, engine)

    def _frame(self, query: Callable[[Any], str], engine: Engine) -> Any:
        if engine not in ("pandas", "polars"):
            raise CkgitError(f"there is no engine {engine!r}", code=Exit.USAGE, next="engine='pandas', or engine='polars'")

        def framed(connection: Any) -> Any:
            def frame(statement: Any) -> Any:
                found = connection.sql(statement)
                return found.df() if engine == "pandas" else found.pl()

            return answer(connection, query(connection), frame), ask(connection, UNREAD).rows

        found, unread = answered(self._lab, framed, self._moment)
        if unread:
            told = "; ".join(f"{experiment}: {problem}" for experiment, problem in unread[:_MOST_TOLD])
            more = f"; and {len(unread) - _MOST_TOLD} more" if len(unread) > _MOST_TOLD else ""
            warnings.warn(f"not all experiments could be read whole (column problem of the table experiments): {told}{more}", stacklevel=3)
        return found


def open_results(folder: str | Path = ".", *, as_of: str = "", at: str = "") -> LabResults:
    """The results of the lab that holds a folder.

    Args:
        as_of: a date: what the tips of the branches were then.
        at: a commit: the experiments that it has.

    Raises:
        CkgitError: there is no lab.
    """
    return LabResults(open_lab(Path(folder)), Moment(as_of, at))


def _whole(connection: Any, name: str) -> str:
    if name not in (known := tables_of(connection)):
        raise CkgitError(f"there is no table {name!r}", code=Exit.USAGE, next=choose(name, known))
    return f"FROM {name}"
