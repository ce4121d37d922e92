"""What the committed files say that an evaluation sends: its run config, and the prompts that a preparation left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from ckgit.experiment.design.model import Generation, Scorer
from ckgit.experiment.design.plan import Cell
from ckgit.experiment.results import MANIFEST
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.inspect_ai.prompts import filled


def asked(context: Context, cell: Cell, read: Callable[[str], bytes | None]) -> Mapping[str, Any]:
    """The parts of a cell's description that its run config tells; none where there is no such file.

    Args:
        read: content of a committed file, by its path in the lab.
    """
    folder = context.run_folder(cell.run)
    content = read(f"{folder}/eval/{cell.name}.yaml")
    found = read_yaml(content.decode(errors="replace")) if content else None
    if found is None or found.problems or not isinstance(found.value, Mapping):
        return {}
    config: Mapping[str, Any] = found.value
    with contextlib.suppress(ValueError):  # it was not prepared yet, and what the design says stands
        config = filled(config, lambda: read(f"{folder}/{MANIFEST}"))
    try:
        return _of_config(config)
    except (KeyError, TypeError, AttributeError):  # it was changed by hand
        return {}


def _of_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    model, task = config["model"]["args"], config["task"]["args"]
    told = {**model.get("rows", {}), **task}
    settings = {name: value for name, value in config["generate_config"].items() if name in Generation.model_fields}
    greedy = {} if model["do_sample"] else {"temperature": 0.0}
    named = {"scorers": [Scorer(**each).model_dump(mode="json") for each in told["scorers"]]} if "scorers" in told else {}
    return {name: told[name] for name in ("split", "prompt", "system_prompt") if name in told} | {"generation": settings | greedy} | named
