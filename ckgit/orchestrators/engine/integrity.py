"""Whether what is read is the experiment's own: in a work tree its attempts', on the branch what ckgit wrote there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Job, Ledger
from ckgit.experiment.results import MANIFEST, CellResult, TrainingResult
from ckgit.formats.listing import first_of
from ckgit.lab.hand_edits import HandEdit, written
from ckgit.lab.snapshot import Snapshot
from ckgit.orchestrators.engine.experiment import ExperimentView

_LISTED = 5  # files that an error names


def retrained(view: ExperimentView, jobs: Iterable[Job], tree: Path) -> Mapping[str, str]:
    """Runs whose checkpoints are not those that their training committed, with the reason.

    Args:
        jobs: evaluations; those of checkpoints are looked at.
    """
    context, name = view.context, view.name
    folders = {job.run: context.run_folder(job.run) for job in jobs if job.epoch is not None or job.checkpoint}
    committed = view.snapshot.read_many(f"{folder}/{MANIFEST}" for folder in folders.values())
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


def refuse_edited(snapshot: Snapshot, *only: str) -> None:
    """Raise where what jobs left, or the ledger, is not as ckgit committed it: nothing may follow from that.

    Args:
        only: paths of files; all where there is none.

    Raises:
        CkgitError: EVIDENCE_MISSING, naming files and commits.
    """
    edits = [edit for edit in written(snapshot).edits if not edit.scaffolded and (not only or edit.path in only)]
    if edits:
        raise CkgitError(
            "\n  ".join(["files that ckgit wrote were changed by hand, and nothing may follow from them:", *edit_lines(edits)]),
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{snapshot.name} at {snapshot.tip[:12]}",
            state="nothing was changed",
            next=restored(snapshot.name, edits),
        )


def edit_lines(edits: Sequence[HandEdit]) -> list[str]:
    """A line for each of the first few files."""
    return first_of(map(str, edits), _LISTED)


def restored(name: str, edits: Sequence[HandEdit]) -> str:
    """The command that has these files be as ckgit left them."""
    if len(edits) > _LISTED and not any(edit.amended for edit in edits):  # the revert of a rewritten step would take all of it back
        commits = list(dict.fromkeys(edit.hand[:12] for edit in edits))
        return f"git switch exp/{name} && git revert --no-edit {' '.join(commits)}"
    places: dict[str, list[str]] = {}
    for edit in edits:
        places.setdefault(edit.left[:12], []).append(shlex.quote(edit.path))
    back = " && ".join(f"git checkout {commit} -- {' '.join(paths)}" for commit, paths in places.items())
    return f"git switch exp/{name} && {back} && git commit -m 'As ckgit left it'"
