"""A month after the quickstart: its disk is shown and freed, its checkpoints are made again, and it moves into a file and out of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ckgit.lab.history.cleanings import removed_in
from tests.test_quickstart import LAB, Done, start
from tests.whole import shell, tiny_llama

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A quickstart, and a user who has this ckgit on PATH."""
    tiny_llama()
    folder = tmp_path_factory.mktemp("month")
    (folder / "home").mkdir()
    return start(folder, shell(folder / "home", warm=True))


def ckgit(done: Done, *words: str, lab: str = LAB) -> str:
    command = ["ckgit", "-C", lab, *words]
    ended = subprocess.run(command, cwd=done.folder, env=done.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def committed(done: Done, run: str) -> dict[str, str]:
    """Digest of each checkpoint that training committed, by its path."""
    saved = json.loads(done.git("show", f"exp/quickstart:experiments/quickstart/{run}/checkpoints.json"))
    return {each["path"]: each["sha256"] for each in saved}


def test_the_disk_is_freed_and_what_was_there_is_known_and_made_again(done: Done) -> None:
    [shown] = json.loads(ckgit(done, "clean", "quickstart", "--json"))["experiments"]
    [tree] = shown["trees"]
    held = {str(Path(each["path"]).relative_to(tree["path"])): each["sha256"] for each in tree["checkpoints"]}
    assert held == committed(done, "rank4") | committed(done, "rank16")
    assert all(each["again"].startswith("by training again: ") for each in tree["checkpoints"])
    file = done.folder / "quickstart.tar"
    ckgit(done, "archive", "quickstart", "--with", "logs", "--with", "checkpoints", "--output", str(file))
    ckgit(done, "clean", "quickstart", "--checkpoints", "--keep", "best", "--yes")
    [kept] = [each for each in tree["checkpoints"] if Path(each["path"]).exists()]
    assert (kept["run"], Path(kept["path"]).name) == ("rank16", "epoch_1")
    listed = removed_in(done.git("show", "--no-patch", "--format=%b", "exp/quickstart"))
    assert {each.path: each.sha256 for each in listed} == {each["path"]: each["sha256"] for each in tree["checkpoints"] if each is not kept}
    told = ckgit(done, "verify", "quickstart", "--deep")
    assert "3 checkpoints are not in" in told
    assert f"of 3 of them commit {done.git('rev-parse', 'exp/quickstart')[:12]} says that `clean` removed them" in told
    assert "same bytes: 2 jobs of rank4" in ckgit(done, "reproduce", "quickstart", "rank4")
    found = json.loads(ckgit(done, "clean", "quickstart", "--json"))["experiments"][0]["trees"]
    again = [each["sha256"] for one in found if not one["present"] for each in one["checkpoints"]]
    assert again == list(committed(done, "rank4").values())
    assert ckgit(done, "clean", "quickstart", "--work", "--yes").endswith("are free now\n")
    assert Path(kept["path"]).exists()
    subprocess.run(["git", "clone", "--quiet", LAB, "other"], cwd=done.folder, env=done.environment, check=True)
    shutil.rmtree(done.folder / LAB)
    ckgit(done, "archive", "--restore", str(file), lab="other")
    [tree] = json.loads(ckgit(done, "clean", "quickstart", "--json", lab="other"))["experiments"][0]["trees"]
    assert {each["sha256"] for each in tree["checkpoints"]} == set(held.values())
