"""What an evaluation sends: the prompts that a preparation leaves instead of weights, and what the committed files say of all of it.

The job, the judge and those who read the branch fill them in alike, from the preparation's manifest.
"""

from __future__ import annotations

import contextlib
import functools
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ckgit.experiment.design.model import Generation, Scorer
from ckgit.experiment.design.plan import Cell
from ckgit.experiment.results import MANIFEST, Checkpoint, read_manifest
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.inspect_ai.cells import PlannedCell
from ckgit.workers.inspect_ai.run_config import MADE_OF, PREPARED


def manifest(cell: PlannedCell, work: Path) -> bytes | None:
    """What the preparation of a cell's run wrote about its checkpoints; None where it wrote nothing."""
    file = work / cell.manifest
    return file.read_bytes() if file.is_file() else None


def with_prepared(cell: PlannedCell, content: bytes | None) -> PlannedCell:
    """The cell with the prompts that its run's preparation left, where it leaves any.

    Raises:
        ValueError: it left none.
    """
    if not cell.prepared_prompts or not cell.checkpoint:
        return cell
    return cell._replace(prepared=_prepared(cell.manifest, content, cell.checkpoint))


@functools.lru_cache(maxsize=64)  # asked for each cell of a run
def _prepared(file: str, content: bytes | None, path: str) -> Checkpoint:
    try:
        known = () if content is None else read_manifest(content)
    except ValueError as error:
        raise ValueError(f"{file} {error}") from None
    found = next((each for each in known if each.path == path), None)
    if found is None or found.prompt is None:
        raise ValueError(f"{file} holds no prompt {path}: the preparation has left none")
    return found


def filled(document: Mapping[str, Any], read: Callable[[], bytes | None] | None = None) -> Mapping[str, Any]:
    """A run config with the prompts that it only names; the same where it names none.

    Args:
        read: what the preparation wrote about its checkpoints; as the work tree has it where it is None.

    Raises:
        ValueError: they are not there.
    """
    named = document.get("metadata", {}).get(MADE_OF, {}).get(PREPARED)
    if not named:
        return document
    file = Path(named["manifest"])
    content = read() if read else file.read_bytes() if file.is_file() else None
    found = _prepared(named["manifest"], content, named["checkpoint"])
    left = {name: value for name in named["prompts"] if (value := getattr(found, name)) is not None}
    task, model = document["task"], document["model"]
    args = {name: left.get(name, value) for name, value in task["args"].items()}
    rows = model["args"].get("rows")
    filled_rows = {"rows": {name: left.get(name, value) for name, value in rows.items()}} if rows else {}
    return {**document, "task": {**task, "args": args}, "model": {**model, "args": {**model["args"], **filled_rows}}}


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
    file = str(config["task"]["task"]).rpartition("@")[0]
    named = {"scorers": [_scorer(file, each).model_dump(mode="json") for each in told["scorers"]]} if "scorers" in told else {}
    return {name: told[name] for name in ("split", "prompt", "system_prompt") if name in told} | {"generation": settings | greedy} | named


def _scorer(task_file: str, told: Mapping[str, Any]) -> Scorer:
    """A scorer as a design names it: a run config has its file from the folder of the task's."""
    file, at, function = str(told["name"]).rpartition("@")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(task_file), file))
    return Scorer(name=f"{place}@{function}" if at else function, args=told["args"])
