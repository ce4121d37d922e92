"""Which hook asks for what."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import as_hook
from ckgit.lab.hooks.staged import in_repository, staged

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding

# The framework pre-commit tells by these variables what git has told it, of one ref.
_FRAMEWORK = ("LOCAL_BRANCH", "TO_REF", "REMOTE_BRANCH", "FROM_REF")


class HookCall(NamedTuple):
    """What git calls a hook with."""

    folder: Path  # where it is called
    arguments: Sequence[str]
    stdin: bytes
    tell: Callable[[str], None]  # what a person is told who waits


def run_hook(name: str, call: HookCall) -> list[Finding]:
    """What a hook has to say against what git is about to do; nothing where this is no lab, or it is about no experiment.

    Args:
        name: the hook's, as git calls it.
        call: what git calls it with.

    Raises:
        CkgitError: USAGE, git would not call it so.
    """
    with as_hook():
        return _HOOKS[name](call._replace(folder=call.folder.absolute()))


def _pre_commit(call: HookCall) -> list[Finding]:
    if (commit := staged(call.folder)) is None:
        return []
    from ckgit.orchestrators.review.hooks.staged import staged_findings

    return staged_findings(commit)


def _commit_msg(call: HookCall) -> list[Finding]:
    file = _message_file(call)
    if (commit := staged(call.folder)) is None:
        return []
    from ckgit.lab.hooks.message import read_message
    from ckgit.orchestrators.review.hooks.message import message_findings

    return list(message_findings(commit, read_message(call.folder, file)))


def _prepare_commit_msg(call: HookCall) -> list[Finding]:
    file = _message_file(call)
    if (commit := staged(call.folder)) is None:
        return []
    from ckgit.lab.hooks.message import read_message, write_message
    from ckgit.orchestrators.review.hooks.message import prepared

    source = "".join(call.arguments[1:2]) or os.environ.get("PRE_COMMIT_COMMIT_MSG_SOURCE", "")
    with contextlib.suppress(CkgitError):  # it only helps, and pre-commit tells of whatever it is
        if message := prepared(commit, read_message(call.folder, file), source):
            write_message(file, message)
    return []


def _pre_push(call: HookCall) -> list[Finding]:
    told = call.stdin.strip() or " ".join(os.environ.get(f"PRE_COMMIT_{key}", "") for key in _FRAMEWORK).strip().encode()
    if not told or not in_repository(call.folder):
        return []
    from ckgit.lab.hooks.pushed import to_push
    from ckgit.orchestrators.review.hooks.pushed import pushed_findings

    return list(pushed_findings(call.folder, to_push(call.folder, told), call.tell, server=False))


def _pre_receive(call: HookCall) -> list[Finding]:
    if not in_repository(call.folder):
        return []
    from ckgit.lab.hooks.pushed import received
    from ckgit.orchestrators.review.hooks.pushed import pushed_findings

    return list(pushed_findings(call.folder, received(call.stdin), call.tell, server=True))


def _post_receive(call: HookCall) -> list[Finding]:
    if in_repository(call.folder):
        from ckgit.lab.hooks.pushed import received
        from ckgit.orchestrators.review.hooks.results import attest_pushed

        attest_pushed(call.folder, received(call.stdin))
    return []


def _message_file(call: HookCall) -> Path:
    if not call.arguments:
        raise CkgitError("git calls this hook with the file of a message", code=Exit.USAGE, next="name that file")
    return call.folder / call.arguments[0]


_HOOKS: Mapping[str, Callable[[HookCall], list[Finding]]] = {
    "pre-commit": _pre_commit,
    "commit-msg": _commit_msg,
    "prepare-commit-msg": _prepare_commit_msg,
    "pre-push": _pre_push,
    "pre-receive": _pre_receive,
    "post-receive": _post_receive,
}
