"""Findings as GitHub's workflow commands, which it shows at the lines of a pull request.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.experiment.outputs.findings import Finding, Severity
from ckgit.experiment.outputs.review.reviewed import ReviewedExperiment
from ckgit.formats.listing import escaped

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def annotated(found: Sequence[ReviewedExperiment]) -> Iterator[str]:
    """One line for each finding."""
    return (_command(each) for one in found for each in one.findings)


def _command(each: Finding) -> str:
    given = {"file": each.path, "line": str(each.line or ""), "title": each.rule}
    options = ",".join(f"{name}={_property(value)}" for name, value in given.items() if value)
    text = escaped(f"{each.message}. {each.advice}" if each.advice else each.message)
    return f"::{_COMMANDS[each.severity]} {options}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(escaped(text)).replace(":", "%3A").replace(",", "%2C")
