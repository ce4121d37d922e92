"""Rows that are longer than a model or a design allows, as far as can be told before a job looks at all of them. Pure.

A row is counted by its own texts: template and special tokens come on top, so that what is too long here is too long there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckgit.experiment.card import ModelCard
from ckgit.experiment.checks.data_profile import DataProfile
from ckgit.experiment.checks.remarks import Remark
from ckgit.experiment.checks.row_uses import RowUse
from ckgit.experiment.design.model import Summary, TaskSpec
from ckgit.experiment.design.plan import generation
from ckgit.experiment.estimates.estimate import CHARACTERS_A_TOKEN, TEMPLATE_TOKENS
from ckgit.formats.rows import MOST_NAMED, PLACEHOLDER, Row, listed

LOOKED_AT = 200  # of the longest rows of each use
MOST_CHARACTERS = 2_000_000  # that are counted for one design
FAR = 32  # of a longer text only so many characters for each allowed token are counted
BYTE_VOCABULARY = range(257, 273)  # a vocabulary of single bytes and a few special tokens, with no room for longer pieces
_WARNED = 3  # rows that a warning names
SLACK = 4  # tokens that a row's texts may lose where they are joined


class Counter:
    """How tokens are counted for one model."""

    def __init__(self, count: Callable[[str], int], *, is_certain: bool = True) -> None:
        self._count = count
        self._known: dict[str, int] = {}
        self.is_certain = is_certain  # otherwise a count is a guess
        self.left = MOST_CHARACTERS

    def __call__(self, text: str, limit: int) -> int:
        """Tokens of a text; of a very long one at least so many."""
        part = text.strip()[: FAR * limit + 1]
        if part not in self._known:
            self.left -= len(part)
            self._known[part] = self._count(part)
        return self._known[part]


def without_tokenizer(card: ModelCard) -> Counter:
    """A counter for a model whose tokenizer is not here: certain where its vocabulary has single bytes only, otherwise a guess."""
    if card.architecture.vocab_size in BYTE_VOCABULARY:
        return Counter(lambda text: len(text.encode()))
    return Counter(lambda text: int(len(text) / CHARACTERS_A_TOKEN), is_certain=False)


class _Long(NamedTuple):
    """A row that may be too long."""

    position: int
    tokens: int


def length_remarks(
    summary: Summary,
    surveys: Mapping[str, DataProfile],
    uses: Mapping[RowUse, Sequence[str]],
    cards: Mapping[str, ModelCard],
    counters: Mapping[str, Counter],
) -> Iterator[Remark]:
    """Rows that do not fit: certain ones are wrong, others worth a look.

    Args:
        summary: the design.
        surveys: of each data set that could be read.
        uses: of rows; see `uses`.
        cards: model cards.
        counters: of each model.
    """
    tasks = {task.name: task for task in summary.evaluation.tasks}
    longest: dict[tuple[str, str, int | None], list[int]] = {}
    for use in uses:
        card = cards.get(use.model)
        if card is None or use.data not in surveys or use.split not in surveys[use.data].rows:
            continue
        survey, counter = surveys[use.data], counters[use.model]
        key = (use.data, use.split, use.limit)
        if key not in longest:
            longest[key] = _longest(survey.rows[use.split][: use.limit])
        if use.task is None:
            yield from _trained(use, survey, longest[key], card, counter)
        else:
            yield from _asked(summary, use, tasks[use.task], survey, longest[key], card, counter)


def _longest(rows: Sequence[Row]) -> list[int]:
    return heapq.nlargest(LOOKED_AT, range(len(rows)), key=lambda position: sum(map(len, _said(rows[position]))))


def _said(row: Row) -> list[str]:
    """All texts of a row, its input and its longest answer first."""
    return [row.input, max(row.output, row.rejected or "", key=len), row.system or "", *(turn.content for turn in row.history)]


def _own(use: RowUse, counter: Counter, limit: int) -> int:
    """Tokens of the prompts around a row's input."""
    around = use.prompt.split(PLACEHOLDER)
    return sum(counter(text, limit) for text in (*around, use.system_prompt) if text.strip())


def _counts(use: RowUse, rows: Sequence[Row], longest: Sequence[int], counter: Counter, limit: int) -> Iterator[tuple[_Long, int]]:
    """The longest rows that may pass a limit: tokens of what is asked, and those of the answer."""
    around = _own(use, counter, limit)
    times = use.prompt.count(PLACEHOLDER)
    for position in longest:
        row = rows[position]
        if counter.left <= 0:
            return
        _, answer, *before = _said(row)
        most = times * len(row.input.encode()) + len(answer.encode()) + sum(len(text.encode()) for text in before)
        if around + TEMPLATE_TOKENS + most > limit:  # a token has a byte or more
            asked = around + times * counter(row.input, limit) + sum(counter(text, limit) for text in before if text.strip())
            yield _Long(position, asked), counter(answer, limit)


def _trained(use: RowUse, survey: DataProfile, longest: Sequence[int], card: ModelCard, counter: Counter) -> Iterator[Remark]:
    longest_possible = card.architecture.max_position_embeddings
    limit = min(use.max_seq_len or longest_possible, use.packing_length or longest_possible, longest_possible)
    named = {use.packing_length: f"packing_length {limit}", use.max_seq_len: f"max_seq_len {limit}"}
    name = named.get(limit, _context_length(card))
    counted = _counts(use, survey.rows[use.split], longest, counter, limit)
    rows = [_Long(asked.position, asked.tokens + answer + 1) for asked, answer in counted]
    what = "a longer row cannot be trained on: shorten it, or leave it out"
    yield from _beyond(use, survey, rows, limit, counter, f"more than {name}; {what}")


def _asked(
    summary: Summary, use: RowUse, task: TaskSpec, survey: DataProfile, longest: Sequence[int], card: ModelCard, counter: Counter
) -> Iterator[Remark]:
    limit = card.architecture.max_position_embeddings
    most = generation(summary, task).max_tokens or 0
    asked = [row for row, _ in _counts(use, survey.rows[use.split], longest, counter, max(0, limit - most))]
    name = _context_length(card)
    full = list(_beyond(use, survey, asked, limit - 1, counter, f"no room is left for an answer in {name}"))
    yield from full
    if not full and (tight := [row for row in asked if row.tokens + _template(use) + most > limit]):
        where = survey.where(use.split, max(tight, key=lambda row: row.tokens).position)
        said = f"task {use.task}: {where} and an answer of max_tokens {most} are together longer than {name}"
        yield Remark(summary.evaluation.place(str(use.task)), said)
    yield from _cut(summary, use, survey, counter, most)


def _cut(summary: Summary, use: RowUse, survey: DataProfile, counter: Counter, most: int) -> Iterator[Remark]:
    """The longest output that no answer can equal, as answers end before."""
    rows = survey.rows[use.split][: use.limit]
    longest = heapq.nlargest(LOOKED_AT, range(len(rows)), key=lambda position: len(rows[position].output))
    likely = [position for position in longest if len(rows[position].output.encode()) > most + SLACK and counter.left > 0]
    counted = [_Long(position, counter(rows[position].output, most)) for position in likely if counter.is_certain]
    row = max(counted, key=lambda row: row.tokens, default=None)
    if row and row.tokens - SLACK > most:
        where = survey.where(use.split, row.position)
        sentence = f"the output of {where} has at least {row.tokens:,} tokens, and an answer ends after max_tokens {most}"
        yield Remark(summary.evaluation.place(str(use.task)), f"task {use.task}: {sentence}")


def _context_length(card: ModelCard) -> str:
    return f"the context length of model {card.name} ({card.architecture.max_position_embeddings} tokens)"




def _beyond(use: RowUse, survey: DataProfile, rows: Sequence[_Long], limit: int, counter: Counter, why: str) -> Iterator[Remark]:
    """Rows over a limit: certainly, or with what the template adds."""
    template = _template(use)
    certain = [row for row in rows if counter.is_certain and row.tokens - SLACK > limit]
    likely = [row._replace(tokens=row.tokens + template) for row in rows if row.tokens + template > limit]
    if found := certain or likely:
        words, one, more = ("at least", "is", "are") if certain else ("about", "may be", "may be")
        # rows that must be mended are all named, as far as a message goes; of those to look at, the longest few say enough
        ordered = sorted(found) if certain else sorted(found, key=lambda row: -row.tokens)
        named = [f"{survey.where(use.split, row.position)} ({words} {row.tokens:,} tokens)" for row in ordered]
        task = f"task {use.task}: " if use.task else ""
        counted = f"{len(named)} rows" + (" or more" if len(named) == LOOKED_AT else "")
        several = listed(named, MOST_NAMED if certain else _WARNED)
        text = f"{named[0]} {one} too long: {why}" if len(named) == 1 else f"{counted} {more} too long: {why}:\n{several}"
        yield Remark(f"data.{use.data}", f"{task}{text}", wrong=bool(certain))


def _template(use: RowUse) -> int:
    """Tokens that a chat template may add."""
    return TEMPLATE_TOKENS if use.dataset_type == "chat" else 0
