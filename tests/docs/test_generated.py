"""What the docs take from the code is what the code says."""

from __future__ import annotations

from docs.generate import LIFECYCLE, ROOT, stale


def test_generated_files_are_current() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale()] == [], "run `make docs` and commit what it writes"


def test_the_lifecycle_stands_in_the_readme_and_on_the_architecture_page() -> None:
    for page in ("README.md", "docs/architecture.md"):
        assert LIFECYCLE.search((ROOT / page).read_text()), f"{page} lost its lifecycle markers"
