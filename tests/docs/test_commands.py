"""Every command that a page names exists, and every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckgit.cli import COMMANDS
from docs.generate import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TARGETS = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def code(page: str) -> Iterator[str]:
    """The blocks and the inline code of a page."""
    yield from re.findall(r"^```\w*\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page: Path) -> None:
    shown = "\n".join(code(page.read_text()))
    made = set(re.findall(r"(?:^|\$ )make ([a-z0-9]+)", shown, re.MULTILINE))
    called = set(re.findall(r"(?:^|\$ |bin/)ckgit (?:-C \S+ )?([a-z][a-z-]*)", shown, re.MULTILINE))
    assert made - TARGETS == set()
    assert called - set(COMMANDS) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^):#]*)#([^)]+)\)", page.read_text())
    assert [f"{target}#{name}" for target, name in links if name not in anchors(page.parent / target if target else page)] == []


def test_the_makefile_has_the_two_commands() -> None:
    assert {"quickstart", "test", "check", "smollm2", "bench", "docs"} <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_two_commits_of_a_page_have_one_id(page: Path) -> None:
    steps = set(re.findall(r"^(\w+ \w+: \w+ -> \w+) \(([0-9a-f]{12})\)$", page.read_text(), re.MULTILINE))
    ids = [commit for _, commit in steps]
    assert len(ids) == len(set(ids))
