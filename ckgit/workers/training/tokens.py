"""Before a training: evaluation will see the tokens that are trained on. Rows that cannot be rendered, or are too long, are all named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from ckgit.experiment.results import ROW_DIGITS, TokenRecord, rows_digest
from ckgit.formats.rows import Row, messages
from ckgit.workers.data import read_split
from ckgit.workers.rendering import IGNORED, Renderer, RenderError, Tokens, check_room, load_tokenizer, pinned_template, prefixes_digest

MOST_ROWS = 256  # of each split; all rows are rendered by the same code, so more would find nothing else
T = TypeVar("T")


class PromptsDifferError(Exception):
    """Two ways of rendering one row disagree; the message shows both texts."""


class TrainedPrompt(NamedTuple):
    """A row's prefix as training has it, and what it was asked with."""

    row: Row
    prompt: str
    system_prompt: str
    prefix: Sequence[int]


def check_tokens(
    renderer: Renderer, trained: Callable[[], Sequence[tuple[Row, Tokens]]], evaluated: Sequence[Mapping[str, Any]]
) -> dict[str, TokenRecord]:
    """Compare the rows that a trainer is given with what the model folder's own tokenizer gives.

    Args:
        renderer: of the training.
        trained: makes the rows of the training, with their tokens.
        evaluated: the entries of setup_finetune.yaml's `evaluated_rows`.

    Raises:
        PromptsDifferError: at the first row that differs.
        RenderError: rows that cannot be trained on or asked, all of them up to a limit.
        DataError: rows cannot be read.
    """
    refused: list[str] = []
    rows = _unless_refused(trained, refused)
    asked = {entry["task"]: _unless_refused(partial(_asked, entry, renderer), refused) for entry in evaluated}
    if rows is None or refused:
        raise RenderError("\n".join(refused))
    direct = _direct_prefixes(renderer)
    prompted = {"train": list(trained_prompts(rows[:MOST_ROWS], renderer)), **asked}
    return {name: _check(name, found or [], renderer, direct) for name, found in prompted.items()}


def _unless_refused(make: Callable[[], T], refused: list[str]) -> T | None:
    """What `make` makes; where it refuses rows, its words are added to the others', so that all are told at once."""
    try:
        return make()
    except RenderError as error:
        refused.append(str(error))
        return None


def trained_prompts(rows: Sequence[tuple[Row, Tokens]], renderer: Renderer) -> Iterator[TrainedPrompt]:
    """The prefixes of rows, all of whose answers are trained with the ends of their turns.

    Raises:
        PromptsDifferError: one is not.
    """
    for row, item in rows:
        ignored = sum(1 for _ in takewhile(lambda label: label == IGNORED, item.labels))
        if IGNORED in item.labels[ignored:] or item.labels[-1:] != [renderer.end_of_turn]:
            raise PromptsDifferError(f"train row {row.input!r}: its answer or its end-of-turn token is not trained: {item.labels}")
        yield TrainedPrompt(row, renderer.prompt, renderer.system_prompt, item.tokens[:ignored])


def _asked(entry: Mapping[str, Any], training: Renderer) -> list[TrainedPrompt]:
    """Rows of a task, with the task's own prompts where it has them; all are looked at, and the first ones are handed back."""
    renderer = Renderer(
        training.folder,
        dataset_type=training.dataset_type,
        prompt=entry["prompt"],
        system_prompt=entry["system_prompt"],
        template_date=training.template_date,
    )
    split = entry["split"]
    columns = {name: entry[name] for name in ("input_column", "output_column")}
    rows = read_split(entry["path"], split, **columns)[: entry["limit"]]
    prefixes = [renderer.prefix(row) for row in rows]
    numbered = ((f"{split} row {number}", prefix) for number, prefix in enumerate(prefixes))
    check_room(renderer, numbered, f"task {entry['task']}, {entry['path']}")
    pairs = zip(rows[:MOST_ROWS], prefixes, strict=False)
    return [TrainedPrompt(row, entry["prompt"], entry["system_prompt"], prefix) for row, prefix in pairs]


def _check(name: str, rows: Sequence[TrainedPrompt], renderer: Renderer, direct: Callable[[TrainedPrompt], list[int]]) -> TokenRecord:
    for row in rows:
        _compare(name, row, direct(row), renderer)
    by_row = tuple(prefixes_digest([row.prefix])[:ROW_DIGITS] for row in rows)
    return TokenRecord(
        rows=len(rows),
        sha256=prefixes_digest(row.prefix for row in rows),
        template_sha256=renderer.template_sha256,
        template_date=renderer.template_date.isoformat() if renderer.template_sha256 else None,
        end_of_turn=renderer.end_of_turn,
        by_row_sha256=rows_digest(by_row),
        by_row=by_row,
    )


def _compare(name: str, row: TrainedPrompt, expected: Sequence[int], renderer: Renderer) -> None:
    if list(row.prefix) != list(expected):
        decode = renderer.tokenizer.decode
        raise PromptsDifferError(
            f"{name}: the tokens of row {row.row.input!r} differ\n"
            f"  training:     {decode(row.prefix)!r}\n  model folder: {decode(expected)!r}\n"
            f"  training:     {list(row.prefix)}\n  model folder: {list(expected)}"
        )


def _direct_prefixes(renderer: Renderer) -> Callable[[TrainedPrompt], list[int]]:
    """Token prefixes by a tokenizer that ckgit's renderer has not touched, in transformers' own one step."""
    direct = load_tokenizer(Path(renderer.folder))
    if renderer.dataset_type != "chat":
        return lambda row: _plain(direct, row)
    template = pinned_template(str(direct.get_chat_template()), renderer.template_date)

    def chat(row: TrainedPrompt) -> list[int]:
        conversation = messages(row.row, prompt=row.prompt, system_prompt=row.system_prompt)
        encoded = direct.apply_chat_template(conversation, chat_template=template, tokenize=True, add_generation_prompt=True)
        return list(encoded["input_ids"])

    return chat


def _plain(direct: Any, row: TrainedPrompt) -> list[int]:
    said = messages(row.row, prompt=row.prompt, system_prompt=row.system_prompt)
    ids = list(direct("\n".join(one["content"] for one in said))["input_ids"])
    return ids[:-1] if ids and ids[-1] == direct.eos_token_id else ids


def record(artifacts: Path, checks: Mapping[str, TokenRecord]) -> None:
    """Write `tokens.json`, and say so."""
    document = {name: check.model_dump(mode="json") for name, check in checks.items()}
    (artifacts / "tokens.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    for name, check in checks.items():
        click.echo(f"ckgit: {check.rows} rows of {name}: training and evaluation see the same tokens ({check.sha256[:12]})")
