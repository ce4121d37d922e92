"""Prompts that a preparation leaves instead of weights: from its manifest into what is asked, in the job and for the judge alike."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ckgit.experiment.results import Checkpoint, read_manifest
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
    asked = {"rows": {name: left.get(name, value) for name, value in rows.items()}} if rows else {}
    return {**document, "task": {**task, "args": args}, "model": {**model, "args": {**model["args"], **asked}}}
