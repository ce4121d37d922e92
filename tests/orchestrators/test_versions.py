"""Two versions of ckgit in one lab: the older one says upgrade, and writes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit import __version__
from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.lab import commit
from ckgit.lab.git.trailers import build, newer_version
from tests.orchestrators.bench import Bench
from tests.orchestrators.review.lies import Liar

NEWER = "99.0.0"


@pytest.fixture
def newer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A newer ckgit took the experiment to trained."""
    with monkeypatch.context() as patch:
        patch.setattr(commit, "__version__", NEWER)
        patch.setattr("ckgit.lab.git.trailers.__version__", NEWER)
        bench.advance(State.TRAINED)
    assert f"Ckgit-Version: {NEWER}" in bench.message()
    return bench


def test_an_older_one_reads_and_writes_nothing(newer: Bench) -> None:
    tip = newer.snapshot.tip
    for words in (["status"], ["show"], ["log"], ["why"]):
        assert newer.ckgit(*words, "demo").returncode == 0
    for words in (["advance"], ["advance", "demo", "--dry-run"], ["revise"], ["reproduce"]):
        done = newer.ckgit(words[0], "demo", *words[2:], check=False)
        assert (done.returncode, newer.snapshot.tip) == (Exit.TOOL_MISSING, tip), (words, done.stderr)
        assert f"made by ckgit {NEWER}, which is newer than this one" in done.stderr
        assert "next:  upgrade ckgit" in done.stderr
    assert len(newer.executions()) == 2


def test_what_only_a_newer_one_can_read_is_not_called_broken(newer: Bench) -> None:
    """It is written as that one would: in a commit with its trailers."""
    place = newer.folder.parent / "hand"
    subprocess.run(["git", "worktree", "add", "--quiet", str(place), "exp/demo"], cwd=newer.folder, check=True)
    for file, key in (("jobs.json", "nodes"), ("estimate.json", "watts")):
        path = place / "experiments/demo" / file
        if path.exists():
            path.write_text(json.dumps({**json.loads(path.read_text()), key: 1}))
    subprocess.run(["git", "commit", "--quiet", "--amend", "--all", "--no-edit"], cwd=place, check=True)
    for words in (["show", "demo"], ["advance", "demo"], ["retry", "demo"]):
        done = newer.ckgit(*words, check=False)
        assert (done.returncode, "upgrade ckgit" in done.stderr) == (Exit.TOOL_MISSING, True), done.stderr
        assert "revert" not in done.stderr


def test_the_third_number_changes_nothing_that_is_written() -> None:
    versions = ["0.3.0", "0.3.9", "0.2.0", "0.4.0.dev1", "1.0", "?", ""]
    assert [version for version in versions if newer_version("demo", version)] == ["0.4.0.dev1", "1.0"]


def _build_of(package: Path) -> str:
    """The build of a package that is installed elsewhere."""
    words = [sys.executable, "-c", "from ckgit.lab.git.trailers import build; print(build())"]
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONSAFEPATH": "1"}
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_an_installed_package_and_a_checkout_of_the_same_files_are_one_build(tmp_path: Path) -> None:
    checkout = Path(commit.__file__).parents[1]
    copy = Path(shutil.copytree(checkout, tmp_path / "ckgit", ignore=shutil.ignore_patterns("__pycache__")))
    assert _build_of(tmp_path) == build() == _build_of(checkout.parent)
    (copy / "errors.py").write_text((copy / "errors.py").read_text() + "\n")
    assert _build_of(tmp_path) != build()


def test_another_build_of_the_same_version_is_named_where_something_differs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(commit, "build", lambda: "0123456789abcdef")
        bench.advance(State.SCAFFOLDED)
    assert "Ckgit-Build: 0123456789abcdef" in bench.message()
    assert bench.ckgit("verify", "demo").stdout.endswith("all that is recorded follows from what is in git\n")
    liar = Liar(bench.folder)
    liar.edit(liar.at("scaffold"), lambda commit: {"rank4/setup.txt": b"lr 0.5\n"})
    told = bench.ckgit("verify", "demo", check=False).stdout
    assert "[rendered]" in told
    assert f"made by another build of ckgit {__version__} (0123456789abcdef) than this one ({build()}), which may be why it differs" in told
    liar.tell(lambda index, commit, told: told._replace(message=told.message.replace("Ckgit-Build: 0123456789abcdef\n", "")))
    told = bench.ckgit("verify", "demo", check=False).stdout
    assert "[rendered]" in told
    assert "another build" not in told  # not recorded then
    liar.tell(lambda index, commit, told: told._replace(message=told.message.rstrip("\n") + "\nCkgit-Build: newest\n"))
    assert "there is no build 'newest' of ckgit [version]" in bench.ckgit("verify", "demo", check=False).stdout
