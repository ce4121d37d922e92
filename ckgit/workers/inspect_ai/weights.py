"""Whether the files of a model that an evaluation loads are those that training left, or that the model's card names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from ckgit.experiment.card import FileDigest, folder_digest
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import MANIFEST, CellResult, read_manifest
from ckgit.workers.digests import differences, digests_once
from ckgit.workers.inspect_ai.cells import PlannedCell
from ckgit.workers.inspect_ai.codes import RefusedLogError


def changed(folder: Path, of_card: Mapping[str, str]) -> Iterator[str]:
    """Files of a model folder that are not as recorded, as `differences` names them. The first thing that a job does.

    Args:
        folder: relative to the work tree.
        of_card: SHA-256 of its files by name, as the model's card has them; of a checkpoint, training's manifest tells.

    Raises:
        ValueError: the manifest cannot be read, or is of another run.
    """
    wanted = of_card or {name: file.sha256 for name, file in saved(manifest(folder), folder).items()}
    return differences(folder, digests_once(folder), wanted) if wanted else iter(())


def manifest(folder: Path) -> bytes | None:
    """What training wrote beside a checkpoint; None where it wrote nothing."""
    file = folder.parent / MANIFEST
    return file.read_bytes() if file.is_file() else None


def saved(content: bytes | None, folder: Path) -> Mapping[str, FileDigest]:
    """What training recorded of a checkpoint; empty where it recorded nothing, as older jobs and other trainers do.

    Raises:
        ValueError: the manifest cannot be read, or names no such checkpoint: it is of another run, or of another training.
    """
    if content is None:
        return {}
    try:
        found = read_manifest(content)
    except ValueError as error:
        raise ValueError(f"{folder.parent / MANIFEST} {error}") from None
    for checkpoint in found:
        if checkpoint.path == folder.as_posix():
            return checkpoint.files
    others = ", ".join(checkpoint.path for checkpoint in found) or "no checkpoint"
    raise ValueError(f"{folder.parent / MANIFEST} does not name {folder}, but {others}")


def check(cell: PlannedCell, result: CellResult, content: bytes | None) -> CellResult:
    """The result, where what was evaluated is what was to be evaluated, or nothing was recorded of it.

    Args:
        content: training's manifest, of a run that was trained.

    Raises:
        RefusedLogError: other files were evaluated.
    """
    folder = Path(cell.model_folder)
    card = cell.context.cards[cell.run.model].files
    try:
        wanted = saved(content, folder) if cell.has_own_weights else card
    except ValueError as error:
        raise RefusedLogError(str(error), FailureClass.INPUT_CHANGED) from None
    if not wanted or result.weights in (None, folder_digest(wanted)):
        return result
    of = "training left" if cell.has_own_weights else "the model card names"
    why = f"the files of {folder} that were evaluated are not those that {of}; {advice(cell.model_folder)}"
    raise RefusedLogError(why, FailureClass.INPUT_CHANGED)


def advice(folder: str) -> str:
    """What helps where the files of a model folder are not as recorded."""
    parts = folder.split(posixpath.sep)
    if parts[0] != "experiments":
        return f"bring them back; or take these: ckgit models add {parts[-1]} {folder}, in a new experiment"
    return f"bring them back, then ckgit retry {parts[1]}; or train anew: ckgit revise {parts[1]} --anew, then ckgit advance {parts[1]}"
