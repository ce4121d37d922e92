"""Who designs on old files although newer ones were fetched is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import DesignError
from ckgit.lab.lab import Lab, open_lab
from ckgit.orchestrators.design import draft as design
from ckgit.orchestrators.design.changes import changes_from
from tests.conftest import WORDS
from tests.orchestrators.design.test_draft import DESIGN

Git = Callable[..., str]
CORRECTED = json.dumps({**WORDS, "train": WORDS["train"][1:]}, indent=1)


@pytest.fixture
def clone(lab: Lab, tmp_path: Path, run: Git) -> Lab:
    """A clone of the lab."""
    run(tmp_path, "clone", "--quiet", str(lab.root), "clone")
    return open_lab(tmp_path / "clone")


def commit(folder: Path, run: Git, path: str, text: str) -> None:
    (folder / path).write_text(text)
    run(folder, "add", "--", path)
    run(folder, "commit", "--quiet", "--message=A change", "--", path)


def warnings(folder: Path, text: str = DESIGN) -> list[str]:
    """What `design` warns of, apart from the machine's own."""
    drafted = design.draft_new(open_lab(folder), "cap", text.encode(), "d.yaml")
    found = [text for text in drafted.forecast.warnings if "main" in text]
    assert all(f"Warning: {text}" in drafted.body for text in found)
    return found


def follow(folder: Path, command: str) -> None:
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True, capture_output=True)


def test_a_correction_that_was_fetched_is_named_with_the_command_that_takes_it(lab: Lab, clone: Lab, run: Git) -> None:
    before = design.draft_new(clone, "cap", DESIGN.encode(), "d.yaml").summary.summary.recorded.data["words"]
    commit(lab.root, run, "README.md", "A lab\n")
    commit(lab.root, run, "data/words.json", CORRECTED)
    assert warnings(clone.root) == []  # nothing was fetched, and no remote is asked
    run(clone.root, "fetch", "--quiet")

    told = warnings(clone.root)

    news = "origin/main has 2 commits that main lacks, with a newer data/words.json; this design takes the old one."
    assert told == [f"{news} Catch up first: git merge --ff-only origin/main"]
    follow(clone.root, told[0].rpartition("Catch up first: ")[2])
    assert warnings(clone.root) == []
    after = design.draft_new(open_lab(clone.root), "cap", DESIGN.encode(), "d.yaml").summary.summary.recorded.data["words"]
    assert (before.splits["train"], after.splits["train"]) == (8, 7)


@pytest.mark.parametrize("path", ["ckgit.toml", "tasks/capitalization.py", "models/tiny.yaml"])
def test_every_file_that_a_design_takes_is_compared(lab: Lab, clone: Lab, run: Git, path: str) -> None:
    commit(lab.root, run, path, (lab.root / path).read_text() + "\n# newer\n")
    run(clone.root, "fetch", "--quiet")

    assert f"origin/main has 1 commit that main lacks, with a newer {path};" in warnings(clone.root)[0]


def test_commits_that_change_nothing_of_the_design_are_counted(lab: Lab, clone: Lab, run: Git) -> None:
    commit(lab.root, run, "README.md", "A lab\n")
    run(clone.root, "fetch", "--quiet")

    assert warnings(clone.root) == [
        "origin/main has 1 commit that main lacks; none changes a file that this design names. git merge --ff-only origin/main catches up"
    ]


def test_branches_that_went_apart(lab: Lab, clone: Lab, run: Git) -> None:
    commit(clone.root, run, "tasks/capitalization.py", (lab.root / "tasks/capitalization.py").read_text() + "# mine\n")
    commit(lab.root, run, "data/words.json", CORRECTED)
    run(clone.root, "fetch", "--quiet")
    run(clone.root, "switch", "--quiet", "--create", "elsewhere")

    told = warnings(clone.root)

    news = "origin/main has 1 commit that main lacks, and main has 1 commit of its own, with a newer data/words.json;"
    assert told == [f"{news} this design takes the old one. Catch up first: git switch main && git merge origin/main"]
    follow(clone.root, told[0].rpartition("Catch up first: ")[2])
    assert warnings(clone.root) == []


def test_what_is_ahead_here_is_nobodys_news(lab: Lab, clone: Lab, run: Git) -> None:
    commit(clone.root, run, "data/words.json", CORRECTED)

    assert warnings(clone.root) == []
    assert warnings(lab.root) == []  # no remote at all


def test_the_upstream_counts_whatever_its_name(lab: Lab, clone: Lab, run: Git) -> None:
    run(lab.root, "branch", "--quiet", "--move", "main", "trunk")
    commit(lab.root, run, "data/words.json", CORRECTED)
    run(clone.root, "remote", "rename", "origin", "up")
    run(clone.root, "fetch", "--quiet", "--prune")
    run(clone.root, "branch", "--quiet", "--set-upstream-to=up/trunk", "main")

    assert warnings(clone.root)[0].endswith("Catch up first: git merge --ff-only up/trunk")


def test_a_file_that_the_remote_alone_has(lab: Lab, clone: Lab, run: Git) -> None:
    commit(lab.root, run, "data/more.json", CORRECTED)
    run(clone.root, "fetch", "--quiet")

    with pytest.raises(
        DesignError, match=r"data/more\.json is on origin/main, and not on branch main yet: git merge --ff-only origin/main"
    ):
        warnings(clone.root, DESIGN.replace("data/words.json", "data/more.json"))


def test_who_revises_is_told_of_what_main_has_newer(lab: Lab, clone: Lab, run: Git) -> None:
    design.commit(design.draft_new(clone, "cap", DESIGN.encode(), "d.yaml"))
    commit(lab.root, run, "data/words.json", CORRECTED)
    run(clone.root, "fetch", "--quiet")

    def told() -> list[str]:
        drafted = design.draft_revision(open_lab(clone.root), "cap", None, "d.yaml", changes_from(["controls.epochs=3"]))
        return [text for text in drafted.forecast.warnings if "main" in text]

    wanted = "has a newer data/words.json than exp/cap, which this design takes"
    assert told() == [f"origin/main {wanted}: to take the newer one, git switch exp/cap && git merge origin/main"]
    run(clone.root, "merge", "--quiet", "--ff-only", "origin/main")
    assert told() == [f"main {wanted}; to take the newer one: ckgit revise cap --update data/words.json"]
    taken = design.draft_revision(open_lab(clone.root), "cap", None, "d.yaml", update=["data/words.json"])
    assert not any("main" in text for text in taken.forecast.warnings)
    design.commit(taken)
    assert told() == []


def test_validate_says_it_too(lab: Lab, clone: Lab, run: Git, tmp_path: Path) -> None:
    commit(lab.root, run, "data/words.json", CORRECTED)
    run(clone.root, "fetch", "--quiet")
    (tmp_path / "d.yaml").write_text(DESIGN)
    command = [sys.executable, "-m", "ckgit", "-C", str(clone.root), "validate", str(tmp_path / "d.yaml")]

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)

    assert "warning: origin/main has 1 commit that main lacks, with a newer data/words.json" in done.stderr
    assert json.loads(told.stdout)["warnings"][0].startswith("origin/main has 1 commit")
