"""Each step is signed by somebody whom the default branch names, where the lab asks for that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.outputs.findings import Finding
from ckgit.lab.git.objects import read_object
from ckgit.lab.git.signatures import signatures
from ckgit.lab.lab import CONFIG, Lab
from ckgit.orchestrators.review import rules


def unsigned(lab: Lab, steps: Sequence[str]) -> Iterator[Finding]:
    """What is wrong with the signatures of steps, by their commits; nothing where the lab asks for none.

    Raises:
        CkgitError: USAGE, the file of signers is not there; TOOL_MISSING, ssh-keygen is not.
    """
    if not lab.config.signatures.required:
        return
    for commit, found in signatures(lab.root, steps, allowed_signers(lab)).items():
        if found.why:
            yield rules.SIGNATURE.found(found.why, commit=commit)


def allowed_signers(lab: Lab) -> bytes:
    """Whose signatures count, as the default branch lists them.

    Raises:
        CkgitError: as `unsigned`.
    """
    path = lab.config.signatures.allowed_signers
    if (content := read_object(lab.root, f"{lab.base}:{path}")) is None:
        what = f"signatures.allowed_signers: {lab.default_branch} has no file {path}"
        raise CkgitError(what, code=Exit.USAGE, where=CONFIG, next="commit it there: a line for each signer, NAME and their ssh public key")
    if shutil.which("ssh-keygen") is None:
        what = "signatures cannot be checked: ssh-keygen is not on PATH"
        raise CkgitError(what, code=Exit.TOOL_MISSING, next="install OpenSSH's client, 8.9 or newer")
    return content
