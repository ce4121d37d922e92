"""GitHub's own description of its API, as githubkit ships it: which requests there are, what they take, and what they are answered."""

from __future__ import annotations

import ast
import datetime
import functools
import inspect
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import githubkit_schemas.v2026_03_10 as described
import pydantic
from githubkit.compat import GitHubModel
from githubkit_schemas.v2026_03_10 import models
from githubkit_schemas.v2026_03_10.webhooks import WebhookNamespace

REST = Path(inspect.getfile(described)).parent / "rest"
GROUPS = ("actions", "issues", "pulls", "repos")


class Operation(NamedTuple):
    """One request that the description has."""

    method: str
    path: re.Pattern[str]
    query: frozenset[str]
    body: str  # name of the model; empty where none is taken
    answer: str  # expression of the model; empty where it is none of JSON

    def check_body(self, document: Any) -> None:
        getattr(models, self.body).model_validate(document)

    def check_answer(self, document: Any) -> None:
        wanted = _wanted(self.answer)
        pydantic.TypeAdapter(wanted).validate_python(document)


@functools.cache
def _wanted(expression: str) -> Any:
    """A type as githubkit's source names it."""
    return eval(expression, {"list": list, "Union": typing.Union}, _Models())  # noqa: S307 - of an installed package


class _Models(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        try:
            return getattr(models, name)
        except AttributeError:
            raise KeyError(name) from None


@functools.cache
def operations() -> list[Operation]:
    """Those of a few groups, read from the source of githubkit's methods: an f-string is a path, and what is in braces is given."""
    found = []
    for group in GROUPS:
        tree = ast.parse((REST / f"{group}.py").read_text(encoding="utf-8"))
        (client,) = (each for each in tree.body if isinstance(each, ast.ClassDef))
        found += [made for each in client.body if isinstance(each, ast.FunctionDef) and (made := _operation(each))]
    return found


def _operation(method: ast.FunctionDef) -> Operation | None:
    assigned = (each for each in method.body if isinstance(each, ast.Assign))
    values = {each.targets[0].id: each.value for each in assigned if isinstance(each.targets[0], ast.Name)}
    if not isinstance(url := values.get("url"), ast.JoinedStr | ast.Constant):
        return None  # an overload
    parts = url.values if isinstance(url, ast.JoinedStr) else [url]
    path = "".join(re.escape(each.value) if isinstance(each, ast.Constant) else _hole(each) for each in parts)
    query = {key.value for key in values["params"].keys} if isinstance(values.get("params"), ast.Dict) else set()
    text = ast.unparse(method)
    body = re.search(r"type_validate_python\((\w+),", text)
    sent = re.search(r"self\._github\.request\('(\w+)'", text)
    answer = re.search(r"response_model=(.+?)(?:, error_models=|\)$)", text, re.MULTILINE)
    assert sent
    return Operation(sent[1], re.compile(path), frozenset(query), body[1] if body else "", answer[1] if answer else "")


def _hole(part: ast.expr) -> str:
    assert isinstance(part, ast.FormattedValue)
    return ".+" if ast.unparse(part.value) == "path" else "[^/]+"


def sample(wanted: Any, given: Any = None) -> Any:
    """A document of a type that has all that is required, and what is given; a mapping is given to the parts of a model."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Annotated:
        return sample(arguments[0], given)
    if origin in (typing.Union, types.UnionType):
        return _of_union(arguments, given)
    if inspect.isclass(wanted) and issubclass(wanted, GitHubModel):
        return _of_model(wanted, given or {})
    if given is not None:
        return [sample(arguments[0], each) for each in given] if origin is list else given
    if origin is typing.Literal:
        return arguments[0]
    if origin in (list, dict) or wanted in (list, dict):
        return (origin or wanted)()
    plain = {str: "text", int: 1, float: 1.0, bool: False, datetime.datetime: "2026-11-23T10:00:00Z", datetime.date: "2026-11-23"}
    return plain.get(wanted)


def _of_union(arguments: tuple[Any, ...], given: Any) -> Any:
    """Whichever takes what is given."""
    if given is None and type(None) in arguments:
        return None
    failed: list[Exception] = []
    for each in arguments:
        if each in (type(None), types.NoneType) or getattr(each, "__name__", "") == "Unset":
            continue
        document = sample(each, given)
        try:
            pydantic.TypeAdapter(each).validate_python(document)
        except pydantic.ValidationError as error:
            failed.append(error)
            continue
        return document
    raise AssertionError(failed or arguments)


def _of_model(wanted: type[GitHubModel], given: Mapping[str, Any]) -> dict[str, Any]:
    made = {}
    for name, field in wanted.model_fields.items():
        key = field.alias or name
        if key in given and given[key] is None:
            made[key] = None
        elif key in given or field.is_required():
            made[key] = sample(field.annotation, given.get(key))
    assert given.keys() <= made.keys(), (wanted, given.keys() - made.keys())
    return made


def checked(model: str, **given: Any) -> dict[str, Any]:
    """A document of a model of the description, by its name."""
    wanted = getattr(models, model)
    document = sample(wanted, given)
    wanted.model_validate(document)
    return document


def event(kind: str, model: str, **given: Any) -> dict[str, Any]:
    """The payload of a webhook, which GitHub's description of that event takes."""
    document = checked(model, **given)
    WebhookNamespace.parse_obj(kind, document)
    return document
