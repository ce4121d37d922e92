"""The error for a log that does not count."""

from __future__ import annotations

from ckgit.experiment.jobs import FailureClass


class RefusedLogError(ValueError):
    """The log does not count as an evaluation of the cell; the message says why, in one sentence."""

    def __init__(self, why: str, failure: FailureClass = FailureClass.OUTPUT_MISSING) -> None:
        super().__init__(why)
        self.failure = failure
