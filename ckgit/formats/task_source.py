"""What a task file defines, read from its text. Nothing in it is executed."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from typing import NamedTuple


class Signature(NamedTuple):
    """Parameters of a task function."""

    parameters: tuple[str, ...]  # that may be given by keyword
    required: tuple[str, ...]  # those among them without a default
    any_keyword: bool  # whether it takes **anything

    def accepts(self, name: str) -> bool:
        """Whether an argument of that name may be given."""
        return self.any_keyword or name in self.parameters


class OwnSettings(NamedTuple):
    """Names of what a task file may give its tasks."""

    names: frozenset[str]  # arguments given by keyword in any call, and attributes that are set
    all: bool  # whether it may give anything: its tasks are made elsewhere, or from what only a run tells

    def has(self, name: str) -> bool:
        """Whether the file may give it."""
        return self.all or name in self.names


def own_settings(content: bytes) -> OwnSettings:
    """What a task file may give its tasks; anything, where it is not Python."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return OwnSettings(frozenset(), all=True)
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    makes = [call for call in calls if _called(call.func) == "Task"]
    names = [keyword.arg for call in calls for keyword in call.keywords if keyword.arg]
    names += [node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    unpacks = any(keyword.arg is None for call in calls for keyword in call.keywords)
    return OwnSettings(frozenset(names), all=not makes or unpacks)


def called_names(content: bytes) -> frozenset[str]:
    """Names of what a task file calls or decorates with; none, where it is not Python."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    bare = [item for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.decorator_list]
    return frozenset(map(_called, [*called, *bare]))


@functools.cache  # the runs of an experiment have few task files between them
def task_functions(content: bytes) -> Mapping[str, Signature]:
    """Functions decorated with inspect-ai's `@task`, at the top level of the file.

    Raises:
        ValueError: it is not Python; the message says where.
    """
    return _decorated(content, "task")


@functools.cache
def scorer_functions(content: bytes) -> Mapping[str, Signature]:
    """Functions decorated with inspect-ai's `@scorer`, as `task_functions` has those of tasks.

    Raises:
        ValueError: it is not Python; the message says where.
    """
    return _decorated(content, "scorer")


def _decorated(content: bytes, decorator: str) -> Mapping[str, Signature]:
    """Functions with a decorator, at the top level of the file.

    Raises:
        ValueError: it is not Python; the message says where.
    """
    try:
        tree = ast.parse(content)
    except SyntaxError as error:
        raise ValueError(f"not Python: line {error.lineno or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"not Python: {error or type(error).__name__}") from None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name: _signature(node.args) for node in functions if decorator in map(_decorator, node.decorator_list)}


def _decorator(node: ast.expr) -> str:
    return _called(node.func if isinstance(node, ast.Call) else node)


def _called(function: ast.expr) -> str:
    """The last name of what is called; empty where it has none."""
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def _signature(arguments: ast.arguments) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    without_default = positional[: len(positional) - len(arguments.defaults)]
    keyword_only = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    named = [*arguments.args, *arguments.kwonlyargs]
    required = [*without_default, *(argument for argument, default in keyword_only if default is None)]
    return Signature(
        parameters=tuple(argument.arg for argument in named),
        required=tuple(argument.arg for argument in required),
        any_keyword=arguments.kwarg is not None,
    )
