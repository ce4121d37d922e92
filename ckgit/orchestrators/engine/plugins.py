"""Workers and schedulers, found through entry points: those of other packages and our own, alike."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any, NamedTuple, cast

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import NONE, Stage, Summary
from ckgit.experiment.scheduler import Scheduler
from ckgit.experiment.worker import Worker
from ckgit.formats.listing import nearest

WORKERS, SCHEDULERS = "ckgit.workers", "ckgit.schedulers"
_WORKER_PARTS = (
    "tool",
    "label",
    "stage",
    "reads",
    "writes",
    "leaves",
    "check",
    "scaffold",
    "jobs",
    "ready",
    "evidence",
    "results",
    "progress",
    "explain",
)
_SCHEDULER_PARTS = (
    *("name", "overlaps", "detaches", "poll_seconds", "grace_seconds"),
    *("submit", "poll", "shared_poll", "cancel", "usage", "dry_run"),
)


class Installed(NamedTuple):
    """A worker and the package that brought it."""

    worker: Worker
    package: str


def installed_workers() -> list[Installed]:
    """Every worker, ours first, then by label.

    Raises:
        CkgitError: one of them cannot be loaded; names its package.
    """
    found = [Installed(cast("Worker", _load(entry, _WORKER_PARTS)), _package(entry)) for entry in entry_points(group=WORKERS)]
    return sorted(
        found, key=lambda installed: (installed.package != "ckgit", installed.worker.stage != Stage.TRAINING, installed.worker.label)
    )


def worker_for(summary: Summary, stage: Stage) -> Worker | None:
    """The worker of the tool that the design names for a stage; None where it names none.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    tool = summary.tools.preparation if stage is Stage.TRAINING else summary.tools.evaluation
    if tool == NONE:
        return None
    broken: list[CkgitError] = []
    for entry in _likely(tool):
        try:
            worker = cast("Worker", _load(entry, _WORKER_PARTS))
        except CkgitError as error:
            broken.append(error)
            continue
        if (worker.tool, worker.stage) == (tool, stage):
            return worker
    if broken:
        raise broken[0]
    raise CkgitError(
        f"no installed worker does {stage} with {tool}",
        code=Exit.TOOL_MISSING,
        next="`ckgit worker` lists those that are installed; install the package that brings it, or change the design's tools",
    )


def nearest_tool(tool: str, stage: Stage) -> str | None:
    """The tool that is meant where one is misspelt."""
    known = [installed.worker.tool for installed in installed_workers() if installed.worker.stage is stage]
    return nearest(tool, [*known, NONE])


def _likely(tool: str) -> Iterator[EntryPoint]:
    """Workers for a tool, the likeliest first; another package's broken one is no matter for experiments that do not use it.

    Ours are the ones most wanted, and looking into one package is quicker than into all that are installed.
    """
    for package in distributions(name="ckgit"):
        yield from sorted(package.entry_points.select(group=WORKERS), key=lambda entry: not tool.startswith(entry.name))
    yield from sorted(entry_points(group=WORKERS), key=lambda entry: not tool.startswith(entry.name))


def scheduler_for(cluster: Cluster) -> Scheduler:
    """The scheduler of a cluster profile.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    # ours are the ones most wanted, and looking into one package is quicker than into all that are installed
    first = next(iter(distributions(name="ckgit")), None)
    ours = {entry.name: entry for entry in first.entry_points.select(group=SCHEDULERS)} if first else {}
    entries = ours if cluster.scheduler in ours else {entry.name: entry for entry in entry_points(group=SCHEDULERS)}
    if cluster.scheduler not in entries:
        raise CkgitError(
            f"there is no scheduler {cluster.scheduler!r} (installed: {', '.join(sorted(entries))})",
            code=Exit.TOOL_MISSING,
            next="name one of these in ckgit.toml, or install the package that brings it",
        )
    return cast("Scheduler", _load(entries[cluster.scheduler], _SCHEDULER_PARTS))


def _load(entry: EntryPoint, parts: tuple[str, ...]) -> Any:
    try:
        loaded = entry.load()
    except Exception as error:  # whatever foreign code raises, the package is to be named
        raise _broken(entry, f"{type(error).__name__}: {error}") from error
    missing = [part for part in parts if not hasattr(loaded, part)]
    if missing:
        raise _broken(entry, f"it lacks {', '.join(missing)}")
    return loaded


def _broken(entry: EntryPoint, why: str) -> CkgitError:
    package = _package(entry)
    ours = "its installation is older than its code: install ckgit again, as you did (in a clone: pip install -e .)"
    return CkgitError(
        f"{entry.group} {entry.name!r} of package {package} cannot be loaded: {why}",
        code=Exit.TOOL_MISSING,
        next=ours if package == "ckgit" else f"mend or remove it: pip uninstall {package}",
    )


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "(unknown)"
