import os
import shutil
import subprocess
import threading

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import open_lab
from ckgit.lab.remotes import authority, last_fetched, query
from ckgit.lab.remotes.query import NotReachedError, fetch_refs
from ckgit.lab.snapshot.take import take_snapshot
from tests.conftest import CONFIG
from tests.lab.helpers import DIGEST, assert_sound, design, is_over, scaffold, wait_by_looks


@pytest.fixture
def remote(lab, tmp_path, run):
    """A bare repository that the labs of Ada and Bob name as their authority."""
    (lab.root / "ckgit.toml").write_text(CONFIG.replace("\n\n", '\nauthority = "origin"\n\n', 1))
    run(lab.root, "commit", "--quiet", "--all", "-m", "An authority")
    run(tmp_path, "clone", "--quiet", "--bare", str(lab.root), "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture
def ada(remote, tmp_path, run):
    run(tmp_path, "clone", "--quiet", str(remote), "ada")
    return open_lab(tmp_path / "ada")


@pytest.fixture
def bob(remote, tmp_path, run):
    run(tmp_path, "clone", "--quiet", str(remote), "bob")
    return open_lab(tmp_path / "bob")


def follow(lab, command):
    """Do what a message advises."""
    subprocess.run(["bash", "-euc", command], cwd=lab.root, check=True)


def hook(remote, text, name="pre-receive"):
    """A rule of the remote's own."""
    file = remote / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def submit(lab, parent, note=b""):
    files = {"experiments/cap/jobs.json": note}
    return make_commit(lab, CommitPlan("cap", Event.SUBMIT, parent.branch_tip, files, DIGEST, ""))


def test_a_fetch_waits_for_whoever_holds_a_ref_of_this_clone(ada, bob, run):
    tip = scaffold(ada, design(ada))
    held = bob.root / ".git/refs/remotes/origin/exp/cap.lock"
    held.parent.mkdir(parents=True)
    held.touch()
    threading.Timer(1.0, held.unlink).start()  # git itself waits for a tenth of a second
    fetch_refs(bob, "origin", {"refs/heads/exp/cap": "refs/remotes/origin/exp/cap"})
    assert run(bob.root, "rev-parse", "origin/exp/cap") == tip


@pytest.mark.parametrize("left", ["lock", "ref", "folder", "shallow"])
def test_what_is_in_the_way_in_this_clone_is_no_silence_of_the_remote(ada, bob, run, monkeypatch, left):
    """Each is told once it was tried once, as git itself has waited for a lock; the message says what to do."""
    tip, place, ref = scaffold(ada, design(ada)), bob.root / ".git/refs/remotes/origin/exp/cap", "refs/remotes/origin/exp/cap"
    wanted, asked, ask = {"refs/heads/exp/cap": ref}, [], query._ask
    monkeypatch.setattr(query, "_LOCKED", ("-c", "core.filesRefLockTimeout=10"))
    monkeypatch.setattr(query, "_ask", lambda *args: (asked.append(args), ask(*args))[1])
    lock = {"lock": place.with_name("cap.lock"), "folder": place / "more.lock", "shallow": bob.root / ".git/shallow.lock"}.get(left)
    if lock:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    else:
        run(bob.root, "update-ref", f"{ref}/more", "HEAD")
    if left == "shallow":
        monkeypatch.setattr(query, "_FETCH", (*query._FETCH, "--depth=1"))
        run(bob.root, "remote", "set-url", "origin", f"file://{run(bob.root, 'remote', 'get-url', 'origin')}")

    with pytest.raises(NotReachedError, match=r"(refs/remotes/origin/exp/cap|a file) of this clone cannot be written: ") as caught:
        fetch_refs(bob, "origin", wanted)

    assert (caught.value.code, len(asked)) == (Exit.COMMAND_FAILED, 1)
    advice = {"ref": f"git update-ref -d {ref}/more", "folder": "ls -R .git/refs/remotes/origin/exp/cap shows what"}.get(left, f"rm {lock}")
    assert advice in caught.value.next
    follow(bob, f"rm {lock}" if lock else advice)
    fetch_refs(bob, "origin", wanted)
    assert run(bob.root, "rev-parse", ref) == tip


def test_a_command_without_words_is_called_by_its_name(ada, run, monkeypatch):
    silent = subprocess.CompletedProcess([], 3, b"", b"")
    monkeypatch.setattr(query, "_ask", lambda *_: silent)
    with pytest.raises(NotReachedError, match="does not answer: git fetch ended with exit code 3"):
        fetch_refs(ada, "origin", {"refs/heads/exp/cap": ""})


def test_a_fetch_whose_ref_another_one_moved_meanwhile_is_made_again(ada, bob, run, tmp_path, monkeypatch):
    tip = scaffold(ada, design(ada))
    first, program = tmp_path / "first", tmp_path / "bin/git"
    program.parent.mkdir()
    told = "error: cannot lock ref 'refs/remotes/origin/exp/cap': is at 1 but expected 2"  # as git says it then
    refuse = f'case "$*" in *" fetch "*) [ -e {first} ] || {{ touch {first}; echo "{told}" >&2; exit 1; }};; esac'
    program.write_text(f'#!/bin/sh\n{refuse}\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    fetch_refs(bob, "origin", {"refs/heads/exp/cap": "refs/remotes/origin/exp/cap"})
    assert (first.exists(), run(bob.root, "rev-parse", "origin/exp/cap")) == (True, tip)


def test_each_commit_is_pushed(ada, remote, run):
    tip = scaffold(ada, design(ada))

    assert run(remote, "rev-parse", "exp/cap") == tip


def test_a_colleague_goes_on_from_there(ada, bob, remote, run):
    tip = scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    mine = submit(bob, take_snapshot(bob, "cap"))

    authority.fetch(ada, "cap")

    assert take_snapshot(ada, "cap").tip == mine == run(remote, "rev-parse", "exp/cap")
    assert run(remote, "rev-parse", "exp/cap~1") == tip


def test_a_checkout_comes_along_with_a_fetch(ada, bob, run):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    run(bob.root, "switch", "--quiet", "exp/cap")
    tip = submit(ada, take_snapshot(ada, "cap"))

    authority.fetch(bob, "cap")

    assert run(bob.root, "rev-parse", "HEAD") == tip
    assert run(bob.root, "status", "--porcelain") == ""


def test_what_the_branch_had_lost_before_a_fetch_is_kept_and_told(ada, bob, remote, run):
    scaffold(ada, design(ada))
    scaffolded = run(remote, "rev-parse", "exp/cap")
    lost = submit(ada, take_snapshot(ada, "cap"), b"mine")
    for place in (remote, ada.root):
        run(place, "branch", "--force", "exp/cap", scaffolded)
    run(bob.root, "fetch", "--quiet")
    theirs = submit(bob, take_snapshot(bob, "cap"), b"theirs")

    assert f"is kept as refs/ckgit/rescue/cap/{lost[:12]}" in authority.fetch(ada, "cap")

    assert run(ada.root, "rev-parse", "exp/cap") == theirs
    assert run(ada.root, "rev-parse", f"refs/ckgit/rescue/cap/{lost[:12]}") == lost
    assert authority.fetch(ada, "cap") == ""


def test_who_is_behind_the_authority_changes_nothing(ada, bob, run):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    parent = take_snapshot(bob, "cap")
    theirs = submit(ada, take_snapshot(ada, "cap"))

    with pytest.raises(CkgitError, match=theirs[:12]) as caught:
        submit(bob, parent, b"mine")

    assert caught.value.code is Exit.BRANCH_MOVED
    assert run(bob.root, "for-each-ref", "refs/heads/exp") == ""


def test_both_went_on_while_apart(ada, bob, remote, tmp_path, run):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    parent = take_snapshot(bob, "cap")
    submit(ada, take_snapshot(ada, "cap"))
    run(bob.root, "remote", "set-url", "--push", "origin", str(tmp_path / "gone"))
    run(bob.root, "remote", "set-url", "origin", str(tmp_path / "gone"))

    with pytest.raises(CkgitError, match="does not answer") as caught:
        submit(bob, parent, b"mine")
    assert caught.value.code is Exit.UNKNOWN
    assert run(bob.root, "for-each-ref", "refs/heads/exp") == ""


def test_a_rejected_push_leaves_the_local_commit_standing(ada, remote, run):
    rule = hook(remote, "echo not today >&2; exit 1")

    with pytest.raises(CkgitError, match="not today") as caught:
        design(ada)

    tip = take_snapshot(ada, "cap").tip
    assert caught.value.code is Exit.COMMAND_FAILED
    assert f"commit {tip[:12]} stands on the local branch" in caught.value.state
    assert run(remote, "branch", "--list", "exp/*") == ""

    rule.unlink()
    pushed = scaffold(ada, take_snapshot(ada, "cap"))
    assert run(remote, "rev-parse", "exp/cap", "exp/cap~1").split() == [pushed, tip]


def test_a_new_experiment_that_the_authority_has_already(ada, bob, run, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-23T12:00:00Z")
    design(ada)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-23T12:00:01Z")

    with pytest.raises(CkgitError, match="origin is at") as caught:
        design(bob)

    assert caught.value.code is Exit.BRANCH_MOVED
    follow(bob, caught.value.next.removeprefix("choose another name, or go on with that one: ").partition(" && ckgit")[0])
    assert take_snapshot(bob, "cap").tip == run(ada.root, "rev-parse", "exp/cap")


def test_nothing_to_fetch(ada, lab):
    authority.fetch(ada, "none")
    authority.fetch(lab, "none")
    tip = design(ada).tip
    authority.fetch(ada, "cap")
    assert take_snapshot(ada, "cap").tip == tip


@pytest.mark.parametrize("name", ["pre-receive", "update"])
def test_a_rule_of_the_remote_is_told_in_its_own_words_and_is_no_race(ada, remote, run, name):
    parent = design(ada)
    rule = hook(remote, "echo protected branch: ask Grace >&2; exit 1", name)

    with pytest.raises(authority.RefusedError) as caught:
        scaffold(ada, parent)

    error, tip = caught.value, run(ada.root, "rev-parse", "exp/cap")
    assert error.code is Exit.COMMAND_FAILED
    assert error.what.startswith(f"origin refused commit {tip[:12]}: remote: protected branch: ask Grace")
    assert "hook declined" in error.what
    assert "somebody else" not in str(error)
    assert f"commit {tip[:12]} stands on the local branch, and not at origin" in error.state

    rule.unlink()
    follow(ada, error.next.rpartition("; or ")[2])
    assert run(remote, "rev-parse", "exp/cap") == tip


def test_the_users_own_hook_may_refuse_a_push(ada, run):
    hook(ada.git_dir, "echo no pushes on Sundays >&2; exit 1", "pre-push")

    with pytest.raises(authority.RefusedError, match="no pushes on Sundays"):
        design(ada)


def test_a_remote_that_cannot_write_is_no_race(ada, remote, run):
    parent = design(ada)
    run(remote, "config", "receive.maxInputSize", "10")

    with pytest.raises(authority.RefusedError, match=r"(?i)unpack|maximum allowed size") as caught:
        scaffold(ada, parent)
    assert caught.value.code is Exit.COMMAND_FAILED


def test_a_branch_that_another_push_holds_is_tried_again(ada, remote, run):
    parent = design(ada)
    (remote / "refs/heads/exp/cap.lock").touch()

    with pytest.raises(NotReachedError, match="was busy") as caught:
        scaffold(ada, parent)

    assert caught.value.code is Exit.UNKNOWN
    (remote / "refs/heads/exp/cap.lock").unlink()
    follow(ada, caught.value.next.rpartition("; or ")[2])
    assert run(remote, "rev-parse", "exp/cap") == run(ada.root, "rev-parse", "exp/cap")


def test_who_is_faster_between_the_look_and_the_push_wins(ada, bob, remote, run, monkeypatch):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    parent = take_snapshot(ada, "cap")
    theirs = submit(bob, take_snapshot(bob, "cap"), b"theirs")
    monkeypatch.setattr(authority, "refuse_behind", lambda *_: authority.NOWHERE)  # Ada looked before Bob pushed

    with pytest.raises(CkgitError, match=f"origin is at {theirs[:12]}") as caught:
        submit(ada, parent, b"mine")

    assert caught.value.code is Exit.BRANCH_MOVED
    kept = caught.value.state.partition("kept as ")[2]
    mine = run(ada.root, "rev-parse", kept)
    assert run(ada.root, "rev-parse", "exp/cap", f"{mine}^").split() == [theirs, parent.tip]
    assert run(ada.root, "show", f"{mine}:experiments/cap/jobs.json") == "mine"


def test_who_is_faster_is_followed_where_the_branch_is_checked_out(ada, bob, run, monkeypatch):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    run(ada.root, "switch", "--quiet", "exp/cap")
    parent = take_snapshot(ada, "cap")
    theirs = submit(bob, take_snapshot(bob, "cap"), b"theirs")
    monkeypatch.setattr(authority, "refuse_behind", lambda *_: authority.NOWHERE)
    with pytest.raises(CkgitError):
        submit(ada, parent, b"mine")

    assert run(ada.root, "rev-parse", "HEAD") == theirs
    assert run(ada.root, "status", "--porcelain") == ""


def test_who_lost_and_has_work_of_their_own_in_the_way_is_told_how_to_follow(ada, bob, run, monkeypatch):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    run(ada.root, "switch", "--quiet", "exp/cap")
    parent = take_snapshot(ada, "cap")
    theirs = submit(bob, take_snapshot(bob, "cap"), b"theirs")
    monkeypatch.setattr(authority, "refuse_behind", lambda *_: authority.NOWHERE)
    push_refs, jobs = authority.push_refs, ada.root / "experiments/cap/jobs.json"

    def push_late(*words):  # a change that came after the commit
        jobs.write_bytes(b"my own")
        return push_refs(*words)

    monkeypatch.setattr(authority, "push_refs", push_late)
    with pytest.raises(CkgitError) as caught:
        submit(ada, parent, b"mine")
    assert "stands on the local branch" in caught.value.state
    assert jobs.read_bytes() == b"my own"
    jobs.write_bytes(b"mine")
    run(ada.root, "status")  # `reset` goes by what git last saw of a file
    follow(ada, caught.value.next.rpartition("take theirs: ")[2])
    assert run(ada.root, "rev-parse", "HEAD") == theirs


@pytest.mark.parametrize("branch", ["main", "exp/cap"])
def test_who_is_only_behind_is_told_how_to_catch_up(ada, bob, run, branch):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    run(bob.root, "branch", "--quiet", "exp/cap", "origin/exp/cap")
    run(bob.root, "switch", "--quiet", branch)
    parent = take_snapshot(bob, "cap")
    theirs = submit(ada, take_snapshot(ada, "cap"))

    with pytest.raises(CkgitError, match="origin/exp/cap is ahead of the local branch") as caught:
        submit(bob, parent, b"mine")

    assert caught.value.code is Exit.BRANCH_MOVED
    follow(bob, caught.value.next.partition(" brings the local branch")[0])
    assert run(bob.root, "rev-parse", "exp/cap") == theirs
    assert run(bob.root, "status", "--porcelain") == ""


def test_two_clones_that_make_the_very_same_commit_have_both_won(ada, bob, remote, run, monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-23T12:00:00Z")
    parent = design(ada)
    run(bob.root, "fetch", "--quiet")

    first = scaffold(ada, parent)
    second = scaffold(bob, take_snapshot(bob, "cap"))

    assert first == second == run(remote, "rev-parse", "exp/cap") == run(bob.root, "rev-parse", "exp/cap")


def test_a_push_whose_answer_was_lost_has_been_made(ada, remote, run):
    parent = design(ada)
    hook(remote, "kill -9 $PPID", "post-update")  # the remote dies after it has moved the branch

    tip = scaffold(ada, parent)

    assert run(remote, "rev-parse", "exp/cap") == tip


def test_a_remote_that_this_clone_does_not_have(lab, run):
    (lab.root / "ckgit.toml").write_text(CONFIG.replace("\n\n", '\nauthority = "upstream"\n\n', 1))
    run(lab.root, "commit", "--quiet", "--all", "-m", "An authority")

    with pytest.raises(NotReachedError, match="this clone has no remote upstream") as caught:
        design(open_lab(lab.root))

    assert caught.value.code is Exit.USAGE
    assert caught.value.next == "git remote add upstream URL"


def over_ssh(lab, run, tmp_path, script):
    """Let a lab's remote be reached by a program of ours in place of ssh."""
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    run(lab.root, "config", "core.sshCommand", str(program))
    run(lab.root, "config", "ssh.variant", "simple")
    run(lab.root, "remote", "set-url", "origin", "ssh://example.org/remote.git")


def test_a_remote_that_lets_nobody_in(ada, run, tmp_path):
    over_ssh(ada, run, tmp_path, "echo 'git@example.org: Permission denied (publickey).' >&2; exit 255")

    with pytest.raises(NotReachedError, match=r"no access to the authority origin: .*Permission denied \(publickey\)") as caught:
        design(ada)

    assert caught.value.code is Exit.COMMAND_FAILED
    assert "make git ls-remote origin work without a prompt" in caught.value.next
    assert run(ada.root, "branch", "--list", "exp/*") == ""


def test_a_remote_that_hangs_is_given_up(ada, run, tmp_path, capsys, monkeypatch):
    over_ssh(ada, run, tmp_path, f"echo $$ >{tmp_path}/pid; sleep 1000")
    run(ada.root, "config", "ckgit.remoteTimeout", "20")
    wait_by_looks(monkeypatch, tmp_path / "pid")

    with pytest.raises(NotReachedError, match="origin does not answer: timed out: remote origin printed nothing for 20 s") as caught:
        design(ada)

    assert caught.value.code is Exit.UNKNOWN
    assert caught.value.state == "nothing was committed"
    assert "git ls-remote origin" in caught.value.next
    assert capsys.readouterr().err == "waiting for remote origin, 20 s at most\n"
    assert is_over(int((tmp_path / "pid").read_text()))


def test_a_remote_that_hangs_while_it_is_pushed_to_leaves_the_commit_standing(ada, remote, run, tmp_path, monkeypatch):
    parent = design(ada)
    rule = hook(remote, f"echo $$ >{tmp_path}/pid; sleep 1000")
    wait_by_looks(monkeypatch, tmp_path / "pid")

    with pytest.raises(NotReachedError, match="timed out: remote origin printed nothing for 60 s") as caught:
        scaffold(ada, parent)

    tip = run(ada.root, "rev-parse", "exp/cap")
    assert caught.value.code is Exit.UNKNOWN
    assert f"commit {tip[:12]} stands on the local branch" in caught.value.state
    assert_sound(ada.root)
    rule.unlink()
    follow(ada, caught.value.next.rpartition("; or ")[2])
    assert run(remote, "rev-parse", "exp/cap") == tip


def test_a_remote_that_is_slow_and_speaks_is_waited_for(ada, remote, run):
    hook(remote, "for n in $(seq 60); do echo still scanning >&2; sleep 0.1; done")
    run(ada.root, "config", "ckgit.remoteTimeout", "5")

    tip = design(ada).tip

    assert run(remote, "rev-parse", "exp/cap") == tip


def test_nobody_is_asked_for_a_password(ada, run, tmp_path):
    over_ssh(ada, run, tmp_path, f"env >{tmp_path}/seen; exit 1")

    with pytest.raises(NotReachedError):
        design(ada)

    assert "GIT_TERMINAL_PROMPT=0" in (tmp_path / "seen").read_text()


def test_a_shallow_clone_is_told_that_it_cannot_tell(ada, remote, tmp_path, run):
    scaffold(ada, design(ada))
    run(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{remote}", "shallow")
    shallow = open_lab(tmp_path / "shallow")
    run(shallow.root, "branch", "--quiet", "exp/cap", "origin/exp/cap")
    submit(ada, take_snapshot(ada, "cap"))
    submit(ada, take_snapshot(ada, "cap"))
    run(shallow.root, "fetch", "--quiet", "--depth=1")

    mine, remotes = take_snapshot(shallow, "cap").tip, take_snapshot(shallow, "cap").remotes
    with pytest.raises(CkgitError, match="does not contain") as caught:
        last_fetched.refuse_stale(shallow.branch("cap"), mine, remotes)

    follow(shallow, caught.value.next.partition(", since")[0])
    with pytest.raises(CkgitError, match="is ahead of the local branch"):
        last_fetched.refuse_stale(shallow.branch("cap"), mine, remotes)


def test_of_many_that_ask_a_silent_remote_one_waits(ada, run, tmp_path):
    over_ssh(ada, run, tmp_path, f"echo x >>{tmp_path}/asked; sleep 1000")
    run(ada.root, "config", "ckgit.remoteTimeout", "5")

    for words in ("for 5 s", "a moment ago", "a moment ago"):
        with pytest.raises(NotReachedError, match=words) as caught:
            authority.fetch(ada, "cap")
        assert caught.value.code is Exit.UNKNOWN

    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_forged_step_at_the_authority_is_not_followed(ada, bob, run):
    scaffold(ada, design(ada))
    run(bob.root, "fetch", "--quiet")
    run(bob.root, "switch", "--quiet", "exp/cap")
    mine = run(ada.root, "rev-parse", "exp/cap")
    lines = ("Experiment: cap", "Event: analyze", "From: scaffolded", "To: analyzed", f"Design: {DIGEST}", "Version: 0.1.0")
    trailers = "\n".join(f"Ckgit-{line}" for line in lines)
    run(bob.root, "commit", "--quiet", "--allow-empty", "-m", f"analyze cap: scaffolded -> analyzed\n\n{trailers}")
    run(bob.root, "push", "--quiet", "origin", "exp/cap")

    with pytest.raises(CkgitError, match="analyze: scaffolded -> analyzed is not a legal step") as caught:
        authority.fetch(ada, "cap")

    assert caught.value.code is Exit.ILLEGAL_TRANSITION
    assert run(ada.root, "rev-parse", "exp/cap") == mine
