"""Pages that show commands work: every command is run, every line of output that a page shows appears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ckgit.workers.torchtune.families import FAMILIES
from tests.docs.console import blocks, problems, run, steps
from tests.whole import MODELS, ROOT, shell, tiny_llama

PAGES = ("tutorial", "models", "cruijff")


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_works(name: str, tmp_path: Path) -> None:
    tiny_llama()
    (tmp_path / ".cache").symlink_to(MODELS)
    (tmp_path / "home").mkdir()
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = shell(tmp_path / "home", warm=True) | names
    page = steps((ROOT / "docs" / f"{name}.md").read_text())
    assert list(problems(page, run(page, tmp_path, environment=environment, limit=600))) == []


def test_no_page_with_commands_is_left_out() -> None:
    """One that needs more than this shell has a test of its own, which names it."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    with_commands = {path.stem for path in (ROOT / "docs").glob("*.md") if blocks(path.read_text())}
    assert set(PAGES) <= with_commands
    assert {name for name in with_commands - set(PAGES) if f"{name}.md" not in tests} == set()


def test_every_family_that_can_be_trained_is_told() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/models.md").read_text(), re.MULTILINE)) == FAMILIES
