"""A summary as text: its encoding, its two parts, and the blocks of the body that ckgit writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ckgit.formats.problem import Problem

FENCE = "---"
_MARKER = re.compile(r"<!-- (/?)ckgit:([a-z0-9-]+) -->")
_MOST_BYTES = 4_000_000  # of a summary; no text of a person's is longer
_CONFLICT = ("<<<<<<< ", "||||||| ", ">>>>>>> ")


class SummaryParts(NamedTuple):
    """Front matter and body of a summary, or a design alone."""

    front: str  # YAML, without the lines that enclose it
    first_line: int  # line of the file on which `front` begins: 2, or 1 where nothing encloses it
    body: str


def decode(content: bytes) -> tuple[str, list[Problem]]:
    """The text of a file, and what keeps it from being read."""
    if len(content) > _MOST_BYTES:
        return "", [Problem(f"a summary has at most {_MOST_BYTES:,} bytes; this one has {len(content):,}", line=1, column=1)]
    if content.startswith(b"\xef\xbb\xbf"):
        return "", [Problem("the file begins with a byte order mark; save it as UTF-8 without one", line=1, column=1)]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line_start = before.rfind("\n") + 1
        return "", [Problem("not UTF-8; save the file as UTF-8", line=before.count("\n") + 1, column=len(before) - line_start + 1)]
    return text, list(_line_problems(text.split("\n")))


def _line_problems(lines: list[str]) -> Iterator[Problem]:
    returned = next((number for number, line in enumerate(lines) if "\r" in line), None)
    if returned is not None:
        column = lines[returned].index("\r") + 1
        yield Problem("a carriage return; save the file with line ends LF, not CRLF", line=returned + 1, column=column)
    for number, line in enumerate(lines, start=1):
        if line.startswith(_CONFLICT):
            yield Problem("a conflict marker of git; settle the conflict and remove it", line=number, column=1)


def split(text: str) -> SummaryParts:
    """Front matter and body; a text without enclosing lines is front matter alone."""
    lines = text.split("\n")
    if lines[0] != FENCE or FENCE not in lines[1:]:
        return SummaryParts(text if text.endswith("\n") else f"{text}\n", 1, "")
    end = lines.index(FENCE, 1)
    return SummaryParts("".join(f"{line}\n" for line in lines[1:end]), 2, "\n".join(lines[end + 1 :]))


def join(front: str, body: str) -> str:
    """A summary's text, from its front matter and its body."""
    return f"{FENCE}\n{front}{FENCE}\n{body}"


def block_problems(body: str, first_line: int) -> list[Problem]:
    """Markers of ckgit's blocks that do not pair up."""
    found: list[Problem] = []
    opened: tuple[str, int] | None = None
    seen: set[str] = set()
    for number, line in enumerate(body.split("\n"), start=first_line):
        match = _MARKER.fullmatch(line)
        if not match:
            continue
        closing, name = bool(match[1]), match[2]
        if closing != (opened is not None) or (opened and opened[0] != name):
            unpaired = f"the markers of the block ckgit:{name} do not pair up; remove them, and ckgit adds the block again"
            found.append(Problem(unpaired, line=number, column=1))
        elif not closing and name in seen:
            found.append(Problem(f"the block ckgit:{name} is here twice; remove one", line=number, column=1))
        opened = None if closing else (name, number)
        seen.add(name)
    if opened:
        found.append(Problem(f"the block ckgit:{opened[0]} is not closed by <!-- /ckgit:{opened[0]} -->", line=opened[1], column=1))
    return found


def with_block(body: str, name: str, markdown: str) -> str:
    """The body with a block replaced, or added at its end. Comments in `markdown` become visible text."""
    inner = markdown.replace("<!--", "&lt;!--").strip("\n")
    block = f"<!-- ckgit:{name} -->\n{inner}\n<!-- /ckgit:{name} -->"
    replaced, count = _pattern(name).subn(lambda _: block, body, count=1)
    if count:
        return replaced
    gap = "" if not body or body.endswith("\n\n") else "\n" if body.endswith("\n") else "\n\n"
    return f"{body}{gap}{block}\n"


def without_blocks(body: str) -> str:
    """The part of the body that the user wrote."""
    return re.sub(r"\n*^<!-- ckgit:([a-z0-9-]+) -->$.*?^<!-- /ckgit:\1 -->$", "", body, flags=re.MULTILINE | re.DOTALL)


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"^<!-- ckgit:{re.escape(name)} -->$.*?^<!-- /ckgit:{re.escape(name)} -->$", re.MULTILINE | re.DOTALL)
