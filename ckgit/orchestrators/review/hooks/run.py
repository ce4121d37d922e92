"""Which hook asks for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import as_hook
from ckgit.lab.hooks.staged import staged

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding


class HookCall(NamedTuple):
    """What git calls a hook with."""

    folder: Path  # where it is called
    arguments: Sequence[str]
    stdin: bytes


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

    if message := prepared(commit, read_message(call.folder, file), "".join(call.arguments[1:2])):
        write_message(file, message)
    return []


def _message_file(call: HookCall) -> Path:
    if not call.arguments:
        raise CkgitError("git calls this hook with the file of a message", code=Exit.USAGE, next="name that file")
    return call.folder / call.arguments[0]


_HOOKS: Mapping[str, Callable[[HookCall], list[Finding]]] = {
    "pre-commit": _pre_commit,
    "commit-msg": _commit_msg,
    "prepare-commit-msg": _prepare_commit_msg,
    "pre-push": lambda _: [],
    "pre-receive": lambda _: [],
}
