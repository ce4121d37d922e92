"""The state in a summary's front matter, without a YAML parser where one line says it."""

from __future__ import annotations

import re

from ckgit.experiment.state import State

# A key at the first column is a key of the front matter itself: what belongs to a value is indented.
_STATE_KEY = re.compile(rb"^[\"']?state[\"']?[ \t]*:", re.MULTILINE)
_STATE_LINE = re.compile(rb"^state: +([a-z]+)[ \t]*(?:#.*)?\r?$", re.MULTILINE)
_FRONT_MATTER = re.compile(rb"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.MULTILINE | re.DOTALL)


def state_in(summary: bytes, file: str) -> State:
    """The state that a summary says it is in.

    Args:
        summary: bytes of experiment_summary.md.
        file: what messages call it.

    Raises:
        DesignError: the front matter cannot be read.
    """
    front = _FRONT_MATTER.match(summary)
    lines = _STATE_LINE.findall(front[1]) if front and len(_STATE_KEY.findall(front[1])) == 1 else []
    if len(lines) == 1 and lines[0].decode() in set(State):
        return State(lines[0].decode())
    from ckgit.lab.summary.file import SummaryFile

    return SummaryFile.parse(summary, file).summary.state
