"""GitHub on this machine, and the steps of workflows as its runners execute them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_git
from tests.forges.github.api import GitHub, serving
from tests.forges.github.lab import LabOnGitHub, on_github, server
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import bare_bench, bench, tiny_package

__all__ = ["bare_bench", "bench", "tiny_package"]


@pytest.fixture
def github() -> Iterator[GitHub]:
    """GitHub's API; at the end of a test nothing may have been asked that GitHub does not have."""
    with serving(GitHub()) as stand_in:
        yield stand_in
    assert stand_in.faults == []


@pytest.fixture
def lab_on_github(bench: Bench, github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabOnGitHub:
    """A lab whose experiment `demo`, which is designed, is about to be pull request 7."""
    monkeypatch.setenv("PATH", f"{server(tmp_path)}:{os.environ['PATH']}")
    lab = on_github(bench, github, tmp_path)
    github.blob = lambda path, ref: run_git(lab.origin, "ls-tree", "--object-only", ref, "--", path) or None
    github.merge_base = lambda base, head: run_git(lab.origin, "merge-base", base, head)
    return lab
