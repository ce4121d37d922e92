"""JSON schemas that are put together from what the installed workers say: of designs by their parameters, of results by their own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ckgit.experiment.design.model import NONE, Stage
from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.tools.by_tool import DEFAULT_TOOL
from ckgit.experiment.tools.workers import find_preparation, installed_workers

_REF = "#/$defs/"


def preparation_tools() -> list[str]:
    """Tools of the installed preparations, the default one first."""
    known = {each.worker.tool for each in installed_workers() if each.worker.stage is Stage.TRAINING}
    return [DEFAULT_TOOL, *sorted(known - {DEFAULT_TOOL})]


def by_tool(make: Callable[[type[Parameters]], type[BaseModel]]) -> dict[str, Any]:
    """The schema of a document in which `tools` decides what `controls`, `variables` and `runs` may hold.

    Args:
        make: the model of documents whose runs have these parameters.
    """
    document: dict[str, Any] = {}
    rules = []
    for tool in preparation_tools():
        parameters = find_preparation(tool).parameters
        names = {parameters.__name__: f"{tool}.parameters", "RunSpec": f"{tool}.run"}
        one = _renamed(make(parameters).model_json_schema(), names)
        document = document or one
        document["$defs"] |= {name: part for name, part in one["$defs"].items() if name in names.values() or name not in document["$defs"]}
        rules.append({"if": _named(tool), "then": {"properties": _of_tool(one, one["$defs"][names[parameters.__name__]])}})
    for name in ("controls", "runs"):
        shared = document["properties"][name]
        document["properties"][name] = {key: shared[key] for key in ("description", "default") if key in shared}
    return {**document, "allOf": rules}


def _named(tool: str) -> dict[str, Any]:
    """The condition under which a document is one of the tool's."""
    if tool == DEFAULT_TOOL:
        return {"properties": {"tools": {"properties": {"preparation": {"enum": [tool, NONE]}}}}}
    named = {"properties": {"preparation": {"const": tool}}, "required": ["preparation"]}
    return {"properties": {"tools": named}, "required": ["tools"]}


def _of_tool(document: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the tool's documents hold; a variable is a list of what its parameter may be."""
    values = {name: {"type": "array", "items": dict(_alone(field))} for name, field in _named_fields(document, parameters)}
    kept = {name: document["properties"][name] for name in ("controls", "runs")}
    return {**kept, "variables": {"properties": values, "additionalProperties": False}}


def _named_fields(document: Mapping[str, Any], parameters: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Parameters by name; those that one tool alone has by their place."""
    for name, field in parameters["properties"].items():
        refs = [one["$ref"].removeprefix(_REF) for one in field.get("anyOf", [field]) if "$ref" in one]
        own = [part for ref in refs if "properties" in (part := document["$defs"][ref])]
        if own:
            yield from _named_fields(document, own[0], f"{place}{name}.")
        else:
            yield f"{place}{name}", field


def _alone(field: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((key, value) for key, value in field.items() if key not in ("default", "title"))


def _renamed(document: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same schema with other names of its parts: two tools may call theirs alike."""
    text = json.dumps(document)
    for old, new in names.items():
        text = text.replace(f'"{_REF}{old}"', f'"{_REF}{new}"')
    found: dict[str, Any] = json.loads(text)
    found["$defs"] = {names.get(name, name): part for name, part in found["$defs"].items()}
    return found


def with_own_results(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of results, in which `own` of a training is what one of the installed workers says there."""
    models = [model for tool in preparation_tools() if (model := find_preparation(tool).result)]
    for model in models:
        part = model.model_json_schema()
        document["$defs"] |= {**part.pop("$defs", {}), model.__name__: part}
    if models:
        own = document["$defs"]["TrainingResult"]["properties"]["own"]
        own["anyOf"] = [*({"$ref": f"{_REF}{model.__name__}"} for model in models), {"maxProperties": 0}]
    return document
