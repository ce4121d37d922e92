"""A design held against the lab, its cluster and its tools: what is wrong with it, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError, DesignError
from ckgit.experiment.checks.problems import problems
from ckgit.experiment.checks.remarks import Remark
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Stage, Summary
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.outputs.designs import ClaimPower
from ckgit.experiment.tools.workers import nearest_tool
from ckgit.experiment.worker import Context
from ckgit.formats.listing import in_words
from ckgit.formats.problem import Problem
from ckgit.lab.lab import Lab
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.design import lint
from ckgit.orchestrators.design.forecast import Forecast, forecast, kinds, split_problems
from ckgit.orchestrators.design.inputs.lookup import LabInputs, base_recipes, look
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit, unmade
from ckgit.orchestrators.design.inputs.stale import stale
from ckgit.orchestrators.design.past_runs import NOTHING, read_past_runs
from ckgit.orchestrators.design.powers import read_powers
from ckgit.orchestrators.engine.plugins import preparation_for, worker_for


class CheckedDesign(NamedTuple):
    """What is to be said of a design without problems."""

    unchecked: Sequence[str]  # what could not be checked here, one sentence each
    warnings: Sequence[str]  # as a `Draft` has them
    forecast: Forecast | None = None  # None where base recipes could not be looked up
    powers: Sequence[ClaimPower] = ()  # what each claim could show


def check(place: SourceCommit, file: SummaryFile, *, learn: bool = False) -> CheckedDesign:
    """Check a summary against the lab.

    Args:
        learn: let what earlier jobs of the lab took correct the forecast, which takes longer.

    Raises:
        DesignError: with every problem.
    """
    if waiting := unmade(place, file.summary):
        if file.problems:
            raise DesignError(list(file.problems), file=file.file)
        said = f"data {in_words(waiting)}: its generator makes its rows when it is designed, so what follows from them was not checked"
        return CheckedDesign([said], stale(place, file.summary))
    worker = preparation_for(file.summary) if base_recipes(file.summary) else None
    missing = worker.recipes_missing() if worker else ""
    checked = measured_design(place, file, recipes=not missing, make=False)
    known = file.summary.model_copy(update={"recorded": checked.measured.recorded})
    old, told = stale(place, known), placed(file, checked.remarks)
    if missing:
        return CheckedDesign([f"base recipes were not looked up: {missing}"], [*old, *told])
    context = context_of(place.lab, known, build_plan(known), checked.measured, checked.cluster)
    cost = forecast(context, read_past_runs(place.lab, context.cluster_name, kinds(context)) if learn else NOTHING)
    powers = read_powers(place.lab, known, context.plan)
    return CheckedDesign([], [*old, *cost.warnings, *told, *powers.warnings], cost, powers.claims)


def placed(file: SummaryFile, remarks: Sequence[Remark]) -> list[str]:
    """Remarks as they are printed: with file, line and column where they have a place."""
    each = [(remark, file.problem(remark.path, remark.message)) for remark in remarks]
    return [problem.at(file.file) if remark.path and problem.line else remark.message for remark, problem in each]


class MeasuredDesign(NamedTuple):
    """What the lab holds of a design without problems."""

    measured: LabInputs
    cluster: Cluster
    remarks: Sequence[Remark]  # warnings


def measured_design(place: SourceCommit, file: SummaryFile, *, recipes: bool, make: bool = True) -> MeasuredDesign:
    """What the lab holds of a design; see `look`.

    Raises:
        DesignError: with every problem.
    """
    summary, found = file.summary, list(file.problems)
    try:
        cluster = place.lab.cluster(summary.compute.cluster)
    except CkgitError as error:
        found.append(file.problem("compute.cluster", f"{error.what} ({error.next})"))
        raise DesignError(found, file=file.file) from None  # its profile says where data lies
    measured = look(place, file, cluster, recipes=recipes, make=make)
    found += measured.problems
    remarks: list[Remark] = []
    if not file.problems:
        known = summary.model_copy(update={"recorded": measured.recorded})
        wrong = problems(known)  # a base recipe's values are known only now
        found += [file.problem(p.path, p.message) for p in wrong or split_problems(summary, build_plan(known), measured.recorded)]
        if not wrong:
            context = context_of(place.lab, known, build_plan(known), measured, cluster)
            remarks = _worker_remarks(context, found) if recipes or not base_recipes(summary) else []
            remarks += lint.remarks(place.lab, lint.DesignInputs(context, measured.tasks, measured.surveys))
            found += [file.problem(remark.path, remark.message) for remark in remarks if remark.wrong]
    if found:
        raise DesignError(sorted(dict.fromkeys(found), key=lambda p: (p.line, p.column)), file=file.file)
    return MeasuredDesign(measured, cluster, [remark for remark in remarks if not remark.wrong])


def _worker_remarks(context: Context, known: Sequence[Problem]) -> list[Remark]:
    """What the tools' workers have against it: better now than when it is scaffolded. What is known of a place is not said again."""
    found = [problem for stage in Stage for problem in _worker_problems(context, stage)]
    new = [one for one in found if not one.path or not any(f"{problem.path}.".startswith(f"{one.path}.") for problem in known)]
    return [Remark(problem.path, problem.message, wrong=not problem.warning) for problem in new]


def _worker_problems(context: Context, stage: Stage) -> Sequence[Problem]:
    """What the tool of a stage has against the design, or that there is no such tool.

    Raises:
        CkgitError: TOOL_MISSING, it is not installed, and no other one has a name like it.
    """
    try:
        worker = worker_for(context.summary, stage)
    except CkgitError as error:
        near = nearest_tool(context.summary.tools.of(stage), stage)
        if near is None:
            raise
        return [Problem(f"{error.what}; did you mean {near}?", f"tools.{stage.tool}")]
    return worker.check(context) if worker else []


def context_of(lab: Lab, summary: Summary, plan: Plan, measured: LabInputs, cluster: Cluster) -> Context:
    """All that scaffolding may depend on, of a design that is not committed yet."""
    cluster_name = summary.compute.cluster or lab.config.default_cluster
    return Context(summary, plan, measured.cards, cluster, cluster_name, __version__, measured.sources)
