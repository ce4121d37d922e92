"""What a command on an experiment came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckgit.errors import Exit
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.state import State
from ckgit.orchestrators.engine.experiment import RecordedCommit


class AdvanceResult(NamedTuple):
    """How far a command has brought an experiment, and why not further."""

    experiment: str
    state: State | None  # None where the branch is gone
    code: Exit
    commits: Sequence[RecordedCommit]
    message: str
    next: str = ""
    failed: Sequence[Attempt] = ()  # that are why it went no further
