"""The jobs of other CIs in docs/review.md do what they say, in a clone as those make it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ckgit.lab.lab import Lab
from ckgit.orchestrators.review.reviews.comment import MARKER
from tests.conftest import run_git
from tests.orchestrators.bench import design_demo
from tests.orchestrators.conftest import install, tiny_package  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "review.md"


def job(heading: str) -> Any:
    """The YAML under a heading of the page."""
    found = re.search(rf"### {heading}\n\n```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return YAML(typ="safe", pure=True).load(found[1])


def run(clone: Path, lines: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """The lines of a job by a shell, but for what installs ckgit, which is here."""
    kept = "\n".join(line for line in lines if not line.startswith("pip install"))
    assert len(kept.splitlines()) == len(lines) - 1
    environment = {**os.environ, "HOME": str(clone.parent), **variables}
    return subprocess.run(["bash", "-eo", "pipefail", "-c", kept], cwd=clone, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def clone(lab: Lab, tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A clone that knows the commits by their ids, as CI makes one."""
    install(tiny_package, monkeypatch)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    design_demo(lab)
    folder = tmp_path / "clone"
    run_git(tmp_path, "clone", "--quiet", str(lab.root), str(folder))
    run_git(folder, "remote", "set-head", "origin", "--delete")
    return folder


def test_gitlab(clone: Path) -> None:
    head, base = run_git(clone, "rev-parse", "origin/exp/demo"), run_git(clone, "rev-parse", "origin/main")
    run_git(clone, "checkout", "--quiet", "--detach", head)
    variables = {"CI_DEFAULT_BRANCH": "main", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_COMMIT_SHA": head}
    done = run(clone, job("GitLab")["experiment-review"]["script"], **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{MARKER}\n## demo: a design")
    assert (clone / "review.html").exists()


def test_forgejo(clone: Path) -> None:
    head, base = run_git(clone, "rev-parse", "origin/exp/demo"), run_git(clone, "rev-parse", "main")
    steps = job("Forgejo")["jobs"]["review"]["steps"]
    done = run(clone, [step["run"] for step in steps if "run" in step], BASE=base, HEAD=head)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{MARKER}\n## demo: a design")
