"""docs/your-data.md works: every command is run, every line of output that it shows appears."""

from __future__ import annotations

from pathlib import Path

from tests.docs.console import problems, run, steps
from tests.whole import MODELS, ROOT, shell, tiny_llama


def test_the_page_works(tmp_path: Path) -> None:
    tiny_llama()
    (tmp_path / ".cache").symlink_to(MODELS)
    (tmp_path / "home").mkdir()
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = shell(tmp_path / "home", warm=True) | names
    page = steps((ROOT / "docs" / "your-data.md").read_text())
    assert len(page) > 10
    assert list(problems(page, run(page, tmp_path, environment=environment, limit=300))) == []
