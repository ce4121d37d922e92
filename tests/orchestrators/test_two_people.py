"""Two people, a bare repository between them, and git's own ways: pulls that merge, branches that are behind, races that are lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench


class People(NamedTuple):
    """Two clones of one bare repository on one machine."""

    ada: Bench
    bob: Bench


def git(bench: Bench, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=bench.folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def people(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    """Both have the scaffolded experiment; Bob has taken it on to trained, and pushed that."""
    bench.advance(State.SCAFFOLDED)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(bench.folder), str(tmp_path / "bare.git")], check=True)
    git(bench, "remote", "add", "origin", str(tmp_path / "bare.git"))
    git(bench, "fetch", "--quiet", "origin")
    bob = bench.clone("bob", tmp_path / "bare.git")
    with monkeypatch.context() as his:
        his.setenv("GIT_AUTHOR_NAME", "Bob")
        bob.advance(State.TRAINED)
    git(bob, "push", "--quiet", "origin", "exp/demo")
    return People(bench, bob)


def note(bench: Bench, file: str = "notes.md") -> None:
    """A commit by hand on the branch, which stays checked out."""
    git(bench, "switch", "--quiet", "exp/demo")
    (bench.folder / "experiments/demo" / file).write_text("what I think\n")
    git(bench, "add", "--all", "experiments")
    git(bench, "commit", "--quiet", "-m", "Notes")


def pull(bench: Bench) -> None:
    git(bench, "pull", "--quiet", "--no-rebase", "--no-edit", "origin", "exp/demo")


def test_a_pull_that_merges_is_followed_and_everybody_goes_on(people: People) -> None:
    ada, bob = people
    note(ada)
    pull(ada)
    git(ada, "push", "--quiet", "origin", "exp/demo")
    git(bob, "fetch", "--quiet")
    assert git(ada, "rev-list", "--merges", "--count", "exp/demo") == "1"
    assert "trained" in ada.ckgit("status", "demo").stdout
    done = ada.ckgit("advance", "demo")
    assert (done.returncode, ada.snapshot.state) == (0, State.EVALUATED), done.stderr
    note(ada, "more.md")  # the merge is no longer the newest commit, nor one just below a step
    git(ada, "push", "--quiet", "origin", "exp/demo")
    git(bob, "fetch", "--quiet")
    done = bob.ckgit("advance", "demo")
    assert "brought exp/demo up to origin/exp/demo" in done.stderr
    assert bob.snapshot.state is State.ANALYZED
    for words in (["status", "demo"], ["show", "demo"], ["log", "demo"], ["why", "demo"], ["list"]):
        done = bob.ckgit(*words)
        assert "changed by hand" not in done.stdout.replace("changed by hand: ckgit status", ""), done.stdout
        assert "cannot" not in done.stdout
    assert len(bob.executions()) == len(set(bob.executions())) == 5


def test_what_a_merge_changes_of_ckgits_files_is_by_hand(people: People) -> None:
    ada, _ = people
    note(ada)
    git(ada, "pull", "--quiet", "--no-rebase", "--no-commit", "origin", "exp/demo")
    ledger = ada.folder / "experiments/demo/jobs.json"
    ledger.write_text(ledger.read_text().replace('"number"', ' "number"'))
    git(ada, "commit", "--quiet", "--all", "--no-edit")
    merge = git(ada, "rev-parse", "--short=12", "exp/demo")
    done = ada.ckgit("advance", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert f"jobs.json (changed in commit {merge})" in done.stderr
    follow(ada, done, "next:  ")
    assert ada.ckgit("advance", "demo").returncode == 0


def test_steps_that_went_on_in_two_ways_are_no_history(people: People) -> None:
    ada, _ = people
    ada.advance(State.TRAINED)
    ours = ada.snapshot.tip
    git(ada, "switch", "--quiet", "exp/demo")
    git(ada, "fetch", "--quiet")
    subprocess.run(["git", "merge", "--quiet", "-X", "theirs", "--no-edit", "origin/exp/demo"], cwd=ada.folder, check=True)
    assert ada.snapshot.recorded_at == ours  # what was merged in does not stand on it


@pytest.mark.parametrize("keep", ["these", "those that were merged in"])
def test_of_two_ways_that_were_merged_either_leads_on(people: People, keep: str) -> None:
    ada, bob = people
    ada.advance(State.TRAINED)
    ours, theirs = ada.snapshot.tip, bob.snapshot.tip
    git(ada, "switch", "--quiet", "exp/demo")
    git(ada, "fetch", "--quiet")
    git(ada, "merge", "--quiet", "-X", "theirs", "--no-edit", "origin/exp/demo")
    note(ada)
    git(ada, "switch", "--quiet", "main")
    done = ada.ckgit("advance", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert done.stderr.count("git rebase") == 1
    if keep == "these":
        (line,) = [line for line in done.stderr.splitlines() if "next:" in line]
        subprocess.run(["bash", "-euc", line.partition("next:")[2].partition("; or")[0]], cwd=ada.folder, check=True)
    else:
        follow(ada, done, "and not from these: ")
    done = ada.ckgit("advance", "demo", check=False)
    assert (done.returncode, ada.snapshot.state) == (0, State.EVALUATED), done.stderr
    assert git(ada, "show", "exp/demo:experiments/demo/notes.md")
    here = git(ada, "rev-list", "exp/demo").split()
    assert (ours in here, theirs in here) == (keep == "these", True)
    assert git(ada, "for-each-ref", "--contains", ours, "--format=%(refname)")  # nothing that was committed is lost


def follow(bench: Bench, done: subprocess.CompletedProcess[str], before: str) -> None:
    """Run the shell line that a message ends with."""
    line = next(line for line in done.stderr.splitlines() if "next:" in line)
    subprocess.run(["bash", "-euc", line.rpartition(before)[2]], cwd=bench.folder, check=True)


@pytest.mark.parametrize("checked_out", [False, True])
def test_what_is_only_behind_is_brought_up(people: People, checked_out: bool) -> None:
    ada, bob = people
    git(ada, "fetch", "--quiet")
    if checked_out:
        git(ada, "switch", "--quiet", "exp/demo")
    done = ada.ckgit("advance", "demo")
    assert (done.returncode, ada.snapshot.state) == (0, State.EVALUATED), done.stderr
    assert len(ada.executions()) == len(set(ada.executions())) == 5
    if checked_out:
        assert git(ada, "status", "--porcelain") == ""
    assert bob.snapshot.state is State.TRAINED


@pytest.mark.parametrize("where", ["main", "exp/demo", "elsewhere"])
def test_who_lost_a_race_takes_theirs_and_goes_on(people: People, where: str) -> None:
    ada, bob = people
    ada.advance(wait=False)  # without an authority, nobody was asked
    ada.advance(State.TRAINED)
    git(ada, "fetch", "--quiet")
    if where == "exp/demo":
        git(ada, "switch", "--quiet", where)
    elif where == "elsewhere":
        git(ada, "worktree", "add", "--quiet", str(ada.folder.parent / "else where"), "exp/demo")
    lost = ada.snapshot.tip
    git(ada, "branch", "mine-demo", "main")  # of an earlier race
    done = ada.ckgit("advance", "demo", check=False)
    assert (done.returncode, ada.snapshot.tip) == (Exit.BRANCH_MOVED, lost)
    follow(ada, done, "take theirs: ")
    assert ada.snapshot.tip == bob.snapshot.tip
    assert git(ada, "branch", "--contains", lost, "--format=%(refname:short)") == f"mine-demo-{lost[:7]}"
    done = ada.ckgit("advance", "demo")
    assert (done.returncode, ada.snapshot.state) == (0, State.EVALUATED), done.stderr


def test_everybody_is_told_who_is_ahead(people: People) -> None:
    ada, bob = people
    assert "ahead" not in ada.ckgit("status", "demo").stdout  # nothing was fetched
    git(ada, "fetch", "--quiet")
    looks = (["status", "demo"], ["show", "demo"], ["show", "demo", "rank4"], ["why", "demo"])
    for words in (*looks, ["list"]):
        told = " ".join(ada.ckgit(*words).stdout.split())
        assert "origin/exp/demo is 2 commits ahead, as of" in told, told
    for words in looks:
        assert "ago; git fetch origin looks again; ckgit advance demo goes on from there" in " ".join(ada.ckgit(*words).stdout.split())
        (told,) = json.loads(ada.ckgit(*words, "--json").stdout)["ahead"]
        assert told.startswith("origin/exp/demo is 2 commits ahead, as of ")
        assert json.loads(bob.ckgit(*words, "--json").stdout)["ahead"] == []
    note(ada)
    assert "ahead, and the branch here has 1 commit that it lacks" in " ".join(ada.ckgit("status", "demo").stdout.split())
    assert "ahead" not in bob.ckgit("status", "demo").stdout


def test_a_dry_run_plans_from_where_the_command_would_bring_the_branch(people: People) -> None:
    ada, bob = people
    git(ada, "fetch", "--quiet")
    before = ada.snapshot.tip
    step = json.loads(ada.ckgit("advance", "demo", "--dry-run", "--json").stdout)
    theirs = bob.snapshot.tip
    up = f"would first bring exp/demo up to origin/exp/demo, 2 commits ahead, from {before[:12]} to {theirs[:12]}"
    assert (step["remarks"][0], step["lifecycle_state"]) == (up, "trained")
    assert [commit["message"].splitlines()[0] for commit in step["commits"]] == ["submit demo: trained -> trained"]
    assert up in ada.ckgit("advance", "demo", "--dry-run").stdout
    assert ada.snapshot.tip == before
    ada.ckgit("advance", "demo", "--no-wait", check=False)
    assert ada.snapshot.event == "submit"
    assert git(ada, "rev-parse", "exp/demo~1") == theirs


def test_a_dry_run_refuses_what_the_command_would(people: People) -> None:
    ada, _ = people
    note(ada)
    git(ada, "fetch", "--quiet")
    done = [ada.ckgit("advance", "demo", *words, check=False) for words in (["--dry-run"], [])]
    assert [(each.returncode, each.stderr) for each in done] == [(Exit.BRANCH_MOVED, done[0].stderr)] * 2
