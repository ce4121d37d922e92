"""What a report says that does not follow from the logs: versions, second executions, how much was scored."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from pydantic import ValidationError

from ckgit import __version__
from ckgit.experiment.measured.compared import ScoredSplit
from ckgit.experiment.results import Results
from ckgit.experiment.state import State
from ckgit.lab.history.reproductions import reproductions
from ckgit.lab.history.scored import scored_splits
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.engine.experiment import ExperimentView


class Surroundings(NamedTuple):
    """What a report says that does not follow from the logs."""

    made_with: Mapping[str, str]  # versions of what read them and drew
    reproduced: Sequence[str]  # what second executions had come to
    max_bytes: int  # of ckgit.toml: a larger samples.parquet is not committed
    scored: Sequence[ScoredSplit] = ()  # how much the lab has scored on the same rows


def surroundings_of(view: ExperimentView) -> Surroundings:
    """What is so now. How much the lab has scored stays as an earlier report has it: what came later was no choice of that one."""
    said = said_before(view.snapshot) if view.snapshot.state is State.ANALYZED else None
    scored = said.scored if said and said.scored else scored_splits(view.lab, view.snapshot)
    return Surroundings(installed_versions(), _reproduced(view), view.context.max_log_bytes, scored)


def said_before(snapshot: Snapshot) -> Results | None:
    """The results as the branch has them; None where it has none that can be read."""
    with contextlib.suppress(ValidationError):
        return Results.model_validate_json(snapshot.read(f"{snapshot.folder}/analysis/results.json") or b"")
    return None


def _reproduced(view: ExperimentView) -> list[str]:
    return [each.in_words for each in reproductions(view.lab, view.name, view.snapshot.tip)]


def installed_versions() -> dict[str, str]:
    """Of what reads logs and draws, by name of the package."""
    found = {"ckgit": __version__}
    for name in ("inspect-ai", "matplotlib", "pillow", "pyarrow"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return {**found, "zlib": zlib.ZLIB_RUNTIME_VERSION}
