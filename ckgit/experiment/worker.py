"""What a worker is, for those who write one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.kept import KeptJob
from ckgit.experiment.design.model import Frozen, Stage, Summary
from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.design.plan import Cell, Plan, Run, Setting
from ckgit.experiment.estimates.guess import Fact, Guess, Steps
from ckgit.experiment.jobs import Attempt, Batch, FailureClass, Job, Progress
from ckgit.formats.problem import Problem

if TYPE_CHECKING:
    from ckgit.experiment.results import CellResult, TrainingResult


class Context(NamedTuple):
    """All that scaffolding may depend on. Paths in it are relative to the lab (and to a work tree, which mirrors it)."""

    summary: Summary
    plan: Plan
    cards: Mapping[str, ModelCard]
    cluster: Cluster
    cluster_name: str
    version: str
    sources: Mapping[str, bytes]  # by path: task files, further files, and data where the lab holds it
    max_log_bytes: int = 5_000_000  # of ckgit.toml: a larger log stays in the work tree, and its digest and results are committed
    kept: Mapping[str, KeptJob] = {}  # jobs that ran for an earlier design and need not run again, by name

    @property
    def folder(self) -> str:
        """The experiment's folder, e.g. `experiments/cap_lora`."""
        return f"experiments/{self.summary.experiment.name}"

    def run_folder(self, run: str) -> str:
        """A run's folder, e.g. `experiments/cap_lora/rank8_lr1e-5`."""
        return f"{self.folder}/{run}"

    def artifacts(self, run: str) -> str:
        """Where a run's checkpoints are, e.g. `experiments/cap_lora/rank8/artifacts`; of a training that is kept, where it wrote them."""
        kept = self.kept.get(self.plan.run(run).job)
        return f"experiments/{kept.experiment}/{kept.run}/artifacts" if kept else f"{self.run_folder(run)}/artifacts"

    def design_of(self, job: str) -> str:
        """Hash of the design for which a job runs, or ran where it was kept; its files name it."""
        return self.kept[job].design if job in self.kept else self.summary.digest


def reasons_against(problems: Iterable[Problem]) -> list[str]:
    """What makes scaffolding impossible, one sentence each."""
    return [problem.message for problem in problems if not problem.warning]


class Evidence(NamedTuple):
    """What a finished job left. Where there are reasons, only `cells` may name some of its cells that count nevertheless."""

    results: Sequence[TrainingResult | CellResult]  # of one training, or of each cell that counts
    reasons: Sequence[str]  # why the job, or a cell of it, does not count; empty when all does
    failure: FailureClass | None
    files: Mapping[str, bytes]  # to be committed, by path relative to the lab; what the job printed is committed without it
    cells: Mapping[str, str] = {}  # of several cells, some of which do not count: why, by name of the cell; empty for one that does
    complete: bool = False  # the job is known to have saved all that was planned: then another exit code than 0 says nothing against it


class Audit(NamedTuple):
    """What became of computing the results of a job again from what it left."""

    differences: Sequence[str] = ()  # what does not follow, a sentence each
    unchecked: Sequence[str] = ()  # what could not be computed again, and why, a sentence each


class Worker(Protocol):
    """One tool: renders files, names jobs, reads what they left. It never submits, polls or commits."""

    tool: str  # as the design's `tools` names it, e.g. inspect-ai
    label: str  # in worker names and log files: scaffold-LABEL, run-LABEL
    stage: Stage
    reads: str  # for `ckgit worker`: what scaffolding reads, in a few words
    writes: str  # what scaffolding writes
    leaves: str  # what its jobs leave

    def check(self, context: Context) -> Sequence[Problem]:
        """What makes scaffolding impossible, and what to warn of; empty when nothing does. Pure; executes nothing.

        `ckgit.experiment.checks.problems.place_of` tells where a run's value was written. What stands in a place for which the lab lacks
        something is not said twice.
        """

    def scaffold(self, context: Context, run: str | None = None) -> Mapping[str, bytes]:
        """Every file for the jobs, by path relative to the lab; of one run where it is given. Pure.

        Those of each run alone are together all: many runs are rendered in parts, and a retried job's again.
        """

    def jobs(self, context: Context) -> Sequence[Job]:
        """The jobs, in the order in which they should start: one for each of `Plan.training`, or for each of `Plan.evaluation_jobs`."""

    def renders(self, context: Context, job: Job) -> Sequence[str]:  # noqa: ARG002 - for those that override it
        """Paths of the files that `scaffold` writes for one job, relative to the lab; none where it cannot tell."""
        return ()

    def made_from(self, context: Context, job: Job, read: Callable[[str], bytes | None]) -> Mapping[str, str]:  # noqa: ARG002
        """All that decides what a job leaves, as text by name: of two jobs with equal ones, one need not run. Pure.

        Neither the design's hash is in it nor what only tells people something. None where the tool cannot tell; nothing is kept then.

        Args:
            read: content of a file as it was scaffolded, by its path in the lab; of None, the file as it would be written now is taken.
        """
        return {}

    def ready(self, context: Context, job: Job, work: Path) -> Sequence[str]:
        """Why a job cannot start yet in work tree `work`; empty when it can.

        Raises:
            CkgitError: TOOL_MISSING, no job of this tool could start here.
        """

    def evidence(self, context: Context, job: Job, attempt: Attempt, work: Path) -> Evidence:
        """Judge a job whose status file says that it ended, whatever its exit code. Reads the work tree only."""

    def results(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Sequence[TrainingResult | CellResult]:
        """Read results again from the committed `files` of their evidence; none when those are not there.

        Of an attempt with `cells`, only those that count are read.

        Raises:
            ValueError: they are there and cannot be read, or contradict each other.
        """

    def progress(self, context: Context, job: Job, work: Path, log_tail: str) -> Progress | None:
        """How far a running job is; None when its log does not tell yet."""

    def explain(self, log_tail: str, exit_code: int | None) -> tuple[FailureClass, str]:
        """Class of a failure and one sentence on it, from the end of the job's log."""


class Preparation(Worker, Protocol):
    """A worker of the first stage: what it makes of a run is evaluated afterwards. One that inherits from this has the plainest answers.

    In `artifacts/` of a run's folder its job leaves `checkpoints.json` (see `results.MANIFEST`), which its evidence commits, too. That
    lists each of `Parameters.checkpoints`: of weights with the path of a folder beside it, of prompts with the prompts.
    """

    parameters: type[Parameters]  # of its runs, in a design that names its tool
    result: type[Frozen] | None = None  # of what stands in `TrainingResult.own`; None where it says nothing there

    def refuses(self, card: ModelCard) -> Sequence[str]:  # noqa: ARG002 - for those that override it
        """Why it cannot prepare a model, whatever the run: a clause each, which names the tool; none where it can."""
        return ()

    def recipes_missing(self) -> str:
        """Why base recipes cannot be looked up here, in a clause; empty where they can, or where there is no such parameter."""
        return ""

    def recipe_values(self, name: str) -> Mapping[str, Any]:
        """The values of a base recipe, by parameter, as JSON has them.

        Raises:
            CkgitError: there is none, or (TOOL_MISSING) it cannot be looked up here.
        """
        raise NotImplementedError(name)

    def steps(self, context: Context, run: Run) -> Steps | None:  # noqa: ARG002
        """How much there is to do in a run; None where that is not known."""
        return None

    def estimate(self, context: Context, run: Run) -> Guess:  # noqa: ARG002
        """What a run's job may need, by assumed speeds."""
        return Guess(60.0, 1e9, 0.0)

    def facts(self, context: Context, run: Run) -> Sequence[Fact]:  # noqa: ARG002
        """What follows from a run's settings, and may differ between runs though nobody meant it to."""
        return ()

    def batch(self, context: Context, job: Job, before: Batch | None, *, gpus: int | None, starved: bool) -> Batch | None:  # noqa: ARG002
        """How a new attempt divides the rows so that the same is computed; None for as designed.

        Args:
            before: how the last attempt divided them, where that was not as designed.
            gpus: what is asked for now, if anything.
            starved: whether the last attempt lacked memory, and the design wants smaller batches then.

        Raises:
            ValueError: that cannot be had; says why.
        """
        return None

    def with_batch(self, plan: Plan, run: str, batch: Batch) -> Plan:  # noqa: ARG002
        """A plan in which one run's rows are divided so."""
        return plan

    def scaffolded(self, context: Context, run: Run, read: Callable[[str], bytes | None]) -> Mapping[str, Setting] | None:  # noqa: ARG002
        """A run's settings as its scaffolded files say them, by parameter; None where they say nothing, and the plan tells.

        What this ckgit would write now may be something else: it may have other defaults, and a retry may have divided the rows anew.

        Args:
            read: content of a committed file, by its path in the lab; None where there is none.
        """
        return None

    def report(self, result: TrainingResult) -> str:  # noqa: ARG002
        """What a report tells of a run in the tool's own terms, as Markdown below the run's name; empty for nothing."""
        return ""


class Evaluator(Worker, Protocol):
    """A worker of the second stage. One that inherits from this has the plainest answers."""

    def asked(self, context: Context, cell: Cell, read: Callable[[str], bytes | None]) -> Mapping[str, Any]:  # noqa: ARG002
        """What a cell sends, as its scaffolded file says: any of `split`, `prompt`, `system_prompt`, `generation`, `scorers`.

        Args:
            read: as `Preparation.scaffolded` has it.
        """
        return {}

    def audit(self, context: Context, job: Job, attempt: Attempt, files: Mapping[str, bytes]) -> Audit:  # noqa: ARG002
        """Compute what `results` reads again from what it was computed of: each metric from its samples' scores.

        Anybody may have written the files. So nothing that they hold is executed or imported, and of an archive no more is unpacked
        than a log may have.

        Args:
            files: as `results` has them.
        """
        return Audit()


def scaffolded_by(worker: Worker, context: Context, run: str | None = None) -> Mapping[str, bytes]:
    """What a worker scaffolds, of all runs or of one, without the files of jobs that are kept: those stay as they ran."""
    files = worker.scaffold(context, run)
    kept = [job for job in worker.jobs(context) if job.name in context.kept] if context.kept else []
    theirs = {path for job in kept for path in worker.renders(context, job)}
    return {path: content for path, content in files.items() if path not in theirs} if theirs else files
