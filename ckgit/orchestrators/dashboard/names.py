"""Which file of a dashboard is an experiment's. A branch may have any name that git allows; a file's name is a plain word."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from ckgit.experiment.design.names import name_problem

INDEX = "index.html"
FOLDER = "experiments"


def page_names(experiments: Iterable[str]) -> Mapping[str, str]:
    """The page of each experiment, relative to the dashboard.

    One whose name is no experiment's, or differs from another's in upper and lower case alone, which some disks do not tell apart, has
    the digest of its name.
    """
    names = [*experiments]
    alike = Counter(name.casefold() for name in names)
    return {name: f"{FOLDER}/{name if _is_plain(name, alike) else _digest(name)}.html" for name in names}


def _is_plain(name: str, alike: Mapping[str, int]) -> bool:
    return name_problem(name) is None and alike[name.casefold()] == 1


def _digest(name: str) -> str:
    return f"_{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:16]}"  # no experiment's name begins so
