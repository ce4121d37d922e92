"""pre-push and pre-receive: what a branch gets by a push, and what it must not lose."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ckgit.experiment.lifecycle import Event
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import SummaryFile
from tests.conftest import run_git
from tests.orchestrators.review.hooks.by_hand import SUMMARY, change, hook, stage
from tests.orchestrators.review.hooks.conftest import ledger, step
from tests.orchestrators.review.hooks.server import make_server, push
from tests.orchestrators.review.hooks.test_message import message

FOLDER = "experiments/cap"
LEDGER = f"{FOLDER}/jobs.json"
NOTHING = "0" * 40


def said(lab: Lab, old: str, new: str, ref: str = "refs/heads/exp/cap", *more: str, name: str = "pre-receive") -> str:
    """What the hook says of a push, whose objects are in the lab itself."""
    ids = [NOTHING if each == "" else run_git(lab.root, "rev-parse", each) for each in (old, new)]
    line = f"{ids[0]} {ids[1]} {ref}\n" if name == "pre-receive" else f"refs/heads/x {ids[1]} {ref} {ids[0]}\n"
    done = hook(lab.root, name, *(["origin", "url"] if name == "pre-push" else []), stdin=line + "".join(f"{each}\n" for each in more))
    assert (done.stdout, done.returncode) == ("", "error: " in done.stderr), done.stderr
    return done.stderr


def commit(folder: Path, text: str = "By hand\n", *words: str) -> str:
    run_git(folder, "commit", "--quiet", "--allow-empty", "--file=-", *words, stdin=text)
    return run_git(folder, "rev-parse", "HEAD")


def ended(**values: object) -> bytes:
    return ledger("a", phase="done", exit_code=0, started="2026-11-23T00:00:00Z", ended="2026-11-23T00:01:00Z", **values)


@pytest.mark.parametrize("name", ["pre-push", "pre-receive"])
def test_what_ckgit_commits_may_be_pushed(lab: Lab, submitted: Path, name: str) -> None:
    step(lab, Event.TRAIN, {LEDGER: ended()})
    step(lab, Event.SUBMIT, {LEDGER: ended(usage={"cpu_seconds": 3.0})})
    assert said(lab, "", "exp/cap", name=name) == ""
    assert said(lab, "exp/cap~2", "exp/cap", name=name) == ""
    step(lab, Event.REVISE, {LEDGER: None})
    assert said(lab, "exp/cap~1", "exp/cap", name=name) == ""
    stage(submitted, {f"{FOLDER}/notes.md": "mine\n"})
    commit(submitted)
    assert said(lab, "exp/cap~1", "exp/cap", name=name) == ""
    assert said(lab, "", "main", "refs/heads/main", name=name) == ""
    run_git(lab.root, "merge", "--quiet", "--no-edit", "exp/cap")  # the default branch has it all
    assert said(lab, "exp/cap", "main", name=name) == ""


@pytest.mark.parametrize("name", ["pre-push", "pre-receive"])
def test_steps_are_legal_from_where_their_parents_stand(lab: Lab, submitted: Path, name: str) -> None:
    digest = take_snapshot(lab, "cap").summary.summary.digest
    stage(submitted, {SUMMARY: change(submitted, ("state: scaffolded", "state: analyzed"))})
    first = commit(submitted)
    found = said(lab, "exp/cap~1", "exp/cap", name=name)
    assert found.startswith(f"error: {first[:12]} {SUMMARY}: the summary says analyzed, and the steps led to scaffolded [state]")
    assert found.endswith("nothing was pushed\n")
    forged = commit(submitted, message("analyze", "evaluated", "analyzed", digest), "--amend")
    found = said(lab, "", "exp/cap", name=name)
    assert found.startswith(f"error: {forged[:12]}: it begins at evaluated, and the commit before it led to scaffolded [step]")


def test_files_of_commits_by_hand_are_looked_at(lab: Lab, submitted: Path) -> None:
    stage(submitted, {f"{FOLDER}/a\nb.md": "hf_" + "a1B2c3D4e5" * 3, f"{FOLDER}/run-experiment.log": "nicer\n", SUMMARY: "none"})
    oid = commit(submitted)
    stage(submitted, {f"{FOLDER}/a\nb.md": None})
    commit(submitted)
    found = said(lab, "exp/cap~2", "exp/cap")
    assert f"error: {oid[:12]} {FOLDER}/a\\nb.md:1: a Hugging Face token: " in found
    assert f"error: {oid[:12]} {FOLDER}/run-experiment.log: ckgit owns this file, and it was changed by hand [edited]" in found
    assert "[summary]" in found


def test_a_script_that_was_edited_is_told_and_may_be_pushed(lab: Lab, submitted: Path) -> None:
    """As ckgit itself goes on with it: a job says what it ran. Where its results will be verified, it may not."""
    stage(submitted, {f"{FOLDER}/rank4/finetune.slurm": "mine\n"})
    oid = commit(submitted)
    found = said(lab, "exp/cap~1", "exp/cap")
    assert found.startswith(f"warning: {oid[:12]} {FOLDER}/rank4/finetune.slurm: ckgit owns this file, and it was changed")
    assert "git checkout " in found
    run_git(lab.root, "config", "ckgit.hooksVerify", "full")
    assert said(lab, "exp/cap~1", "exp/cap").startswith(f"error: {oid[:12]} {FOLDER}/rank4/finetune.slurm: ckgit owns this file")


def test_an_attempt_that_was_committed_is_not_taken_out(lab: Lab, submitted: Path) -> None:
    step(lab, Event.SUBMIT, {LEDGER: ledger("a", "b")})
    stage(submitted, {LEDGER: ledger("b")})
    commit(submitted)
    oid = run_git(submitted, "rev-parse", "HEAD")
    run_git(submitted, "revert", "--no-edit", "HEAD")  # even where it comes back
    assert f"error: {oid[:12]} {LEDGER}: attempt a was committed, and the branch does not tell of it any more [ledger]" in said(
        lab, "exp/cap~2", "exp/cap"
    )
    for content in (b'{"attempts": [1, {"token"', b'{"attempts": ["token", 1]}', b"[" * 100_000, b"\xff"):
        stage(submitted, {LEDGER: content})
        commit(submitted)
        assert "attempt b was committed" in said(lab, "exp/cap~1", "exp/cap")
        run_git(submitted, "reset", "--quiet", "--hard", "HEAD~1")
    run_git(submitted, "rm", "--quiet", LEDGER)
    stage(submitted, {f"{LEDGER}/file": "a folder"})
    commit(submitted)
    assert "attempt b was committed" in said(lab, "exp/cap~1", "exp/cap")


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (ledger("a"), ended(), ""),
        (ended(), ended(usage={"cpu_seconds": 1.0}), ""),
        (ended(), ledger("a", phase="failed", exit_code=1), "ledger"),
        (ledger("a"), ledger("a", script_sha256="1" * 64), "ledger"),
        (ledger("a"), ledger("a", job="other"), "ledger"),
        (ledger("a", phase="failed", exit_code=1), ledger("a", phase="failed", exit_code=0), "ledger"),
        (ended(), None, "ledger"),
    ],
)
def test_an_attempt_goes_on_until_it_has_ended(lab: Lab, submitted: Path, before: bytes, after: bytes | None, rule: str) -> None:
    step(lab, Event.SUBMIT, {LEDGER: before})
    step(lab, Event.SUBMIT, {LEDGER: after})
    found = said(lab, "exp/cap~1", "exp/cap")
    assert (f"[{rule}]" in found) if rule else found == ""


def test_a_branch_that_was_rewritten_still_tells_each_attempt(lab: Lab, submitted: Path) -> None:
    step(lab, Event.SUBMIT, {LEDGER: ledger("a", "b")})
    stage(submitted, {f"{FOLDER}/notes.md": "mine\n"})
    old = commit(submitted)
    reworded = commit(submitted, "Better words\n", "--amend")
    assert said(lab, old, reworded) == ""
    run_git(submitted, "reset", "--quiet", "--hard", f"{old}~2")
    assert "attempt b was committed, and the branch does not tell of it any more [ledger]" in said(lab, old, "exp/cap")
    step(lab, Event.SUBMIT, {LEDGER: ledger("a", "b", number=2)})
    assert "attempt b was committed, and the branch tells it otherwise [ledger]" in said(lab, old, "exp/cap")
    assert "[ledger]" in said(lab, old, "main")


def test_a_branch_is_deleted_where_its_attempts_stay(lab: Lab, submitted: Path) -> None:
    found = said(lab, "exp/cap", "")
    tip = run_git(lab.root, "rev-parse", "exp/cap")
    assert found.startswith(f"error: {tip[:12]}: refs/heads/exp/cap is deleted, and with it the record of 1 attempt [ledger]\n")
    assert f"merge it into main first, or keep it: git push REMOTE {tip[:12]}:refs/ckgit/closed/cap" in found
    assert said(lab, "exp/cap", "", name="pre-push") == ""  # a server says what it keeps
    keeping = f"{NOTHING} {tip} refs/ckgit/closed/cap"
    assert said(lab, "exp/cap", "", "refs/heads/exp/cap", keeping) == ""
    run_git(lab.root, "update-ref", "refs/ckgit/closed/cap", tip)
    assert said(lab, "exp/cap", "") == ""
    assert "[ledger]" in said(lab, "exp/cap", "", "refs/heads/exp/cap", f"{tip} {NOTHING} refs/ckgit/closed/cap")
    assert said(lab, tip, "", "refs/ckgit/closed/cap") == ""  # the branch has them still
    assert "[ledger]" in said(lab, tip, "", "refs/ckgit/closed/cap", f"{tip} {run_git(lab.root, 'rev-parse', 'main')} refs/heads/exp/cap")
    run_git(submitted, "switch", "--quiet", "--detach")
    run_git(lab.root, "branch", "--quiet", "-D", "exp/cap")
    assert "refs/ckgit/closed/cap is deleted" in said(lab, tip, "", "refs/ckgit/closed/cap")
    assert "[ledger]" in said(lab, tip, "main", "refs/ckgit/closed/cap")
    run_git(lab.root, "branch", "--quiet", "exp/cap", tip)
    run_git(lab.root, "update-ref", "-d", "refs/ckgit/closed/cap")
    run_git(lab.root, "merge", "--quiet", "--no-edit", "exp/cap")
    assert said(lab, "exp/cap", "") == ""
    run_git(lab.root, "reset", "--quiet", "--hard", "HEAD~1")
    assert said(lab, "exp/cap~2", "") == ""  # designed only: nothing is lost


def begun_anew(lab: Lab, submitted: Path) -> str:
    """A branch whose name was used before: the default branch holds the one that had it. Returns its tip."""
    first = (submitted / SUMMARY).read_text().replace("state: scaffolded", "state: designed").replace("[4, 8]", "[4]")
    run_git(lab.root, "merge", "--quiet", "--no-edit", "exp/cap")
    run_git(submitted, "switch", "--quiet", "--detach")
    run_git(lab.root, "switch", "--quiet", "--force-create", "exp/cap", "main")
    run_git(lab.root, "rm", "--quiet", "-r", FOLDER)
    commit(lab.root)
    stage(lab.root, {SUMMARY: first})
    commit(lab.root, message("design", "none", "designed", SummaryFile.parse(first.encode(), SUMMARY).summary.digest))
    return run_git(lab.root, "rev-parse", "exp/cap")


@pytest.mark.parametrize("name", ["pre-push", "pre-receive"])
def test_a_name_is_not_used_again(lab: Lab, submitted: Path, name: str) -> None:
    before = run_git(lab.root, "rev-parse", "exp/cap")
    tip = begun_anew(lab, submitted)
    assert f"error: {tip[:12]}: cap is the name of an experiment that was merged into main [name]" in said(lab, "", "exp/cap", name=name)
    stage(lab.root, {f"{FOLDER}/notes.md": "mine\n"})
    commit(lab.root)
    assert said(lab, tip, "exp/cap", name=name) == ""  # one that was begun anew before goes on
    run_git(lab.root, "branch", "--quiet", "again", before)
    assert said(lab, "", "again", name=name) == ""  # the one that was merged is brought back


def test_a_lab_in_which_a_name_was_used_again_comes_to_a_server_as_it_is(lab: Lab, submitted: Path, server: Path) -> None:
    begun_anew(lab, submitted)
    assert push(lab.root, server, "main", "exp/cap").returncode == 0


@pytest.mark.parametrize("name", ["pre-push", "pre-receive"])
def test_the_default_branch_keeps_what_was_merged_as_it_was(lab: Lab, submitted: Path, name: str) -> None:
    run_git(lab.root, "switch", "--quiet", "main")
    run_git(lab.root, "merge", "--quiet", "--no-ff", "--no-edit", "exp/cap")
    assert said(lab, "main~1", "main", "refs/heads/main", name=name) == ""
    stage(lab.root, {f"{FOLDER}/notes.md": "of my own\n", "README.md": "of the lab\n"})
    commit(lab.root)
    assert said(lab, "main~1", "main", "refs/heads/main", name=name) == ""
    stage(lab.root, {LEDGER: "{}"})
    oid = commit(lab.root)
    assert f"{oid[:12]} {LEDGER}: main holds something else" in said(lab, "main~1", "main", "refs/heads/main", name=name)


def test_nothing_else_takes_the_name_of_what_is_closed(lab: Lab, submitted: Path) -> None:
    step(lab, Event.CLOSE, {})
    run_git(lab.root, "update-ref", "refs/ckgit/closed/cap", "exp/cap")
    assert "cap is the name of an experiment that was closed [name]" in said(lab, "", "main")  # a branch without any experiment
    found = said(lab, "", "main", "refs/ckgit/closed/other")
    assert "refs/ckgit/closed/other would keep a history in which there is no step of other [name]" in found


@pytest.mark.parametrize("name", ["pre-push", "pre-receive"])
def test_what_is_closed_goes_on_only_from_there(lab: Lab, submitted: Path, name: str) -> None:
    step(lab, Event.CLOSE, {})
    closed, before = (run_git(lab.root, "rev-parse", each) for each in ("exp/cap", "exp/cap~1"))
    assert said(lab, before, closed, "refs/heads/exp/cap", f"{NOTHING} {closed} refs/ckgit/closed/cap") == ""
    run_git(lab.root, "update-ref", "refs/ckgit/closed/cap", closed)
    run_git(submitted, "switch", "--quiet", "--detach")
    assert "cap is the name of an experiment that was closed [name]" in said(lab, "", before, name=name)
    assert "[name]" in said(lab, closed, before, name=name)
    assert said(lab, "", closed, name=name) == ""
    digest = take_snapshot(lab, "cap").summary.summary.digest
    run_git(lab.root, "switch", "--quiet", "exp/cap")
    forged = commit(lab.root, message("train", "scaffolded", "trained", digest))
    assert f"error: {forged[:12]}: it was closed before, and only reopen follows [step]" in said(lab, closed, "exp/cap", name=name)
    run_git(lab.root, "reset", "--quiet", "--hard", closed)
    commit(lab.root, message("reopen", "scaffolded", "scaffolded", digest))
    assert said(lab, closed, "exp/cap", "refs/heads/exp/cap", f"{closed} {NOTHING} refs/ckgit/closed/cap") == ""


def test_what_is_kept_as_closed_is_looked_at_as_a_branch_is(lab: Lab, submitted: Path) -> None:
    stage(submitted, {LEDGER: "{}"})
    bad = commit(submitted)
    run_git(submitted, "switch", "--quiet", "--detach")
    run_git(lab.root, "branch", "--quiet", "--force", "exp/cap", f"{bad}~1")
    assert "[ledger]" in said(lab, "", bad, "refs/ckgit/closed/cap")


def test_other_branches_are_not_its_business(lab: Lab, submitted: Path, tmp_path: Path) -> None:
    stage(lab.root, {"data/x.md": "hf_" + "a1B2c3D4e5" * 3})
    commit(lab.root)
    for ref in ("refs/heads/main", "refs/heads/exp/a/b", "refs/heads/exp/plain", "refs/tags/exp/cap", "refs/heads/exp/-x"):
        assert said(lab, "", "main", ref) == ""
    assert hook(tmp_path, "pre-receive", stdin=f"{NOTHING} {'1' * 40} refs/heads/exp/cap\n").returncode == 0
    assert hook(lab.root, "pre-push", "origin", "url").stderr == ""


def test_the_framework_pre_commit_tells_it_by_variables(lab: Lab, submitted: Path) -> None:
    stage(submitted, {LEDGER: "{}"})
    new = commit(submitted)
    told = {"LOCAL_BRANCH": "exp/cap", "TO_REF": new, "REMOTE_BRANCH": "refs/heads/exp/cap", "FROM_REF": f"{new}~1"}
    told["FROM_REF"] = run_git(lab.root, "rev-parse", f"{new}~1")
    done = hook(lab.root, "pre-push", "origin", "url", **{f"PRE_COMMIT_{key}": value for key, value in told.items()})
    assert "[ledger]" in done.stderr


def test_a_shallow_clone_checks_what_it_has(lab: Lab, submitted: Path, tmp_path: Path) -> None:
    step(lab, Event.TRAIN, {LEDGER: ended()})
    run_git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{lab.root}", "shallow")
    shallow = tmp_path / "shallow"
    run_git(shallow, "switch", "--quiet", "exp/cap")
    stage(shallow, {f"{FOLDER}/notes.md": "mine\n"})
    assert hook(shallow, "pre-commit").stderr == ""
    new = commit(shallow)
    line = f"refs/heads/exp/cap {new} refs/heads/exp/cap {run_git(lab.root, 'rev-parse', 'exp/cap')}\n"
    assert hook(shallow, "pre-push", "origin", "url", stdin=line).stderr == ""
    stage(shallow, {LEDGER: "{}"})
    line = f"refs/heads/exp/cap {commit(shallow)} refs/heads/exp/cap {new}\n"
    assert "[ledger]" in hook(shallow, "pre-push", "origin", "url", stdin=line).stderr


def test_a_server_that_cannot_tell_its_default_branch_keeps_attempts_all_the_same(lab: Lab, submitted: Path) -> None:
    stage(lab.root, {"data/model.safetensors": "0"})  # the default branch's own, which no experiment answers for
    commit(lab.root)
    run_git(submitted, "merge", "--quiet", "--no-edit", "main")
    tip = run_git(lab.root, "rev-parse", "exp/cap")
    for name in ("one", "two"):
        run_git(lab.root, "branch", name, "main")
    run_git(lab.root, "switch", "--quiet", "one")
    run_git(lab.root, "branch", "-D", "main")
    assert "[ledger]" in said(lab, tip, "")
    run_git(lab.root, "update-ref", "refs/ckgit/closed/cap", tip)
    assert said(lab, tip, "") == ""
    assert said(lab, tip, "", "refs/ckgit/closed/cap") == ""  # the branch has them
    both = f"{tip} {NOTHING} refs/heads/exp/cap"
    assert "[ledger]" in said(lab, tip, "", "refs/ckgit/closed/cap", both)
    assert said(lab, "", tip) == ""


def test_a_clone_of_one_branch_checks_it(lab: Lab, submitted: Path, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "--quiet", "--single-branch", "--branch=exp/cap", f"file://{lab.root}", "single")
    single = tmp_path / "single"
    stage(single, {LEDGER: "{}"})
    assert "[edited]" in hook(single, "pre-commit").stderr
    line = f"x {commit(single)} refs/heads/exp/cap {run_git(single, 'rev-parse', 'HEAD~1')}\n"
    assert "[ledger]" in hook(single, "pre-push", "origin", "url", stdin=line).stderr


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A bare repository with the hooks, and with nothing in it."""
    return make_server(tmp_path)


def test_on_a_server_what_is_refused_never_arrives(lab: Lab, submitted: Path, server: Path) -> None:
    """By git itself, which keeps what is pushed in quarantine until the hook agrees."""
    done = push(lab.root, server, "main", "exp/cap")
    assert (done.returncode, done.stderr) == (0, "")
    kept = run_git(server, "for-each-ref")
    stage(submitted, {LEDGER: json.dumps({})})
    bad = commit(submitted)
    done = push(lab.root, server, "exp/cap")
    assert done.returncode == 1
    assert f"remote: error: {bad[:12]} {LEDGER}: attempt a was committed" in done.stderr
    assert run_git(server, "for-each-ref") == kept
    assert subprocess.run(["git", "cat-file", "-e", bad], cwd=server, check=False, capture_output=True).returncode
    for refspec in ("+main:exp/cap", ":exp/cap"):
        assert "[ledger]" in push(lab.root, server, refspec).stderr
    assert run_git(server, "for-each-ref") == kept
    assert push(lab.root, server, ":exp/cap", f"{bad}~1:refs/ckgit/closed/cap").returncode == 0


def test_a_servers_first_push_is_checked(lab: Lab, submitted: Path, server: Path) -> None:
    stage(submitted, {LEDGER: json.dumps({})})
    commit(submitted)
    for refs in (["main", "exp/cap"], ["exp/cap"]):
        done = push(lab.root, server, *refs)
        assert (done.returncode, "[ledger]" in done.stderr) == (1, True), done.stderr
