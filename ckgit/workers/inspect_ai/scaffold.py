"""Renders each cell's files and names its job. Pure: neither inspect-ai nor the model's weights are needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckgit.experiment.card import FileDigest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import resources
from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.formats.plain_json import leaves
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.text import block, comment
from ckgit.jobs.script import Needs, job_script
from ckgit.workers.digests import options
from ckgit.workers.inspect_ai.cells import PlannedCell, by_job
from ckgit.workers.inspect_ai.run_config import MADE_OF, TRAINING_SAW, run_config

QUANTIZED = "qlora"  # the extra of ckgit that brings what loads an adapter beside quantized weights
MODULES = ("inspect_ai", "torch", "transformers", "accelerate")
_FILES = f"metadata.{MADE_OF}.files."  # where a run config has the digests of the task and of its data
_DECIDE_NOTHING = {f"metadata.{MADE_OF}.design", f"metadata.{MADE_OF}.experiment", *(f"model.args.rows.{key}" for key in TRAINING_SAW)}


def scaffold(context: Context, run: str | None = None) -> dict[str, bytes]:
    """The script and the run config of each cell (or of one run's) of a design that `check` has found fit, by path relative to the lab."""
    files: dict[str, bytes] = {}
    for cells in by_job(context, run).values():
        configs = {cell.config: _config(cell) for cell in cells}
        files |= {**configs, cells[0].script: _script(cells, configs)}
    return files


def jobs(context: Context) -> list[Job]:
    """One job for each cell, or each checkpoint."""
    return [
        Job(
            name=name,
            stage=Stage.EVALUATION,
            run=cells[0].run.name,
            tasks=tuple(cell.task.name for cell in cells),
            epoch=cells[0].cell.epoch,
            checkpoint=cells[0].cell.named,
            script=cells[0].script,
            folder=cells[0].folder,
            resources=_resources(cells[0]),
        )
        for name, cells in by_job(context).items()
    ]


def inputs(cell: PlannedCell) -> dict[str, str | FileDigest]:
    """Digest of every file that a cell depends on and that exists before training, by path relative to the work tree.

    Of a fine-tuned run's model these are the files beside the weights: training's tokens are made with them. An adapter is loaded with all.
    """
    digests: dict[str, str | FileDigest] = {**cell.called.files, cell.task.source: cell.called.sha256, **cell.data_files}
    card = cell.context.cards[cell.run.model]
    weights = card.checkpoint_files if cell.has_own_weights and not cell.is_adapter else ()
    return digests | {f"{cell.base_folder}/{name}": file for name, file in card.files.items() if name not in weights}


def _resources(cell: PlannedCell) -> Any:
    return resources(cell.context.summary, cell.run, Stage.EVALUATION, cell.context.cluster.evaluation)


def _script(cells: Sequence[PlannedCell], configs: Mapping[str, bytes]) -> bytes:
    cell, tasks = cells[0], ", ".join(cell.task.name for cell in cells)
    digests: dict[str, str | FileDigest] = {path: hashlib.sha256(config).hexdigest() for path, config in configs.items()}
    return job_script(
        title=f"Evaluates {cell.model_name} on {tasks}, of experiment {cell.context.summary.experiment.name}, with inspect-ai.",
        script=cell.script,
        resources=_resources(cell),
        cluster=cell.context.cluster,
        inputs={**digests, **{path: digest for each in cells for path, digest in inputs(each).items()}},
        programs=("python",),
        commands=(("python", "-m", "ckgit.workers.inspect_ai.evaluate", *_card_files(cell), *configs),),
        needs=needs(cell),
    )


def needs(cell: PlannedCell) -> Needs:
    """What a cell's job imports, and the folder that it evaluates."""
    gpus, paths = 1 if cell.run["device"] == "cuda" else 0, (cell.model_folder,) if cell.has_own_weights else ()
    if not cell.is_adapter:
        return Needs(MODULES, gpus, paths)
    beside = Needs((*MODULES, "peft"), gpus, paths, hidden=("torchao",))
    return beside._replace(modules=(*beside.modules, "bitsandbytes"), extra=QUANTIZED) if cell.is_quantized else beside


def _card_files(cell: PlannedCell) -> list[str]:
    """What the command is told of the model's files; of a checkpoint, training's manifest tells."""
    return options(cell.context.cards[cell.run.model].files) if not cell.has_own_weights else []


def _config(cell: PlannedCell) -> bytes:
    summary = cell.context.summary
    lines = [
        f"# {comment(summary.experiment.question)}",
        f"# {cell.name} of experiment {summary.experiment.name}. By hand, from the top of the work tree:",
        f"#   inspect eval --run-config {cell.config}",
        "# The task runs in its file's folder, so its data is named from there. `rows` is what each message is compared with.",
        *block(run_config(cell)),
    ]
    return ("\n".join(lines) + "\n").encode()


def renders(context: Context, job: Job) -> list[str]:
    """Paths of a job's script and of the run config of each of its cells."""
    return [job.script, *(cell.config for cell in by_job(context, job.run)[job.name])]


def made_from(context: Context, job: Job, read: Callable[[str], bytes | None]) -> dict[str, str]:
    """Every value of each cell's run config, and the digests of the model's own files; a checkpoint is its training's matter.

    That the cell belongs to a design, and whether training had compared its rows, decides no answer.
    """
    values: dict[str, str] = {}
    cells = by_job(context, job.run)[job.name]
    for cell in cells:
        content = read(cell.config)
        config = read_yaml((_config(cell) if content is None else content).decode()).value
        of = f"{cell.cell.name} " if len(cells) > 1 else ""
        idle = _DECIDE_NOTHING if context.cards[cell.run.model].dated else {*_DECIDE_NOTHING, "model.args.template_date"}
        found = {place: json.dumps(value) for place, value in leaves(config) if place not in idle}
        values |= {f"{of}{place.replace(_FILES, 'file ')}": value for place, value in found.items()}
        values |= {f"model file {name}": json.dumps(file.sha256) for name, file in context.cards[cell.run.model].files.items()}
    return values
