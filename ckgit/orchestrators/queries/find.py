"""Which experiments `ckgit list` shows, in which order: by their state and by what their designs say."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.listing import nearest
from ckgit.lab.experiments import ExperimentRow
from ckgit.orchestrators.queries.design_values import Values, places

_CONDITION = re.compile(r"([A-Za-z_][\w.-]*) *(!=|<=|>=|=|<|>) *(.*)", re.DOTALL)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_STATES = [*State]
SORTS: Mapping[str, Callable[[ExperimentRow], Any]] = {
    "newest": lambda row: (-row.date.timestamp(), row.name),
    "oldest": lambda row: (row.date.timestamp(), row.name),
    "name": lambda row: row.name,
    "state": lambda row: (_STATES.index(row.state) if row.state else len(_STATES), -row.date.timestamp(), row.name),
}


class Where(NamedTuple):
    """A condition on a design: some value of that name is such."""

    name: str
    relation: str  # = != < <= > >=
    value: str

    @classmethod
    def parse(cls, text: str) -> Where:
        """Read `lora_rank=8`.

        Raises:
            CkgitError: USAGE, it is no condition.
        """
        if found := _CONDITION.fullmatch(text.strip()):
            return cls(found[1], found[2], found[3].strip())
        raise CkgitError(
            f"--where takes a name, one of = != < <= > >=, and a value; it was {text!r}",
            code=Exit.USAGE,
            next="e.g. ckgit list --where lora_rank=8 --where 'lr<1e-3' --where model=SmolLM2*",
        )

    def names(self, place: str) -> bool:
        """Whether a place of a design is meant: by its last words, also where the design has the plural."""
        return f".{place}".endswith((f".{self.name}", f".{self.name}s"))

    def holds(self, design: Values) -> bool:
        """Whether it is so of a design. `!=` is the contrary of `=`."""
        found = [value for place, values in design.items() if self.names(place) for value in values]
        if self.relation == "!=":
            return not any(_equal(value, self.value) for value in found)
        return any(_equal(value, self.value) if self.relation == "=" else _compare(self.relation, value, self.value) for value in found)


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool) or value is None:
        return wanted.lower() == ("null" if value is None else str(value).lower())
    number = _number(wanted)
    if isinstance(value, int | float) and number is not None:
        return float(value) == number
    from fnmatch import fnmatchcase

    return fnmatchcase(str(value), wanted)


def _compare(relation: str, value: Any, wanted: str) -> bool:
    """Numbers as such, and text by its characters, which orders dates."""
    if isinstance(value, str):
        return _COMPARE[relation](value, wanted)
    number = _number(wanted)
    return number is not None and isinstance(value, int | float) and not isinstance(value, bool) and _COMPARE[relation](value, number)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def unknown_name(conditions: Iterable[Where], designs: Iterable[Values]) -> str:
    """What is to be said of a name that no design has; empty where each is known."""
    known = places(designs)
    for each in conditions:
        if known and not any(each.names(place) for place in known):
            near = nearest(each.name, [place.rpartition(".")[2] for place in known])
            return f"no design has {each.name!r}" + (f"; did you mean {near}?" if near else "")
    return ""


def in_states(rows: Iterable[ExperimentRow], states: Sequence[str], sort: str) -> list[ExperimentRow]:
    """The rows that are in one of these states, or all where none is named; in order."""
    return sorted((row for row in rows if not states or row.state in states), key=SORTS[sort])


def such(rows: Iterable[ExperimentRow], conditions: Sequence[Where], designs: Mapping[str, Values]) -> list[ExperimentRow]:
    """The rows whose designs, given by name, meet all conditions."""
    return [row for row in rows if all(each.holds(designs[row.name]) for each in conditions)]
