"""How far one reads to follow an `advance`: the modules that what it has read of an experiment enters, from call to call, on its way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import ckgit
from ckgit.experiment.design.model import State
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.worker import Context
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.commands.observe import Observation
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.run.commits import Collected
from ckgit.orchestrators.run.monitor.seen import JobsSeen
from ckgit.orchestrators.run.observation import StageObservation
from tests.orchestrators.commands.situations import Scene, Situation, effects
from tests.orchestrators.commands.test_plan import scene  # noqa: F401 - a fixture

READ = (ExperimentView, Snapshot, Context, Ledger, Plan, Observation, StageObservation, JobsSeen, Collected)
HOME = str(Path(ckgit.__file__).parent)
MOST = 21
MOST_OF_ANALYSIS = 23  # which reads evidence, and writes a report and its files
NO_WAIT = {"wait": False}
WALKS = {
    "scaffold": Situation(State.DESIGNED),
    "submit training": Situation(State.SCAFFOLDED, wants=NO_WAIT),
    "train": Situation(State.SCAFFOLDED, ("done", "done"), wants=NO_WAIT),
    "fail": Situation(State.SCAFFOLDED, ("done", "failed"), wants=NO_WAIT),
    "submit evaluation": Situation(State.TRAINED, wants=NO_WAIT),
    "evaluate": Situation(State.TRAINED, ("done", "done"), wants=NO_WAIT),
    "analyze": Situation(State.EVALUATED),
}


def entered(command: Callable[[], Any]) -> list[str]:
    """Modules with a function that is called with what was read, in order."""
    modules: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(HOME) or (code.co_name.startswith("<") and code.co_name != "<lambda>"):
            return
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
        given = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
        if any(isinstance(each, READ) or (isinstance(each, tuple | list) and any(isinstance(one, READ) for one in each)) for each in given):
            modules[code.co_filename.removeprefix(HOME)] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        command()
    finally:
        sys.setprofile(before)
    return list(modules)


@pytest.mark.parametrize("walk", list(WALKS))
def test_what_is_read_goes_through_few_modules(scene: Scene, walk: str) -> None:  # noqa: F811
    scene.set(WALKS[walk])
    modules = entered(lambda: effects(scene, WALKS[walk].options))
    assert "/orchestrators/commands/plan.py" in modules
    assert len(modules) <= (MOST_OF_ANALYSIS if walk == "analyze" else MOST), modules
