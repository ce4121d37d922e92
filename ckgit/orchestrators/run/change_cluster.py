"""How another cluster takes an experiment over: its files are rendered for the new profile, and its checkpoints are brought along."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import place
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Ledger, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.results import MANIFEST, read_manifest
from ckgit.lab.commit import CommitPlan
from ckgit.lab.context import load_context
from ckgit.lab.hand_edits import refuse_edited
from ckgit.orchestrators.engine.experiment import ExperimentView, prepare
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.run.commits import LOG
from ckgit.orchestrators.scaffold.scaffold import rendered
from ckgit.workers.digests import differences, digests


def change_cluster(view: ExperimentView, cluster_name: str) -> CommitPlan | None:
    """The commit by which another cluster takes over; None when the experiment is there already.

    Raises:
        CkgitError: jobs are in flight, nothing was submitted yet, or the checkpoints cannot be reached from here.
    """
    ledger = view.ledger
    if ledger is None:
        raise CkgitError(
            f"{view.name} has not run anywhere yet",
            code=Exit.USAGE,
            state="nothing was changed",
            next="name the cluster in its design: compute.cluster, e.g. by `ckgit design --set` or `ckgit revise`",
        )
    if ledger.cluster == cluster_name:
        return None
    _refuse_leaving(view, ledger)
    trained, before = _trained(ledger), _left_tree(ledger)
    context = load_context(view.lab, view.snapshot, cluster_name)
    scheduler_for(context.cluster)
    moved = view._replace(context=context)
    update = {"cluster": cluster_name, **place(context.cluster), "commit": "", "work_tree": "", "host": "", "detached": None}
    update |= {"moved_from": before} if trained else {}
    text = f"cluster {cluster_name} (scheduler {context.cluster.scheduler}) takes over from {ledger.cluster}"
    text += "; nothing goes on by itself any more" if ledger.detached else ""
    return prepare(
        moved,
        Event.SUBMIT,
        files=rendered(moved),
        logs={LOG: [("MOVED", text)]},
        ledger=ledger.model_copy(update=update),
        body=f"{text[:1].upper()}{text[1:]}.",
        time=now(),
    )


def _refuse_leaving(view: ExperimentView, ledger: Ledger) -> None:
    """Raise where an experiment cannot leave its cluster now."""
    if ledger.open():
        raise CkgitError(
            f"{len(ledger.open())} jobs of {view.name} are in flight on cluster {ledger.cluster}",
            code=Exit.IN_FLIGHT,
            state="nothing was changed",
            next=f"wait for them (ckgit advance {view.name}), or end them (ckgit cancel {view.name})",
        )
    refuse_edited(view.snapshot)  # the ledger is written anew, and what was changed in it would be ckgit's own
    trained, before = _trained(ledger), _left_tree(ledger)
    if trained and not Path(before).is_dir():
        raise CkgitError(
            f"the checkpoints of {len(trained)} runs lie in {before}, which this machine does not see",
            code=Exit.EVIDENCE_MISSING,
            state="nothing was changed",
            next=f"run the same command on {ledger.host or 'a machine that sees it'}, or train anew: ckgit revise {view.name}",
        )


def _left_tree(ledger: Ledger) -> str:
    """The work tree with the checkpoints. Where nothing was submitted since the last move, they were not brought."""
    return ledger.work_tree or ledger.moved_from


def bring_checkpoints(view: ExperimentView, ledger: Ledger, work: Path) -> None:
    """Copy the checkpoints of trained runs from the work tree of the cluster before; what is there already is left alone.

    Raises:
        CkgitError: they cannot be read or written, or are not those that training committed.
    """
    for run in _trained(ledger) if ledger.moved_from else []:
        source, target = (root / view.context.run_folder(run) / "artifacts" for root in (Path(ledger.moved_from), work))
        if target.exists():
            continue
        part = target.with_name("artifacts.part")
        try:
            shutil.copytree(source, part, symlinks=True, dirs_exist_ok=True)
            _refuse_changed(view, run, source, part)
            part.rename(target)
        except (OSError, shutil.Error) as error:
            raise CkgitError(
                f"the checkpoints of {run} cannot be copied: {error}",
                code=Exit.COMMAND_FAILED,
                where=str(source),
                state="no job was submitted",
                next="mend this, then run the same command again",
            ) from error


def _refuse_changed(view: ExperimentView, run: str, source: Path, copy: Path) -> None:
    """Read the copy of a run's checkpoints, and hold it against what training committed."""
    if changed := list(_changed(view.snapshot.read(view.path(f"{run}/{MANIFEST}")), copy)):
        shutil.rmtree(copy)
        lines = [line.replace(f"{copy}/", f"{source}/", 1) for line in changed]
        raise CkgitError(
            "\n  ".join([f"the checkpoints of {run} are not those that its training left:", *lines]),
            code=Exit.EVIDENCE_MISSING,
            where=str(source),
            state="no job was submitted",
            next=f"bring them back, then run the same command again; or train anew: ckgit revise {view.name}",
        )


def _changed(manifest: bytes | None, copy: Path) -> Iterator[str]:
    """What is not as a manifest of the branch has it, a line each; nothing where a trainer commits none."""
    if manifest is None:
        return
    if not (copy / MANIFEST).is_file() or (copy / MANIFEST).read_bytes() != manifest:
        yield f"{copy / MANIFEST}: FAILED (it is not what training committed)"
        return
    for checkpoint in read_manifest(manifest):
        folder = copy / PurePosixPath(checkpoint.path).name
        if checkpoint.files:
            yield from differences(folder, digests(folder), {name: file.sha256 for name, file in checkpoint.files.items()})


def _trained(ledger: Ledger) -> list[str]:
    """Runs whose training is done."""
    done = [attempt for attempt in ledger.attempts if attempt.stage is Stage.TRAINING and attempt.phase is Phase.DONE]
    return list(dict.fromkeys(attempt.job.partition("/")[0] for attempt in done))
