"""A review as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ckgit.analysis.pages.document import block, document, folded, inline, picture
from ckgit.experiment.outputs.review.reviewed import ReviewedExperiment
from ckgit.orchestrators.review.reviews.comment import NONE
from ckgit.orchestrators.review.reviews.sections import Section, lead, sections, title


def page(found: Sequence[ReviewedExperiment], pictures: Mapping[str, Mapping[str, bytes]]) -> bytes:
    """The page.

    Args:
        pictures: SVG by description, by name of the experiment.
    """
    name = ", ".join(each.experiment for each in found) or "review"
    body = "\n".join(part for each in found for part in _parts(each, pictures.get(each.experiment, {}))) or f"<p>{NONE}</p>"
    return document(f"Review of {name}", body)


def _parts(found: ReviewedExperiment, pictures: Mapping[str, bytes]) -> Iterator[str]:
    yield f"<h1>{inline(title(found))}</h1>"
    lines = "  \n".join(lead(found))
    yield f'<div class="lead">{block(lines)}</div>'
    for text, svg in pictures.items():
        yield f"<p>{picture(text, svg)}</p>"
    yield from map(_section, sections(found))


def _section(section: Section) -> str:
    if section.folded:
        return folded(inline(section.title), block(section.text))
    return f"<h2>{inline(section.title)}</h2>{block(section.text)}"
