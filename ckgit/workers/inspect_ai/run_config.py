"""What inspect is told of a cell: the document of `--run-config`, which its log is held against. Pure."""

from __future__ import annotations

import functools
import math
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ckgit.experiment.design.model import Scorer
from ckgit.experiment.design.plan import scorers
from ckgit.formats.rows import PLACEHOLDER
from ckgit.workers.inspect_ai.cells import PlannedCell

MOST_AT_ONCE = 32  # samples in a batch where the design says nothing; inspect's own default for Hugging Face models
MADE_OF = "ckgit"  # the key of a log's metadata under which stands what it was made of
PREPARED = "prepared"  # and in that, the key that says where prompts come from which a preparation leaves
MADE_BY = "token"  # and those that the job adds: the attempt that it is
LOADED = "model_files"  # and every file that loading the model may read, with its SHA-256
TRAINING_SAW = ("training_saw", "task")  # keys of `rows` that say what training recorded of them
_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


class ExpectedLog(NamedTuple):
    """What a log has to be the evaluation of. The job has it from its run config, the judge and the report from the design."""

    config: Mapping[str, Any]  # the document of `--run-config`
    samples: int | None  # how many there must be; None where only the task itself can tell
    source: bytes  # the task file
    weights: str | None = None  # digest of the model folder's files; None where only what was recorded of them can tell
    marked: bool = True  # whether it must say what it was made of; a log that does is held against the plan in any case


def task_args(planned: PlannedCell) -> dict[str, Any]:
    """Arguments of the task function: what the design says, as far as the function takes it."""
    context, task, path = planned.context, planned.task, planned.data_path
    prompt, system_prompt = planned.prompts
    offered: dict[str, Any] = {}
    if path:
        # inspect runs a task in its file's folder
        offered["data"] = _from_folder_of(task.source, path)
        offered["split"] = task.split
        offered |= planned.columns
    offered |= {"prompt": prompt, "system_prompt": system_prompt}
    if chosen := scorers(context.summary, task):
        offered["scorers"] = [{"name": _scorer_name(task.source, scorer), "args": dict(scorer.args)} for scorer in chosen]
    return {name: value for name, value in offered.items() if planned.signature.accepts(name)} | dict(task.args)


def _scorer_name(task_file: str, scorer: Scorer) -> str:
    return f"{_from_folder_of(task_file, scorer.source)}@{scorer.entry}" if scorer.source else scorer.name


@functools.cache
def _from_folder_of(task_file: str, path: str) -> str:
    return posixpath.relpath(path, posixpath.dirname(task_file))


def refused_args(planned: PlannedCell) -> Iterator[str]:
    """Arguments that the function would have to take, because without them something else than the design would be measured."""
    context, task, columns = planned.context, planned.task, planned.columns
    unasked = set(own_prompts(planned))
    needed = {
        "data": task.data is not None,
        "split": bool(columns),
        "input_column": columns.get("input_column", "input") != "input",
        "output_column": columns.get("output_column", "output") != "output",
        **{name: _says(planned, name) and name not in unasked for name in ("prompt", "system_prompt")},
        "scorers": bool(scorers(context.summary, task)),
        **dict.fromkeys(task.args, True),
    }
    return (name for name, wanted in needed.items() if wanted and not planned.signature.accepts(name))


def own_prompts(planned: PlannedCell) -> list[str]:
    """Which of the run's prompts a task leaves out that brings data of its own: it asks in its own words, and nothing is compared."""
    if planned.data_path is not None:
        return []
    named = [name for name in ("prompt", "system_prompt") if _says(planned, name) and not planned.signature.accepts(name)]
    return [name for name in named if getattr(planned.task, name) is None and name not in planned.prepared_prompts]


def _says(planned: PlannedCell, name: str) -> bool:
    """Whether the design has a prompt, or system prompt, for a cell, or its preparation leaves one."""
    prompt, system_prompt = planned.prompts
    given = {"prompt": prompt != PLACEHOLDER, "system_prompt": bool(system_prompt)}
    return given[name] or name in planned.prepared_prompts


def model_args(planned: PlannedCell) -> dict[str, Any]:
    """Arguments of our model API."""
    run = planned.run
    args: dict[str, Any] = {
        "model_path": planned.model_folder,
        "device": run["device"],
        "dtype": _DTYPES[run["dtype"]],
        "do_sample": samples(planned),
        "dataset_type": run["dataset_type"],
        "template_date": str(run["template_date"]),
    }
    rows = _rows(planned)
    return args | ({"rows": rows} if rows else {})


def samples(planned: PlannedCell) -> bool:
    """Whether answers are sampled; otherwise the likeliest token is taken."""
    return bool(planned.called.generation.temperature)


def _rows(planned: PlannedCell) -> dict[str, Any]:
    if planned.data_path is None:
        return {}
    prompt, system_prompt = planned.prompts
    rows: dict[str, Any] = {
        "trained_from": planned.base_folder,
        "data": planned.data_path,
        **planned.columns,
        "split": planned.task.split,
        "limit": planned.task.limit,
        "prompt": prompt,
        "system_prompt": system_prompt,
    }
    if planned.has_own_weights and planned.compared_before:
        rows["training_saw"] = f"{planned.context.artifacts(planned.run.name)}/tokens.json"
        rows["task"] = planned.task.name
    return rows


def generate_config(planned: PlannedCell) -> dict[str, Any]:
    """Generation settings as inspect calls them. Temperature 0 is no setting of transformers: do_sample says it."""
    settings = planned.called.generation.model_dump(mode="json", exclude_none=True)
    if not samples(planned):
        settings = {name: value for name, value in settings.items() if name not in ("temperature", "top_p", "top_k")}
    return {"max_connections": _batch(planned.expected_samples), **settings}


def _batch(samples: int | None) -> int:
    """Batches of one size: inspect waits two seconds before it runs one that is not full."""
    return math.ceil(samples / math.ceil(samples / MOST_AT_ONCE)) if samples else MOST_AT_ONCE


def eval_config(planned: PlannedCell) -> dict[str, Any]:
    """How inspect goes about it."""
    limit = {"limit": planned.task.limit} if planned.task.limit else {}
    return {**limit, "fail_on_error": True, "log_realtime": False}


def made_of(planned: PlannedCell) -> dict[str, Any]:
    """What an evaluation is made of that its settings do not tell. Of the model's files, its answers tell; see `weights.check`."""
    files = {**planned.called.files, planned.task.source: planned.called.sha256, **planned.data_files}
    summary = planned.context.summary
    made: dict[str, Any] = {"experiment": summary.experiment.name, "design": planned.context.design_of(planned.cell.job), "files": files}
    if planned.prepared_prompts:
        made[PREPARED] = {"manifest": planned.manifest, "checkpoint": planned.checkpoint, "prompts": list(planned.prepared_prompts)}
    return made


def run_config(planned: PlannedCell) -> dict[str, Any]:
    """The document of `--run-config`. Its metadata is written into the log."""
    return {
        "task": {"task": f"{planned.task.source}@{planned.task.entry}", "args": task_args(planned)},
        "model": {"model": planned.model_name, "args": model_args(planned)},
        "generate_config": generate_config(planned),
        "eval_config": eval_config(planned),
        "metadata": {MADE_OF: made_of(planned)},
    }


def expected_log(planned: PlannedCell, *, marked: bool = True) -> ExpectedLog:
    """What a cell's log has to be; see `ExpectedLog.marked`."""
    source = planned.context.sources[planned.task.source]
    return ExpectedLog(run_config(planned), planned.expected_samples, source, marked=marked)
