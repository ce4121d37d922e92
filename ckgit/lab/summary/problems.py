"""What is wrong with a summary's front matter, each with its place in the file; and what can be read of it all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ckgit.errors import CkgitError, DesignError
from ckgit.experiment.checks import messages
from ckgit.experiment.checks.problems import problems
from ckgit.experiment.design.model import SCHEMA_VERSION, Stage, State, Summary
from ckgit.experiment.tools.by_tool import parameters_of, read_summary, summary_type, tool_of
from ckgit.experiment.tools.workers import nearest_tool
from ckgit.formats.numbers import shown
from ckgit.formats.problem import Problem
from ckgit.formats.yaml.document import Document
from ckgit.lab.summary import text as summary_text

if TYPE_CHECKING:
    from ckgit.formats.yaml.edit import ValueChange


def document_problems(document: Document) -> list[Problem]:
    """Everything that is wrong with a front matter, each with its place. A missing `state` is none."""
    found = document.problems
    if not document.complete:
        return found
    value = document.value
    if not isinstance(value, dict):
        return found or [_placed(document, (), f"expected a mapping (key: value); found {shown(value)}")]
    if _is_newer(value):
        newer = f"format {value['schema_version']} is newer than this ckgit, which knows {SCHEMA_VERSION}: upgrade ckgit"
        return [_placed(document, ("schema_version",), newer)]
    if unknown := _tool_problem(document):
        return [*found, unknown]
    try:
        summary = summary_of(value)
    except ValidationError as error:
        unread = {problem.path for problem in found}
        model = summary_type(parameters_of(tool_of(value)))
        placed = [_placed(document, path, message) for path, message in messages.findings(error, model, _with_state(value))]
        return [*found, *(problem for problem in placed if problem.path not in unread)]
    if found:
        return found
    return [_placed(document, locate(value, problem.path), problem.message) for problem in problems(summary)]


def _tool_problem(document: Document) -> Problem | None:
    """That the preparation tool is misspelt.

    Raises:
        CkgitError: TOOL_MISSING, it is not installed, and no other one has a name like it.
    """
    tool = tool_of(document.value)
    try:
        parameters_of(tool)
    except CkgitError as error:
        near = nearest_tool(tool, Stage.TRAINING)
        if near is None:
            raise
        return _placed(document, ("tools", Stage.TRAINING.tool), f"{error.what}; did you mean {near}?")
    return None


def locate(document: Any, dotted: str) -> Sequence[str | int]:
    """The keys that a dotted path means; keys may have dots in them. Stops where the document does."""
    path: list[str | int] = []
    while dotted:
        if isinstance(document, Mapping):
            key: str | int | None = max((k for k in document if k and f"{dotted}.".startswith(f"{k}.")), key=len, default=None)
        else:
            head = dotted.partition(".")[0]
            key = int(head) if isinstance(document, list) and head.isdecimal() and int(head) < len(document) else None
        if key is None:
            break
        path.append(key)
        document, dotted = document[key], dotted[len(str(key)) + 1 :]
    return path


def refuse(found: Sequence[Problem], file: str) -> None:
    """Raise `DesignError` with these problems, if there are any."""
    if found:
        raise DesignError(sorted(found, key=order), file=file)


def order(problem: Problem) -> tuple[int, int]:
    """By their places."""
    return problem.line, problem.column


def _with_state(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"state": str(State.DESIGNED), **value}


def is_readable(document: Document) -> bool:
    """Whether it has values to look at."""
    return document.complete and not document.problems and isinstance(document.value, dict) and not _is_newer(document.value)


def _is_newer(value: Mapping[str, Any]) -> bool:
    version = value.get("schema_version")
    return isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION


def readable(value: Mapping[str, Any]) -> Summary:
    """The sections that can be read by themselves, whatever is wrong with the others: what they name can still be looked for."""
    with contextlib.suppress(ValidationError, CkgitError):
        return summary_of(value)
    least = {"schema_version": SCHEMA_VERSION, "experiment": {"name": "unnamed", "question": "?", "date": "2000-01-01"}, "models": ["none"]}
    summary = summary_of(least).model_copy(update={"models": ()})
    for key in ("experiment", "models", "data", "evaluation", "compute"):
        with contextlib.suppress(ValidationError, KeyError):
            summary = summary.model_copy(update={key: getattr(summary_of({**least, key: value[key]}), key)})
    return summary


def summary_of(value: Mapping[str, Any]) -> Summary:
    """The summary that a front matter is; one without a state counts as designed.

    Raises:
        ValidationError: it is none.
    """
    return read_summary(_with_state(value))


def _placed(document: Document, path: Sequence[str | int], message: str) -> Problem:
    """A problem at its key, or at the nearest one that exists around it."""
    dotted = ".".join(map(str, path))
    for length in range(len(path), -1, -1):
        head = tuple(path[:length])
        place = document.keys.get(head) or document.values.get(head)
        if place:
            return Problem(message, dotted, *place)
    return Problem(message, dotted, 1, 1)


def problem_in(document: Document, changes: Sequence[ValueChange], path: str, message: str) -> Problem:
    """A problem at its place in the document, with the change that it is about."""
    cause = next((change.path for change in changes if f"{path}.".startswith(f"{change.path}.")), None)
    if cause is not None:
        quote = "; text needs quotes of its own, as in 'KEY=\"text: {input}\"'" if "expected text" in message else ""
        message = f"--set {cause}: {message}{quote}"
    return replace(_placed(document, locate(document.value, path), message), path=path)


def flow_problems(document: Document, parts: summary_text.SummaryParts) -> Iterator[Problem]:
    """Keys between braces leave no lines for what ckgit adds."""
    line, column = document.values.get((), (parts.first_line, 1))
    if parts.front.split("\n")[line - parts.first_line][column - 1 : column] == "{":
        yield Problem("the keys of the front matter stand on lines of their own, not between braces", line=line, column=column)
