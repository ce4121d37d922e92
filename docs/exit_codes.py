"""Which command ends with which exit codes, for the reference.

Tests hold it: a command that any of them runs ends with a code that is here, and each code that is here is reached by its command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckgit.errors import Exit

# What any command can end with: for these it takes no more than a command line, a system and a user.
ALWAYS = frozenset({Exit.DONE, Exit.USAGE, Exit.TOOL_MISSING, Exit.COMMAND_FAILED, Exit.BUG, Exit.INTERRUPTED, Exit.PIPE_CLOSED})
_READS = {Exit.INVALID_DESIGN, Exit.ILLEGAL_TRANSITION, Exit.EVIDENCE_MISSING}  # the branch of an experiment
_COMMITS = {*_READS, Exit.BRANCH_MOVED, Exit.UNKNOWN}  # on it, from its design
_RUNS = {*_COMMITS, Exit.IN_FLIGHT, Exit.JOBS_FAILED}
_MOVES = {Exit.BRANCH_MOVED, Exit.UNKNOWN}  # a branch

# By command: what it ends with beside `ALWAYS`.
ENDS_WITH: Mapping[str, frozenset[Exit]] = {
    "init": frozenset(_MOVES),
    "ci approvals": frozenset({Exit.UNKNOWN}),
    "ci may-start": frozenset({Exit.NOT_APPROVED, Exit.UNKNOWN}),
    "ci comment": frozenset({Exit.EVIDENCE_MISSING, Exit.UNKNOWN}),
    "ci guard": frozenset({Exit.NOT_APPROVED, Exit.UNKNOWN}),
    "hooks install": frozenset(),
    "hooks uninstall": frozenset(),
    "hooks status": frozenset(),
    "hooks print": frozenset(),
    "hooks run": frozenset({Exit.GIT_STOPS}),
    "models add": frozenset({*_READS, Exit.UNKNOWN}),
    "models list": frozenset(),
    "models show": frozenset(),
    "data show": frozenset(_READS),
    "data add": frozenset(),
    "quickstart": frozenset(_RUNS),  # the code of the first of its commands that fails
    "task new": frozenset(_READS),
    "task check": frozenset(_READS),
    "task list": frozenset(),
    "design": frozenset(_COMMITS),
    "validate": frozenset({Exit.INVALID_DESIGN, Exit.EVIDENCE_MISSING}),
    "import cruijff": frozenset({Exit.INVALID_DESIGN}),
    "revise": frozenset({*_COMMITS, Exit.IN_FLIGHT}),
    "schema": frozenset(),
    "advance": frozenset(_RUNS),
    "retry": frozenset(_RUNS),
    "close": frozenset({*_COMMITS, Exit.IN_FLIGHT}),
    "cancel": frozenset({*_READS, *_MOVES}),
    "worker": frozenset(_RUNS),
    "status": frozenset(_READS),
    "list": frozenset(),
    "dashboard": frozenset(),
    "bisect": frozenset({Exit.EVIDENCE_MISSING}),
    "watch": frozenset(_READS),
    "log": frozenset(_READS),
    "show": frozenset(_READS),
    "report": frozenset(_READS),
    "view": frozenset(_READS),
    "why": frozenset(_READS),
    "results": frozenset(),
    "compare": frozenset({Exit.EVIDENCE_MISSING}),
    "sql": frozenset(),
    "verify": frozenset({Exit.NOT_VERIFIED, Exit.EVIDENCE_MISSING}),
    "review": frozenset({Exit.NOT_VERIFIED, Exit.EVIDENCE_MISSING, Exit.NOT_APPROVED}),
    "reproduce": frozenset({*_READS, Exit.NOT_VERIFIED, Exit.JOBS_FAILED, Exit.UNKNOWN}),
    "doctor": frozenset(),
    "clean": frozenset({*_COMMITS, Exit.IN_FLIGHT}),
    "archive": frozenset({*_READS, Exit.IN_FLIGHT}),
    "delete": frozenset({*_COMMITS, Exit.IN_FLIGHT}),
    "design-experiment": frozenset(_COMMITS),
    "scaffold-experiment": frozenset(_COMMITS),
    "run-experiment": frozenset(_RUNS),
    "analyze-experiment": frozenset(_COMMITS),
}


def command_of(words: Sequence[str]) -> str:
    """The command that a command line names, as `ENDS_WITH` has it; empty for none of them."""
    rest = words[2:] if words and words[0] == "-C" else words
    two, one = " ".join(rest[:2]), " ".join(rest[:1])
    return next((name for name in (two, one) if name in ENDS_WITH), "")


def may_end_with(words: Sequence[str], code: int) -> bool:
    """Whether the reference says of a command line that it can end with an exit code."""
    return code in ALWAYS | ENDS_WITH.get(command_of(words), frozenset())
