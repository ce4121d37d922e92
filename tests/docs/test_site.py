"""The site has every page and fetches nothing of others; its links out of docs/ lead to the forge or nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import ROOT

pytest.importorskip("sphinx")
FORGE = {"GITHUB_SERVER_URL": "https://forge.example", "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "abc"}


def build(folder: Path) -> dict[str, str]:
    """The site's pages by name."""
    options = ["--quiet", "--doctree-dir", folder / "trees", "--conf-dir", "docs/site"]
    subprocess.run([sys.executable, "-m", "sphinx", *options, "docs", folder / "site"], cwd=ROOT, check=True, capture_output=True)
    return {page.stem: page.read_text() for page in (folder / "site").glob("*.html")}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in FORGE:
            patch.delenv(name, raising=False)
        return build(tmp_path_factory.mktemp("site"))


def links(text: str) -> set[str]:
    return set(re.findall(r'href="([^"#]+)', text))


def test_every_page_is_listed_on_the_first(pages: dict[str, str]) -> None:
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= pages.keys()
    assert {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")} - {"index.html"} <= links(pages["index"])


def test_nothing_of_others_is_fetched(pages: dict[str, str]) -> None:
    fetched = r'<(?:script|img|iframe|source)[^>]*src="https?:|<link[^>]*rel="stylesheet"[^>]*href="https?:|@import|url\(\s*["\']?https?:'
    assert {name: found for name, text in pages.items() if (found := re.findall(fetched, text))} == {}
    assert '<pre class="mermaid">' in pages["architecture"]
    assert 'src="_static/mermaid.tiny.js"' in pages["architecture"]


def test_a_link_to_the_code_leads_to_the_forge_where_that_is_known(
    pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [link for link in links(pages["glossary"]) if link.startswith("..")] == []
    for name, value in FORGE.items():
        monkeypatch.setenv(name, value)
    assert "https://forge.example/o/r/blob/abc/ckgit/experiment/state.py" in links(build(tmp_path)["glossary"])
