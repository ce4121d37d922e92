import pytest

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.lab.git import GitError, git, git_lines, git_ok, git_text


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
