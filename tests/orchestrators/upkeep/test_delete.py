"""A branch is deleted so that it can be brought back, and its name is not somebody else's where it had results."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.design.names import refuse_existing
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.review.hooks.server import make_server


def refs(folder: Path, *patterns: str) -> dict[str, str]:
    lines = run_git(folder, "for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines()
    return dict(line.split(" ") for line in lines)


def with_authority(bench: Bench, tmp_path: Path) -> Path:
    bare = tmp_path / "bare.git"
    config = bench.folder / "ckgit.toml"
    config.write_text('authority = "origin"\n' + config.read_text())
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run_git(bench.folder, "clone", "--quiet", "--bare", str(bench.folder), str(bare))
    run_git(bench.folder, "remote", "add", "origin", str(bare))
    assert ckgit("-C", str(bare), "hooks", "install").returncode == 0
    return bare


@pytest.mark.parametrize("state", [State.DESIGNED, State.ANALYZED])
def test_it_goes_and_comes_back_as_it_was(bench: Bench, state: State) -> None:
    bench.advance(state)
    before, tip = refs(bench.folder), bench.snapshot.tip
    bench.ckgit("delete", "demo", "--dry-run")
    assert refs(bench.folder) == before
    done = json.loads(bench.ckgit("delete", "demo", "--json").stdout)
    assert (done["commit"], done["bytes"] > 0, done["next"]) == (tip, state is State.ANALYZED, ["ckgit delete demo --undo"])
    assert refs(bench.folder, "refs/heads/exp", "refs/ckgit/deleted") == {f"refs/ckgit/deleted/demo/{tip}": tip}
    told = bench.ckgit("status", "demo", check=False).stderr
    assert "next:  ckgit delete demo --undo brings it back" in told
    bench.ckgit("delete", "demo", "--undo")
    assert refs(bench.folder) == before
    assert bench.snapshot.state is state
    assert bench.ckgit("delete", "demo", "--undo", check=False).returncode == Exit.USAGE


def test_a_name_is_free_again_only_where_there_were_no_results(bench: Bench) -> None:
    bench.ckgit("delete", "demo")
    refuse_existing(bench.lab, "demo")
    time.sleep(1)  # which is newer is told by dates of commits, in whole seconds
    design_demo(bench.lab)
    bench.advance(State.ANALYZED)
    bench.ckgit("delete", "demo")
    for name in ("demo", "Demo"):
        with pytest.raises(CkgitError, match="experiment demo had results, and was deleted"):
            refuse_existing(bench.lab, name)
    assert len(refs(bench.folder, "refs/ckgit/deleted")) == 2
    bench.ckgit("delete", "demo", "--undo")  # of two, the newer one
    assert bench.snapshot.state is State.ANALYZED


def test_jobs_are_ended_first_and_nobody_stands_on_it(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    done = bench.ckgit("delete", "demo", check=False)
    assert (done.returncode, "ckgit cancel demo ends them" in done.stderr) == (Exit.IN_FLIGHT, True)
    bench.ckgit("cancel", "demo")
    run_git(bench.folder, "switch", "--quiet", "exp/demo")
    done = bench.ckgit("delete", "demo", check=False)
    assert (done.returncode, "is checked out in" in done.stderr) == (Exit.BRANCH_MOVED, True)
    run_git(bench.folder, "switch", "--quiet", "main")
    bench.ckgit("delete", "demo")


def test_at_the_authority_only_where_it_is_asked_for_and_its_commits_stay_there(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = make_server(tmp_path).parent / "bin"  # by which hooks find ckgit, here and there
    monkeypatch.setenv("PATH", f"{program}{os.pathsep}{os.environ['PATH']}")
    bench.advance(State.TRAINED)
    assert bench.ckgit("delete", "demo", "--authority", check=False).returncode == Exit.USAGE  # there is none
    bare = with_authority(bench, tmp_path)
    bench.ckgit("hooks", "install")
    run_git(bench.folder, "fetch", "--quiet", "origin")
    tip = bench.snapshot.tip
    bench.ckgit("delete", "demo")
    assert refs(bare, "refs/heads/exp") == {"refs/heads/exp/demo": tip}
    bench.ckgit("delete", "demo", "--undo")
    bench.ckgit("delete", "demo", "--authority")
    assert refs(bare, "refs/heads/exp", "refs/ckgit") == {f"refs/ckgit/closed/demo@{tip[:12]}": tip}
    assert refs(bench.folder, "refs/heads/exp") == {}
    bench.ckgit("delete", "demo", "--undo")
    bench.advance(State.ANALYZED)
    bench.ckgit("clean", "demo", "--checkpoints", "--yes")  # whose step the server's hooks let in
    assert refs(bare, "refs/heads/exp") == {"refs/heads/exp/demo": bench.snapshot.tip}
    assert bench.snapshot.event == "clean"


def test_what_somebody_else_has_added_at_the_authority_is_not_deleted(bench: Bench, tmp_path: Path) -> None:
    bare = with_authority(bench, tmp_path)
    tree = run_git(bare, "rev-parse", "exp/demo^{tree}")
    theirs = run_git(bare, "commit-tree", tree, "-p", "exp/demo", "-m", "theirs")
    run_git(bare, "update-ref", "refs/heads/exp/demo", theirs)
    before = refs(bench.folder, "refs/heads/exp")
    assert bench.ckgit("delete", "demo", "--authority", check=False).returncode == Exit.BRANCH_MOVED
    assert (refs(bare, "refs/heads/exp/demo")["refs/heads/exp/demo"], refs(bench.folder, "refs/heads/exp")) == (theirs, before)
