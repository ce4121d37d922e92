"""What is to be said of a design whose parts are all there: what its data, its lengths, its runs and this machine say against it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.card import card_path
from ckgit.experiment.checks.confounds import confound_remarks
from ckgit.experiment.checks.data_lint import data_remarks
from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.checks.lengths import Counter, length_remarks, without_tokenizer
from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.checks.remarks import Remark, of_runs
from ckgit.experiment.checks.row_uses import uses
from ckgit.experiment.design.model import TaskSpec
from ckgit.experiment.design.plan import Run, Source
from ckgit.experiment.worker import Context
from ckgit.formats.task_source import Signature
from ckgit.lab.lab import Lab
from ckgit.lab.models.find import find_model
from ckgit.orchestrators.engine.plugins import preparation_for
from ckgit.workers.token_counts import token_counter

LOCAL = "local"
# What NVIDIA's driver (also in WSL) and AMD's leave on a machine; torch, which could tell for certain, takes seconds to import.
_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")


class DesignInputs(NamedTuple):
    """What a design was found to name."""

    context: Context
    tasks: Mapping[str, Signature]  # by name of the task
    surveys: Mapping[str, DataProfile]  # by name of the data set


def remarks(lab: Lab, looked: DesignInputs) -> list[Remark]:
    """Every remark on a design, each once."""
    context, surveys = looked.context, looked.surveys
    summary, plan = context.summary, context.plan
    used = uses(summary, plan, lambda task: _is_given(task, looked.tasks))
    counters = {name: _counter(lab, context, name) for name in sorted({use.model for use in used} & context.cards.keys())}
    found = [
        *data_remarks(summary, plan, surveys, used),
        *length_remarks(summary, surveys, used, context.cards, counters),
        *confound_remarks(context, preparation_for(summary)),
        *_device_remarks(context),
    ]
    return list(dict.fromkeys(found))


def _is_given(task: TaskSpec, tasks: Mapping[str, Signature]) -> bool:
    """Whether the task's function takes the design's rows; one without `data` brings its own."""
    return task.name in tasks and tasks[task.name].accepts("data")


def _counter(lab: Lab, context: Context, model: str) -> Counter:
    """The model's own tokenizer where it is on this machine, otherwise what its card tells."""
    card = context.cards[model]
    try:
        folder = find_model(lab, context.cluster, card, context.sources[card_path(model)])
    except (CkgitError, OSError):
        folder = None
    count = token_counter(folder) if folder else None
    return Counter(count) if count else without_tokenizer(card)


def _device_remarks(context: Context) -> Iterator[Remark]:
    """Runs on cuda where jobs run on this machine, and it has no such device."""
    runs = [run for run in context.plan.runs if run["device"] == "cuda"]
    if not runs or context.cluster.scheduler != LOCAL or has_gpu():
        return
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((_asked_by(run), place_of(context.summary, run, "device")), []).append(run)
    for (source, place), of in grouped.items():
        named = of_runs([run.name for run in of])
        sentence = f"{named}: device is cuda ({source}), and this machine, where cluster {context.cluster_name} runs jobs, has no GPU"
        yield Remark(place, f"{sentence}: write device: cpu, or name a cluster that has one")


def _asked_by(run: Run) -> str:
    source = run.settings["device"].source
    if source is Source.RECIPE:
        return f"base_recipe {run['base_recipe']} gives it"
    return "ckgit's default" if source is Source.DEFAULT else "the design says so"


def has_gpu() -> bool:
    """Whether this machine has a GPU that torch may call cuda, as far as can be told without asking it."""
    return any(Path(device).exists() for device in _DEVICES) or shutil.which("nvidia-smi") is not None
