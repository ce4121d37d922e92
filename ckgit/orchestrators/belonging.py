"""Whether what lies in a work tree belongs to the experiment's own attempts, as the branch has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ckgit.experiment.jobs import Job, Ledger
from ckgit.experiment.results import MANIFEST, CellResult, TrainingResult
from ckgit.orchestrators.standing import Standing


def retrained(standing: Standing, jobs: Iterable[Job], tree: Path) -> Mapping[str, str]:
    """Runs whose checkpoints are not those that their training committed, with the reason.

    Args:
        jobs: evaluations; those of checkpoints are looked at.
    """
    context, name = standing.context, standing.name
    folders = {job.run: context.run_folder(job.run) for job in jobs if job.epoch is not None}
    committed = standing.snapshot.read_many(f"{folder}/{MANIFEST}" for folder in folders.values())
    reasons = {}
    for run, folder in folders.items():
        file = tree / folder / "artifacts" / MANIFEST
        content = committed.get(f"{folder}/{MANIFEST}")
        if content is not None and (not file.is_file() or file.read_bytes() != content):
            reasons[run] = (
                f"{file.relative_to(tree)} is not what training committed: the checkpoints beside it are of another training; "
                f"bring them back, or train anew: ckgit revise {name}, then ckgit advance {name}"
            )
    return reasons


def foreign_starts(ledger: Ledger | None, job: Job, found: Sequence[TrainingResult | CellResult]) -> str:
    """Why a training is not this experiment's: jobs took part in it that are no attempts at it; empty where there are none."""
    own = {attempt.token for attempt in (ledger.attempts if ledger else ()) if attempt.job == job.name}
    starts = [token for result in found if isinstance(result, TrainingResult) for token in result.starts]
    others = sorted(set(starts) - own)
    return f"it goes on with what {', '.join(others)} began, which is no attempt at {job.name}" if others else ""
