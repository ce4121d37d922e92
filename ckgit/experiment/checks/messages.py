"""What is wrong with a document, in plain words instead of a validation library's."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ckgit.experiment.checks.value_synonyms import advice
from ckgit.experiment.design.parameters import OwnParameters, Parameters
from ckgit.experiment.tools.workers import tools_with
from ckgit.formats.listing import nearest
from ckgit.formats.numbers import MAPPING, shown

Path = tuple[str | int, ...]

WRITTEN_BY_CKGIT = ("state", "recorded")  # never proposed to a user
# What other tools call our keys, beside what the parameters of the design's tool are called elsewhere.
SYNONYMS = {
    "model_name_or_path": "model",
    "base_model": "model",
    "model_name": "model",
    "chat_format": "dataset_type",
    "precision": "dtype",
    "torch_dtype": "dtype",
    "system": "system_prompt",
    "prompt_template": "prompt",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop_seqs",
    "stop_sequences": "stop_seqs",
    "stop_strings": "stop_seqs",
    "prompt_column": "input_column",
    "instruction_column": "input_column",
    "question_column": "input_column",
    "completion_column": "output_column",
    "response_column": "output_column",
    "target_column": "output_column",
    "label_column": "output_column",
    "answer_column": "output_column",
    "data_files": "path",
    "file_name": "path",
    "num_gpus": "gpus",
    "n_gpus": "gpus",
    "walltime": "time",
    "memory": "mem",
    "cpus": "cpus_per_task",
    "dataset": "data",
    "datasets": "data",
    "task": "tasks",
    "title": "name",
    "within": "by",
    "margin": "by",
    "at_least": "by",
}
# Keys that other tools know and that no tool here has; what the design's own tool lacks, its parameters say.
NOT_SUPPORTED = {
    "bf16": "write dtype: bf16",
    "chat_template": "the template of the model's own folder is used, in training and in evaluation",
    "do_sample": "use temperature, where 0 means greedy decoding",
    "output_dir": "ckgit decides it: experiments/NAME/RUN/artifacts",
}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": MAPPING,
    "dict_type": MAPPING,
    "finite_number": "a finite number",
}
_SIDE = "expected the name of a run, or settings, e.g. {lora_rank: 16} or {lora_rank: [4, 8]}"
# Unions have one message, whichever of their members complained.
_UNIONS = {
    "epochs": "expected last, all, best, or a list of epochs counted from 0, e.g. [0, 2]",
    "left": _SIDE,
    "right": _SIDE,
    "runs": "expected all, or a list of run names",
    "tasks": "expected all, or a list of task names",
    "args": "expected text, a number, true or false",
}
_INSIDE_UNION = dict.fromkeys(("left", "right"), "expected a value of the parameter, or a list of values, e.g. [4, 8]")
_BOUNDS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def findings(error: ValidationError, model: type[BaseModel], document: Any) -> list[tuple[Path, str]]:
    """One message for each place in the document; the path of a missing key ends in that key."""
    deepest: dict[Path, list[tuple[Path, str]]] = {}
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] == "too_short" and any(_is_inside(other["loc"], detail["loc"]) for other in details):
            continue  # its items are there, and wrong
        path, union_at = _resolve(detail["loc"], document)
        inside = _INSIDE_UNION.get(str(union_at[-1])) if union_at and len(path) > len(union_at) else None
        found_there = f"{inside}; found {shown(_at(document, path))}" if inside else _message(detail, path, model)
        message = _union(union_at, document) if union_at is not None and union_at == path else found_there
        deepest.setdefault(path if union_at is None else union_at, []).append((path, message))
    found = []
    for group in deepest.values():
        length = max(len(path) for path, _ in group)
        found += [item for item in dict.fromkeys(group) if len(item[0]) == length]
    return found


def _resolve(loc: tuple[str | int, ...], document: Any) -> tuple[Path, Path | None]:
    """The place in the document that a location means, and the place of the union it lies in."""
    path: list[str | int] = []
    union: Path | None = None
    value = document
    for position, part in enumerate(loc):
        inside = (isinstance(value, Mapping) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if inside:
            value = value[part]
            path.append(part)
        elif isinstance(value, Mapping) and position == len(loc) - 1 and part != "[key]" and _is_key(part):
            path.append(part)
        elif part != "[key]":
            union = tuple(path) if union is None else union
    return tuple(path), union


def _is_inside(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _is_key(part: str | int) -> bool:
    return isinstance(part, str) and part.isidentifier() and part not in ("str", "bool", "int", "float")


def _union(path: Path, document: Any) -> str:
    name = next(part for part in reversed(path) if part in _UNIONS)
    return f"{_UNIONS[str(name)]}; found {shown(_at(document, path))}"


def _at(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


def _message(detail: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    if detail["type"] == "missing":
        return _missing(path, model)
    if detail["type"] == "extra_forbidden":
        owner = next(iter(_models(model, path[:-1])), None)
        if owner and issubclass(owner, OwnParameters):
            return own_key(str(path[-1]), owner, parameters_in(model))
        return unknown_key(str(path[-1]), allowed_keys(model, path[:-1]), parameters_in(model))
    return _value_message(detail, next((part for part in reversed(path) if isinstance(part, str)), "it"), parameters_in(model))


def _value_message(detail: ErrorDetails, name: str, parameters: type[Parameters]) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail.get("input")
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return _choice(str(context["expected"]), value, parameters)
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        limit = context[bound]
        return f"{name} {words} {limit if isinstance(limit, int) else format(limit, 'g')}; found {shown(value)}"
    if kind in _EXPECTED:
        own = next((each for each in parameters.names() if each.startswith(f"{name}.")), None) if kind == "tuple_type" else None
        hint = f"; vary one of them by its whole name, e.g. {own}: [...]" if own else _hint(kind, value)
        return f"expected {_EXPECTED[kind]}; found {shown(value)}{hint}"
    if kind.startswith("date"):
        return f"expected a date, YYYY-MM-DD; found {shown(value)}"
    if kind in ("too_short", "string_too_short"):
        return f"{name} must not be empty"
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} does not have the form {context['pattern']}"
    return detail["msg"]


def _hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f'; quote it if it is text: "{str(value).lower()}"'
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "; a number is written without quotes"
    return f"; write [{shown(value)}]" if kind == "tuple_type" and isinstance(value, str | int | float) else ""


def _choice(expected: str, value: Any, parameters: type[Parameters]) -> str:
    choices = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    near = nearest(str(value), choices)
    hint = advice(str(value), choices, parameters.none_such) or (f"did you mean {near}?" if near else "")
    return f"expected {' or '.join(choices)}; found {shown(value)}" + (f"; {hint}" if hint else "")


def _missing(path: Path, model: type[BaseModel]) -> str:
    owner = next(iter(_models(model, path[:-1])), None)
    field = owner.model_fields.get(str(path[-1])) if owner else None
    return f"{path[-1]} is missing" + (f": {field.description}" if field and field.description else "")


def unknown_key(key: str, allowed: Collection[str], parameters: type[Parameters]) -> str:
    """What to say of a key that does not exist, given those that do, and the parameters of the document's tool."""
    if why := not_supported(key, parameters):
        return f"{key} is not supported: {why}"
    meant = meant_key(key, allowed, parameters)
    if tools := tools_with(key, parameters) if {*Parameters.model_fields} <= {*allowed} else []:
        has = f"{key} is a parameter of {' and '.join(tools)}, and not of the tool that the design names"
        return f"{has}; " + (f"did you mean {meant}?" if meant else f"leave it out, or write tools: {{preparation: {tools[0]}}}")
    named = key or '""'
    return f"unknown key {named}: did you mean {meant}?" if meant else f"unknown key {named} (known here: {', '.join(allowed)})"


def own_key(key: str, own: type[OwnParameters], parameters: type[Parameters]) -> str:
    """What to say of a key that is not passed on to a tool."""
    if why := own.decided.get(key):
        return f"{key} is not passed on: {why}"
    if (meant := parameters.synonyms.get(key, SYNONYMS.get(key, key))) in parameters.model_fields:
        return f"{key} is not passed on: write {meant}, beside this section"
    return unknown_key(key, own.model_fields, parameters)


def not_supported(key: str, parameters: type[Parameters]) -> str | None:
    """What to do instead of a key that other tools know, and this one has not."""
    return parameters.not_supported.get(key, NOT_SUPPORTED.get(key))


def meant_key(key: str, allowed: Iterable[str], parameters: type[Parameters]) -> str | None:
    """The key that was probably meant."""
    known = {name.lower(): name for name in allowed}
    plain = key.lower().replace("-", "_")
    meant = (known.get(synonyms.get(plain, "")) for synonyms in (parameters.synonyms, SYNONYMS))
    return next(filter(None, meant), None) or nearest(plain, known.values(), alike=0.7)


def parameters_in(model: type[BaseModel]) -> type[Parameters]:
    """The parameters of the tool whose documents a model describes."""
    field = model.model_fields.get("controls")
    found = field.annotation if field else model
    return found if isinstance(found, type) and issubclass(found, Parameters) else Parameters


def allowed_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Keys that may stand at a path; none where there is no mapping with keys of its own."""
    return [name for owner in _models(model, path) for name in owner.model_fields if name not in WRITTEN_BY_CKGIT]


def _models(annotation: Any, path: Path) -> Iterator[type[BaseModel]]:
    """The models that may stand at a path, found through lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not path:
            yield annotation
        elif field := annotation.model_fields.get(str(path[0])):
            yield from _models(field.annotation, path[1:])
        return
    origin = typing.get_origin(annotation)
    members = typing.get_args(annotation)
    rest = path[1:] if origin in (tuple, dict) else path
    for member in members if path or origin not in (tuple, dict) else ():
        yield from _models(member, rest)
