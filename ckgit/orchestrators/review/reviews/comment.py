"""A review as one comment of a pull request: Markdown, short enough for a forge, what is not the answer folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.experiment.outputs.review.reviewed import ReviewedExperiment
from ckgit.orchestrators.review.reviews.sections import Section, lead, sections, title

MARKER = "<!-- ckgit-review -->"  # the first line, by which the comment is found again
NONE = "No experiment is changed here."
_MOST_CHARACTERS = 60_000  # forges take some 65,000


def comment(found: Sequence[ReviewedExperiment]) -> str:
    """The comment. Where it gets too long, its last sections are left out, and it says so."""
    parts = list(_parts(found))
    kept = list(parts)
    while sum(map(len, kept)) > _MOST_CHARACTERS and len(kept) > 1:
        kept.pop()
    left_out = f"\n\n{len(parts) - len(kept)} more sections are left out; `ckgit review` shows them." if len(kept) < len(parts) else ""
    return "\n".join([MARKER, "\n\n".join(kept) or NONE]) + left_out + "\n"


def unfolded(found: Sequence[ReviewedExperiment]) -> str:
    """The same for a terminal: whole, and without HTML."""
    return "\n\n".join(part for each in found for part in _whole(each)) or NONE


def _whole(found: ReviewedExperiment) -> Iterator[str]:
    yield "\n".join([f"## {title(found)}", "  \n".join(lead(found))])
    yield from (f"### {section.title}\n\n{section.text}" for section in sections(found))


def _parts(found: Sequence[ReviewedExperiment]) -> Iterator[str]:
    for each in found:
        yield "\n".join([f"## {title(each)}", "  \n".join(lead(each))])
        yield from map(_section, sections(each))


def _section(section: Section) -> str:
    if section.folded:
        return f"<details><summary>{_plain(section.title)}</summary>\n\n{section.text}\n\n</details>"
    return f"### {section.title}\n\n{section.text}"


def _plain(text: str) -> str:
    """A title inside of HTML, where Markdown's escapes are none."""
    return text.replace("\\", "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
