"""Running an experiment's jobs again, and holding what they leave against what is recorded: the test that no reading replaces."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError
from ckgit.experiment.jobs import Attempt
from ckgit.experiment.outputs.events import Noted
from ckgit.experiment.outputs.planned import PlannedStep, PlannedSubmission
from ckgit.experiment.reproduction.compare import compare, surroundings
from ckgit.experiment.reproduction.record import ReproducedJob, Reproduction, worst
from ckgit.experiment.results import CellResult, TrainingResult
from ckgit.formats.listing import in_words, plural
from ckgit.lab.git.branch import author, no_identity
from ckgit.lab.history.reproductions import bring_up_to_date, record
from ckgit.lab.lab import Lab
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.review.named import History
from ckgit.orchestrators.review.reproduce.files import ScaffoldedFiles, new_work_tree, planned_folder, scaffolded_files
from ckgit.orchestrators.review.reproduce.follow import Follower, SecondExecution
from ckgit.orchestrators.review.reproduce.recorded import Chosen, RecordedJob, choose, open_recorded
from ckgit.orchestrators.review.verify.verify import verify
from ckgit.orchestrators.run.monitor.submission import submission_of


class ReproduceOptions(NamedTuple):
    """What is asked for."""

    runs: Sequence[str] = ()  # all where there is none
    sample: int | None = None  # so many runs of these, drawn by chance
    cluster: str | None = None  # name of the profile for which scripts are rendered; None for the scripts that the jobs ran


def reproduce(lab: Lab, history: History, options: ReproduceOptions, events: Events) -> Reproduction:
    """Run jobs again, compare what they leave, and note what came of it on the commit whose results these are.

    Raises:
        CkgitError: there is nothing to run again, or it cannot be run; INTERRUPTED; or (after all has run) the authority does not take
            the note, which stands in this clone.
    """
    view = open_recorded(lab, history, options.cluster)
    chosen = choose(view, options.runs, options.sample)
    files = _with_doubts(scaffolded_files(chosen, anew=options.cluster is not None), lab, history)
    by = author(lab.root)
    if not by:
        raise no_identity()
    bring_up_to_date(lab)
    work = new_work_tree(view, files)
    told = f"runs {plural(len(chosen.jobs), 'job')} of {in_words(chosen.runs)} again, in {work}"
    for text in (told, *files.remarks):
        events.emit(Noted(experiment=view.name, text=text))
    executions = Follower(chosen, files, work, events).run()
    jobs = tuple(_compared(view, one, executions[one.job.name]) for one in chosen.jobs)
    found = _reproduction(chosen, files, jobs, by)
    record(lab, found)
    return found


def _with_doubts(files: ScaffoldedFiles, lab: Lab, history: History) -> ScaffoldedFiles:
    """Whether the jobs do what the design says is the history's to show: where it does not hold, that belongs to what came of them."""
    try:
        found = verify(lab, history)
    except CkgitError as error:
        return files._replace(remarks=[*files.remarks, f"whether the history holds was not verified: {error.what}"])
    errors = sum(each.is_error for each in found.findings)
    doubts = [] if found.holds else [f"the history does not hold ({plural(errors, 'error')}): ckgit verify {history.experiment} lists why"]
    return files._replace(remarks=[*files.remarks, *doubts])


def plan(lab: Lab, history: History, options: ReproduceOptions) -> PlannedStep:
    """What would be run again; nothing is written, and no remote is asked.

    Raises:
        CkgitError: as `reproduce`.
    """
    view = open_recorded(lab, history, options.cluster)
    chosen = choose(view, options.runs, options.sample)
    files, work = scaffolded_files(chosen, anew=options.cluster is not None), planned_folder(view, "CHANCE")
    remarks = [f"would run {plural(len(chosen.jobs), 'job')} of {in_words(chosen.runs)} again, in {work}", *files.remarks]
    remarks += ["would note what comes of it on the commit; nothing is committed to the branch"]
    submissions = tuple(_planned(view, one, work, files.scripts[one.job.name]) for one in chosen.jobs)
    return PlannedStep(experiment=view.name, lifecycle_state=view.snapshot.state, submissions=submissions, remarks=tuple(remarks))


def _planned(view: ExperimentView, one: RecordedJob, work: Path, script: bytes) -> PlannedSubmission:
    cluster, attempt = view.context.cluster, one.attempt.model_copy(update={"token": "TOKEN"})
    command, answer = scheduler_for(cluster).dry_run(cluster, work, [submission_of(work, one.job, attempt)], script)
    return PlannedSubmission(jobs=(one.job.name,), command=command, answer=answer, scripts=(script.decode(errors="replace"),))


def _compared(view: ExperimentView, one: RecordedJob, again: SecondExecution) -> ReproducedJob:
    found = compare(one.results, again.results, view.lab.config.reproduce, again.reason)
    then, this_time = _told(view.snapshot.version, one.attempt, one.results), _told(__version__, again.attempt, again.results)
    return ReproducedJob(
        job=one.job.name,
        run=one.job.run,
        stage=one.job.stage,
        recorded=one.attempt.token,
        again=again.attempt.token if again.attempt else "",
        sameness=found.sameness,
        compared=found.compared,
        differences=tuple(found.differences),
        more=found.more,
        uncompared=tuple(found.uncompared),
        surroundings=tuple(surroundings(then, this_time)),
    )


def _told(ckgit: str, attempt: Attempt | None, results: Sequence[TrainingResult | CellResult]) -> Mapping[str, str]:
    """Machine and versions, as they are recorded of an execution; what is not, is left out."""
    versions = {name: version for result in results for name, version in result.versions.items()}
    usage = attempt.usage if attempt else None
    machine = {"host": attempt.host if attempt else None, "GPUs": str(usage.gpus) if usage and usage.gpus is not None else None}
    known = {name: value for name, value in {**machine, "ckgit": ckgit}.items() if value}
    return {**known, **versions}


def _reproduction(chosen: Chosen, files: ScaffoldedFiles, jobs: tuple[ReproducedJob, ...], by: str) -> Reproduction:
    view = chosen.view
    return Reproduction(
        sameness=worst(jobs),
        experiment=view.name,
        commit=view.snapshot.tip,
        scaffold=files.scaffold,
        design_hash=view.context.summary.digest,
        runs=tuple(chosen.runs),
        sample_of=chosen.sample_of,
        remarks=tuple(files.remarks),
        cluster=view.context.cluster_name,
        scheduler=view.context.cluster.scheduler,
        by=by,
        host=os.uname().nodename,
        time=now(),
        version=__version__,
        tolerances=view.lab.config.reproduce,
        jobs=jobs,
    )
