"""The page of a report needs nothing else, runs nothing, and shows all that the Markdown says."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from ckgit.analysis.pages.report_page import report_page, section
from ckgit.analysis.report import render
from tests.analysis.build import attempt, context, jobs, ledger
from tests.analysis.test_report import results
from tests.orchestrators.review.test_review import HOSTILE

PICTURES = {"loss.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "scores.svg": b"<svg/>"}
VOID = {"meta", "img", "br", "hr"}
OLD = "# demo\n\nDesign `x`.\n\n## Question\n\nWhy?\n\n## Claims\n\nNone.\n\n## What ran\n\n5 jobs.\n"


class Page(HTMLParser):
    """A page whose tags are closed in order, with what it would load."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.folded = ""
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [] if tag in VOID else [tag]
        assert not any(name.startswith("on") or name in ("href", "srcset", "action", "style") for name, _ in attrs)
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data
            self.folded += data if "details" in self.open else ""


def markdown(**changes: str) -> str:
    here = context()
    return render(here, ledger(*map(attempt, jobs(here))), results().model_copy(update=changes), dict.fromkeys(PICTURES, "words")).decode()


def page(text: str, *, unfolded: bool = False) -> bytes:
    return report_page("demo", text, PICTURES, ["Made from `abc`."], unfolded=unfolded)


def test_nothing_is_loaded_and_no_script_runs() -> None:
    content = page(markdown())
    found = Page(content)
    assert len(found.sources) == 2
    assert all(each.startswith("data:image/svg+xml;base64,") for each in found.sources)
    assert not {"script", "link", "iframe", "object", "form", "a", "base"} & {*found.tags}
    assert b"default-src 'none'" in content
    assert not re.search(rb"url\(|@import", content)


def test_the_answer_is_first_and_what_only_a_checker_asks_for_is_folded() -> None:
    found = Page(page(markdown()))
    assert found.words.index("the highest accuracy") < found.words.index("Hypothesis")
    for text in ("Design ", "What ran", "SHA-256", "How the numbers are made", "Made from abc"):
        assert text in found.folded
    assert "supported" not in found.folded.partition("How the numbers")[0]


def test_each_word_of_the_report_is_on_the_page() -> None:
    text = markdown()
    words = Page(page(text)).words
    for line in ("Rank 8 beats the base model by half.", "rank8 greater than base by at least 0.5", "Final loss: the training loss"):
        assert line in text
        assert line in words
    assert Page(page(text)).tags.count("table") == text.count("| --- |\n") == page(text).count(b'<div class="wide"><table>')


def test_for_paper_all_is_open() -> None:
    assert page(markdown()).count(b"<details>") == page(markdown(), unfolded=True).count(b"<details open>") > 3


def test_the_same_report_gives_the_same_bytes() -> None:
    assert page(markdown()) == page(markdown())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_others_wrote_into_the_report_is_text(text: str) -> None:
    """Also into parts that ckgit escapes: whoever changed the file by hand may have taken that away."""
    plain, hostile = ({*Page(page(f"{OLD}\n## Rows\n\n{each}\n")).tags} for each in ("x", text))
    assert hostile - plain <= {"strong", "em", "code", "pre", "blockquote", "h2", "ul", "li", "hr", "table", "div"}


def test_a_picture_that_is_not_the_reports_is_words() -> None:
    found = Page(page(f"{OLD}\n![ours](loss.svg) ![theirs](https://evil.example/a.png) ![else](other.svg)\n"))
    assert len(found.sources) == 1
    assert "theirs else" in found.words


def test_a_report_of_an_earlier_version_is_a_page_too() -> None:
    found = Page(page(OLD))
    assert found.words.index("Why?") < found.words.index("Claims")
    assert "5 jobs." in found.folded
    assert section(OLD, "Answer") == ""
    assert section(OLD, "Question") == "Why?"
    assert Page(page("no report at all")).words.strip().endswith("Made from abc.")


def test_no_line_vanishes_as_a_reference() -> None:
    assert "[hidden]: https://evil.example" in Page(page(f"{OLD}\n[hidden]: https://evil.example\n")).words
