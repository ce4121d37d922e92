"""docs/tasks.md works: every command is run, every line of output that it shows appears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ckgit.lab.tasks.new import TEMPLATES
from tests.docs.console import problems, run, steps
from tests.whole import ROOT, shell, tiny_llama

PAGE = (ROOT / "docs" / "tasks.md").read_text()


@pytest.mark.slow
def test_the_page_on_tasks_works(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "models").mkdir(parents=True)
    (home / "models/tiny").symlink_to(tiny_llama())
    environment = shell(home, warm=True) | {"GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    page = steps(PAGE)
    assert list(problems(page, run(page, tmp_path, environment=environment, limit=600))) == []


@pytest.mark.slow
def test_its_python_runs() -> None:
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict = {}
    exec(compile(code, "tasks.md", "exec"), names)  # noqa: S102 - the page's own
    assert names["model"].name == "model"


def test_it_names_every_template() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \| w", PAGE, re.MULTILINE)[:1] == ["match"]
    assert all(f"| `{template}` |" in PAGE for template in TEMPLATES)
