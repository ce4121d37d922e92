"""docs/tutorial.md works: every command is run, every line of output that it shows appears."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.console import problems, run, steps
from tests.whole import MODELS, ROOT, shell, tiny_llama


@pytest.mark.slow
def test_the_tutorial_works(tmp_path: Path) -> None:
    tiny_llama()
    (tmp_path / ".cache").symlink_to(MODELS)
    (tmp_path / "home").mkdir()
    environment = shell(tmp_path / "home") | {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    page = steps((ROOT / "docs" / "tutorial.md").read_text())
    assert list(problems(page, run(page, tmp_path, environment=environment, limit=600))) == []
