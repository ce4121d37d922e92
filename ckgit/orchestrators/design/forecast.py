"""What a design will cost, and what about it is probably not meant; as values and as the summary's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from ckgit.analysis.claims.scope import scope
from ckgit.experiment.checks.remarks import of_runs
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import NONE, Recorded, Stage, Summary
from ckgit.experiment.design.plan import Cell, Plan, Run, generation, resources
from ckgit.experiment.estimates import estimate
from ckgit.experiment.estimates.calibration import PastJob, fit
from ckgit.experiment.estimates.estimate import FORMULA
from ckgit.experiment.estimates.file import Estimate, Group, Kind
from ckgit.experiment.estimates.guess import Guess, Steps
from ckgit.experiment.worker import Context, Preparation
from ckgit.formats.markdown import size
from ckgit.formats.problem import Problem
from ckgit.formats.rows import no_split
from ckgit.orchestrators.design.past_runs import PastRuns
from ckgit.orchestrators.engine.plugins import preparation_for

_UNIT_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class RunForecast(NamedTuple):
    """One run: its steps, and guesses at its training and at all of its evaluations."""

    run: Run
    steps: Steps | None  # None for a run that is not trained
    training: Guess | None
    cells: Sequence[Cell]
    evaluation: Guess | None  # seconds of all its cells, memory of the largest


class Forecast(NamedTuple):
    """All runs, and warnings, one sentence each."""

    runs: Sequence[RunForecast]
    warnings: Sequence[str]
    tools: Mapping[str, str]  # version by tool, or that it is not installed here
    estimate: Estimate  # of each job

    @property
    def seconds(self) -> float:
        """Of all jobs, one after the other."""
        return sum(guess.seconds for one in self.runs for guess in (one.training, one.evaluation) if guess)

    @property
    def disk(self) -> float:
        """Bytes of all checkpoints."""
        return sum(one.training.disk for one in self.runs if one.training)


def kinds(context: Context) -> frozenset[Kind]:
    """The kinds of the jobs that a design makes."""
    plan = context.plan
    trained = {_kind(context, run, Stage.TRAINING) for run in plan.training}
    return frozenset(trained | {_kind(context, plan.run(cell.run), Stage.EVALUATION) for cell in plan.cells})


def _kind(context: Context, run: Run, stage: Stage) -> Kind:
    tools = context.summary.tools
    return Kind(
        stage=stage,
        tool=tools.of(stage),
        model=run.model,
        card=context.summary.recorded.models[run.model],
        device=run["device"],
        dtype=run["dtype"],
        method=(run["method"] or NONE) if run.trains else NONE,
    )


def forecast(context: Context, earlier: PastRuns) -> Forecast:
    """Estimate a plan whose data and models were measured.

    Args:
        earlier: what earlier jobs of these kinds took; where there are some, they correct the assumed start-up and speeds.
    """
    summary, plan, cluster = context.summary, context.plan, context.cluster
    recorded = summary.recorded
    worker = preparation_for(summary)
    jobs = {run.name: list(_jobs(context, run, worker)) for run in plan.runs}
    groups = _groups([job for of_run in jobs.values() for job in of_run], earlier)
    known = {group.kind: group for group in groups}
    runs = [_forecast_run(context, run, jobs[run.name], known, worker) for run in plan.runs]
    concerned: dict[str, list[str]] = {}
    for one in runs:
        for text in _warnings(summary, one, recorded, cluster):
            concerned.setdefault(text, []).append(one.run.name)
    by_run = [f"{of_runs(names)}: {text}" for text, names in concerned.items()]
    warnings = [*_unused(summary, plan), *_about_claims(summary, plan), *by_run, *earlier.warnings]
    expected = Estimate(formula=FORMULA, design=summary.digest, cluster=context.cluster_name, groups=groups)
    return Forecast(runs, warnings, tool_versions(summary), expected)


def split_problems(summary: Summary, plan: Plan, recorded: Recorded) -> Iterator[Problem]:
    """Splits that tasks ask for and that do not exist; of those that are prepared on, the tool's worker tells."""
    for name, split, task in dict.fromkeys((c.task.data or plan.run(c.run)["data"], c.task.split, c.task.name) for c in plan.cells):
        splits = recorded.data[name].splits if name in recorded.data else {split: 0}
        if split not in splits:
            yield Problem(no_split(f"data {name}", split, splits), summary.evaluation.place(task, "split"))


def tool_versions(summary: Summary) -> dict[str, str]:
    """Version of each tool that the design names, on this machine."""
    found = {}
    for tool in dict.fromkeys((summary.tools.preparation, summary.tools.evaluation)):
        if tool == NONE:
            continue
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            found[tool] = "not installed here"
    return found


class _Job(NamedTuple):
    """One job and what it may need by assumed speeds."""

    name: str
    kind: Kind
    guess: Guess
    known: bool = True  # False where a task brings rows of its own: how many is not known


def _jobs(context: Context, run: Run, worker: Preparation | None) -> Iterator[_Job]:
    summary, recorded, card, cluster = context.summary, context.summary.recorded, context.cards[run.model], context.cluster
    if run.trains and worker:
        yield _Job(run.job, _kind(context, run, Stage.TRAINING), worker.estimate(context, run))
    asked = resources(summary, run, Stage.EVALUATION, cluster.evaluation)
    shared: dict[str, list[Cell]] = {}
    for cell in context.plan.cells_of(run.name):
        shared.setdefault(cell.job, []).append(cell)
    for name, cells in shared.items():
        rows = [_rows(run, cell, recorded) for cell in cells]
        guesses = [
            estimate.evaluation(run, card, count, generation(summary, cell.task), asked) for cell, count in zip(cells, rows, strict=True)
        ]
        yield _Job(name, _kind(context, run, Stage.EVALUATION), estimate.in_one_job(guesses), known=all(rows))


def _groups(jobs: Sequence[_Job], earlier: PastRuns) -> tuple[Group, ...]:
    """Jobs by their kind, each with what earlier ones of it say."""
    found: dict[Kind, dict[str, float]] = {}
    for job in jobs:
        found.setdefault(job.kind, {}).update({job.name: round(job.guess.seconds, 1)} if job.known else {})
    return tuple(_group(kind, assumed, earlier.jobs.get(kind, ())) for kind, assumed in found.items())


def _group(kind: Kind, assumed: Mapping[str, float], past: Sequence[PastJob]) -> Group:
    start = estimate.START[kind.stage]
    found = fit(start, past)
    learned = {name: float(f"{value:.4g}") for name, value in found._asdict().items()}
    return Group(kind=kind, **learned, assumed_start=start, earlier=len(past), assumed=dict(assumed))


def _forecast_run(
    context: Context, run: Run, jobs: Sequence[_Job], groups: Mapping[Kind, Group], worker: Preparation | None
) -> RunForecast:
    guesses = {job.name: job.guess._replace(seconds=groups[job.kind].expected(job.guess.seconds)) for job in jobs}
    trained = guesses.pop(run.job, None)
    steps = worker.steps(context, run) if trained and worker else None
    evaluated = list(guesses.values())
    total = Guess(sum(guess.seconds for guess in evaluated), max(guess.memory for guess in evaluated), 0.0) if evaluated else None
    return RunForecast(run, steps, trained, context.plan.cells_of(run.name), total)


def _rows(run: Run, cell: Cell, recorded: Recorded) -> int:
    """Rows that a cell evaluates; 0 where the task brings its own."""
    name = cell.task.data or run["data"]
    rows = recorded.data[name].splits.get(cell.task.split, 0) if name in recorded.data else 0
    return min(rows, cell.task.limit or rows)


def _warnings(summary: Summary, one: RunForecast, recorded: Recorded, cluster: Cluster) -> Iterator[str]:
    run = one.run
    if one.training:
        wanted = resources(summary, run, Stage.TRAINING, cluster.training)
        yield from one.training.doubts
        if wanted.mem and one.training.memory > int(wanted.mem[:-1]) * _UNIT_BYTES[wanted.mem[-1]]:
            yield f"training may need {size(one.training.memory)} of memory, more than mem: {wanted.mem}"
    for cell in one.cells:
        name = cell.task.data or run["data"]
        rows = recorded.data[name].splits.get(cell.task.split, 0) if name in recorded.data else 0
        if cell.task.limit and rows and cell.task.limit > rows:
            yield f"limit {cell.task.limit} of task {cell.task.name} is more than the {rows} rows of split {cell.task.split}"


def _unused(summary: Summary, plan: Plan) -> Iterator[str]:
    models = {run.model for run in plan.runs}
    yield from (f"model {name} is listed and no run uses it" for name in summary.models if name not in models)
    data = {run["data"] for run in plan.runs} | {task.data for task in summary.evaluation.tasks}
    yield from (f"data {name} is listed and nothing uses it" for name in summary.data if name not in data)


def _about_claims(summary: Summary, plan: Plan) -> Iterator[str]:
    """What the verdicts will not be about, before anything is run for them."""
    listed: dict[str, list[str]] = {}
    for number, claim in enumerate(summary.experiment.claims, start=1):
        if claim.pair and (why := scope(*map(plan.run, claim.pair)).why):
            listed.setdefault(f"on rows like these, not their settings: {why}", []).append(str(number))
    for text, numbers in listed.items():
        compared = "claim {} compares these" if len(numbers) == 1 else "claims {} each compare"
        yield f"{compared.format(', '.join(numbers))} two models {text}"
