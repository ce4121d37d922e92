"""What a rule is that verification, hooks and review hold a history against, and a finding of it."""

from __future__ import annotations

from typing import NamedTuple

from ckgit.experiment.outputs.findings import Finding, Severity
from ckgit.formats.listing import escaped


class Rule(NamedTuple):
    """What is looked for."""

    name: str
    severity: Severity
    means: str  # what a finding says, in one sentence
    do: str  # what to do about it
    example: str  # something that it catches

    def found(self, message: str, *, commit: str | None = None, path: str = "", line: int = 0, advice: str | None = None) -> Finding:
        """A finding of this rule, with the rule's own advice where there is none of its own."""
        told = {"message": _plain(message), "advice": _plain(self.do if advice is None else advice), "path": _plain(path)}
        return Finding(rule=self.name, severity=self.severity, commit=commit, line=line, **told)


_LONGEST = 600  # characters of a text that may come from a file


def _plain(text: str) -> str:
    """A text in which a file's words may stand: one line of a bearable length, without what a terminal would obey."""
    shown = escaped(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
