"""A plan in which the rows of a run are divided anew. Pure."""

from __future__ import annotations

import dataclasses

from ckgit.experiment.design.plan import Plan, Run, Setting, Source
from ckgit.experiment.jobs import Batch


def with_batch(plan: Plan, run: str, batch: Batch) -> Plan:
    """The plan with another batch for one run."""
    return dataclasses.replace(plan, runs=tuple(_changed(each, batch) if each.name == run else each for each in plan.runs))


def _changed(run: Run, batch: Batch) -> Run:
    given = batch.model_dump(exclude={"processes"}, exclude_none=True)
    settings = {**run.settings, **{name: Setting(value=value, source=Source.RETRY) for name, value in given.items() if value != run[name]}}
    asked = run.compute.training
    training = asked.model_copy(update={"gpus": batch.processes}) if batch.processes > 1 or run["device"] == "cuda" else asked
    return dataclasses.replace(run, settings=settings, compute=run.compute.model_copy(update={"training": training}))
