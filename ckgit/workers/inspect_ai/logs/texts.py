"""What rows asked and what the model wrote, for whoever reads a report: cut, and of the first rows alone, however many a log has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ckgit.experiment.claims.rows import without_prompt
from ckgit.experiment.results import RowText
from ckgit.formats.secret_patterns import masked

ROWS = 200  # of which the texts are kept: a report shows a few of them
LONGEST = 500  # characters of a text
_LOOKED_AT = 4 * LONGEST  # characters in which secrets are masked: one must not be cut before it is known


def texts_of(samples: Sequence[Any]) -> Iterator[RowText]:
    """The texts of the first rows of a log, each as it was answered first."""
    for sample in islice((each for each in samples if each.epoch == 1), ROWS):
        yield RowText(id=sample.id, input=_cut(_asked(sample.input)), output=_cut(sample.output.completion))


class Shortening:
    """Takes the texts that no report shows out of samples as they are read: a log may be larger than memory, and they are most of it."""

    def __init__(self) -> None:
        self._first = 0  # samples whose texts are kept

    def shortened(self, sample: Any) -> Any:
        """A sample, changed in place: of the first rows with the beginning of what was asked and answered, of the others without."""
        shown = sample.epoch == 1 and self._first < ROWS
        self._first += shown
        length = _LOOKED_AT if shown else 0
        sample.input = _asked(sample.input)[:length]
        said, known = sample.output.completion[:length], sample.output.metadata
        sample.output = sample.output.model_copy(update={"choices": [], "completion": said, "metadata": known and _own(known)})
        for score in (sample.scores or {}).values():
            score.explanation = None
        return sample


def question_of(sample: Mapping[str, Any], prompt: str) -> str:
    """What a row asks, of a sample as its file has it: without the system message, and without the prompt around the row's input."""
    asked = sample.get("input") or ""
    turns = [asked] if isinstance(asked, str) else [_said(message) for message in asked if message.get("role") != "system"]
    own = [*turns[:-1], *(without_prompt(turn, prompt) for turn in turns[-1:])]
    return "\n".join([*own, *sorted(sample.get("choices") or ())])  # in whatever order they were offered


def _said(message: Mapping[str, Any]) -> str:
    """A message's text, and whatever else is in it as it is."""
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"text": content}]
    return "\n".join(part["text"] if isinstance(part.get("text"), str) else json.dumps(part, sort_keys=True) for part in parts)


def _own(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name == "ckgit"}


def _asked(asked: Any) -> str:
    """A text, or the messages of a conversation, one a line."""
    return asked if isinstance(asked, str) else "\n".join(f"{message.role}: {message.text}" for message in asked)


def _cut(text: str) -> str:
    """The beginning of a text without what looks like a secret. A log is committed packed, and is looked through when it is."""
    whole = masked(text[:_LOOKED_AT].encode(errors="replace").decode(), {})
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}…"
