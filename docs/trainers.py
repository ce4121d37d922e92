"""The table of what each trainer can do, from the parameters of the workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.tools.schemas import preparation_tools
from ckgit.experiment.tools.workers import find_preparation
from ckgit.workers.training.design.parameters import TrainingParameters

NO = "—"


def trainers() -> dict[str, type[TrainingParameters]]:
    """The parameters of each worker that trains weights as ours do, by tool."""
    found = {tool: find_preparation(tool).parameters for tool in preparation_tools()}
    return {tool: each for tool, each in found.items() if issubclass(each, TrainingParameters)}


def trainer_table() -> str:
    """A row for each parameter that training alone has, with what each trainer takes for it, and its default."""
    tools = trainers()
    known = dict.fromkeys(name for parameters in tools.values() for name in parameters.model_fields)
    names = [name for name in known if name not in Parameters.model_fields]
    rows = [[f"`{name}`", *(_cell(parameters, name) for parameters in tools.values())] for name in names]
    heads = ["parameter", *tools]
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
    return "\n".join([*lines, ""])


def _cell(parameters: type[Parameters], name: str) -> str:
    if name not in parameters.model_fields:
        return NO
    choices = [f"`{choice}`" for choice in _choices(parameters.model_json_schema()["properties"][name])]
    default = parameters.all_defaults().get(name)
    said = ", ".join(choices) or "yes"
    return said if default is None else f"{said} (`{_plain(default)}`)"


def _choices(field: Mapping[str, Any]) -> Iterator[str]:
    for one in field.get("anyOf", [field]):
        yield from one.get("enum", ())
        yield from one.get("items", {}).get("enum", ())


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)
