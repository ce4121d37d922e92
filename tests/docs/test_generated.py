"""What the docs take from the code is what the code says."""

from __future__ import annotations

from docs.generate import BLOCK, ROOT, stale


def test_generated_files_are_current() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale()] == [], "run `make docs` and commit what it writes"


def test_the_parts_stand_on_their_pages() -> None:
    parts = {page: [found[1] for found in BLOCK.findall((ROOT / page).read_text())] for page in ("README.md", "docs/architecture.md")}
    assert parts == {"README.md": ["smollm2", "lifecycle"], "docs/architecture.md": ["lifecycle"]}
