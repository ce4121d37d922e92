"""What is kept would be made again from the same: it is found out again, from the commit before or from the other experiment's."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.errors import CkgitError
from ckgit.experiment.design.kept import FILE, KeptJob, KeptJobs
from ckgit.experiment.design.model import Stage
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.orchestrators.design.reuse import as_recorded
from ckgit.orchestrators.design.touched import touched
from ckgit.orchestrators.engine.kept import has_source
from ckgit.orchestrators.engine.plugins import worker_for
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.step import Step, in_words


def kept(step: Step) -> Iterator[Finding]:
    """Each job that a design takes over, or a revision keeps. That it keeps fewer than it could is nobody's matter."""
    named = step.after.kept_jobs() if step.event in (Event.DESIGN, Event.REVISE) else None
    if named is None:
        return
    path = f"{step.folder}/{FILE}"
    if not step.is_ours:
        what = f"what it keeps cannot be found out again: made by ckgit {step.version or 'of before versions were recorded'}"
        yield rules.UNCHECKED.found(what, commit=step.commit.oid, path=path, advice="verify with that version of ckgit")
        return
    if named.design != step.recorded.design:
        yield rules.KEPT.found(f"it is for the design with hash {named.design[:12]}", commit=step.commit.oid, path=path)
    if step.event is Event.DESIGN:
        yield from _taken_over(step, named, path)
        return
    found = touched(step.lab, step.before, step.view.context, step.after.tip, here=False).fates if step.before else ()
    fates = {fate.job.name: fate for fate in found}
    for name, job in named.jobs.items():
        if name not in fates or fates[name].kept is None:
            why = (fates[name].why or "it had not run") if name in fates else "the design has no such job"
            yield rules.KEPT.found(f"{name} is kept: {why}", commit=step.commit.oid, path=path)
        elif _as_told(fates[name].kept, job) != job:
            what = f"{name} is kept, and is told to be from elsewhere, or made from something else, than it is"
            yield rules.KEPT.found(what, commit=step.commit.oid, path=path)


def _as_told(found: KeptJob | None, job: KeptJob) -> KeptJob | None:
    """What was found out, at the commit that is told: a rebase since has made another one of it, with the same attempt."""
    return found and found.model_copy(update={"commit": job.commit})


def _taken_over(step: Step, named: KeptJobs, path: str) -> Iterator[Finding]:
    """What a new design takes from another experiment is as that has it."""
    worker = worker_for(step.view.context.summary, Stage.TRAINING)
    jobs = {job.name: job for job in (worker.jobs(step.view.context) if worker else ())}
    for name, kept in named.jobs.items():
        if name not in jobs:
            yield rules.KEPT.found(f"{name} is taken over, and is no training of the design", commit=step.commit.oid, path=path)
            continue
        if not has_source(step.lab, kept):
            what = f"{name} is taken over from {kept.experiment} at {kept.commit[:12]}, which this clone does not have"
            advice = f"fetch exp/{kept.experiment} from whoever has it: git fetch --all"
            yield rules.UNCHECKED.found(what, commit=step.commit.oid, path=path, advice=advice)
            continue
        try:
            wanted = as_recorded(step.lab, kept, step.view.context, jobs[name])
        except CkgitError as error:
            yield rules.KEPT.found(in_words(error), commit=step.commit.oid, path=path)
            continue
        there = step.after.read_many(step.after.list(f"{step.folder}/{jobs[name].run}"))
        if (wanted.kept, wanted.files) != (kept, there):
            yield rules.KEPT.found(f"{name} is taken over, and is not as {kept.experiment} has it", commit=step.commit.oid, path=path)
