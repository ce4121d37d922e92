"""Anchors: what a server attests of an experiment's steps, so that a history which was written anew as a whole is seen (jobs are bash)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.experiment.state import State
from ckgit.lab.git.anchors import anchors
from ckgit.lab.lab import open_at, open_lab
from ckgit.orchestrators.review.named import subjects
from ckgit.orchestrators.review.verify.verify import verify
from tests.conftest import run_git
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.conftest import bare_bench, bench, designed, tiny_package
from tests.orchestrators.review.agree import tell
from tests.orchestrators.review.facts import mutations
from tests.orchestrators.review.history import Branch
from tests.orchestrators.review.hooks.server import make_server, push
from tests.orchestrators.review.lies import Liar

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]
pytestmark = pytest.mark.slow
ANCHORS = "refs/ckgit/anchors/*"


@pytest.fixture
def server(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab's authority, a bare repository with all hooks; nothing but the default branch is there."""
    server = make_server(tmp_path)
    toml = bench.folder / "ckgit.toml"
    toml.write_text('authority = "origin"\n' + toml.read_text())
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run_git(bench.folder, "branch", "--force", "exp/demo", rebased(bench.folder))
    run_git(bench.folder, "update-ref", "-d", "refs/ckgit/tips/demo")
    run_git(bench.folder, "remote", "add", "origin", str(server))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    run_git(bench.folder, "push", "--quiet", "origin", "main")
    return server


def rebased(lab: Path) -> str:
    """The design as it would be if it had been made on the default branch that now is."""
    tree = run_git(lab, "merge-tree", "--write-tree", "main", "exp/demo")
    return run_git(lab, "commit-tree", tree, "-p", "main", "-F", "-", stdin=run_git(lab, "log", "-1", "--format=%B", "exp/demo"))


def found(lab: Path) -> list[str]:
    """What verification of experiment `demo` finds."""
    opened = open_at(lab, lab) if lab.suffix == ".git" else open_lab(lab)
    return [str(each) for subject in subjects(opened, ["demo"], every=False) for each in verify(opened, subject).findings]


def as_eves(folder: Path) -> None:
    """The whole branch as somebody else's work: no file is another one, and all that is recorded agrees."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Eve")
        Liar(folder).tell(lambda index, commit, told: told)


def with_a_better_score(folder: Path) -> None:
    """The whole branch with another accuracy in a log, and every digest, table and report made to agree."""
    branch = Branch(folder)
    (better,) = (each for each in mutations(branch.honest) if each.label == "everywhere: an accuracy")
    tell(branch, open_lab(folder), better)


def test_each_step_that_could_be_chosen_is_attested(bench: Bench, server: Path) -> None:
    bench.advance(State.ANALYZED)
    steps = [step for step in bench.history() if step in ("design", "submit", "evaluate")]
    known = anchors(server, "demo")
    assert sorted(each.event for each in known) == sorted(steps)
    for each in known:
        message = run_git(server, "log", "-1", "--format=%B", each.ref)
        assert f"Ckgit-Anchor: demo {each.event}" in message
        assert run_git(server, "rev-parse", f"{each.ref}^") == each.commit
    run_git(bench.folder, "fetch", "--quiet", "origin", f"{ANCHORS}:{ANCHORS}")
    (note,) = found(bench.folder)
    assert f"{len(steps)} of {len(steps)} steps that can be attested are, by " in note
    assert re.search(r", \d+ s after they were made at most \(design 20\S+ to evaluate 20\S+\) \[attested\]$", note)


@pytest.mark.parametrize("new", ["", "main~1"])
def test_what_was_merged_stays_when_the_default_branch_is_rewritten(bench: Bench, server: Path, new: str) -> None:
    bench.advance(State.TRAINED)
    run_git(server, "config", "receive.denyDeleteCurrent", "ignore")
    run_git(bench.folder, "merge", "--quiet", "--no-ff", "--message=Demo", "exp/demo")
    assert push(bench.folder, server, "main").returncode == 0
    assert push(bench.folder, server, ":exp/demo").returncode == 0
    done = push(bench.folder, server, "--force", f"{new}:main")
    assert done.returncode != 0
    assert "and with it the record of 2 attempts of demo [ledger]" in done.stderr
    advised = re.search(r"git push REMOTE (\S+)", done.stderr)
    assert advised
    kept = push(bench.folder, server, advised[1])
    assert kept.returncode == 0, kept.stderr
    assert push(bench.folder, server, "--force", f"{new}:main").returncode == 0


def test_a_default_branch_that_tells_the_same_may_be_rewritten(bench: Bench, server: Path) -> None:
    bench.advance(State.TRAINED)
    run_git(bench.folder, "merge", "--quiet", "--no-ff", "--message=Demo", "exp/demo")
    assert push(bench.folder, server, "main").returncode == 0
    assert push(bench.folder, server, ":exp/demo").returncode == 0
    run_git(bench.folder, "commit", "--quiet", "--amend", "--message=A better word")
    assert push(bench.folder, server, "--force", "main").returncode == 0


def test_a_history_that_came_as_a_whole_says_how_old_it_was(bench: Bench, server: Path) -> None:
    raw = run_git(bench.folder, "cat-file", "commit", "exp/demo")
    old = re.sub(r"(?m)^(author .*>) \d+", r"\1 1700000000", raw)
    oid = run_git(bench.folder, "hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{old}\n")
    assert push(bench.folder, server, f"{oid}:refs/heads/exp/demo").returncode == 0
    (note,) = found(server)
    assert re.search(r"1 of 1 step that can be attested is, by .*, \d+\.\d d after they were made at most \(design 20[^)]*\)", note)


def test_ckgit_brings_anchors_along(bench: Bench, server: Path) -> None:
    bench.advance(State.TRAINED)
    bench.ckgit("advance", "demo", "--to", "evaluated")
    assert len(anchors(bench.folder, "demo")) >= 3
    other = bench.clone("colleague", of=server)
    other.ckgit("advance", "demo", "--to", "analyzed")
    assert anchors(other.folder, "demo") == anchors(server, "demo")


@pytest.mark.parametrize("lie", [as_eves, with_a_better_score])
def test_a_history_that_was_written_anew_as_a_whole_is_seen_by_anchors_alone(
    bench: Bench, server: Path, lie: Callable[[Path], None]
) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    bench.ckgit("retry", "demo")
    bench.advance(State.ANALYZED)
    run_git(bench.folder, "fetch", "--quiet", "origin", f"{ANCHORS}:{ANCHORS}")
    honest = run_git(bench.folder, "rev-parse", "exp/demo")
    lie(bench.folder)
    assert run_git(bench.folder, "rev-parse", "exp/demo") != honest
    told = found(bench.folder)
    assert {each.rpartition("[")[2] for each in told} == {"anchor]", "attested]"}
    assert any("evaluate was attested at 20" in each and each.startswith("error: ") for each in told)
    done = push(bench.folder, server, "+exp/demo")
    assert done.returncode == 1
    assert "evaluate was attested at 20" in done.stderr
    refused = [line.rstrip() for line in done.stderr.splitlines() if line.startswith("remote: error: ")]
    assert {line.rpartition("[")[2] for line in refused} == {"anchor]"}
    assert run_git(server, "rev-parse", "exp/demo") == honest
    # and only by them: without anchors, everything else agrees
    for ref in run_git(server, "for-each-ref", "--format=%(refname)", "refs/ckgit/anchors").split():
        run_git(server, "update-ref", "-d", ref)
        run_git(bench.folder, "update-ref", "-d", ref)
    (note,) = found(bench.folder)
    assert note.startswith("note: ")
    assert "this clone has no anchor of it: where the repository that others push to has none either" in note
    assert push(bench.folder, server, "+exp/demo").returncode == 0


def test_nobody_pushes_anchors(bench: Bench, server: Path) -> None:
    bench.ckgit("advance", "demo", "--to", "scaffolded")
    (anchor,) = anchors(server, "demo")
    before = run_git(server, "for-each-ref")
    made = f"refs/ckgit/anchors/demo/submit/{run_git(bench.folder, 'rev-parse', 'exp/demo')}"
    for words in ([f"+main:{anchor.ref}"], [f":{anchor.ref}"], [f"main:{made}"], ["main:refs/ckgit/anchors"]):
        done = push(bench.folder, server, *words)
        assert done.returncode == 1, words
        assert "[anchor]" in done.stderr
    assert run_git(server, "for-each-ref") == before


@pytest.mark.parametrize("place", ["", "{}:refs/ckgit/closed/demo/mistaken"])
def test_a_rewritten_branch_goes_where_what_was_attested_is_kept(bench: Bench, server: Path, place: str) -> None:
    bench.ckgit("advance", "demo", "--to", "trained")
    old = run_git(bench.folder, "rev-parse", "exp/demo")
    as_eves(bench.folder)
    done = push(bench.folder, server, "+exp/demo")
    advised = re.search(r"git push REMOTE (\S+)", done.stderr)
    assert advised
    assert push(bench.folder, server, place.format(old) if place else advised[1]).returncode == 0
    assert push(bench.folder, server, "+exp/demo").returncode == 0
    warning, *_ = found(server)
    assert warning.startswith("warning: ")
    assert "another history of this name was attested, from 20" in warning
    assert warning.endswith("[anchor]")
    closed = "refs/ckgit/closed/*:refs/ckgit/closed/*"
    run_git(bench.folder, "fetch", "--quiet", "origin", "+refs/heads/exp/*:refs/remotes/origin/exp/*", closed)
    assert [line.split()[0] for line in bench.ckgit("list").stdout.splitlines()].count("demo") == 1
    if not place:
        bench.ckgit("close", "demo", "--because", "It was a mistake from the beginning")
        assert push(bench.folder, server, ":exp/demo").returncode == 0
        assert run_git(server, "rev-parse", "refs/ckgit/closed/demo") == bench.snapshot.tip


def test_a_name_is_used_again(bench: Bench, server: Path) -> None:
    """A design that no job came of may be given up; what was merged is in the record."""
    run_git(bench.folder, "push", "--quiet", "origin", "exp/demo")
    first = run_git(bench.folder, "rev-parse", "exp/demo")
    assert push(bench.folder, server, ":exp/demo").returncode == 0
    run_git(bench.folder, "branch", "-D", "exp/demo")
    run_git(bench.folder, "update-ref", "-d", "refs/ckgit/tips/demo")
    run_git(bench.folder, "fetch", "--quiet", "--prune", "origin")
    design_demo(bench.lab, {"experiment": {"name": "demo", "question": "Is it worse?", "date": "2026-11-23"}})
    told = found(server)
    assert [each.partition(":")[0] for each in told if "[anchor]" in each] == ["warning"]
    assert first[:12] in told[0]
    assert "another design of this name was attested at" in told[0]
    bench.ckgit("advance", "demo", "--to", "analyzed")
    assert all("[anchor]" not in each or each.startswith("warning") for each in found(server))
    run_git(bench.folder, "merge", "--quiet", "--no-edit", "exp/demo")
    assert push(bench.folder, server, "main").returncode == 0
    assert push(bench.folder, server, ":exp/demo").returncode == 0
    run_git(bench.folder, "branch", "-D", "exp/demo")
    assert all("[anchor]" not in each or each.startswith("warning") for each in found(server))


def test_one_that_was_missed_is_made_with_the_next_push(bench: Bench, server: Path) -> None:
    hook = server / "hooks/post-receive"
    hook.chmod(0o644)
    bench.ckgit("advance", "demo", "--to", "scaffolded")
    assert anchors(server, "demo") == []
    hook.chmod(0o755)
    bench.ckgit("advance", "demo", "--to", "trained")
    assert {each.event for each in anchors(server, "demo")} == {"design", "submit"}


def test_a_clock_of_the_pushers_and_a_hook_of_others(bench: Bench, server: Path) -> None:
    shutil.move(server / "hooks/post-receive", server / "hooks/kept")
    notes = server.parent / "notes"
    (server / "hooks/post-receive").write_text(f"#!/bin/sh\ncat >{notes}\nexit 3\n")
    (server / "hooks/post-receive").chmod(0o755)
    (server / "hooks/kept").unlink()
    assert "post-receive.before-ckgit runs first" in bench.ckgit("-C", str(server), "hooks", "install").stdout
    variables = {"GIT_COMMITTER_DATE": "@1000000000 +0000", "GL_USER": "cleo\x1b[2J", "GIT_AUTHOR_DATE": "@1000000000 +0000"}
    done = push(bench.folder, server, "exp/demo", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert "refs/heads/exp/demo" in notes.read_text()
    (anchor,) = anchors(server, "demo")
    assert anchor.when > "2020"
    assert "Ckgit-Pusher: cleo\\x1b[2J" in run_git(server, "log", "-1", "--format=%B", anchor.ref)
    assert subprocess.run(["git", "fsck", "--strict"], cwd=server, check=False, capture_output=True).returncode == 0


def test_a_lab_without_an_authority_is_not_told_of_anchors(bench: Bench) -> None:
    bench.ckgit("advance", "demo", "--to", "scaffolded")
    assert found(bench.folder) == []
