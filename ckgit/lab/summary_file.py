"""`experiment_summary.md`: front matter that ckgit understands, and a body that belongs to the user.

ckgit changes the values of `state` and `recorded` and the blocks between its markers; every other byte stays as it was written.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ckgit.experiment import messages, plan
from ckgit.experiment.design import SCHEMA_VERSION, Recorded, State, Summary
from ckgit.experiment.errors import DesignError, Problem
from ckgit.lab.yaml_document import Document, Span, YamlProblems, read_yaml
from ckgit.lab.yaml_writer import write_yaml

FENCE = "---"
WRITTEN_BY_CKGIT = ("state", "recorded")
_MARKER = re.compile(r"<!-- (/?)ckgit:([a-z0-9-]+) -->")
_CONFLICT = ("<<<<<<< ", "||||||| ", ">>>>>>> ")


@dataclass(frozen=True)
class SummaryFile:
    """A summary and the text it was read from."""

    file: str
    text: str
    summary: Summary
    state_value: Span  # of the state's value in `text`; empty where the key is missing, at the place for it
    recorded_block: Span  # of the key `recorded` and its value

    @classmethod
    def parse(cls, content: bytes, file: str) -> SummaryFile:
        """Read a summary.

        Args:
            content: the whole file.
            file: how problems name it.

        Raises:
            DesignError: with every problem, each with its line and column.
        """
        try:
            text = _decode(content)
            front, body_line = split_front_matter(text)
            document = read_yaml(front, first_line=2)
            problems = [*_body_problems(text, body_line), *document_problems(document)]
        except YamlProblems as error:
            problems = error.problems
        if problems:
            raise DesignError(sorted(problems, key=lambda p: (p.line, p.column)), file=file)
        return cls(file, text, _summary(document.value), *_spans(document, front))

    @classmethod
    def new(cls, design: Mapping[str, Any], body: str | None = None) -> SummaryFile:
        """A summary in state designed from a design as plain values (text, numbers, lists, mappings).

        Raises:
            DesignError: the design has problems.
        """
        front = {key: value for key, value in design.items() if key not in WRITTEN_BY_CKGIT}
        return cls.parse(assemble(write_yaml(front), body).encode(), "experiment_summary.md")

    def dump(self) -> bytes:
        """The file's bytes; those it was read from where nothing was changed."""
        return self.text.encode()

    def with_state(self, state: State) -> SummaryFile:
        """The same file in another state."""
        span = self.state_value
        value = str(state) if span.end > span.start else f"state: {state}\n"
        changed = self._spliced(span, value)
        end = span.start + len(value)
        new_span = Span(span.start, end) if span.end > span.start else Span(end - len(str(state)) - 1, end - 1)
        return replace(changed, summary=self.summary.model_copy(update={"state": state}), state_value=new_span)

    def with_recorded(self, recorded: Recorded) -> SummaryFile:
        """The same file with what design measured."""
        document = recorded.model_dump(mode="json", exclude_defaults=True)
        text = write_yaml({"recorded": document}) if document else ""
        changed = self._spliced(self.recorded_block, text)
        start = self.recorded_block.start
        return replace(
            changed,
            summary=self.summary.model_copy(update={"recorded": recorded}),
            recorded_block=Span(start, start + len(text)),
        )

    def with_block(self, name: str, markdown: str) -> SummaryFile:
        """The same file with a block of the body replaced, or added at its end. Comments in `markdown` become visible text."""
        inner = markdown.replace("<!--", "&lt;!--").strip("\n")
        block = f"<!-- ckgit:{name} -->\n{inner}\n<!-- /ckgit:{name} -->"
        existing = re.compile(rf"^<!-- ckgit:{re.escape(name)} -->$.*?^<!-- /ckgit:{re.escape(name)} -->$", re.MULTILINE | re.DOTALL)
        body_start = self.text.index(f"\n{FENCE}\n", len(FENCE)) + len(FENCE) + 2
        if existing.search(self.text, body_start):
            head, body = self.text[:body_start], self.text[body_start:]
            return replace(self, text=head + existing.sub(lambda _: block, body, count=1))
        gap = "" if self.text.endswith("\n\n") else "\n" if self.text.endswith("\n") else "\n\n"
        return replace(self, text=f"{self.text}{gap}{block}\n")

    def _spliced(self, span: Span, new: str) -> SummaryFile:
        """With other text in a span, and the spans behind it moved."""
        by = len(new) - (span.end - span.start)

        def moved(other: Span) -> Span:
            return Span(other.start + by, other.end + by) if other.start >= span.end and other != span else other

        text = self.text[: span.start] + new + self.text[span.end :]
        return replace(self, text=text, state_value=moved(self.state_value), recorded_block=moved(self.recorded_block))


def assemble(front: str, body: str | None = None) -> str:
    """A whole file from front matter that may lack `state`, and a body; the usual headings where there is none."""
    ending = "" if front.endswith("\n") or not front else "\n"
    return f"{FENCE}\n{front}{ending}state: {State.DESIGNED}\n{FENCE}\n{body if body is not None else DEFAULT_BODY}"


DEFAULT_BODY = """
## Notes

"""


def _decode(content: bytes) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        raise YamlProblems([Problem(1, 1, "the file begins with a byte order mark; save it as UTF-8 without one")])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        raise YamlProblems([Problem(before.count(b"\n") + 1, column, "not UTF-8; save the file as UTF-8")]) from None
    if problems := list(_line_problems(text)):
        raise YamlProblems(problems)
    return text


def _line_problems(text: str) -> list[Problem]:
    lines = text.split("\n")
    problems = []
    ended = next((n for n, line in enumerate(lines, start=1) if "\r" in line), None)
    if ended:
        problems.append(Problem(ended, lines[ended - 1].index("\r") + 1, "a carriage return; save the file with line ends LF, not CRLF"))
    for number, line in enumerate(lines, start=1):
        if line.startswith(_CONFLICT):
            problems.append(Problem(number, 1, "a conflict marker of git; settle the conflict and remove it"))
    return problems


def split_front_matter(text: str) -> tuple[str, int]:
    """The YAML between the two `---` lines, and the line on which the body begins.

    Raises:
        YamlProblems: there are no two such lines.
    """
    lines = text.split("\n")
    if lines[0] != FENCE:
        raise YamlProblems([Problem(1, 1, f"the summary must begin with a line {FENCE}, its front matter, and another line {FENCE}")])
    if FENCE not in lines[1:]:
        raise YamlProblems([Problem(1, 1, f"the front matter that begins here is not closed by a line {FENCE}")])
    end = lines.index(FENCE, 1)
    return "".join(f"{line}\n" for line in lines[1:end]), end + 2


def _body_problems(text: str, first_line: int) -> list[Problem]:
    """Markers of ckgit's blocks that do not pair up."""
    problems = []
    opened: tuple[str, int] | None = None
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n")[first_line - 1 :], start=first_line):
        match = _MARKER.fullmatch(line)
        if not match:
            continue
        closing, name = bool(match[1]), match[2]
        if closing != (opened is not None) or (opened and opened[0] != name):
            problems.append(Problem(number, 1, f"the markers of the block ckgit:{name} do not pair up; remove them, and ckgit adds the block again"))
        elif not closing and name in seen:
            problems.append(Problem(number, 1, f"the block ckgit:{name} is here twice; remove one"))
        opened = None if closing else (name, number)
        seen.add(name)
    if opened:
        problems.append(Problem(opened[1], 1, f"the block ckgit:{opened[0]} is not closed by <!-- /ckgit:{opened[0]} -->"))
    return problems


def document_problems(document: Document) -> list[Problem]:
    """Everything that is wrong with a front matter, each with its place. A missing `state` is none."""
    value = document.value
    if not isinstance(value, dict):
        return [_placed(document, (), f"expected a mapping (key: value); found {messages.shown(value)}")]
    version = value.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        newer = f"format {version} is newer than this ckgit, which knows {SCHEMA_VERSION}: upgrade ckgit"
        return [_placed(document, ("schema_version",), newer)]
    try:
        summary = _summary(value)
    except ValidationError as error:
        return [_placed(document, path, message) for path, message in messages.findings(error, Summary, _with_state(value))]
    return [_placed(document, locate(value, problem.path), problem.message) for problem in plan.problems(summary)]


def _with_state(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"state": str(State.DESIGNED), **value}


def _summary(value: Mapping[str, Any]) -> Summary:
    return Summary.model_validate_json(json.dumps(_with_state(value)))


def locate(document: Any, dotted: str) -> Sequence[str | int]:
    """The keys that a dotted path means; keys may have dots in them. Stops where the document does."""
    path: list[str | int] = []
    while dotted:
        if isinstance(document, Mapping):
            key: str | int | None = max((k for k in document if f"{dotted}.".startswith(f"{k}.")), key=len, default=None)
        else:
            head = dotted.split(".")[0]
            key = int(head) if isinstance(document, list) and head.isdigit() and int(head) < len(document) else None
        if key is None:
            break
        path.append(key)
        document, dotted = document[key], dotted[len(str(key)) + 1 :]
    return path


def _placed(document: Document, path: Sequence[str | int], message: str) -> Problem:
    """A problem at its key, or at the nearest one that exists around it."""
    for length in range(len(path), -1, -1):
        head = tuple(path[:length])
        place = document.keys.get(head) or document.values.get(head)
        if place:
            return Problem(*place, message, ".".join(map(str, path)))
    return Problem(1, 1, message, ".".join(map(str, path)))


def _spans(document: Document, front: str) -> tuple[Span, Span]:
    """Places of what ckgit writes, in the whole file: after its first line."""
    shift = len(FENCE) + 1
    end = Span(len(front), len(front))
    state = Span(document.starts["state"], document.spans["state"].end) if "state" in document.spans else end
    recorded = end
    if "recorded" in document.spans:
        block = document.spans["recorded"]
        line_end = block.end if front[block.end - 1] == "\n" else front.index("\n", block.end) + 1
        recorded = Span(block.start, line_end)
    return Span(state.start + shift, state.end + shift), Span(recorded.start + shift, recorded.end + shift)


def today() -> datetime.date:
    """The day in UTC, so that a design made at one moment has one date everywhere."""
    return datetime.datetime.now(datetime.UTC).date()
