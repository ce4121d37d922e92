"""Rows as tokens: the one component that renders a row for training and tells evaluation what it must send.

A chat row goes through the model folder's own Jinja template, by transformers, with the date pinned. A base model's
row (`text_completion`) is plain text. Imports transformers only when a `Renderer` is made.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.formats.plain_json import read_json
from ckgit.formats.rows import DataError, Row, listed, messages

IGNORED = -100  # PyTorch's label of a token that is not trained

# Jinja looks a name up in the template before it looks among the globals, and transformers 5 turns a function that is
# passed as a variable into text. So the date is pinned by a macro in front of the template, which stays as it is.
# The newline ends the macro's line: Jinja drops it, and the template still begins at the start of a line.
_PINNED = "{{%- macro strftime_now(format) -%}}{{{{ format{replacements} }}}}{{%- endmacro %}}\n"
_DATE_CODES = "aAbBdDeFjmuUwWyYHIMSpcxX"
DATE_FUNCTION = "strftime_now"


class RenderError(ValueError):
    """A row cannot be rendered, or a model folder cannot render rows; the message says why."""


class Tokens(NamedTuple):
    """A row for training. A label is a token, or `IGNORED` where the token is part of the prefix."""

    tokens: list[int]
    labels: list[int]


def template_digest(template: str) -> str:
    """SHA-256 of a chat template's text, in hexadecimal."""
    return hashlib.sha256(template.encode()).hexdigest()


def pinned_template(template: str, date: datetime.date) -> str:
    """A chat template that sees midnight of `date` whenever it asks for the time; itself when it never asks."""
    if DATE_FUNCTION not in template:
        return template
    moment = datetime.datetime.combine(date, datetime.time())
    values = [(f"%{code}", moment.strftime(f"%{code}")) for code in _DATE_CODES]
    return _PINNED.format(replacements="".join(f".replace({code!r}, {value!r})" for code, value in values)) + template


def load_tokenizer(model_folder: Path) -> Any:
    """The folder's transformers tokenizer. Nothing is fetched and no code of the folder runs.

    Raises:
        RenderError: the folder has no tokenizer that transformers can read.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(model_folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a broken folder makes transformers raise
        raise RenderError(f"{model_folder}: no tokenizer that transformers can read: {error}") from error


class Renderer:
    """Renders rows with one model folder, prompt, system prompt and date.

    Args:
        model_folder: a Hugging Face folder with a tokenizer.
        dataset_type: `chat` (the folder's template) or `text_completion` (plain text).
        prompt: the user's message; `{input}` is the row's input.
        system_prompt: empty for none.
        template_date: the day that the template sees.

    Attributes:
        tokenizer: transformers' tokenizer; its `chat_template` is the pinned one.
        template: the folder's own template; None for text_completion.
        template_sha256: its digest.
        end_of_turn: id of the token that ends an answer and is trained.
        stops: ids of all tokens at which generation with this folder ends.

    Raises:
        RenderError: no readable tokenizer, no template, or no token that ends an answer.
    """

    def __init__(
        self,
        model_folder: Path | str,
        *,
        dataset_type: str,
        prompt: str = "{input}",
        system_prompt: str = "",
        template_date: datetime.date,
    ) -> None:
        self.folder = Path(model_folder)
        self.dataset_type = dataset_type
        self.prompt = prompt
        self.system_prompt = system_prompt
        self.template_date = template_date
        self.tokenizer = load_tokenizer(self.folder)
        self.template = self._template() if dataset_type == "chat" else None
        self.template_sha256 = template_digest(self.template) if self.template else None
        if self.template:
            self.tokenizer.chat_template = pinned_template(self.template, template_date)
        self.stops = end_ids(self.folder, self.tokenizer)
        if not self.stops:
            raise RenderError(f"{self.folder}: neither tokenizer nor configuration names a token that ends an answer (eos_token)")

    @functools.cached_property
    def context_length(self) -> int | None:
        """How many tokens the model takes at most, the answer's too; None where its config.json does not say."""
        found = _configured(self.folder / "config.json").get("max_position_embeddings")
        return found if isinstance(found, int) else None

    @functools.cached_property
    def end_of_turn(self) -> int:
        """Found by rendering a row."""
        return self.tokens(Row("a", "b")).tokens[-1]

    def messages(self, asked: Row | str) -> list[dict[str, str]]:
        """The messages before the answer of a row, or of an input without turns before it.

        Raises:
            RenderError: they cannot be sent: two system messages, or turns without a template for them.
        """
        row = asked if isinstance(asked, Row) else Row(asked, "")
        if row.history and self.dataset_type != "chat":
            raise RenderError("it has turns before its question, which need a chat template (dataset_type: chat)")
        try:
            return messages(row, prompt=self.prompt, system_prompt=self.system_prompt)
        except DataError as error:
            raise RenderError(str(error)) from None

    def prefix_text(self, asked: Row | str) -> str:
        """All text before the answer, as the model is given it (without a BOS that the tokenizer adds). See `messages`."""
        said = self.messages(asked)
        if self.dataset_type == "chat":
            return self._rendered(said, add_generation_prompt=True)
        return "\n".join(one["content"] for one in said)

    def prefix(self, asked: Row | str) -> list[int]:
        """Token ids of everything before the answer. See `messages`."""
        return self._encode_prefix(self.prefix_text(asked))

    def tokens(self, row: Row) -> Tokens:
        """A row's prefix, answer and end of turn. All of the answer is trained, its end-of-turn token too.

        Raises:
            RenderError: the template does not keep the prefix, or the answer holds the text of an end-of-turn token.
        """
        text = self.prefix_text(row)
        prefix = self._encode_prefix(text)
        answer = self._answer(text, prefix, self._full_text(row, text))
        end = next((position for position, token in enumerate(answer) if token in self.stops), None)
        self._check_answer(row)
        answer = [*answer, self._appended_end] if end is None else answer[: end + 1]
        return Tokens([*prefix, *answer], [*[IGNORED] * len(prefix), *answer])

    @property
    def _appended_end(self) -> int:
        eos = self.tokenizer.eos_token_id
        return int(eos) if eos is not None else min(self.stops)

    def _template(self) -> str:
        try:
            return str(self.tokenizer.get_chat_template())
        except ValueError as error:
            raise RenderError(
                f"{self.folder}: there is no chat template; a base model is trained with dataset_type: text_completion"
            ) from error

    def _rendered(self, conversation: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> str:
        try:
            return str(self.tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=add_generation_prompt))
        except Exception as error:  # a template is a program: anything may come out of it
            roles = ", ".join(message["role"] for message in conversation)
            raise RenderError(f"{self.folder}: the chat template refuses these messages ({roles}): {error}") from error

    def _full_text(self, row: Row, prefix_text: str) -> str:
        if self.dataset_type != "chat":
            return prefix_text + row.output
        answered = [*self.messages(row), {"role": "assistant", "content": row.output}]
        full = self._rendered(answered, add_generation_prompt=False)
        if not full.startswith(prefix_text):
            raise RenderError(
                f"{self.folder}: the chat template renders a conversation with an answer differently from its prompt, "
                f"so what is trained is not what evaluation asks for (row {short(row.input)})\n"
                f"  prompt:      {prefix_text!r}\n  with answer: {full!r}"
            )
        return full

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _encode_prefix(self, text: str) -> list[int]:
        if self.dataset_type == "chat":
            return self._encode(text)  # the template writes its own special tokens
        ids = list(self.tokenizer(text)["input_ids"])
        return ids[:-1] if ids and ids[-1] == self.tokenizer.eos_token_id else ids

    def _answer(self, prefix_text: str, prefix: list[int], full_text: str) -> list[int]:
        """Ids after the prefix. The prefix keeps its own ids even where the tokenizer would merge across the border."""
        full = self._encode_prefix(full_text)
        if full[: len(prefix)] == prefix and len(full) > len(prefix):
            return full[len(prefix) :]
        return self._encode(full_text[len(prefix_text) :])

    def _check_answer(self, row: Row) -> None:
        for text in self._stop_texts:
            if text in row.output:
                raise RenderError(f"the answer to {short(row.input)} holds {text!r}, which ends a turn; it would be cut there")

    @functools.cached_property
    def _stop_texts(self) -> tuple[str, ...]:
        return tuple(self.tokenizer.convert_ids_to_tokens(sorted(self.stops)))


def end_ids(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Ids at which generation ends: the tokenizer's and those of generation_config.json and config.json.

    Raises:
        RenderError: one of the two is there and is no JSON object.
    """
    found = {tokenizer.eos_token_id}
    for name in ("generation_config.json", "config.json"):
        value = _configured(folder / name).get("eos_token_id")
        found |= set(value) if isinstance(value, list) else {value}
    return frozenset(token for token in found if isinstance(token, int))


def _configured(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise RenderError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RenderError(f"{path}: expected an object, found {type(value).__name__}")
    return value


def refused_rows(where: str, reasons: Sequence[str]) -> str:
    """What is wrong with rows of a split, each named in its reason, in one message."""
    return f"{where}: {reasons[0]}" if len(reasons) == 1 else f"{where}: {len(reasons):,} rows cannot be used:\n{listed(reasons)}"


def check_room(renderer: Renderer, rows: Iterable[tuple[str, Sequence[int]]], where: str) -> None:
    """Refuse rows that leave a model no room for an answer.

    Args:
        renderer: of the model that is asked.
        rows: each with its place and the tokens of its prefix.
        where: the file and its split.

    Raises:
        RenderError: with every such row, up to a limit.
    """
    most = renderer.context_length
    if most is None:
        return
    why = f"which leaves no room for an answer in the model's context length ({most} tokens)"
    long = [f"{row} has {len(prefix)} tokens before its answer, {why}" for row, prefix in rows if len(prefix) >= most]
    if long:
        raise RenderError(refused_rows(where, long))


def short(text: str, length: int = 60) -> str:
    """Text quoted for a message, cut to `length` characters."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")


def prefixes_digest(prefixes: Iterable[Sequence[int]]) -> str:
    """SHA-256 over the token prefixes of rows, in order, in hexadecimal: how training and evaluation name what was sent."""
    digest = hashlib.sha256()
    for prefix in prefixes:
        digest.update(json.dumps(list(prefix), separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()
