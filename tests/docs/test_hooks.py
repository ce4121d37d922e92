"""The page on hooks has every hook and every rule that they look for."""

from __future__ import annotations

import re

from ckgit.lab.hooks.folder import NAMES
from ckgit.orchestrators.review.rules import _OF_HOOKS, NOT_A_FILE, SECRET, TOO_LARGE
from docs.generate import ROOT

PAGE = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")


def test_every_rule_and_every_hook_is_told() -> None:
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == sorted(
        rule.name for rule in (*_OF_HOOKS, SECRET, TOO_LARGE, NOT_A_FILE)
    )
    assert re.findall(r"^- \*([a-z-]+)\*", PAGE, re.MULTILINE) == list(NAMES)
    assert "ckgit.hooksRequired" in PAGE
