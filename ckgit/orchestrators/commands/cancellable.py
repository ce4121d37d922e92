"""Whether jobs can be ended from here, asked before it is recorded that they are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.scheduler import JobState
from ckgit.jobs.folder import is_there
from ckgit.orchestrators.engine.partial_view import PartialView
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.work_tree import declare_lost


def cannot_end(found: PartialView, attempts: Sequence[Attempt], states: Mapping[str, JobState]) -> CkgitError | None:
    """Why open attempts cannot be ended from here, or by this user; None where they can.

    Args:
        states: what their scheduler says of them, by token. One that it sees it can end, wherever the work tree is.
    """
    ledger, here = found.ledger, os.uname().nodename
    if not attempts or not ledger or not ledger.work_tree:
        return None
    work, name = Path(ledger.work_tree), found.name
    try:
        unseen = any(states.get(attempt.token, JobState.UNKNOWN) is JobState.UNKNOWN for attempt in attempts)
        if unseen and not is_there(work) and ledger.host != here:
            return CkgitError(
                f"its jobs run on {ledger.host}, in {work}, which {here} does not see",
                code=Exit.UNKNOWN,
                where=name,
                state="nothing was recorded, and nothing was ended",
                next=f"ckgit cancel {name} on {ledger.host}; where that is no more: {declare_lost(name, f'{ledger.host} is no more')}",
            )
        scheduler_for(found.cluster).check_cancel(found.cluster, work, attempts)
    except CkgitError as error:
        error.state = "nothing was recorded, and nothing was ended"
        return error
    return None
