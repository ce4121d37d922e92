"""Where a lab asks for signed steps, each is signed by somebody whom the default branch names (jobs are bash, keys are ssh's own)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.review.named import subjects
from ckgit.orchestrators.review.verify.verify import verify
from tests.conftest import run_git
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.conftest import bare_bench, designed, tiny_package
from tests.orchestrators.review.hooks.server import make_server, push
from tests.orchestrators.review.lies import Liar
from tests.orchestrators.review.test_surroundings import WATCHED

__all__ = ["bare_bench", "designed", "tiny_package"]
pytestmark = pytest.mark.slow


def make_key(folder: Path, name: str) -> Path:
    """An ssh key, whose public half is beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    return folder / name


def listed(key: Path, options: str = "") -> str:
    return f"{key.name}@example.org {options}{key.with_suffix('.pub').read_text()}"


def use(key: Path | None) -> None:
    """Have git sign with a key, or with none."""
    home = Path(os.environ["GIT_CONFIG_GLOBAL"])
    home.write_text(f"[gpg]\nformat = ssh\n[user]\nsigningkey = {key}\n" if key else "")


def ask_for(bench: Bench, signers: str) -> None:
    """Have the default branch ask for signatures."""
    config = bench.folder / "ckgit.toml"
    if "[signatures]" not in config.read_text():
        config.write_text(config.read_text() + '\n[signatures]\nrequired = true\nallowed_signers = "signers"\n')
    (bench.folder / "signers").write_text(signers)
    run_git(bench.folder, "add", "--all")
    run_git(bench.folder, "commit", "--quiet", "--message=Steps are signed")


@pytest.fixture
def cleo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key of somebody who may sign, and who uses it; git signs nothing of theirs by itself."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    key = make_key(tmp_path, "cleo")
    use(key)
    return key


@pytest.fixture
def signed(bare_bench: Bench, cleo: Path) -> Bench:
    """Experiment `demo` of a lab that asks for signatures."""
    ask_for(bare_bench, listed(cleo))
    design_demo(bare_bench.lab)
    return bare_bench


def found(lab: Path) -> list[str]:
    opened = open_lab(lab)
    return [str(each) for subject in subjects(opened, ["demo"], every=False) for each in verify(opened, subject).findings]


def test_ckgit_signs_where_the_lab_asks_for_it(signed: Bench) -> None:
    signed.advance(State.ANALYZED)
    assert found(signed.folder) == []
    for commit in run_git(signed.folder, "rev-list", "main..exp/demo").split():
        assert "gpgsig" in run_git(signed.folder, "cat-file", "commit", commit)
    run_git(signed.folder, "config", "ckgit.sign", "false")  # which is for labs that leave it to their users
    signed.ckgit("revise", "demo", "--set", "controls.lr=1e-3")
    assert found(signed.folder) == []


def test_who_has_no_key_is_told_before_anything_is_committed(signed: Bench) -> None:
    use(None)
    with pytest.raises(CkgitError, match="asks for signed steps, and git here has no ssh key") as caught:
        signed.advance(State.SCAFFOLDED)
    assert (caught.value.code, caught.value.state) == (Exit.USAGE, "nothing was committed")
    assert signed.snapshot.state is State.DESIGNED


def test_what_is_not_signed_by_somebody_who_may_is_an_error(signed: Bench, cleo: Path, tmp_path: Path) -> None:
    signed.advance(State.SCAFFOLDED)
    honest = run_git(signed.folder, "rev-parse", "exp/demo")
    server = make_server(tmp_path)
    assert push(signed.folder, server, "main", "exp/demo").returncode == 0
    Liar(signed.folder).tell(lambda index, commit, told: told)
    assert [each.rpartition(": ")[2] for each in found(signed.folder)] == ["it is not signed, or not with an ssh key [signature]"] * 2
    done = push(signed.folder, server, "exp/demo:exp/other", "exp/demo:refs/heads/exp/demo", "--force")
    assert done.returncode == 1
    assert "[signature]" in done.stderr
    assert "[signature]" in push(signed.folder, server, "exp/demo:refs/ckgit/closed/demo").stderr
    run_git(signed.folder, "update-ref", "refs/heads/exp/demo", honest)
    use(make_key(tmp_path, "eve"))
    signed.ckgit("revise", "demo", "--set", "controls.lr=1e-3")
    (told,) = found(signed.folder)
    assert told.endswith("it is signed with a key that is not listed, or was not valid then [signature]")
    done = push(signed.folder, server, "exp/demo")
    assert "that is not listed, or was not valid then [signature]" in done.stderr
    assert run_git(server, "rev-parse", "exp/demo") == honest


def test_a_signature_of_another_commit_is_none(signed: Bench) -> None:
    raw = run_git(signed.folder, "cat-file", "commit", "exp/demo")
    changed = raw.replace("Cleo", "Eve") + "\n"
    oid = run_git(signed.folder, "hash-object", "-t", "commit", "-w", "--stdin", stdin=changed)
    run_git(signed.folder, "update-ref", "refs/heads/exp/demo", oid)
    assert oid not in raw
    assert "its signature is none of what it says [signature]" in found(signed.folder)[0]


def test_a_key_counts_while_it_is_valid(signed: Bench, cleo: Path) -> None:
    assert found(signed.folder) == []
    ask_for(signed, listed(cleo, 'valid-before="20200101" '))
    assert "was not valid then [signature]" in found(signed.folder)[0]


def test_no_program_of_the_users_is_started_and_commits_by_hand_need_no_signature(signed: Bench, tmp_path: Path) -> None:
    program = tmp_path / "gpg"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    program.chmod(0o755)
    for key in ("gpg.program", "gpg.x509.program", "gpg.ssh.program"):
        run_git(signed.folder, "config", key, str(program))
    raw = run_git(signed.folder, "cat-file", "commit", "exp/demo")
    head, _, rest = raw.partition("gpgsig ")
    message = rest.partition("\n\n")[2]
    pgp = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n -----END PGP SIGNATURE-----\n"
    for signature in (pgp, pgp.replace("PGP SIGNATURE", "SIGNED MESSAGE")):
        oid = run_git(signed.folder, "hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{head}{signature}\n{message}\n")
        run_git(signed.folder, "update-ref", "refs/heads/exp/demo", oid)
        (told,) = found(signed.folder)
        assert told.endswith("[signature]")
    assert not (tmp_path / "started").exists()


def test_only_git_is_started_by_ckgit(signed: Bench, tmp_path: Path) -> None:
    run_git(signed.folder, "-c", "commit.gpgsign=false", "worktree", "add", "--quiet", "../hand", "exp/demo")
    run_git(signed.folder.parent / "hand", "commit", "--quiet", "--allow-empty", "--message=Mine")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(scratch)}
    words = [sys.executable, "-c", WATCHED, "verify", "demo"]
    done = subprocess.run(words, cwd=signed.folder, env=environment, capture_output=True, text=True, check=False)
    seen = json.loads(done.stderr.splitlines()[-1])
    assert seen["code"] in (0, None), done.stdout
    assert set(seen["started"]) == {"git"}
    assert list(scratch.iterdir()) == []


def test_a_list_that_is_not_there_is_told(signed: Bench) -> None:
    run_git(signed.folder, "rm", "--quiet", "signers")
    run_git(signed.folder, "commit", "--quiet", "--message=Gone")
    done = signed.ckgit("verify", "demo", check=False)
    assert done.returncode == Exit.USAGE
    assert "signatures.allowed_signers: main has no file signers" in done.stderr


def test_anchors_are_signed_where_the_server_signs(signed: Bench, cleo: Path, tmp_path: Path) -> None:
    server, key = make_server(tmp_path), make_key(tmp_path, "server")
    ask_for(signed, listed(cleo) + listed(key))
    for setting in ("ckgit.sign=true", "gpg.format=ssh", f"user.signingkey={key}"):
        run_git(server, "config", *setting.split("=", 1))
    assert push(signed.folder, server, "main", "exp/demo").returncode == 0
    run_git(signed.folder, "fetch", "--quiet", str(server), "refs/ckgit/anchors/*:refs/ckgit/anchors/*")
    (told,) = found(signed.folder)
    assert "1 of 1 step that can be attested is, by " in told
    assert ", 1 of them signed by server@example.org, " in told
