import os
import signal
import subprocess
import time

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import GitError, commits_there, git, git_lines, git_ok, git_text, has_commit, settings, unreadable
from ckgit.lab.git.waiting import NoAnswerError, TimeLimit, run_waiting
from tests.damage import empty, lose, spoil
from tests.lab.helpers import is_over, wait_by_looks


def test_variables_of_a_hook_do_not_redirect_git(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare'='true'")

    assert git_text(lab.root, "rev-parse", "--show-toplevel") == str(lab.root)
    assert "ckgit.toml" in git_lines(lab.root, "ls-files")


def test_a_path_is_never_a_pattern(lab, run):
    (lab.root / "a*").write_text("star")
    (lab.root / "ab").write_text("b")
    run(lab.root, "add", "a*", "ab")

    assert git_lines(lab.root, "ls-files", "-z", "--", "a*") == ["a*"]


def test_a_failure_names_the_command_and_gits_words(lab):
    with pytest.raises(GitError) as caught:
        git(lab.root, "-c", "core.fsync=none", "rev-parse", "--verify", "refs/heads/none")

    assert caught.value.what.startswith("git rev-parse failed: fatal:")
    assert caught.value.code is Exit.COMMAND_FAILED


def test_yes_no_and_neither(lab):
    assert git_ok(lab.root, "show-ref", "--verify", "--quiet", "refs/heads/main")
    assert not git_ok(lab.root, "show-ref", "--verify", "--quiet", "refs/heads/none")
    with pytest.raises(GitError):
        git_ok(lab.root, "show-ref", "--no-such-option")


@pytest.mark.parametrize("how", [lose, empty, spoil])
def test_a_commit_of_which_the_file_is_gone_or_empty_or_damaged_is_not_there(lab_folder, run, how):
    run(lab_folder, "commit", "--quiet", "--allow-empty", "--message=one more")
    run(lab_folder, "commit-graph", "write", "--reachable")  # from which git would tell much of it, without its file
    assert has_commit(lab_folder, "main")
    tip, first = run(lab_folder, "rev-parse", "main"), run(lab_folder, "rev-parse", "main^")
    how(lab_folder, "main")
    assert not has_commit(lab_folder, tip)
    assert commits_there(lab_folder, [tip[:12], first, "0" * 40]) == {first}
    assert unreadable(lab_folder, [tip, first], first) == {tip}


def test_no_git_on_path(lab, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(CkgitError, match="git is not installed") as caught:
        git(lab.root, "version")

    assert caught.value.code is Exit.TOOL_MISSING


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("a file")])
def test_a_folder_that_is_none(tmp_path, make):
    make(tmp_path / "there")

    with pytest.raises(CkgitError, match="no such folder"):
        git(tmp_path / "there", "version")


def test_a_stale_lock_is_explained_and_left(lab, run):
    lock = lab.git_dir / "refs/heads/new.lock"
    lock.touch()

    with pytest.raises(GitError) as caught:
        git(lab.root, "update-ref", "refs/heads/new", run(lab.root, "rev-parse", "HEAD"))

    assert str(lock) in caught.value.next
    assert lock.exists()


def test_settings_are_read_as_git_reads_them(lab, run):
    run(lab.root, "config", "ckgit.sign", "on")
    run(lab.root, "config", "commit.gpgSign", "0")

    assert settings(lab.root, "ckgit.sign", "commit.gpgsign", kind="bool") == {"ckgit.sign": "true", "commit.gpgsign": "false"}
    assert settings(lab.root, "ckgit.none") == {}


def test_a_program_of_the_users_that_hangs_is_ended_and_git_leaves_no_lock(lab, run, tmp_path, monkeypatch):
    hook = lab.git_dir / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nsleep 1000\n")
    hook.chmod(0o755)
    wait_by_looks(monkeypatch, tmp_path / "pid")

    with pytest.raises(NoAnswerError, match="timed out: a hook printed nothing for 60 s") as caught:
        git(lab.root, "update-ref", "refs/heads/new", run(lab.root, "rev-parse", "HEAD"), waiting=TimeLimit("a hook"))

    assert caught.value.code is Exit.UNKNOWN
    assert is_over(int((tmp_path / "pid").read_text()))
    assert list(lab.git_dir.rglob("*.lock")) == []


def test_a_daemon_that_keeps_the_pipes_open_is_not_waited_for(tmp_path):
    begun = time.monotonic()

    done = run_waiting(["sh", "-c", "sleep 30 & echo $!; cat; exit 3"], tmp_path, b"in" * 100_000, dict(os.environ), TimeLimit("it", 20))

    daemon, _, rest = done.stdout.partition(b"\n")
    os.kill(int(daemon), signal.SIGKILL)
    assert (done.returncode, rest) == (3, b"in" * 100_000)
    assert time.monotonic() - begun < 20


def test_what_a_program_says_last_is_heard(tmp_path, monkeypatch):
    """It may end between a look that heard nothing and the question whether it still runs."""
    monkeypatch.setattr("ckgit.lab.git.waiting._LOOK", 0.01)
    monkeypatch.setattr(subprocess.Popen, "poll", subprocess.Popen.wait)

    done = run_waiting(["sh", "-c", "sleep 0.2; echo the last word"], tmp_path, b"", dict(os.environ), TimeLimit("it", 20))

    assert (done.returncode, done.stdout) == (0, b"the last word\n")


def test_grafts_do_not_change_a_history(lab, run):
    (lab.root / "more").write_text("x")
    run(lab.root, "add", "more")
    run(lab.root, "commit", "--quiet", "--message=More")
    tip = run(lab.root, "rev-parse", "HEAD")
    (lab.git_dir / "info").mkdir(exist_ok=True)
    (lab.git_dir / "info/grafts").write_text(f"{tip}\n")

    assert git_text(lab.root, "rev-list", "--count", "HEAD") == "2"
