"""`experiment_summary.md`: front matter that ckgit understands, and a body that belongs to the user.

ckgit changes the values of `state` and `recorded` and the blocks between its markers; every other byte stays as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ckgit.errors import DesignError
from ckgit.experiment.design.model import SCHEMA_VERSION, Recorded, State, Summary
from ckgit.formats.problem import Problem
from ckgit.formats.yaml.document import Document, Span, read_yaml
from ckgit.formats.yaml.text import write_yaml
from ckgit.lab.summary import text as summary_text
from ckgit.lab.summary.problems import document_problems, flow_problems, is_readable, order, problem_in, readable, refuse, summary_of
from ckgit.lab.summary.text import FENCE

if TYPE_CHECKING:
    from ckgit.formats.yaml.edit import ValueChange

FILE = "experiment_summary.md"
NEW_BODY = "\n## Notes\n\n"


@dataclass(frozen=True)
class SummaryFile:
    """A summary and the text it was read from."""

    file: str
    text: str
    summary: Summary
    state_value: Span  # of the state's value in `text`; empty where the key is missing, at the place for it
    recorded_block: Span  # of the key `recorded` and its value, or empty at the place for it
    document: Document = field(compare=False, repr=False)  # as it was parsed
    changes: Sequence[ValueChange] = field(default=(), compare=False)  # what replaced values of the file
    problems: Sequence[Problem] = ()  # of a file that is read in order to say all that is wrong with it: then it is good for nothing else

    @classmethod
    def parse(cls, content: bytes, file: str, *, strict: bool = True) -> SummaryFile:
        """Read a summary. One without a state counts as designed.

        Args:
            content: the whole file.
            file: how problems name it.
            strict: raise what is wrong with values, too; otherwise that becomes its `problems`, and the summary has what can be read.

        Raises:
            DesignError: with every problem, each with its line and column.
        """
        text, found = summary_text.decode(content)
        parts = summary_text.split(text)
        if parts.first_line == 1 and not found:
            found = [Problem(f"the summary must begin with a line {FENCE}, its front matter, and another line {FENCE}", line=1, column=1)]
        refuse(found, file)
        document = read_yaml(parts.front, parts.first_line)
        body_line = parts.first_line + parts.front.count("\n") + 1
        found = document_problems(document)
        around = [*flow_problems(document, parts), *summary_text.block_problems(parts.body, body_line)]
        if strict or around or not is_readable(document):
            refuse([*found, *around], file)
        summary = readable(document.value) if found else summary_of(document.value)
        return cls(file, text, summary, *_spans(document, parts.front), document, problems=sorted(found, key=order))

    @classmethod
    def from_design(
        cls, content: bytes, file: str, *, changes: Sequence[ValueChange] = (), defaults: Sequence[ValueChange] = (), strict: bool = True
    ) -> SummaryFile:
        """A new summary in state designed from a summary, or from the design alone as YAML. Comments are kept.

        Args:
            content: the whole file. What ckgit wrote into it (state, measurements, blocks of the body) is left out.
            file: how problems name it; their places are those in this file.
            changes: values that replace those of the file.
            defaults: values for what neither has.
            strict: see `parse`.

        Raises:
            DesignError: with every problem.
        """
        from ckgit.formats.yaml.edit import PathError, ValueChange, edit_yaml

        text, found = summary_text.decode(content)
        refuse(found, file)
        parts = summary_text.split(text)
        original = read_yaml(parts.front, parts.first_line)
        filled = _lacking(original.value, [ValueChange("schema_version", SCHEMA_VERSION, first=True), *defaults])
        if original.problems or not isinstance(original.value, dict):
            given = {change.path for change in [*filled, *changes]}
            refuse([problem for problem in document_problems(original) if problem.path not in given], file)
        try:
            front = edit_yaml(_without_own(parts.front, original), [*filled, *changes])
        except PathError as error:
            if changes:
                cls.from_design(content, file, defaults=[*defaults, *changes])  # the file's own problems come first
            raise DesignError([Problem(f"--set {error}", line=1, column=1)], file=file) from None
        body = summary_text.without_blocks(parts.body) if parts.body else NEW_BODY
        try:
            made = cls.parse(summary_text.join(f"{front}state: {State.DESIGNED}\n", body).encode(), FILE, strict=strict)
        except DesignError as error:
            placed = [problem_in(original, changes, p.path, p.message) for p in error.problems]
            raise DesignError(sorted(placed, key=order), file=file) from None
        placed = sorted([problem_in(original, changes, p.path, p.message) for p in made.problems], key=order)
        return replace(made, file=file, document=original, changes=changes, problems=placed)

    @classmethod
    def new(cls, design: Mapping[str, Any]) -> SummaryFile:
        """A summary in state designed from a design as plain values (text, numbers, lists, mappings).

        Raises:
            DesignError: the design has problems.
        """
        return cls.from_design(write_yaml(design).encode(), FILE)

    def without_body(self) -> bytes:
        """The front matter alone, on the lines where it is."""
        return summary_text.join(summary_text.split(self.text).front, "").encode()

    def dump(self) -> bytes:
        """The file's bytes; those it was read from where nothing was changed."""
        return self.text.encode()

    def with_state(self, state: State) -> SummaryFile:
        """The same file in another state."""
        span, value = self.state_value, str(state)
        summary = self.summary.model_copy(update={"state": state})
        if span.end > span.start:
            return self._spliced(span, value, summary, state_value=Span(span.start, span.start + len(value)))
        line = f"state: {value}\n"
        end = span.start + len(line)
        return self._spliced(span, line, summary, state_value=Span(end - 1 - len(value), end - 1))

    def with_recorded(self, recorded: Recorded) -> SummaryFile:
        """The same file with what design measured."""
        document = recorded.model_dump(mode="json", exclude_defaults=True)
        text = write_yaml({"recorded": document}) if document else ""
        start = self.recorded_block.start
        summary = self.summary.model_copy(update={"recorded": recorded})
        return self._spliced(self.recorded_block, text, summary, recorded_block=Span(start, start + len(text)))

    def with_block(self, name: str, markdown: str) -> SummaryFile:
        """The same file with a block of the body replaced, or added at its end. Comments in `markdown` become visible text."""
        parts = summary_text.split(self.text)
        return replace(self, text=summary_text.join(parts.front, summary_text.with_block(parts.body, name, markdown)))

    def problem(self, path: str, message: str) -> Problem:
        """A problem at its place in the file that was read, whatever was changed since."""
        return problem_in(self.document, self.changes, path, message)

    def _spliced(
        self, span: Span, new: str, summary: Summary, *, state_value: Span | None = None, recorded_block: Span | None = None
    ) -> SummaryFile:
        """With other text in one of the two spans, whose new place is given; the other one moves when it lies behind."""
        by = len(new) - (span.end - span.start)

        def moved(at: Span) -> Span:
            return Span(at.start + by, at.end + by) if at.start >= span.end else at

        return replace(
            self,
            text=self.text[: span.start] + new + self.text[span.end :],
            summary=summary,
            state_value=state_value or moved(self.state_value),
            recorded_block=recorded_block or moved(self.recorded_block),
        )


def design_text(content: bytes, file: str, changes: Sequence[ValueChange]) -> bytes:
    """The design of a summary, or of a file that is the design alone, for its author to edit: with its comments, without what ckgit writes.

    A text that cannot be read is returned as it is, so that it can be mended.

    Raises:
        DesignError: a change has no place in it.
    """
    from ckgit.formats.yaml.edit import PathError, edit_yaml

    text, found = summary_text.decode(content)
    parts = summary_text.split(text)
    document = read_yaml(parts.front, parts.first_line)
    if found or document.problems or not isinstance(document.value, dict):
        return content
    try:
        return edit_yaml(_without_own(parts.front, document), changes).encode()
    except PathError as error:
        raise DesignError([Problem(f"--set {error}", line=1, column=1)], file=file) from None


def _lacking(value: Any, defaults: Sequence[ValueChange]) -> list[ValueChange]:
    """Defaults for which a mapping has no value, and room."""
    return [default for default in defaults if _is_lacking(value, default.path.split("."))]


def _is_lacking(value: Any, path: Sequence[str]) -> bool:
    if not isinstance(value, Mapping):
        return False
    return path[0] not in value or (len(path) > 1 and _is_lacking(value[path[0]], path[1:]))


def _without_own(front: str, document: Document) -> str:
    """Front matter without what ckgit writes."""
    spans = [_lines(front, document.spans[key]) for key in ("state", "recorded") if key in document.spans]
    for span in sorted(spans, reverse=True):
        front = front[: span.start] + front[span.end :]
    return front


def _lines(front: str, span: Span) -> Span:
    """To the end of the line on which a key's value ends."""
    end = span.end if front[span.end - 1] == "\n" else front.index("\n", span.end) + 1
    return Span(span.start, end)


def _spans(document: Document, front: str) -> tuple[Span, Span]:
    """Places of what ckgit writes, in the whole file: after its first line."""
    shift = len(FENCE) + 1
    end = Span(len(front), len(front))
    state = Span(document.starts["state"], document.spans["state"].end) if "state" in document.spans else end
    recorded = _lines(front, document.spans["recorded"]) if "recorded" in document.spans else end
    return Span(state.start + shift, state.end + shift), Span(recorded.start + shift, recorded.end + shift)
