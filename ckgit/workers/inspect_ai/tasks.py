"""Helpers for task files: `from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from`.

A @task function that takes `data` is given the design's rows: `data` (relative to the task file's folder, where inspect
runs it), `split`, `prompt`, `system_prompt`, and, where it has these parameters, `scorers`, `input_column` and
`output_column`. It must ask the model once for each row, with the row's input in the prompt: every message is compared with
training's rendering of its row, and the first that differs ends the evaluation.

A function without `data` brings data of its own, which training never saw, so nothing is compared. Where the design has a
prompt or system prompt it must still take `prompt` or `system_prompt`, to use or to leave: leaving it is its author's choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import inspect_ai.scorer
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem
from inspect_ai.scorer import Scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from ckgit.formats.rows import DataError, no_split, parse_rows, user_text


def rows_dataset(
    data: str, split: str, prompt: str = "{input}", *, input_column: str = "input", output_column: str = "output"
) -> MemoryDataset:
    """The rows of a split as samples, in file order, numbered from 1. `{input}` in the prompt is the row's input.

    Raises:
        DataError: the file cannot be read, or has no such split.
    """
    path = Path(data)
    splits = parse_rows(path.read_bytes(), suffix=path.suffix, input_column=input_column, output_column=output_column)
    if split not in splits:
        raise DataError(no_split(data, split, splits))
    samples = [Sample(id=n, input=user_text(row.input, prompt), target=row.output) for n, row in enumerate(splits[split], start=1)]
    return MemoryDataset(samples, name=path.stem, location=data)


@solver
def ask(system_prompt: str = "") -> Solver:
    """Ask once; without a system message where the text is empty.

    inspect's own `system_message` fills in placeholders and reads the text from a file where one has that name.
    """

    async def solve(state: TaskState, answer: Generate) -> TaskState:
        if system_prompt:
            state.messages.insert(0, ChatMessageSystem(content=system_prompt))
        return await answer(state)

    return solve


def scorers_from(chosen: Sequence[Mapping[str, Any]] | None, default: Scorer) -> Scorer | list[Scorer]:
    """The design's scorers (`name` of inspect_ai.scorer, `args`), or the default where it names none.

    Raises:
        ValueError: inspect_ai.scorer has no scorer of that name.
    """
    return [_scorer(str(one["name"]), one.get("args", {})) for one in chosen] if chosen else default


def _scorer(name: str, args: Mapping[str, Any]) -> Scorer:
    make = getattr(inspect_ai.scorer, name, None)
    if make is None:
        raise ValueError(f"inspect_ai.scorer has no scorer {name!r}")
    return make(**args)
