"""Names of experiments, runs, models, data sets and tasks.

A name becomes a branch, a folder, a job name and a word in a shell script, so one allow-list holds for all of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

MAX_LENGTH = 64
DEFAULT_WORK_ROOT = ".ckgit/work"  # of a cluster profile; here, because finding work trees needs no model
_ALLOWED = re.compile(r"[A-Za-z0-9._+-]")
_WINDOWS_AND_GIT = {"con", "nul", "aux", "prn", "head", "fetch_head", "orig_head"}


def task_place(position: int, *keys: str) -> str:
    """Where a task stands in a design, as problems name it: `evaluation.tasks.0.split`."""
    return ".".join(["evaluation.tasks", str(position), *keys])


def name_problem(text: str) -> str | None:
    """The rule that `text` breaks as a name and where (positions count from 1), or None."""
    if not text:
        return "a name must not be empty"
    for position, char in enumerate(text, start=1):
        if not _ALLOWED.match(char):
            return f"{char!r} at position {position} is not allowed in a name (letters A-Z a-z, digits, . _ - +)"
    if not text[0].isalnum():
        return f"a name must begin with a letter or digit, not {text[0]!r} (position 1)"
    if len(text) > MAX_LENGTH:
        return f"a name has at most {MAX_LENGTH} characters; this one has {len(text)}"
    if ".." in text:
        return f"'..' at position {text.index('..') + 1} is not allowed in a name"
    if text.endswith((".", ".lock", ".git")):
        return "a name must not end in '.', '.lock' or '.git'"
    if text.lower() in _WINDOWS_AND_GIT:
        return f"{text!r} is reserved by git or by an operating system"
    return None


def check_name(text: str) -> str:
    """Return `text`.

    Raises:
        ValueError: with the broken rule and the position.
    """
    problem = name_problem(text)
    if problem:
        raise ValueError(problem)
    return text


class _Checked:
    """pydantic's AfterValidator on `check_name`, without importing pydantic where only names are checked."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(check_name, handler(source))


Name = Annotated[str, _Checked]
