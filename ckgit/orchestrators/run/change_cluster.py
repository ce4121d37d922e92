"""How another cluster profile takes an experiment over.

One of another place has the files rendered for it, and checkpoints are brought along. One of the same place, which was renamed or has
other settings now, finds jobs and work tree where they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.classify import newest
from ckgit.experiment.cluster import place
from ckgit.experiment.design.model import Stage, State
from ckgit.experiment.jobs import Job, Ledger, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.results import MANIFEST, read_manifest
from ckgit.experiment.worker import Worker
from ckgit.formats.listing import listed, paragraphs
from ckgit.lab.commit import CommitPlan
from ckgit.lab.context import load_context
from ckgit.lab.held import locked
from ckgit.lab.history.hand_edits import refuse_edited
from ckgit.lab.models.find import digest_once
from ckgit.orchestrators.engine.experiment import ExperimentView, prepare
from ckgit.orchestrators.engine.kept import checkpoints_of
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.plugins import scheduler_for, worker_for
from ckgit.orchestrators.engine.profile import same_place
from ckgit.orchestrators.run.commits import LOG
from ckgit.orchestrators.scaffold.rerender import bring, rendered_anew, with_digests
from ckgit.orchestrators.scaffold.scaffold import rendered
from ckgit.workers.digests import differences, digests


def change_cluster(view: ExperimentView, cluster_name: str) -> CommitPlan | None:
    """The commit by which another profile takes over, or the same one as it is now; None when that changes nothing.

    Raises:
        CkgitError: jobs are in flight elsewhere, nothing was submitted yet, or the checkpoints cannot be reached from here.
    """
    ledger = view.ledger or _first_ledger(view)
    context = load_context(view.lab, view.snapshot, cluster_name=cluster_name)
    scheduler_for(context.cluster)
    moved = view._replace(context=context)
    same = ledger.cluster == cluster_name
    if (same or ledger.work_tree) and same_place(view.lab, ledger, cluster_name):
        return _taken_over_in_place(moved, ledger)
    if same:
        return None
    _refuse_leaving(view, ledger)
    trained, before = _trained(ledger), _left_tree(ledger)
    update = {"cluster": cluster_name, **place(context.cluster), "commit": "", "tree": "", "work_tree": "", "host": "", "detached": None}
    update |= {"moved_from": before} if trained else {}
    text = f"cluster {cluster_name} (scheduler {context.cluster.scheduler}) takes over from {ledger.cluster}"
    text += "; nothing goes on by itself any more" if ledger.detached else ""
    return prepare(
        moved,
        Event.SUBMIT,
        files=with_digests(moved, _workers(moved).values(), rendered(moved)),
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
            next=f"run the same command on {ledger.host or 'a machine that sees it'}, or train anew: ckgit revise {view.name} --anew",
        )


def _left_tree(ledger: Ledger) -> str:
    """The work tree with the checkpoints. Where nothing was submitted since the last move, they were not brought."""
    return ledger.work_tree or ledger.moved_from


def _first_ledger(view: ExperimentView) -> Ledger:
    """The ledger of an experiment of which nothing was submitted yet.

    Raises:
        CkgitError: ILLEGAL_TRANSITION, nothing is scaffolded either.
    """
    if view.snapshot.state is State.SCAFFOLDED:
        return Ledger(cluster=view.context.cluster_name, scheduler=view.context.cluster.scheduler, design=view.context.summary.digest)
    raise CkgitError(
        f"{view.name} has not run anywhere yet",
        code=Exit.ILLEGAL_TRANSITION,
        state="nothing was changed",
        next=f"name the cluster in its design: ckgit revise {view.name} --set compute.cluster=NAME",
    )


def _taken_over_in_place(view: ExperimentView, ledger: Ledger) -> CommitPlan | None:
    """The commit by which jobs that were not submitted yet get scripts of the profile of `view`; those that were stay as they are."""
    name, workers = view.context.cluster_name, _workers(view)
    anew = rendered_anew(view, workers, _unsubmitted(view, workers, ledger), {}, {})
    if name == ledger.cluster and not anew.files:
        return None
    refuse_edited(view.snapshot)
    same = name == ledger.cluster
    text = f"cluster {name} as its profile is now" if same else f"cluster {name} takes over from {ledger.cluster}, in the same place"
    return prepare(
        view,
        Event.SUBMIT,
        files=with_digests(view, workers.values(), anew.files),
        logs={LOG: [("MOVED", text), *(("RENDER", note) for note in anew.notes)]},
        ledger=ledger.model_copy(update={"cluster": name}),
        body=paragraphs(f"{text[:1].upper()}{text[1:]}.", listed(anew.notes)),
        time=now(),
    )


def _workers(view: ExperimentView) -> dict[Stage, Worker]:
    return {stage: worker for stage in Stage if (worker := worker_for(view.context.summary, stage))}


def _unsubmitted(view: ExperimentView, workers: Mapping[Stage, Worker], ledger: Ledger) -> list[Job]:
    return [job for worker in workers.values() for job in worker.jobs(view.context) if not ledger.latest(job.name)]


def bring_scripts(view: ExperimentView) -> None:
    """Have the work tree hold the scripts that a profile of the same place has rendered anew. Killed before that, a retry brings them.

    Raises:
        CkgitError: they cannot be written.
    """
    if view.ledger and view.ledger.work_tree:
        workers = _workers(view)
        bring(view, workers, _unsubmitted(view, workers, view.ledger), Path(view.ledger.work_tree))


def bring_checkpoints(view: ExperimentView, ledger: Ledger, work: Path) -> None:
    """Bring the checkpoints of runs that were trained elsewhere, so that the work tree is whole; what is there already is left alone.

    Within one file system they are linked: nobody writes to a checkpoint that is whole. What was brought is held against its digests.
    Those that are not there any more are missed only where they are still to be evaluated.

    Raises:
        CkgitError: they cannot be read or written, or are not those that training committed.
    """
    for run in _trained(ledger):
        kept = view.context.kept.get(view.context.plan.run(run).job)
        source = checkpoints_of(view.lab, run, kept, ledger, view.name)
        target = work / view.context.artifacts(run)
        if target.exists() or source == target:
            continue
        if source is None:
            if _is_evaluated(view, ledger, run):
                raise _not_seen(view, run)
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.with_name("artifacts.lock")) as is_held:
                if target.exists():
                    continue  # another process was faster
                own = "" if is_held else f"-{os.uname().nodename}-{os.getpid()}"  # without a lock no copy that is left is gone on with
                part = target.with_name(f"artifacts.part{own}")
                _copy(source, part)
                _refuse_changed(view, run, source, part, work)
                part.rename(target)
        except OSError as error:
            if target.is_dir():
                continue  # another process was faster
            raise CkgitError(
                f"the checkpoints of {run} cannot be copied: {error}",
                code=Exit.COMMAND_FAILED,
                where=str(source),
                state="no job was submitted",
                next="mend this, then run the same command again",
            ) from error


def _copy(source: Path, target: Path) -> None:
    """Copy a folder into one that may have a part of it already, from a command that was killed. Links in it stay links."""
    target.mkdir(exist_ok=True)
    for each in sorted(source.iterdir()):
        place = target / each.name
        if each.is_dir() and not each.is_symlink():
            _copy(each, place)
        elif not _is_whole(each, place):
            place.unlink(missing_ok=True)
            _linked(each, place)


def _is_whole(source: Path, copy: Path) -> bool:
    """Whether something was copied to its end: the time of a file is the last that is copied of it."""
    try:
        one, other = source.lstat(), copy.lstat()
    except FileNotFoundError:
        return False
    if source.is_symlink() or copy.is_symlink():
        return source.is_symlink() and copy.is_symlink() and source.readlink() == copy.readlink()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _linked(source: Path, target: Path) -> None:
    """A second name of a file; a copy of it on another file system."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _is_evaluated(view: ExperimentView, ledger: Ledger, run: str) -> bool:
    """Whether an evaluation of a run is still to be made."""
    done = {job for job, attempt in newest(ledger.attempts).items() if attempt.phase is Phase.DONE}
    return any(cell.job not in done for cell in view.context.plan.cells_of(run))


def _not_seen(view: ExperimentView, run: str) -> CkgitError:
    return CkgitError(
        f"the checkpoints of {run} are not where they were made, as far as this machine sees",
        code=Exit.EVIDENCE_MISSING,
        where=view.name,
        state="no job was submitted",
        next=f"run the same command on a machine that sees them, or train anew: ckgit revise {view.name} --anew",
    )


def _refuse_changed(view: ExperimentView, run: str, source: Path, copy: Path, work: Path) -> None:
    """Read the copy of a run's checkpoints, and hold it against what training committed."""
    if changed := list(_changed(view.snapshot.read(view.path(f"{run}/{MANIFEST}")), copy, work)):
        shutil.rmtree(copy)
        lines = [line.replace(f"{copy}/", f"{source}/", 1) for line in changed]
        raise CkgitError(
            "\n  ".join([f"the checkpoints of {run} are not those that its training left:", *lines]),
            code=Exit.EVIDENCE_MISSING,
            where=str(source),
            state="no job was submitted",
            next=f"bring them back, then run the same command again; or train anew: ckgit revise {view.name} --anew",
        )


def _changed(manifest: bytes | None, copy: Path, work: Path) -> Iterator[str]:
    """What is not as a manifest of the branch has it, a line each; nothing where a trainer commits none.

    Args:
        work: the work tree to which the copy goes, with the models that adapters are loaded beside.
    """
    if manifest is None:
        return
    if not (copy / MANIFEST).is_file() or (copy / MANIFEST).read_bytes() != manifest:
        yield f"{copy / MANIFEST}: FAILED (it is not what training committed)"
        return
    for checkpoint in read_manifest(manifest):
        folder = copy / PurePosixPath(checkpoint.path).name
        if checkpoint.files:
            found = digests(folder, work.joinpath, digest_once)
            yield from differences(folder, found, {name: file.sha256 for name, file in checkpoint.files.items()})


def _trained(ledger: Ledger) -> list[str]:
    """Runs whose training is done."""
    done = [attempt for attempt in ledger.attempts if attempt.stage is Stage.TRAINING and attempt.phase is Phase.DONE]
    return list(dict.fromkeys(attempt.job.partition("/")[0] for attempt in done))
