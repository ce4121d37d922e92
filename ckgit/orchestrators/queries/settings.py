"""What the branch says that a run is trained and evaluated with: the files that were scaffolded for it, which its tools' workers read.

They are what jobs read. Where a tool scaffolds no such files, the plan tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import State
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS
from ckgit.experiment.design.plan import Cell, Run, generation, prompts, scorers
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.plugins import evaluation_for, preparation_for


def parameters(view: ExperimentView, run: Run) -> dict[str, dict[str, Any]]:
    """Each parameter's value, as JSON has it, and where it came from; of a run that is not trained, those that evaluation uses."""
    worker = preparation_for(view.context.summary) if run.trains and _is_scaffolded(view) else None
    said = worker.scaffolded(view.context, run, view.snapshot.read) if worker else None
    used = {name: each for name, each in run.settings.items() if run.trains or name in EVALUATION_PARAMETERS}
    return {name: {"value": _plain(each.value), "source": each.source} for name, each in (used if said is None else said).items()}


def cell(view: ExperimentView, run: Run, planned: Cell) -> dict[str, Any]:
    """What an evaluation sends, and how answers are made and scored."""
    summary, task = view.context.summary, planned.task
    prompt, system_prompt = prompts(run, task)
    return {
        "cell": planned.name,
        "task": task.name,
        "epoch": planned.epoch,
        "split": task.split,
        "prompt": prompt,
        "system_prompt": system_prompt,
        "generation": generation(summary, task).model_dump(mode="json", exclude_none=True),
        "scorers": [scorer.model_dump(mode="json") for scorer in scorers(summary, task)],
        **(_asked(view, planned) if _is_scaffolded(view) else {}),
    }


def _asked(view: ExperimentView, planned: Cell) -> Mapping[str, Any]:
    """What the scaffolded file says; nothing where who could read it is not installed here."""
    with contextlib.suppress(CkgitError, ValueError):  # a value that is none of its kind was written by hand
        if worker := evaluation_for(view.context.summary):
            asked = worker.asked(view.context, planned, view.snapshot.read)
            return asked if all(isinstance(asked.get(name, ""), str) for name in ("split", "prompt", "system_prompt")) else {}
    return {}


def _is_scaffolded(view: ExperimentView) -> bool:
    return view.snapshot.state is not State.DESIGNED


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
