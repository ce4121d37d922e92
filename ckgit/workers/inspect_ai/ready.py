"""Whether an evaluation can start: its inputs are there, and the checkpoint is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.formats.plain_json import read_json
from ckgit.jobs.script import Needs
from ckgit.workers.digests import ADAPTER_CONFIG
from ckgit.workers.inspect_ai import prompts
from ckgit.workers.inspect_ai.cells import PlannedCell, by_job
from ckgit.workers.inspect_ai.scaffold import MODULES, inputs, needs
from ckgit.workers.loading import QUANTIZATION

WEIGHTS = ("*.safetensors", "*.bin")


def cells_of(context: Context, job: Job) -> list[PlannedCell]:
    """The cells of a job.

    Raises:
        ValueError: the plan has none, or a task file is not what it was.
    """
    if found := by_job(context, job.run).get(job.name):
        return found
    raise ValueError(f"the plan has no evaluation job {job.name}")


def needs_of(context: Context, job: Job) -> Needs:
    """What a job imports; of one that the plan has not, what all import."""
    found = by_job(context, job.run).get(job.name)
    return needs(found[0]) if found else Needs(MODULES)


def ready(context: Context, job: Job, work: Path) -> list[str]:
    """Why a job cannot start yet in work tree `work`; empty when it can."""
    try:
        cells = cells_of(context, job)
    except ValueError as error:
        return [str(error)]
    needed = dict.fromkeys([job.script, *(path for cell in cells for path in (cell.config, *inputs(cell)))])
    missing = [f"{path} is not in the work tree" for path in needed if not (work / path).is_file()]
    return [*missing, *_left_problems(cells[0], work)]


def _left_problems(cell: PlannedCell, work: Path) -> Iterator[str]:
    """What is wrong with what the run's preparation was to leave; nothing for the model itself."""
    if cell.has_own_weights:
        yield from _checkpoint_problems(cell, work)
    elif cell.checkpoint:
        try:
            prompts.with_prepared(cell, prompts.manifest(cell, work))
        except ValueError as error:
            yield str(error)


def _checkpoint_problems(cell: PlannedCell, work: Path) -> Iterator[str]:
    folder, card = work / cell.model_folder, cell.context.cards[cell.run.model]
    if not folder.is_dir():
        yield f"there is no checkpoint {cell.model_folder}"
        return
    weights = [path for pattern in WEIGHTS for path in folder.glob(pattern)]
    if not weights or not all(path.stat().st_size for path in weights):
        yield f"checkpoint {cell.model_folder} has no weights, or an empty file of them"
    if cell.is_quantized != (folder / QUANTIZATION).exists():
        yield f"checkpoint {cell.model_folder} does not say rightly ({QUANTIZATION}) whether the weights beside it are quantized"
    if cell.is_adapter and not (folder / ADAPTER_CONFIG).exists():
        yield f"checkpoint {cell.model_folder} has no adapter"
    if (folder / ADAPTER_CONFIG).exists() and not cell.is_adapter:
        again = f"bash {cell.context.run_folder(cell.run.name)}/finetune.slurm"
        yield (
            f"checkpoint {cell.model_folder} holds an adapter beside the merged weights, and would be evaluated with it twice; "
            f"a training by hand leaves it so, and `{again}` in the work tree trains it anew"
        )
    yield from _config_problems(cell, folder)
    for name, file in card.files.items():
        if name in card.checkpoint_files or name.endswith(".index.json"):
            continue
        if not (folder / name).is_file():
            yield f"checkpoint {cell.model_folder} lacks {name}, which {cell.base_folder} has"
        elif _is_tokenizer(name) and hashlib.sha256((folder / name).read_bytes()).hexdigest() != file.sha256:
            yield f"{name} of checkpoint {cell.model_folder} is not that of {cell.base_folder}: the model would see other tokens"


def _config_problems(cell: PlannedCell, folder: Path) -> Iterator[str]:
    try:
        read_json((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        yield f"config.json of checkpoint {cell.model_folder} cannot be read: {error}"


def _is_tokenizer(name: str) -> bool:
    return not name.endswith("config.json") or name.startswith("tokenizer")
