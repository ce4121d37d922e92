"""A report as a page: the answer first, what only a checker asks for folded away. From the committed Markdown, of whichever version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markdown_it.token import Token

from ckgit.analysis.pages.document import block, document, folded, inline, parsed, rendered
from ckgit.analysis.reading.sections import ANSWER

_LEAD = ("Question", ANSWER)
_FOLDED = ("Same tokens", "What ran", "What it took", "Attempts", "How the numbers are made")  # "What it took" is of earlier versions
REPORT, PAGE, _RESULTS = "report.md", "report.html", "results.json"


class _Part(NamedTuple):
    """A section under a heading of the second level; what stands before the first one has no title."""

    title: str
    tokens: Sequence[Token]


def report_page(
    name: str, text: str, pictures: Mapping[str, bytes], made_from: Sequence[str], notice: str = "", *, unfolded: bool = False
) -> bytes:
    """The page, as `report_body` gives what is in it."""
    return document(f"Report of {name}", report_body(name, text, pictures, made_from, notice, unfolded=unfolded))


def report_body(
    name: str,
    text: str,
    pictures: Mapping[str, bytes],
    made_from: Sequence[str],
    notice: str = "",
    *,
    unfolded: bool = False,
    heading: str = "h1",
) -> str:
    """The page without what is around it, as HTML.

    Args:
        text: `report.md`; whatever stands in it, no markup but Markdown's comes of it.
        pictures: SVG by file name.
        made_from: what the page comes from, as lines of Markdown.
        notice: what a reader has to know before anything else, as Markdown.
        unfolded: whether all is open, as for paper.
        heading: the level of its title.
    """
    parts = [*_parts(parsed(text))]
    lead = "".join(rendered(part.tokens, pictures) for title in _LEAD for part in parts if part.title == title)
    about = "".join(rendered(part.tokens) for part in parts if not part.title) + block("\n\n".join(made_from))
    told = f'<div class="notice">{block(notice)}</div>' if notice else ""
    body = [
        f"<{heading}>{inline(_title(text) or name)}</{heading}>",
        told,
        f'<div class="lead">{lead}</div>' if lead else "",
        *(_section(part, pictures, unfolded=unfolded) for part in parts if part.title and part.title not in _LEAD),
        folded("Where this page comes from", about, unfolded=unfolded),
    ]
    return "\n".join(filter(None, body))


def page_of(name: str, files: Mapping[str, bytes], notice: str = "", *, unfolded: bool = False) -> bytes:
    """The page of what lies in `analysis/`: of the same files the same bytes.

    Args:
        name: of the experiment.
        files: by name.
        notice: what a reader has to know before anything else, as Markdown.
        unfolded: whether all is open, as for paper.
    """
    pictures = {each: content for each, content in files.items() if each.endswith(".svg")}
    return report_page(name, files[REPORT].decode(errors="replace"), pictures, made_from(name, files), notice, unfolded=unfolded)


def made_from(name: str, files: Mapping[str, bytes]) -> list[str]:
    """What a page comes from, as lines of Markdown."""
    digests = [f"`{each}` (SHA-256 `{hashlib.sha256(files[each]).hexdigest()}`)" for each in (REPORT, _RESULTS) if each in files]
    return [f"Made from {' and '.join(digests)} of `exp/{name}`. `ckgit verify {name}` computes both again from the committed logs."]


def section(text: str, title: str) -> str:
    """The Markdown of one section; empty where the report has none, as those of earlier versions have no answer."""
    _, found, rest = f"\n{text}".partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0].strip() if found else ""


def _title(text: str) -> str:
    first = text.partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else ""


def _parts(tokens: Sequence[Token]) -> Iterator[_Part]:
    title, start, at = "", 0, 0
    while at < len(tokens):
        heading = tokens[at].type == "heading_open" and tokens[at].level == 0 and tokens[at].tag in ("h1", "h2")
        if heading:
            if at > start or title:
                yield _Part(title, tokens[start:at])
            title = tokens[at + 1].content if tokens[at].tag == "h2" else ""
            start = at + 3
            at += 2
        at += 1
    yield _Part(title, tokens[start:])


def _section(part: _Part, pictures: Mapping[str, bytes], *, unfolded: bool) -> str:
    content = rendered(part.tokens, pictures)
    if part.title in _FOLDED:
        return folded(inline(part.title), content, unfolded=unfolded)
    return f"<h2>{inline(part.title)}</h2>\n{content}"
