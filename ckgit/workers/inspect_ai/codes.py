"""Exit codes of the last step of an evaluation job, beside those of every job script, and the words it looks for."""

from __future__ import annotations

from ckgit.experiment.jobs import FailureClass

TOKENS_DIFFER = 66
NO_LOG = 67
NOT_SUCCESS = 68  # inspect's log says error or cancelled, or it was cut short

MARK = "ckgit: tokens differ"  # begins the error that ends an evaluation whose tokens are not those of training


class RefusedLogError(ValueError):
    """The log does not count as an evaluation of the cell; the message says why, in one sentence."""

    def __init__(self, why: str, failure: FailureClass = FailureClass.OUTPUT_MISSING) -> None:
        super().__init__(why)
        self.failure = failure
