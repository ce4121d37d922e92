"""Helpers for task files: `from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from`.

A @task function that takes `data` is given the design's rows: `data` (relative to the task file's folder, where inspect
runs it), `split`, `prompt`, `system_prompt`, and, where it has these parameters, `scorers`, `input_column` and
`output_column`. It must ask the model once for each row, with the row's input in the prompt: every message is compared with
training's rendering of its row, and the first that differs ends the evaluation.

A function without `data` brings data of its own, which training never saw, so nothing is compared. It is any task of inspect: it is
given `prompt` and `system_prompt` where it takes them, and the report says that its tokens were not checked.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import inspect_ai.scorer
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from ckgit.formats.rows import Row, user_text
from ckgit.workers.data import read_with_metadata


def rows_dataset(
    data: str, split: str, prompt: str = "{input}", *, input_column: str = "input", output_column: str = "output"
) -> MemoryDataset:
    """The rows of a split as samples, in file order, numbered from 1. `{input}` in the prompt is the row's input.

    A row's other columns are the sample's metadata, by which reports show groups of rows. A row with turns before its question, or
    with a system message of its own, is asked as chat messages.

    Raises:
        DataError: the file cannot be read, or has no such split.
    """
    rows = enumerate(read_with_metadata(data, split, input_column=input_column, output_column=output_column), start=1)
    samples = [Sample(id=number, input=_asked(row, prompt), target=row.output, metadata=dict(columns)) for number, (row, columns) in rows]
    return MemoryDataset(samples, name=Path(data).stem, location=data)


def _asked(row: Row, prompt: str) -> str | list[ChatMessage]:
    text = user_text(row.input, prompt)
    if not row.history and not row.system:
        return text
    kinds = {"user": ChatMessageUser, "assistant": ChatMessageAssistant}
    system: list[ChatMessage] = [ChatMessageSystem(content=row.system)] if row.system else []
    return [*system, *(kinds[turn.role](content=turn.content) for turn in row.history), ChatMessageUser(content=text)]


@solver
def ask(system_prompt: str = "") -> Solver:
    """Ask once; without a system message where the text is empty, or where the row has one.

    inspect's own `system_message` fills in placeholders and reads the text from a file where one has that name.
    """

    async def solve(state: TaskState, answer: Generate) -> TaskState:
        if system_prompt and not any(message.role == "system" for message in state.messages):
            state.messages.insert(0, ChatMessageSystem(content=system_prompt))
        return await answer(state)

    return solve


def scorers_from(chosen: Sequence[Mapping[str, Any]] | None, default: Scorer | list[Scorer]) -> Scorer | list[Scorer]:
    """The design's scorers (`name`, `args`), or the default where it names none.

    A name is one of inspect_ai.scorer, or `PATH.py@FUNCTION`; the path is from the folder of the task's file, where inspect runs it.

    Raises:
        ValueError: there is no scorer of that name.
    """
    return [_scorer(str(one["name"]), one.get("args", {})) for one in chosen] if chosen else default


def _scorer(name: str, args: Mapping[str, Any]) -> Scorer:
    file, at, function = name.rpartition("@")
    make = getattr(module_of(Path(file).resolve()) if at else inspect_ai.scorer, function, None)
    if make is None:
        raise ValueError(f"{file or 'inspect_ai.scorer'} has no scorer {function!r}")
    found: Scorer = make(**args)
    return found


@functools.cache
def module_of(file: Path) -> ModuleType:
    """The module of a file, which may import those beside it."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ValueError(f"there is no file {file}")
    module = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec.loader.exec_module(module)
    return module
