"""The page on hooks has every hook and every rule that they look for."""

from __future__ import annotations

import re
from pathlib import Path

from ckgit.lab.hooks.folder import NAMES
from ckgit.orchestrators.review import hooks
from ckgit.orchestrators.review.rules import RULES
from docs.generate import ROOT

PAGE = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")


def test_every_rule_and_every_hook_is_told() -> None:
    code = "".join(file.read_text() for file in Path(hooks.__path__[0]).glob("*.py"))
    used = set(re.findall(r"\bfound\(\"([a-z-]+)\"", code))
    assert used <= RULES.keys()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == used
    assert re.findall(r"^- \*([a-z-]+)\*", PAGE, re.MULTILINE) == list(NAMES)
    assert "ckgit.hooksRequired" in PAGE
