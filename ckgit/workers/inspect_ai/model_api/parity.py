"""Whether evaluation sends the very tokens that training has, or would have, in front of a row's answer."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.experiment.results import TokenRecord, rows_digest
from ckgit.formats.plain_json import read_json
from ckgit.formats.rows import Row, user_text
from ckgit.workers.data import read_split
from ckgit.workers.inspect_ai.codes import MARK
from ckgit.workers.rendering import Renderer, check_room, prefixes_digest, short

METADATA_KEY = "ckgit"  # in the metadata of a sample's output


class TokensDifferError(RuntimeError):
    """Training and evaluation disagree on the tokens of a row; the message shows both texts."""


Said = tuple[tuple[str, str], ...]  # role and text of messages, in order


class _Known(NamedTuple):
    """A conversation of the split: the rows it belongs to (taken in turn), and their prefix."""

    rows: Iterator[int]
    row: Row
    prefix: list[int]


class Parity:
    """Training's rendering of the rows of one split, to compare messages with.

    Args:
        rows: `data`, `input_column`, `output_column`, `split`, `limit`, `prompt`, `system_prompt`; `trained_from`, the model
            folder whose tokenizer and template training uses; and of a run that was trained `training_saw`, what its
            training job recorded, for `task`.
        dataset_type: `chat` or `text_completion`.
        template_date: the day that the chat template sees.

    Raises:
        RenderError: the folder cannot render rows, or rows leave its model no room for an answer.
        DataError: the data file cannot be read, or has no such split.
        TokensDifferError: the training job recorded other tokens for these rows, or none.
    """

    def __init__(self, rows: Mapping[str, Any], *, dataset_type: str, template_date: datetime.date) -> None:
        self.prompt = str(rows["prompt"])
        self.renderer = Renderer(
            Path(rows["trained_from"]),
            dataset_type=dataset_type,
            prompt=self.prompt,
            system_prompt=str(rows["system_prompt"]),
            template_date=template_date,
        )
        self.where = f"{rows['data']}, split {rows['split']}"
        split = read_rows(rows)
        prefixes = [self.renderer.prefix(row) for row in split]
        numbered = ((f"{rows['split']} row {number}", prefix) for number, prefix in enumerate(prefixes))
        check_room(self.renderer, numbered, str(rows["data"]))
        self.check = {
            "rows": len(split),
            "sha256": prefixes_digest(prefixes),
            "template_sha256": self.renderer.template_sha256,
            "template_date": template_date.isoformat() if self.renderer.template_sha256 else None,
            "end_of_turn": self.renderer.end_of_turn,
            "by_row_sha256": self._by_row_sha256(prefixes),
        }
        if rows.get("training_saw"):
            self._compare_with_training(Path(rows["training_saw"]), str(rows["task"]), prefixes)
        self._known = self._index(split, prefixes)

    def _compare_with_training(self, path: Path, task: str, prefixes: Sequence[list[int]]) -> None:
        recorded = read_json(path.read_bytes()).get(task)
        if recorded is None:
            raise TokensDifferError(f"{MARK}: training recorded nothing of the rows of task {task} in {path}")
        seen = TokenRecord.model_validate_json(json.dumps(recorded))
        here = TokenRecord.model_validate_json(json.dumps(self.check))
        # training looks at the first rows only of a long split; an older one did not write down each
        first = prefixes[: seen.rows]
        by_row = {"by_row": seen.by_row, "by_row_sha256": self._by_row_sha256(first) if seen.by_row_sha256 else None}
        now = here.model_copy(update={"rows": seen.rows, "sha256": prefixes_digest(first), **by_row})
        if now != seen:
            raise TokensDifferError(f"{MARK} from those that training recorded in {path}\n  training:   {seen!r}\n  evaluation: {now!r}")

    def _by_row_sha256(self, prefixes: Sequence[list[int]]) -> str:
        return rows_digest(prefixes_digest([prefix]) for prefix in prefixes)

    def _index(self, split: Sequence[Row], prefixes: Sequence[list[int]]) -> dict[tuple[str, Said], _Known]:
        places: dict[tuple[str, Said], list[int]] = {}
        for place, row in enumerate(split):
            before = tuple((turn.role, turn.content) for turn in row.history)
            before = (("system", row.system), *before) if row.system else before
            places.setdefault((user_text(row.input, self.prompt), before), []).append(place)
        return {said: _Known(itertools.cycle(at), split[at[0]], prefixes[at[0]]) for said, at in places.items()}

    def _find(self, message: str, before: Said) -> _Known | None:
        """The row that is asked: by all that is said, with the design's system message or without, or else by the message alone."""
        turns = tuple(one for one in before if one[0] != "system")
        alike = (known for (text, _), known in self._known.items() if text == message)
        return self._known.get((message, before)) or self._known.get((message, turns)) or next(alike, None)

    def record(self, message: str, text: str, ids: Sequence[int], before: Said = ()) -> dict[str, Any]:
        """What goes into a sample's log when its tokens are those of training.

        Args:
            message: the user's message.
            before: the messages before it.
            text: all text that would be sent.
            ids: its tokens.

        Raises:
            TokensDifferError: they are not, or no row of the split has this message.
        """
        known = self._find(message, before)
        if known is None:
            raise self._no_row(message, text)
        if list(ids) != known.prefix:
            raise TokensDifferError(
                f"{MARK} for input {short(known.row.input)} ({self.where})\n"
                + _side_by_side(self.renderer.prefix_text(known.row), text, known.prefix, ids)
            )
        return {"row": next(known.rows), "prefix_sha256": prefixes_digest([ids]), "check": self.check}

    def check_stops(self, stops: frozenset[int]) -> None:
        """Compare the tokens at which generation ends.

        Raises:
            TokensDifferError: training's folder names others.
        """
        if stops != self.renderer.stops:
            raise TokensDifferError(
                f"{MARK}: an answer ends with {sorted(self.renderer.stops)} in training and with {sorted(stops)} in evaluation"
            )

    def _no_row(self, message: str, text: str) -> TokensDifferError:
        from difflib import get_close_matches

        texts = {said: known for (said, _), known in self._known.items()}
        nearest = get_close_matches(message, list(texts), n=1, cutoff=0.0) or list(texts)[:1]
        row = texts[nearest[0]].row
        return TokensDifferError(
            f"{MARK}: no row has the message {short(message)} with prompt {short(self.prompt)} ({self.where}); "
            f"the nearest row is {short(row.input)}\n"
            + _side_by_side(self.renderer.prefix_text(row), text, texts[nearest[0]].prefix, ())
        )


def read_rows(rows: Mapping[str, Any]) -> list[Row]:
    """The rows that a cell asks.

    Args:
        rows: as `Parity` has it.

    Raises:
        DataError: the data file cannot be read, or has no such split.
    """
    columns = {name: rows[name] for name in ("input_column", "output_column")}
    return read_split(rows["data"], rows["split"], **columns)[: rows.get("limit")]


def _side_by_side(training: str, evaluation: str, trained: Sequence[int], sent: Sequence[int]) -> str:
    lines = [f"  training:   {training!r}", f"  evaluation: {evaluation!r}"]
    if sent:
        place = next((n for n, (a, b) in enumerate(zip(trained, sent, strict=False)) if a != b), min(len(trained), len(sent)))
        window = slice(max(0, place - 3), place + 5)
        lines += [
            f"  first different token: number {place} (counted from 0)",
            f"  training's tokens:   {len(trained)}, around it {list(trained[window])}",
            f"  evaluation's tokens: {len(sent)}, around it {list(sent[window])}",
        ]
    return "\n".join(lines)
