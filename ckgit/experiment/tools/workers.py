"""Which worker does what: by the tool that a design names, and the stage."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, NamedTuple, cast

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import NONE, Stage
from ckgit.experiment.tools.entry_points import every, likely, load, package_of, refuse_lacking
from ckgit.formats.listing import nearest

if TYPE_CHECKING:
    from ckgit.experiment.card import ModelCard
    from ckgit.experiment.design.parameters import Parameters
    from ckgit.experiment.worker import Preparation, Worker

WORKERS = "ckgit.workers"
_PARTS = (
    *("tool", "label", "stage", "reads", "writes", "leaves"),
    *("check", "scaffold", "jobs", "ready", "evidence", "results", "progress", "explain"),
)
_PREPARATION_PARTS = (
    *("parameters", "refuses", "recipes_missing", "recipe_values", "steps", "estimate", "facts"),
    *("batch", "with_batch", "result", "scaffolded", "report"),
)
_EVALUATION_PARTS = ("asked",)


class Installed(NamedTuple):
    """A worker and the package that brought it."""

    worker: Worker
    package: str


def installed_workers() -> list[Installed]:
    """Every worker, ours first, then by label.

    Raises:
        CkgitError: one of them cannot be loaded; names its package.
    """
    found = [Installed(_load(entry), package_of(entry)) for entry in every(WORKERS)]
    return sorted(found, key=lambda one: (one.package != "ckgit", one.worker.stage is not Stage.TRAINING, one.worker.label))


def find_worker(tool: str, stage: Stage) -> Worker:
    """The worker that does a stage with a tool.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    broken: list[CkgitError] = []
    for entry in likely(WORKERS, tool):
        try:
            worker = _load(entry)
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


def find_preparation(tool: str) -> Preparation:
    """The worker that prepares with a tool.

    Raises:
        CkgitError: it is not installed, or cannot be loaded.
    """
    return cast("Preparation", find_worker(tool, Stage.TRAINING))


def refusals(card: ModelCard) -> list[str]:
    """Why installed preparation tools cannot prepare a model, a clause each."""
    workers = [each.worker for each in installed_workers() if each.worker.stage is Stage.TRAINING]
    return [why for worker in workers for why in cast("Preparation", worker).refuses(card)]


def tools_with(parameter: str, others_than: type[Parameters]) -> list[str]:
    """Installed preparation tools that have a parameter, other than the one whose parameters are named."""
    try:
        workers = [cast("Preparation", each.worker) for each in installed_workers() if each.worker.stage is Stage.TRAINING]
    except CkgitError:
        return []  # one that cannot be loaded has no parameters, and is told of where it is used
    return [each.tool for each in workers if parameter in each.parameters.model_fields and each.parameters is not others_than]


def nearest_tool(tool: str, stage: Stage) -> str | None:
    """The tool that is meant where one is misspelt."""
    known = [installed.worker.tool for installed in installed_workers() if installed.worker.stage is stage]
    return nearest(tool, [*known, NONE])


def _load(entry: EntryPoint) -> Worker:
    worker = cast("Worker", load(entry, _PARTS))
    refuse_lacking(entry, worker, _PREPARATION_PARTS if worker.stage is Stage.TRAINING else _EVALUATION_PARTS)
    return worker
