"""Which experiments a command is about: names, patterns, those in a state, or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click

from ckgit.cli.completion import experiments
from ckgit.cli.shared.common import experiment_name
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.listing import choose
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.lab import Lab

F = TypeVar("F", bound=Callable[..., Any])
_WILD = frozenset("*?[")


def experiments_option(function: F) -> F:
    """Add `[NAME]...`, `--all` and `--state`, handed over as `names`, `every` and `states`; resolve them with `chosen`."""
    named = (
        click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=experiments),
        click.option("--all", "every", is_flag=True, help="All experiments of the lab for which there is anything to do."),
        click.option(
            "--state", "states", type=click.Choice([*map(str, State)]), multiple=True, help="Those in this state; may be given again."
        ),
    )
    for option in reversed(named):
        function = option(function)
    return function


def chosen(
    lab: Lab, names: Sequence[str], *, every: bool, states: Sequence[str], busy: Callable[[Lab, list[ExperimentRow]], set[str]]
) -> list[str] | None:
    """The experiments that are meant; None where one is named, or the branch of one is checked out.

    A name stands for itself. Of a pattern, a state or all, those are meant that have a branch here and
    for which there is anything to do.

    Args:
        busy: names of those for which there is.

    Raises:
        CkgitError: USAGE, a pattern that fits none, or two ways of naming at once.
    """
    if every and names:
        raise CkgitError("--all and names are two ways to say it", code=Exit.USAGE, state="nothing was done", next="leave one of them out")
    wild = [name for name in names if _WILD & set(name)]
    if not (every or states or wild or names[1:]):
        return None
    plain = [experiment_name(lab, name) for name in names if name not in wild]
    if not (every or states or wild):
        return [*dict.fromkeys(plain)]
    rows = list_experiments(lab)
    found = [row for row in rows if not names or row.name in plain or any(_fits(row, pattern) for pattern in wild)]
    for pattern in wild:
        if not any(_fits(row, pattern) for row in rows):
            known = choose(pattern.strip("*?"), [row.name for row in rows])
            what = f"no experiment is called {pattern}"
            raise CkgitError(what, code=Exit.USAGE, state="nothing was done", next=known or "ckgit design NAME makes the first one")
    found = [row for row in found if row.name in plain or ((not states or row.state in states) and not row.remote)]
    doing = busy(lab, found)
    return [*dict.fromkeys([*plain, *(row.name for row in found if row.name in doing)])]


def _fits(row: ExperimentRow, pattern: str) -> bool:
    return fnmatchcase(row.name, pattern.removeprefix("exp/"))
