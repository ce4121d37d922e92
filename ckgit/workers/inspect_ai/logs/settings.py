"""The settings that a log records, held against those that were planned. Pure; inspect's models are not imported.

A task may give some settings itself, and the log does not tell who gave them: what was not planned is the task's own where its
file gives an argument of the setting's name. inspect is kept from all else that could give one; see `pinned.pin`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ckgit.formats.task_source import OwnSettings, own_settings
from ckgit.workers.inspect_ai.run_config import MADE_OF, ExpectedLog

# What the caller alone can give.
_OF_THE_CALLER = ("limit", "sample_id", "sample_shuffle")
# What a task can give, and the argument by which it does.
_OF_TASKS = {
    "epochs": "epochs",
    "epochs_reducer": "epochs",
    "approval": "approval",
    "review": "review",
    "sentinel": "sentinel",
    "message_limit": "message_limit",
    "token_limit": "token_limit",
    "token_limit_type": "token_limit",
    "turn_limit": "turn_limit",
    "time_limit": "time_limit",
    "working_limit": "working_limit",
    "cost_limit": "cost_limit",
}
# What inspect records where nothing was given. All else of its config says how to log, how fast, and what errors end it: no number
# depends on that, as a sample that ended with an error counts nowhere.
_DEFAULTS = {"epochs": 1, "epochs_reducer": ["mean"], "token_limit_type": "all"}
# Of a model that runs in the same process, no answer depends on these.
_OF_TRANSPORT = ("max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "adaptive_connections", "cache_prompt", "batch")


def differences(wanted: ExpectedLog, header: Any) -> Iterator[str]:
    """Each setting of a log's header that is not the planned one, with both."""
    spec, planned = header.eval, wanted.config
    file, _, entry = planned["task"]["task"].rpartition("@")
    both = {
        "task": (spec.task.rsplit("/", 1)[-1], entry),
        "task file": (spec.task_file, file),
        "model": (spec.model, planned["model"]["model"]),
        "model URL": (spec.model_base_url, None),
        "solver": (spec.solver, None),
        "task arguments": (spec.task_args_passed, planned["task"]["args"]),
        "model arguments": (spec.model_args, planned["model"]["args"]),
    }
    for what, (found, given) in both.items():
        yield from _different(what, found, given)
    yield from _made_of(wanted, spec.metadata or {})
    own = own_settings(wanted.source)
    yield from _config(own, spec, planned["eval_config"])
    yield from _generation(None, _given(spec.model_generate_config), planned["generate_config"])
    yield from _generation(own, _given(header.plan.config), planned["generate_config"])


def _made_of(wanted: ExpectedLog, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Where design, data or task file are others. Logs and run configs of before it was written down do not tell."""
    planned, found = wanted.config.get("metadata", {}).get(MADE_OF), metadata.get(MADE_OF)
    if planned is None or (found is None and not wanted.marked):
        return
    if not isinstance(found, Mapping) or not isinstance(found.get("files"), Mapping):
        yield "it does not say of which design, data and task file it is"
        return
    for what in ("experiment", "design"):
        yield from _different(what, found.get(what), planned[what])
    for path in dict.fromkeys([*planned["files"], *found["files"]]):
        yield from _different(f"SHA-256 of {path}", found["files"].get(path), planned["files"].get(path))


def _config(own: OwnSettings, spec: Any, planned: Mapping[str, Any]) -> Iterator[str]:
    found = _given(spec.config)
    for name in (*_OF_THE_CALLER, *_OF_TASKS):
        default = _DEFAULTS.get(name)
        if name not in _OF_TASKS or not own.has(_OF_TASKS[name]):
            yield from _different(name, found.get(name, default), planned.get(name, default))
    for name in ("sandbox", "model_roles"):
        if not own.has(name):
            yield from _different(name, _plain(getattr(spec, name)) or None, None)


# own: what the task gives; None where no task has a say
def _generation(own: OwnSettings | None, found: Mapping[str, Any], planned: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*planned, *found]):
        free = name in _OF_TRANSPORT or (own is not None and own.has(name))
        if name in planned or not free:
            yield from _different(f"generation setting {name}", found.get(name), planned.get(name))


def _different(what: str, found: Any, wanted: Any) -> Iterator[str]:
    if _plain(found) != _plain(wanted):
        yield f"{what} {_shown(found)}; planned: {_shown(wanted)}"


def _given(model: Any) -> dict[str, Any]:
    """The fields of one of inspect's models that have a value."""
    given: dict[str, Any] = model.model_dump(mode="json", exclude_none=True)
    return given


def _plain(value: Any) -> Any:
    return json.loads(_shown(value)) if value is not None else None


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value, sort_keys=True, default=_dumped)


def _dumped(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else str(value)
