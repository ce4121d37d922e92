"""What is wrong with a text that is not YAML, in the words of its writer, and where it begins."""

from __future__ import annotations

import re
from typing import NamedTuple

from ruamel.yaml.error import MarkedYAMLError


class SyntaxFault(NamedTuple):
    """A message, and the offset of the character that it is about."""

    offset: int
    message: str


# What the parser says, and what that means to somebody who wrote it. {0} is the pattern's group.
_MEANING = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"found '?<(?:block mapping start|block sequence start|block entry|key)>", "this line is indented otherwise than those before it"),
        (r"found '?<scalar>", "this text belongs to nothing before it: mind its indentation, and quotes inside of quotes"),
        (r"mapping values are not allowed", "no ': ' may stand here: quote a value that holds one, and mind the indentation"),
        (r"expected chomping or indentation", "after | or > the line ends, and the text begins on the next one"),
        (r"found character (.+) that cannot start any token", "a value cannot begin with {0}; put it in quotes"),
        (r"expected the node content, but found '([]}])'", "this {0} closes nothing"),
        (r"found unknown escape character '(.+)'", "\\{0} is no escape of double quotes; write \\\\ for a backslash, or use single quotes"),
    )
)


def fault(error: MarkedYAMLError, text: str, quote: int | None) -> SyntaxFault:
    """The place and the words of a syntax error.

    Args:
        text: what was parsed.
        quote: where the quoted value began that was read last.
    """
    at = (error.problem_mark or error.context_mark).index if error.problem_mark or error.context_mark else 0
    begin = error.context_mark.index if error.context_mark else at
    context, problem = error.context or "", error.problem or ""
    if "quoted scalar" in context and "end of stream" in problem:
        return SyntaxFault(begin, f"the quote that begins here is not closed: {_start(text, begin)}")
    if "flow" in context:
        return _in_brackets(text, begin, at)
    if "expected ':'" in problem:
        return SyntaxFault(begin, f"this line has no ': ' after its key: {_start(text, begin)}")
    if quote is not None and text[at - 1 : at] == text[quote] and text.count("\n", quote, at):
        return SyntaxFault(quote, f"the quote that begins here is closed lines later only, inside of another value: {_start(text, quote)}")
    for pattern, meaning in _MEANING:
        if found := pattern.search(problem):
            return SyntaxFault(at, meaning.format(*found.groups()))
    return SyntaxFault(at, " ".join(filter(None, (context, problem))))


def _in_brackets(text: str, begin: int, at: int) -> SyntaxFault:
    """Of a list or mapping in brackets: on the line where it is opened the fault is small; lines later, it was not meant to go on."""
    bracket = text[begin : begin + 1]
    if text[begin:at].strip().count("\n") or not text[at:].strip():
        return SyntaxFault(begin, f"the {bracket} that is opened here is not closed: {_start(text, begin)}")
    return SyntaxFault(at, f"a comma is missing here, or the {bracket} before it is not closed")


def _start(text: str, index: int) -> str:
    """The rest of a line, cut where it gets long."""
    line = text[index:].partition("\n")[0]
    return line if len(line) <= 40 else f"{line[:37]}..."  # noqa: PLR2004 - enough to find it
