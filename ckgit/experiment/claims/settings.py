"""Settings: what runs have in common that differ in nothing but their seed. Which ones a claim is about. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ckgit.experiment.design.claim import Claim, Side
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS, Parameters
from ckgit.experiment.design.plan import Run

SEED = "seed"
TYPE = "type"  # a claim may choose by it: fine-tuned, control or eval-only
R = TypeVar("R")


def of_each_seed(runs: Iterable[R], seed: Callable[[R], int | None]) -> tuple[list[R], list[R]]:
    """Runs of one setting that each tell of chance, the first of each seed; and those that train again what one of these did.

    The same setting with the same seed, trained or evaluated a second time, says nothing of other seeds. What is judged, compared,
    planned and bisected all count by this.

    Args:
        seed: of a run; one that has none counts by itself.
    """
    counted: list[R] = []
    again: list[R] = []
    seen: set[int] = set()
    for run in runs:
        own = seed(run)
        (again if own in seen else counted).append(run)
        seen |= set() if own is None else {own}
    return counted, again


@dataclass(frozen=True)
class SettingRuns:
    """One setting, with each run that was made of it."""

    name: str  # what varies, in words; of one that varies in nothing the names of its runs
    runs: tuple[Run, ...]

    @property
    def trained(self) -> bool:
        """Whether chance has a part in it: two trainings of it differ by their seeds."""
        return self.runs[0].trains

    @property
    def counted(self) -> Sequence[Run]:
        """Its runs, the first one of each seed."""
        return self._of_each_seed[0]

    @property
    def again(self) -> Sequence[Run]:
        """The others, which train the same as one of these."""
        return self._of_each_seed[1]

    @cached_property
    def _of_each_seed(self) -> tuple[list[Run], list[Run]]:
        return of_each_seed(self.runs, lambda run: run[SEED] if run.trains else None)

    @property
    def seeds(self) -> int:
        """With how many seeds it is trained."""
        return len(self.counted) if self.trained else 0


def settings_of(runs: Sequence[Run], parameters: type[Parameters]) -> list[SettingRuns]:
    """Runs by their settings, in the order in which the design has them.

    Args:
        parameters: of the design, which know those that change no result.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_identity(run, {SEED, *parameters.no_difference}), []).append(run)
    return [SettingRuns(_name(group), tuple(group)) for group in found.values()]


def _identity(run: Run, apart: set[str]) -> str:
    values = {name: setting.value for name, setting in run.settings.items() if name not in apart and setting.value is not None}
    own = [run.name] if not run.trains else []
    return json.dumps([run.type, run.model, own, values], sort_keys=True, default=str)


def _name(runs: Sequence[Run]) -> str:
    varied = ", ".join(f"{name} {value}" for name, value in runs[0].varied.items() if name != SEED)
    if varied and runs[0].trains:
        return varied
    return runs[0].name if len(runs) == 1 else f"{runs[0].name} to {runs[-1].name}"


def chosen(side: Side, runs: Sequence[Run]) -> list[Run]:
    """The runs that a side names: one by its name, or all that have its settings.

    Settings mean runs that are trained, as a control has training's parameters in name only; of a design that trains nothing, or where
    they name a `type`, they mean any run.
    """
    if isinstance(side, str):
        return [run for run in runs if run.name == side]
    meant = runs if TYPE in side else [run for run in runs if run.trains] or runs
    return [run for run in meant if all(_has(run, name, wanted) for name, wanted in side.items())]


def value_of(run: Run, name: str) -> Any:
    """What a claim may choose a run by: its type, its model, or the value of a parameter, unless that is of a training it never had."""
    if name in (TYPE, "model"):
        return run.type.value if name == TYPE else run.model
    return run[name] if run.trains or name in EVALUATION_PARAMETERS else None


def _has(run: Run, name: str, wanted: Any) -> bool:
    value = value_of(run, name)
    listed = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in listed)


def runs_of(claim: Claim, runs: Sequence[Run]) -> list[Run]:
    """All runs that a claim is about, each once, left first."""
    sides: list[list[Run]] = [chosen(side, runs) for side in claim.sides]
    if claim.trend and claim.left is None:
        sides = [[run for run in runs if run.trains]]
    return list({run.name: run for side in sides for run in side}.values())
