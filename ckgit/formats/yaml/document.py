"""Strict YAML with the place of every key and value.

The subset of YAML in which a design is written: mappings, lists, text, numbers, true, false and null. Tags, anchors,
aliases, merge keys, duplicate keys and ambiguous values are problems. Nothing in a document can name a type or a program.
"""

from __future__ import annotations

import functools
import pickle
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from ckgit.formats.problem import Problem
from ckgit.formats.yaml.scalars import AmbiguousError, plain
from ckgit.formats.yaml.syntax import fault

MAX_DEPTH = 24
MAX_CHARACTERS = 1_000_000
# Line breaks to YAML 1.1, and none to 1.2; and the byte order mark.
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
_EMPTY = '""'  # how a key without a character is written
Path = tuple[str | int, ...]


class Span(NamedTuple):
    """Part of the text: offsets of its first character and of the one after its last."""

    start: int
    end: int


class Document(NamedTuple):
    """A parsed text. Lines and columns count from 1."""

    value: Any  # None in place of what could not be read
    problems: list[Problem]
    complete: bool  # whether the text was read to its end
    keys: dict[Path, tuple[int, int]]  # line and column of each key
    values: dict[Path, tuple[int, int]]  # line and column of each value
    spans: dict[str, Span]  # each top-level key: from its first character to the end of its value
    starts: dict[str, int]  # each top-level key: where its value begins


def read_yaml(text: str, first_line: int = 1) -> Document:
    """Parse a text whose first line is line `first_line` of its file."""
    document: Document = pickle.loads(_read(text, first_line))  # noqa: S301 - our own bytes, of this process: a copy that is the caller's
    return document


@functools.lru_cache(maxsize=32)
def _read(text: str, first_line: int) -> bytes:
    """A parsed text, pickled. Each look at an experiment reads the same front matter and cards, and to parse one takes milliseconds."""
    return pickle.dumps(_Reader(text, first_line).read())


class _Stop(Exception):  # noqa: N818 - ends the reading of one text
    """Reading cannot go on."""


class _Reader:
    """One pass over the parser's events."""

    def __init__(self, text: str, first_line: int) -> None:
        self.text = text
        self.offset = first_line
        self.problems: list[Problem] = []
        self.keys: dict[Path, tuple[int, int]] = {}
        self.values: dict[Path, tuple[int, int]] = {}
        self.spans: dict[str, Span] = {}
        self.starts: dict[str, int] = {}
        self.end = 0  # end of the last value that was read
        self.quote: int | None = None  # where the last quoted value began

    def read(self) -> Document:
        value: Any = None
        complete = False
        try:
            self._check_characters()
            value = self._document(YAML(typ="safe", pure=True).parse(self.text))
            complete = True
        except _Stop:
            pass
        except MarkedYAMLError as error:
            self._syntax(error)
        except ReaderError as error:
            self._not_allowed(error.position, chr(error.character))
        except (YAMLError, ValueError, OverflowError) as error:
            self.problems.append(Problem(f"not YAML: {error}", line=self.offset, column=1))
        return Document(value, self.problems, complete, self.keys, self.values, self.spans, self.starts)

    def _check_characters(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            self._add(0, f"a design has at most {MAX_CHARACTERS:,} characters; this one has {len(self.text):,}")
            raise _Stop
        if other := _OTHER_BREAKS.search(self.text):
            self._not_allowed(other.start(), other[0])
            raise _Stop

    def _not_allowed(self, index: int, character: str) -> None:
        self._add(index, f"the character {character!r} is not allowed; remove it, or write it as an escape in double quotes")

    def _document(self, events: Iterator[Event]) -> Any:
        value: Any = None
        for count, start in enumerate(event for event in events if isinstance(event, DocumentStartEvent)):
            if count:
                self._add(start.start_mark.index, "a second document begins here; a design is one document")
                raise _Stop
            if start.version or start.tags:
                self._add(start.start_mark.index, "directives (lines that begin with %) are not supported")
            value = self._node(next(events), events, ())
        return value

    def _syntax(self, error: MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        index = mark.index if mark else 0
        line_start = self.text.rfind("\n", 0, index) + 1
        line = self.text[line_start:].split("\n", 1)[0]
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            self._add(line_start + indent.index("\t"), "a tab in the indentation; YAML is indented with spaces")
        else:
            found = fault(error, self.text, self.quote)
            self._add(found.offset, f"not YAML: {found.message}")

    def _place(self, index: int) -> tuple[int, int]:
        start = self.text.rfind("\n", 0, index) + 1
        return self.offset + self.text.count("\n", 0, start), index - start + 1

    def _add(self, index: int, message: str, path: Path = ()) -> None:
        line, column = self._place(index)
        self.problems.append(Problem(message, ".".join(map(str, path)), line, column))

    def _node(self, event: Event, events: Iterator[Event], path: Path, start: int | None = None) -> Any:
        start = event.start_mark.index if start is None else start
        self.values[path] = self._place(start)
        if len(path) > MAX_DEPTH:
            self._add(start, f"nested more than {MAX_DEPTH} deep", path)
            raise _Stop
        if isinstance(event, AliasEvent):
            self._add(start, f"the alias *{event.anchor} is not supported; write the value out", path)
            self.end = event.end_mark.index
            return None
        if event.anchor:
            self._add(start, f"the anchor &{event.anchor} is not supported; write values out where they are used", path)
        if event.tag:
            self._add(start, f"the tag {event.tag} is not supported; remove it", path)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path)
        return self._scalar(cast("ScalarEvent", event), path, start)

    def _scalar(self, event: ScalarEvent, path: Path, start: int) -> Any:
        self.end = event.end_mark.index
        if event.style in ("'", '"'):
            self.quote = event.start_mark.index
        if event.style or event.tag:
            return event.value
        try:
            return plain(event.value)
        except AmbiguousError as error:
            self._add(start, str(error), path)
            return None

    def _sequence(self, events: Iterator[Event], path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            start = self.text.rfind("-", 0, event.start_mark.index) if _is_empty(event) else None
            items.append(self._node(event, events, (*path, len(items)), start))
        self._close(event)
        return items

    def _mapping(self, events: Iterator[Event], path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._key(event, events, path)
            start = event.start_mark.index
            value_event = next(events)
            value = self._node(value_event, events, (*path, key or ""), start if _is_empty(value_event) else None)
            if key is None:
                continue
            if not path:
                self.spans[key] = Span(start, self.end)
                self.starts[key] = value_event.start_mark.index
            result.setdefault(key, value)
        self._close(event)
        return result

    def _key(self, event: Event, events: Iterator[Event], path: Path) -> str | None:
        """None where it is no text, which is told; whoever looks at the document's keys would tell of it again, without its name."""
        start = event.start_mark.index
        if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
            self._add(start, "merge keys (<<) are not supported; write the keys out", path)
            return "<<"
        if not path and "?" in re.sub(r"#.*", "", self.text[self.end : start]):  # below, the writer itself needs it for long keys
            self._add(start, "write the key without the question mark before it", path)
        before = len(self.problems)
        key = self._node(event, events, (*path, ""))
        if not isinstance(key, str):
            if len(self.problems) == before:
                self._add(start, f'a key must be text; quote it as "{getattr(event, "value", "...")}"', path)
            return None
        place = (*path, key)
        if place in self.keys:
            first = self.keys[place][0]
            self._add(start, f"the key {key or _EMPTY} is here twice (first on line {first})", place)
        else:
            self.keys[place] = self._place(start)
        return key

    def _close(self, event: Event) -> None:
        if event.end_mark.index > event.start_mark.index:  # the bracket of a flow collection
            self.end = event.end_mark.index


def _is_empty(event: Event) -> bool:
    """Whether nothing is written: the parser then reports the place of what follows."""
    return isinstance(event, ScalarEvent) and not event.value and not event.style
