"""What is new in a lab between two looks at it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckgit.experiment.classify import JobCondition
from ckgit.orchestrators.dashboard.now import ExperimentNow, LabNow


def news(before: LabNow, after: LabNow) -> list[str]:
    """A line for each thing that has happened."""
    earlier = {each.name: each for each in before.experiments}
    told = [line for each in after.experiments for line in _of(earlier.get(each.name), each)]
    gone = earlier.keys() - {each.name for each in after.experiments}
    known = {problem.what for problem in before.problems}
    lab = [problem.what for problem in after.problems if problem.what not in known]
    return [*told, *(f"{name}: its branch is gone" for name in sorted(gone)), *lab]


def _of(before: ExperimentNow | None, after: ExperimentNow) -> Iterator[str]:
    name = after.name
    if before is None:
        yield f"{name}: is new, {after.state or 'and cannot be read'}"
        return
    if after.row.tip != before.row.tip:
        event = f"{after.row.event}: " if after.row.event else "a commit that is not ckgit's: "
        changed = f"{before.state} → {after.state}" if before.state != after.state else f"still {after.state}"
        yield f"{name}: {event}{changed}"
    yield from (f"{name}: {problem.what}" for problem in after.problems if problem not in before.problems)
    yield from _of_jobs(name, _conditions(before), _conditions(after))


def _of_jobs(name: str, before: Mapping[str, JobCondition], after: Mapping[str, JobCondition]) -> Iterator[str]:
    """Jobs by what they are now, those that are it since together."""
    changed: dict[JobCondition, list[str]] = {}
    for job, condition in after.items():
        if before.get(job) is not condition:
            changed.setdefault(condition, []).append(job)
    for condition, jobs in changed.items():
        others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        yield f"{name}: {condition}: {jobs[0]}{others}"


def _conditions(experiment: ExperimentNow) -> dict[str, JobCondition]:
    found = experiment.overview
    return {job.attempt.job: job.condition for job in found.jobs} if found else {}
