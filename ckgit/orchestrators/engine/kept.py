"""Where the results of kept jobs are: their attempts in the ledger of another commit, their checkpoints in the work tree of that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.kept import KeptJob
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.results import MANIFEST, read_manifest
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.objects import read_object, read_objects
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import as_committed


def kept_attempts(lab: Lab, name: str, kept: Mapping[str, KeptJob]) -> list[Attempt]:
    """Every attempt at jobs that are kept, as the ledger of experiment `name` has them.

    Raises:
        CkgitError: EVIDENCE_MISSING, a commit that they are from is not in this clone, or does not have them.
    """
    sources: dict[tuple[str, str], Sequence[Attempt]] = {}
    found: list[Attempt] = []
    for job, each in kept.items():
        if (each.experiment, each.commit) not in sources:
            sources[each.experiment, each.commit] = source(lab, each, name)[1].attempts
        of_job = [attempt for attempt in sources[each.experiment, each.commit] if attempt.job == each.job]
        if not of_job or of_job[-1].token != each.token:
            raise _gone(each, f"its ledger has no attempt {each.token} at {each.job}", name)
        found += [_taken_over(attempt, each, name, job) for attempt in of_job]
    return found


def _taken_over(attempt: Attempt, kept: KeptJob, name: str, job: str) -> Attempt:
    """An attempt as another experiment's ledger has it, with the places of its files there."""
    folders = f"{kept.run}/", f"{job.partition('/')[0]}/"
    files = {path.replace(*folders, 1): digest for path, digest in attempt.files.items()}
    log = attempt.log and attempt.log.replace(f"experiments/{kept.experiment}/{folders[0]}", f"experiments/{name}/{folders[1]}", 1)
    return attempt.model_copy(update={"job": job, "kept": kept.commit, "files": files, "log": log})


def has_source(lab: Lab, job: KeptJob) -> bool:
    """Whether this clone has a commit with the attempts of a kept job."""
    return _commit_with(lab, job) is not None


def _commit_with(lab: Lab, job: KeptJob) -> str | None:
    """The commit that a job was kept from; of a history that was rebased since, or that this clone has otherwise, one with its attempt."""
    path = f"experiments/{job.experiment}/jobs.json"
    if read_object(lab.root, f"{job.commit}:{path}") is not None:
        return job.commit
    places = (f"refs/heads/exp/{job.experiment}", f"refs/remotes/*/exp/{job.experiment}", f"refs/ckgit/closed/{job.experiment}*")
    refs = git_lines(lab.root, "for-each-ref", "--format=%(objectname)", *places)
    commits = git_lines(lab.root, "rev-list", *dict.fromkeys([*refs, lab.base]), "--", path)
    ledgers = read_objects(lab.root, [f"{commit}:{path}" for commit in commits], lenient=True)
    return next((each for each, ledger in zip(commits, ledgers, strict=True) if ledger and job.token.encode() in ledger), None)


def source(lab: Lab, job: KeptJob, name: str = "NAME") -> tuple[Snapshot, Ledger]:
    """The experiment that a job was kept from, at the commit that has its attempts.

    Args:
        name: of the experiment that keeps it.

    Raises:
        CkgitError: EVIDENCE_MISSING, the commit is not in this clone, or has no ledger.
    """
    commit = _commit_with(lab, job)
    if commit is None:
        raise _gone(job, "that commit is not in this clone", name)
    snapshot = as_committed(lab.root, job.experiment, commit)
    ledger = snapshot.any_ledger()
    if ledger is None:
        raise _gone(job, "it has no ledger there", name)
    return snapshot, ledger


def _gone(job: KeptJob, why: str, name: str) -> CkgitError:
    return CkgitError(
        f"{job.job} is kept from {job.experiment} at {job.commit[:12]}: {why}",
        code=Exit.EVIDENCE_MISSING,
        state="nothing was done",
        next=f"fetch exp/{job.experiment} from whoever has it: git fetch --all; the rest of a shallow clone: git fetch --unshallow; "
        f"where nobody has it any more, all of it runs again by: ckgit revise {name} --anew",
    )


def checkpoints_of(lab: Lab, run: str, kept: KeptJob | None, ledger: Ledger | None, name: str) -> Path | None:
    """The folder with the checkpoints of a run that was trained, as far as this machine sees it; None where it sees none.

    Args:
        kept: of its training, where that is kept: then they may lie where they were made.
        ledger: of the experiment `name`.
    """
    trees = [ledger.work_tree, ledger.moved_from] if ledger else []
    folder = f"experiments/{kept.experiment}/{kept.run}/artifacts" if kept else f"experiments/{name}/{run}/artifacts"
    here = next((Path(tree) / folder for tree in trees if tree and _has_all(Path(tree), folder)), None)
    if here or kept is None:
        return here
    snapshot, before = source(lab, kept)
    earlier = snapshot.kept_jobs()
    return checkpoints_of(lab, kept.run, earlier.jobs.get(kept.job) if earlier else None, before, kept.experiment)


def _has_all(tree: Path, folder: str) -> bool:
    """Whether a folder of a work tree is there, with each checkpoint that its list has: `ckgit clean` may have removed some."""
    try:
        listed = read_manifest((tree / folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        listed = ()  # whoever loads them says so
    return (tree / folder).is_dir() and all((tree / each.path).exists() for each in listed if each.files)
