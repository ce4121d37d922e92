"""What an experiment has taken over from an earlier commit, or from another experiment, stays until it has loaded it."""

from __future__ import annotations

import json

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench
from tests.orchestrators.test_kept import commit, told
from tests.orchestrators.upkeep.test_clean import files

__all__ = ["told"]


def mended(bench: Bench) -> None:
    """The task is another one, so that each checkpoint is to be evaluated again."""
    commit(bench.folder, "tasks/capitalization.py", (bench.folder / "tasks/capitalization.py").read_text() + "# mended\n")
    bench.ckgit("revise", "demo", "--update", "tasks/capitalization.py")


@pytest.mark.parametrize("state", [State.DESIGNED, State.SCAFFOLDED])
def test_the_work_tree_of_an_earlier_commit_stays_until_its_checkpoints_were_loaded(told: Bench, state: State) -> None:
    old = told.work
    mended(told)
    told.advance(state)
    before = files(old)
    for options in (["--work"], ["--checkpoints"], ["--all"]):
        done = told.ckgit("clean", "demo", *options, "--yes", check=False)
        assert (done.returncode, "demo has taken over what was trained there" in done.stderr) == (Exit.ILLEGAL_TRANSITION, True), (
            done.stderr
        )
    assert files(old) == before
    told.advance(State.ANALYZED)
    told.ckgit("clean", "demo", "--work", "--yes")
    assert not old.exists()
    shown = json.loads(told.ckgit("clean", "demo", "--json").stdout)["experiments"][0]["trees"]
    assert [each["path"] for each in shown] == [str(told.work)]
    assert [each["run"] for each in shown[0]["checkpoints"]] == ["rank4", "rank8"]  # which were brought along
    assert told.ckgit("verify", "demo").returncode == 0


def test_another_experiments_work_tree_stays_too(told: Bench) -> None:
    told.ckgit("design", "other", "--like", "demo", "--reuse")
    before = files(told.work)
    done = told.ckgit("clean", "demo", "--all", "--yes", check=False)
    assert (done.returncode, "other has taken over what was trained there" in done.stderr) == (Exit.ILLEGAL_TRANSITION, True), done.stderr
    assert files(told.work) == before
    told.ckgit("close", "other", "--because", "no time")
    told.ckgit("clean", "demo", "--all", "--yes")
    assert not told.work.exists()


def test_a_revision_knows_that_checkpoints_were_removed(told: Bench) -> None:
    for run in ("rank4", "rank8"):  # as a tool with weights lists them
        artifacts = told.work / "experiments/demo" / run / "artifacts"
        saved = {"epoch": 0, "path": f"experiments/demo/{run}/artifacts/epoch_0", "bytes": 26, "sha256": "0" * 64}
        saved["files"] = {"weights": {"bytes": 26, "sha256": "0" * 64}}
        (artifacts / "checkpoints.json").write_text(json.dumps([saved]))
    told.ckgit("clean", "demo", "--checkpoints", "--keep", "rank8", "--yes")
    commit(told.folder, "tasks/capitalization.py", (told.folder / "tasks/capitalization.py").read_text() + "# mended\n")
    shown = told.ckgit("revise", "demo", "--update", "tasks/capitalization.py", "--dry-run").stdout
    lines = {line.split()[0]: line for line in shown.splitlines() if line.startswith(("rank4 ", "rank8 "))}
    assert "its checkpoints are not where they were made" in lines["rank4"], shown
    assert "kept" in lines["rank8"], shown
