"""Commits are signed where the user's own are."""

import subprocess

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.lab.init import make_lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.conftest import run_git
from tests.lab.helpers import assert_sound, design, is_over, scaffold, wait_by_looks


@pytest.fixture
def key(tmp_path):
    """An ssh key and the file by which git knows whose it is."""
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cleo", "-f", str(file)], check=True)
    (tmp_path / "allowed").write_text(f"cleo@example.org {file.with_suffix('.pub').read_text()}")
    return file


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """`configure("commit.gpgsign=true", …)`: the user's own settings."""

    def write(*settings):
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
        for setting in settings:
            run_git(tmp_path, "config", "--global", *setting.split("=", 1))

    return write


@pytest.fixture
def signing(configure, key, tmp_path):
    """A user who signs every commit with an ssh key."""
    settings = ("commit.gpgsign=true", "gpg.format=ssh", f"user.signingkey={key}", f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}")
    configure(*settings)


@pytest.fixture
def broken(lab, configure, tmp_path):
    """A user whose signing program fails."""
    program = tmp_path / "no-gpg"
    program.write_text("#!/bin/sh\necho 'gpg: no pinentry' >&2\nexit 2\n")
    program.chmod(0o755)
    configure("commit.gpgsign=yes", f"gpg.program={program}")
    return program


def test_every_commit_of_an_experiment_is_signed_and_verifies(signing, lab, run):
    scaffold(lab, design(lab))

    for commit in run(lab.root, "rev-list", "main..exp/cap").split():
        run(lab.root, "verify-commit", commit)
    assert take_snapshot(lab, "cap").event == "scaffold"
    assert run(lab.root, "rev-list", "--count", "main..exp/cap") == "2"
    assert_sound(lab.root)


def test_the_first_commit_of_a_lab_is_signed(signing, tmp_path, run):
    make_lab(tmp_path / "new")

    run(tmp_path / "new", "verify-commit", "main")


def test_who_does_not_sign_gets_no_signature(key, configure, lab, run):
    configure("gpg.format=ssh", f"user.signingkey={key}")

    design(lab)

    assert "gpgsig" not in run(lab.root, "cat-file", "commit", "exp/cap")


def test_a_signer_that_fails_is_told_with_the_way_on(broken, lab, run):
    with pytest.raises(CkgitError, match="the commit cannot be signed: error: gpg failed to sign the data") as caught:
        design(lab)

    assert caught.value.code is Exit.COMMAND_FAILED
    assert caught.value.state == "nothing was committed"
    assert run(lab.root, "branch", "--list", "exp/*") == ""
    assert "git config --global ckgit.sign false" in caught.value.next

    run(lab.root, "config", "--global", "ckgit.sign", "false")
    design(lab)
    assert "gpgsig" not in run(lab.root, "cat-file", "commit", "exp/cap")


def test_ckgits_commits_alone_can_be_signed(signing, lab, run):
    run(lab.root, "config", "commit.gpgsign", "false")
    run(lab.root, "config", "ckgit.sign", "true")

    design(lab)

    run(lab.root, "verify-commit", "exp/cap")


def test_a_signer_that_asks_for_ever_is_ended(broken, lab, monkeypatch):
    pid = broken.with_name("no-gpg.pid")
    broken.write_text(f"#!/bin/sh\necho $$ >{pid}\nsleep 1000\n")
    wait_by_looks(monkeypatch, pid)

    with pytest.raises(CkgitError, match="timed out: the program that signs commits printed nothing for 120 s") as caught:
        design(lab)

    assert caught.value.code is Exit.COMMAND_FAILED
    assert is_over(int(pid.read_text()))


def test_a_setting_that_is_no_answer_is_told(configure, lab):
    configure("commit.gpgsign=perhaps")

    with pytest.raises(CkgitError, match=r"bad boolean config value 'perhaps' for 'commit\.gpgsign'"):
        design(lab)
