"""Where a remote decides: an intent is pushed before a job is handed over, and who loses there hands nothing over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench


@pytest.fixture
def shared(bench: Bench, run: Callable[..., str]) -> Bench:
    """The lab with a bare remote as its authority."""
    remote = bench.folder.parent / "remote.git"
    toml = bench.folder / "ckgit.toml"
    toml.write_text('authority = "origin"\n' + toml.read_text())
    run(bench.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run(bench.folder, "init", "--quiet", "--bare", str(remote))
    run(bench.folder, "remote", "add", "origin", str(remote))
    run(bench.folder, "push", "--quiet", "origin", "main", "exp/demo")
    return bench


def tip(folder: Path) -> str:
    return subprocess.run(["git", "rev-parse", "exp/demo"], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def colleague(bench: Bench) -> Bench:
    return bench.clone("colleague", of=bench.folder.parent / "remote.git")


def test_each_commit_is_at_the_authority(shared: Bench) -> None:
    shared.advance(State.EVALUATED)
    assert tip(shared.folder.parent / "remote.git") == tip(shared.folder)


def test_a_colleague_goes_on_from_what_was_pushed(shared: Bench) -> None:
    shared.advance(State.TRAINED)
    other = colleague(shared)
    other.advance(State.EVALUATED)
    assert shared.snapshot.state is State.TRAINED
    with pytest.raises(CkgitError, match="past trained"):
        shared.advance(State.TRAINED)
    assert shared.snapshot.state is State.EVALUATED
    assert len(shared.executions()) == 5


def test_nothing_is_handed_over_that_the_authority_does_not_have(shared: Bench) -> None:
    shared.advance(State.SCAFFOLDED)
    remote = shared.folder.parent / "remote.git"
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    for _ in range(2):  # the second time, the intent stands on the local branch already
        with pytest.raises(CkgitError, match=r"origin refused commit .*pre-receive hook declined") as caught:
            shared.advance()
        assert caught.value.code is Exit.COMMAND_FAILED
    assert shared.executions() == []
    hook.unlink()
    assert shared.advance().state is State.TRAINED
    assert len(shared.executions()) == 2


def test_an_authority_that_does_not_answer_is_waited_for(shared: Bench, run: Callable[..., str]) -> None:
    run(shared.folder, "remote", "set-url", "origin", str(shared.folder.parent / "not-there.git"))
    with pytest.raises(CkgitError, match="does not answer") as caught:
        shared.advance()
    assert caught.value.code is Exit.UNKNOWN
    assert shared.snapshot.state is State.DESIGNED


def test_a_remote_that_hangs_ends_a_command_with_the_remotes_name_and_the_way_on(
    shared: Bench, run: Callable[..., str], tmp_path: Path
) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\nsleep 1000\n")
    program.chmod(0o755)
    run(shared.folder, "config", "core.sshCommand", str(program))
    run(shared.folder, "config", "ckgit.remoteTimeout", "7")
    run(shared.folder, "remote", "set-url", "origin", "git@example.org:lab.git")
    shared.ckgit("status", "demo")  # asks no remote

    process = shared.start("advance", "demo", "--json")
    done = shared.ckgit("advance", "demo", check=False)
    printed, document = process.communicate(timeout=30)

    assert (printed, json.loads(document)["notes"]) == ("", ["waiting for remote origin, 7 s at most"])
    assert done.returncode == Exit.UNKNOWN
    first, *rest = done.stderr.splitlines()
    assert first == "waiting for remote origin, 7 s at most"
    assert rest == [
        "ckgit: exp/demo: the authority origin does not answer: timed out: remote origin printed nothing for 7 s",
        "  state: nothing was committed",
        "  next:  try again later; git ls-remote origin shows whether it answers (git config ckgit.remoteTimeout: seconds)",
    ]
    assert shared.snapshot.state is State.DESIGNED
