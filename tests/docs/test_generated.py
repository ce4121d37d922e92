"""What the docs take from the code is what the code says."""

from __future__ import annotations

import re

import pytest

from ckgit.experiment.scheduler import Scheduler
from ckgit.experiment.worker import Evaluator, Preparation, Worker
from docs.generate import BLOCK, ROOT, stale


def test_generated_files_are_current() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale()] == [], "run `make docs` and commit what it writes"


def test_the_parts_stand_on_their_pages() -> None:
    parts = {page: [found[1] for found in BLOCK.findall((ROOT / page).read_text())] for page in ("README.md", "docs/architecture.md")}
    assert parts == {"README.md": ["smollm2", "lifecycle"], "docs/architecture.md": ["lifecycle"]}


@pytest.mark.parametrize(
    ("page", "title", "protocol"),
    [
        ("workers.md", "Writing a worker", Worker),
        ("workers.md", "Writing a worker", Preparation),
        ("workers.md", "Writing a worker", Evaluator),
        ("architecture.md", "Writing a scheduler", Scheduler),
    ],
)
def test_who_writes_a_plugin_is_told_of_each_part_of_it(page: str, title: str, protocol: type) -> None:
    section = re.split(rf"^#+ {title}$", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)[1].partition("\n## Writing")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    parts = {name for name in {**vars(protocol), **protocol.__annotations__} if not name.startswith("_")}
    assert len(parts) >= 1
    assert parts <= named
