"""What the branch says that a run is trained and evaluated with: the files that were scaffolded for it.

They are what jobs read. What this ckgit would write now may be something else: it may have other defaults, and a retry may have divided
the rows anew. Where a tool scaffolds no such files, the plan tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckgit.experiment.design.model import Generation, Scorer, State
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS
from ckgit.experiment.design.plan import Cell, Run, generation, prompts, scorers
from ckgit.formats.yaml.document import read_yaml
from ckgit.orchestrators.engine.experiment import ExperimentView


def parameters(view: ExperimentView, run: Run) -> dict[str, dict[str, Any]]:
    """Each parameter's value, as JSON has it, and where it came from; of a run that is not trained, those that evaluation uses."""
    setup = _document(view, f"{run.name}/setup_finetune.yaml").get("parameters")
    if isinstance(setup, Mapping) and all(isinstance(each, Mapping) and {"value", "source"} <= each.keys() for each in setup.values()):
        return {name: {"value": each["value"], "source": each["source"]} for name, each in setup.items()}
    used = [name for name in run.settings if run.trains or name in EVALUATION_PARAMETERS]
    return {name: {"value": _plain(run.settings[name].value), "source": run.settings[name].source} for name in used}


def cell(view: ExperimentView, run: Run, planned: Cell) -> dict[str, Any]:
    """What an evaluation sends, and how answers are made and scored."""
    summary, task = view.context.summary, planned.task
    prompt, system_prompt = prompts(run, task)
    found = {
        "name": planned.name,
        "task": task.name,
        "epoch": planned.epoch,
        "split": task.split,
        "prompt": prompt,
        "system_prompt": system_prompt,
        "generation": generation(summary, task).model_dump(mode="json", exclude_none=True),
        "scorers": [scorer.model_dump(mode="json") for scorer in scorers(summary, task)],
    }
    config = _document(view, f"{run.name}/eval/{planned.name}.yaml")
    try:
        return found | _of_config(config, found)
    except (KeyError, TypeError, AttributeError):  # no file, or another tool's
        return found


def _of_config(config: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a description that a config of `inspect eval --run-config` tells.

    Raises:
        KeyError, TypeError, AttributeError: it is no such config.
    """
    model, task = config["model"]["args"], config["task"]["args"]
    told = {**model.get("rows", {}), **task}
    settings = {name: value for name, value in config["generate_config"].items() if name in Generation.model_fields}
    greedy = {} if model["do_sample"] else {"temperature": 0.0}
    named = [Scorer(**each).model_dump(mode="json") for each in told["scorers"]] if "scorers" in told else planned["scorers"]
    return {name: told.get(name, planned[name]) for name in ("split", "prompt", "system_prompt")} | {
        "generation": settings | greedy,
        "scorers": named,
    }


def _document(view: ExperimentView, name: str) -> Mapping[str, Any]:
    """A scaffolded file; empty where there is none, or it cannot be read."""
    content = view.snapshot.read(view.path(name)) if view.snapshot.state is not State.DESIGNED else None
    found = read_yaml(content.decode(errors="replace")) if content else None
    return found.value if found and not found.problems and isinstance(found.value, Mapping) else {}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
