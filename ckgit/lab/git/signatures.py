"""Who signed commits, by git's own verification with ssh keys. git starts ssh-keygen for it, and this process starts git alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.lab.git.command import git

# A signature of another kind would have git start gpg with the user's own keys, or a program that the user's settings name.
_PROGRAMS = ("-c", "gpg.ssh.program=ssh-keygen", "-c", "gpg.program=false", "-c", "gpg.x509.program=false")
_WHY = {
    "N": "it is not signed, or not with an ssh key",
    "B": "its signature is none of what it says",
    "U": "it is signed with a key that is not listed, or was not valid then",
}


class CommitSignature(NamedTuple):
    """What git says of a commit's signature."""

    signer: str  # as the list of allowed signers names them; empty where it does not count
    why: str  # it does not count; empty where it does


def signatures(root: Path, commits: Sequence[str], allowed: bytes) -> dict[str, CommitSignature]:
    """Who signed some commits, by id.

    Args:
        allowed: lines as in an `allowed_signers` file of ssh.
    """
    if not commits:
        return {}
    with tempfile.NamedTemporaryFile(prefix="ckgit-signers-") as file:
        file.write(allowed)
        file.flush()
        pinned = (*_PROGRAMS, "-c", f"gpg.ssh.allowedSignersFile={file.name}")
        # rev-list does not read the settings by which a signature is verified
        words = ("-c", "log.showSignature=false", "log", "--no-walk", "--no-patch", "--format=%H%x00%G?%x00%GS%x00", "--stdin")
        answer = git(root, *pinned, *words, stdin="".join(f"{each}\n" for each in commits).encode())
    fields = answer.decode(errors="replace").split("\0")
    told = zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    return {oid.strip(): _signature(status, signer) for oid, status, signer in told}


def _signature(status: str, signer: str) -> CommitSignature:
    if status == "G" and signer:
        return CommitSignature(signer, "")
    return CommitSignature("", _WHY.get(status, f"git cannot check its signature ({status})"))
