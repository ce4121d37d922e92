"""The house: how many modules a folder has, what the glossary points at, and that a class name means one thing."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ckgit"
MOST_MODULES = 12
MANY_MODULES = {"cli"}  # one file a command


def test_no_folder_has_more_modules_than_a_reader_can_take_in() -> None:
    counts = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    assert counts["lab"] > 1
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES and folder not in MANY_MODULES} == {}


def test_no_public_class_name_stands_for_two_things() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
    assert names["Ledger"] == 1
    assert {name for name, count in names.items() if count > 1} == set()


def test_the_glossary_points_at_files_that_are_there() -> None:
    links = re.findall(r"\]\(\.\./(\S+?)\)", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_only_its_own_worker_knows_trl() -> None:
    elsewhere = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "workers/trl")]
    assert [path.name for path in elsewhere if re.search(r"\btrl\b", path.read_text(encoding="utf-8").lower())] == []


def test_only_its_own_worker_knows_torchtune() -> None:
    """Apart from the default of a design's tool, and from the quickstart, which makes its model with it."""
    elsewhere = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "workers/torchtune")]
    naming = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8").lower().count("torchtune") for path in elsewhere}
    known = {"examples/quickstart.py", "examples/tiny_model.py"}
    assert naming["experiment/design/model.py"] == 1
    assert {name for name, count in naming.items() if count and name not in known} == {"experiment/design/model.py"}
