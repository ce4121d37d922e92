"""Where the jobs of an experiment are: a profile that points elsewhere would find none of them, and call them lost."""

from __future__ import annotations

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import elsewhere
from ckgit.experiment.jobs import Ledger
from ckgit.formats.listing import in_words
from ckgit.orchestrators.engine.experiment import ExperimentView


def refuse_misled(view: ExperimentView) -> None:
    """Raise where the profile points elsewhere than to where jobs are that may still run.

    Raises:
        CkgitError: USAGE, with what has changed and the jobs.
    """
    ledger = view.ledger
    what = elsewhere(view.context.cluster, ledger.model_dump()) if ledger and _out(ledger) else ""
    if not ledger or not what:
        return
    jobs, name = _out(ledger), view.name
    raise CkgitError(
        f"cluster profile {ledger.cluster} points elsewhere than to where jobs are out ({what}): {in_words(jobs)}",
        code=Exit.USAGE,
        where=name,
        state="nothing was changed, and the jobs go on",
        next=f"put the profile back until they have ended, or until they are cancelled: ckgit cancel {name}, and ckgit retry {name} then",
    )


def _out(ledger: Ledger) -> list[str]:
    """Names of the jobs that may still run."""
    return [*(attempt.job for attempt in ledger.open()), *(["advance"] if ledger.detached else [])]
