import pytest

from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.lab import authority
from ckgit.lab.commit import record
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot import take_snapshot
from tests.conftest import CONFIG
from tests.lab.helpers import DIGEST, design, scaffold


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


def submit(lab, parent, note=b""):
    files = {"experiments/cap/jobs.json": note}
    return record(lab, name="cap", event=Event.SUBMIT, parent=parent, files=files, design_digest=DIGEST, body="")


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
    hook = remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(CkgitError, match="not today") as caught:
        design(ada)

    tip = take_snapshot(ada, "cap").tip
    assert caught.value.code is Exit.BRANCH_MOVED
    assert f"commit {tip[:12]} stands on the local branch" in caught.value.state
    assert run(remote, "branch", "--list", "exp/*") == ""

    hook.unlink()
    pushed = scaffold(ada, take_snapshot(ada, "cap"))
    assert run(remote, "rev-parse", "exp/cap", "exp/cap~1").split() == [pushed, tip]


def test_a_new_experiment_that_the_authority_has_already(ada, bob):
    design(ada)

    with pytest.raises(CkgitError, match="origin is at") as caught:
        design(bob)

    assert caught.value.code is Exit.BRANCH_MOVED


def test_nothing_to_fetch(ada, lab):
    authority.fetch(ada, "none")
    authority.fetch(lab, "none")
    tip = design(ada).tip
    authority.fetch(ada, "cap")
    assert take_snapshot(ada, "cap").tip == tip
