"""Renders each cell's files and names its job. Pure: neither inspect-ai nor the model's weights are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ckgit.experiment.card import FileDigest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import resources
from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.formats.yaml.text import block, comment
from ckgit.jobs.script import Needs, job_script
from ckgit.workers.digests import options
from ckgit.workers.inspect_ai.cells import PlannedCell, by_job
from ckgit.workers.inspect_ai.run_config import run_config

MODULES = ("inspect_ai", "torch", "transformers", "accelerate")


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

    Of a fine-tuned run's model these are the files beside the weights: training's tokens are made with them.
    """
    digests: dict[str, str | FileDigest] = {cell.task.source: cell.called.sha256}
    if cell.data and cell.recorded:
        digests[cell.data.path] = cell.recorded.sha256
    card = cell.context.cards[cell.run.model]
    weights = card.checkpoint_files if cell.has_own_weights else ()
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
        needs=Needs(MODULES, 1 if cell.run["device"] == "cuda" else 0, (cell.model_folder,) if cell.has_own_weights else ()),
    )


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
