"""Why a training job failed."""

from __future__ import annotations

from ckgit.experiment.jobs import FailureClass
from ckgit.workers import explain as common
from ckgit.workers.training.outputs.codes import CHECKPOINTS_MISSING, DIVERGED, NOT_TOGETHER, ROWS_REFUSED, TOKENS_DIFFER

TOOL = common.Tool(
    codes={
        TOKENS_DIFFER: FailureClass.TOKENS_DIFFER,
        CHECKPOINTS_MISSING: FailureClass.OUTPUT_MISSING,
        ROWS_REFUSED: FailureClass.ERROR,
        DIVERGED: FailureClass.DIVERGED,
        NOT_TOGETHER: FailureClass.ENVIRONMENT,
    },
    less_memory="try a smaller batch_size",
)


def explain(log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
    """Class and one sentence; `exit_code` None when it is not known."""
    return common.explain(log_tail, exit_code, TOOL)
