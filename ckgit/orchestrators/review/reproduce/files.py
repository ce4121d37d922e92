"""The work tree of a second execution: the scaffold commit's files in a folder of its own, and nothing of what jobs have left.

A log or a checkpoint that lay there would be taken for the job's own, and be compared with itself.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.results import CellResult
from ckgit.experiment.worker import reasons_against
from ckgit.formats.listing import first_of
from ckgit.lab.context import job_inputs
from ckgit.lab.export import export_work_tree
from ckgit.lab.git.command import git_text
from ckgit.lab.git.objects import read_objects, tree_entries
from ckgit.lab.history.commits import BranchCommit, branch_commits
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.review.reproduce.recorded import Chosen, RecordedJob
from ckgit.orchestrators.run.work_tree import model_folders
from ckgit.orchestrators.scaffold.rerender import divided_anew
from ckgit.orchestrators.scaffold.scaffold import refuse

_ARTIFACTS = "/artifacts/"  # where trainings leave checkpoints, in a run's folder


class ScaffoldedFiles(NamedTuple):
    """What the jobs are run from."""

    scaffold: str  # commit
    paths: Sequence[str]  # of it, in the experiment's folder
    over: Mapping[str, bytes]  # laid over these: what later steps have rendered anew, or what a profile gives
    scripts: Mapping[str, bytes]  # each job's script, by the job's name
    remarks: Sequence[str] = ()  # in what the files differ from those that the jobs were run from


def scaffolded_files(chosen: Chosen, *, anew: bool) -> ScaffoldedFiles:
    """The files from which the jobs are to be run again.

    Args:
        anew: whether they are rendered again, for the cluster profile as it is now; otherwise each job's script is the one that it ran.

    Raises:
        CkgitError: EVIDENCE_MISSING, the branch does not hold the script that a job ran; INVALID_DESIGN, another profile cannot have it.
    """
    view = chosen.view
    commits = list(branch_commits(view.lab.root, view.name, view.snapshot.tip))
    scaffold = next((commit for commit in commits if commit.recorded and commit.recorded.event == Event.SCAFFOLD), None)
    if scaffold is None:
        cut = git_text(view.lab.root, "rev-parse", "--is-shallow-repository") == "true"
        what = "this clone is shallow, and does not hold" if cut else "the history does not hold"
        raise CkgitError(
            f"{what} the commit that scaffolded {view.name}",
            code=Exit.EVIDENCE_MISSING,
            where=str(view.lab.root),
            state="nothing was run",
            next="git fetch --unshallow" if cut else f"ckgit log {view.name}",
        )
    paths = list(_paths(chosen, scaffold.oid))
    since = commits[: commits.index(scaffold)]
    if anew:
        return _for_profile(chosen, scaffold.oid, paths)
    over, scripts = dict[str, bytes](), dict[str, bytes]()
    for recorded in chosen.jobs:
        at, scripts[recorded.job.name] = _script(view, recorded, scaffold, since)
        if at != scaffold.oid:
            own = [path for path in paths if path.startswith(f"{recorded.job.folder}/")]
            contents = read_objects(view.lab.root, [f"{at}:{path}" for path in own])
            over |= {path: content for path, content in zip(own, contents, strict=True) if content is not None}
    over |= {one.job.script: scripts[one.job.name] for one in chosen.jobs if one.job.script in over}
    return ScaffoldedFiles(scaffold.oid, paths, over, scripts)


def _paths(chosen: Chosen, scaffold: str) -> Iterator[str]:
    """What of the experiment's folder the jobs may read: nothing of what any job has left."""
    view, prefix = chosen.view, f"{chosen.view.context.folder}/"
    left = {f"{prefix}{path}" for attempt in view.attempts for path in attempt.files}
    left |= {result.log for recorded in chosen.jobs for result in recorded.results if isinstance(result, CellResult)}
    runs = {run.name for run in view.context.plan.runs}
    for entry in tree_entries(view.lab.root, scaffold, prefix, recursive=True):
        run, _, rest = entry.path.removeprefix(prefix).partition("/")
        of_others = rest and run in runs and run not in chosen.runs
        if not of_others and entry.path not in left and _ARTIFACTS not in entry.path:
            yield entry.path


def _script(view: ExperimentView, recorded: RecordedJob, scaffold: BranchCommit, since: Sequence[BranchCommit]) -> tuple[str, bytes]:
    """The script that a job ran, and the newest commit that has put it there."""
    path = recorded.job.script
    commits = [*(commit.oid for commit in since if path in commit.files and not commit.files[path].gone), scaffold.oid]
    for at, content in zip(commits, read_objects(view.lab.root, [f"{oid}:{path}" for oid in commits]), strict=True):
        if content is not None and hashlib.sha256(content).hexdigest() == recorded.attempt.script_sha256:
            return at, content
    raise CkgitError(
        f"the branch does not hold the script that {recorded.job.name} ran",
        code=Exit.EVIDENCE_MISSING,
        where=f"{view.name}:{path}",
        state="nothing was run",
        next=f"ckgit verify {view.name}",
    )


def _for_profile(chosen: Chosen, scaffold: str, paths: Sequence[str]) -> ScaffoldedFiles:
    """The same jobs as a cluster profile has them scaffolded now: its set-up lines, its resources."""
    view, made = chosen.view, dict[str, bytes]()
    workers = {recorded.job.stage: recorded.worker for recorded in chosen.jobs}
    refuse(view, {worker.label: reasons_against(worker.check(view.context)) for worker in workers.values()})
    for worker in workers.values():
        for run in chosen.runs:
            made |= worker.scaffold(view.context, run)
    made |= {path: content for path, content in divided_anew(view, workers).items() if path in made}
    scripts = {recorded.job.name: made[recorded.job.script] for recorded in chosen.jobs}
    committed = view.snapshot.read_many(made)
    changed = {path for path, content in made.items() if committed.get(path) != content}
    others = sorted(changed - {recorded.job.script for recorded in chosen.jobs})
    place, name = f"{view.context.folder}/", view.context.cluster_name
    remarks = [f"scripts are rendered for cluster {name} as its profile is now"]
    remarks += first_of((f"{path.removeprefix(place)} is rendered otherwise, too" for path in others), more="more files")
    return ScaffoldedFiles(scaffold, paths, made, scripts, remarks)


def new_work_tree(view: ExperimentView, files: ScaffoldedFiles) -> Path:
    """Export the files to a folder in which no job ever ran.

    Raises:
        CkgitError: a model folder or a data file is missing, or it cannot be written.
    """
    inputs = job_inputs(view.snapshot, view.context)
    shared = [path for path in inputs.paths if path != f"{view.context.folder}/"]
    inputs = inputs._replace(commit=files.scaffold, paths=[*shared, *files.paths])
    work = export_work_tree(view.lab, inputs, planned_folder(view, secrets.token_hex(4)), model_folders(view))
    for path, content in files.over.items():
        try:
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)
        except OSError as error:
            what = f"the work tree cannot be written: {error.strerror}"
            raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(work / path), state="nothing was run", next="make room") from None
    return work


def planned_folder(view: ExperimentView, chance: str) -> Path:
    """Where a second execution runs; no other one has the same chance."""
    root = view.lab.work_root(view.context.cluster_name)
    return root / view.lab.config.name / view.name / f"reproduce-{view.snapshot.tip[:12]}-{chance}"
