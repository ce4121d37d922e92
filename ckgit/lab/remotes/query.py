"""Asking a remote, for as long as it is worth it. The answers are told from silence and from faults of the way there."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import command_of, run_git, settings
from ckgit.lab.git.waiting import NoAnswerError, TimeLimit
from ckgit.lab.lab import Lab

SECONDS = 60  # without a word from the remote; `ckgit.remoteTimeout` is another number
_LOCKED = ("-c", "core.filesRefLockTimeout=10000")  # milliseconds: another process may push or fetch from this clone at the same time
_TRIES, _BETWEEN = 3, 0.5  # of a fetch whose ref somebody else moved meanwhile, and seconds
# Options of the user's that would push or fetch more than the one branch, by force, or leave processes behind.
_PUSH = ("push", "--porcelain", "--progress", "--no-follow-tags", "--recurse-submodules=no")
_FETCH = ("fetch", "--progress", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head")
_NO_PERMISSION = re.compile(
    r"authentication fail|Permission denied|could not read (Username|Password)|Host key verification failed|certificate"
    r"|repository( '.*')? not found|access denied|HTTP 40[13]|returned error: 40[13]|transport '.*' not allowed|detected dubious ownership",
    re.IGNORECASE,
)
# Another push held the branch's lock, or changed it in the same moment.
_RETRYABLE = re.compile(r"failed to update ref|cannot lock ref|incorrect old value|failed to report status|reference already exists")
# What git says where it cannot write a ref of this clone; another fetch that was faster is there no more when it is tried again.
_OWN_REF = re.compile(r"(?:error|fatal): (?:cannot lock ref '(?P<ref>[^']+)': )?(?P<why>(?(ref).+|Unable to create '.+\.lock': .+))")
_LOCK, _IN_THE_WAY = re.compile(r"Unable to create '(.+\.lock)': File exists"), re.compile(r"'(.+)' exists; cannot create ")
_FULL = re.compile(r"there is a non-empty directory '(.+)' blocking ")
_OUTRUN = re.compile(r"is at .* but expected|incorrect old value|reference already exists")
_PROGRESS = re.compile(
    r"(remote: )?(Enumerating|Counting|Compressing|Receiving|Writing|Resolving|Unpacking|Checking|Total) .*|Delta compression .*"
    r"|To .*|From .*|remote:|hint:.*|error: failed to push some refs .*"
)


class NotReachedError(CkgitError):
    """The remote did not answer (UNKNOWN); the way to it is barred, or a ref of this clone cannot be written (COMMAND_FAILED)."""


class PushResult(NamedTuple):
    """What a push came to."""

    accepted: bool  # the remote says that it has the commit
    retryable: bool  # it does not, but may in a moment
    words: str  # its own, and git's, on one line


def remote_tips(lab: Lab, remote: str, *refs: str) -> dict[str, str]:
    """The commits that refs of a remote are at, by ref; without those that it has not.

    Args:
        refs: the first is that by which messages call them; one that ends in `/*` stands for all below it.

    Raises:
        NotReachedError: there is no answer.
    """
    listed = _asked(lab, remote, refs[0], "ls-remote", "--", remote, *refs)
    found = {name: oid for oid, _, name in (line.partition("\t") for line in listed.splitlines())}
    below = tuple(ref.removesuffix("*") for ref in refs if ref.endswith("/*"))
    return {name: oid for name, oid in found.items() if name in refs or (below and name.startswith(below))}


def fetch_refs(lab: Lab, remote: str, refs: Mapping[str, str]) -> None:
    """Fetch refs of a remote, the first one's name by which messages call it, with their objects.

    Args:
        refs: the ref that is to have it here, by its name there; empty for none.

    Raises:
        NotReachedError: there is no answer.
    """
    wanted = (f"+{ref}:{to}" if to else ref for ref, to in refs.items())
    _asked(lab, remote, next(iter(refs)), *_LOCKED, *_FETCH, "--refmap=", "--", remote, *wanted)


def push_refs(lab: Lab, remote: str, updates: Mapping[str, str]) -> PushResult:
    """Push commits to refs of a remote, all or none, and never by force.

    Args:
        updates: the commits by ref; an empty one takes the ref away.
    """
    unforced = ("-c", f"remote.{remote}.mirror=false")
    together = ("--atomic",) if len(updates) > 1 else ()  # which a server may not know
    try:
        done = _ask(lab, remote, [*unforced, *_PUSH, *together, "--", remote, *(f"{commit}:{ref}" for ref, commit in updates.items())])
    except NoAnswerError as error:
        return PushResult(accepted=False, retryable=True, words=error.what)
    told = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("!\t")]
    words = (
        "; ".join([*_words(done.stderr), *(line.rpartition("\t")[2] for line in told)]) or f"exit code {done.returncode}, without a word"
    )
    return PushResult(accepted=done.returncode == 0, retryable=bool(_RETRYABLE.search(words)), words=words)


def _asked(lab: Lab, remote: str, ref: str, *args: str, tries: int = _TRIES) -> str:
    state, place = "nothing was committed", ref.removeprefix("refs/heads/")
    try:
        done = _ask(lab, remote, args)
    except NoAnswerError as error:
        what = f"the authority {remote} does not answer: {error.what}"
        onward = f"try again later; git ls-remote {shlex.quote(remote)} shows whether it answers (git config ckgit.remoteTimeout: seconds)"
        raise NotReachedError(what, code=Exit.UNKNOWN, where=place, state=state, next=onward) from None
    if done.returncode == 0:
        return done.stdout.decode(errors="surrogateescape")
    lines = _words(done.stderr)
    words = "; ".join(lines) or f"git {command_of(args)} ended with exit code {done.returncode}"
    if own := next(filter(None, map(_OWN_REF.fullmatch, lines)), None):
        if tries > 1 and _OUTRUN.search(own["why"]):
            time.sleep(_BETWEEN)
            return _asked(lab, remote, ref, *args, tries=tries - 1)
        raise _not_written(remote, own["ref"], own["why"], place, state)
    if _is_unknown(lab.root, remote, words):
        what = f"this clone has no remote {remote}, which ckgit.toml names as the authority"
        raise NotReachedError(what, code=Exit.USAGE, where=place, state=state, next=f"git remote add {shlex.quote(remote)} URL")
    if _NO_PERMISSION.search(words):
        mend = f"make git ls-remote {shlex.quote(remote)} work without a prompt (ssh-agent, credential helper or token), then try again"
        raise NotReachedError(
            f"no access to the authority {remote}: {words}", code=Exit.COMMAND_FAILED, where=place, state=state, next=mend
        )
    raise NotReachedError(
        f"the authority {remote} does not answer: {words}",
        code=Exit.UNKNOWN,
        where=place,
        state=state,
        next="try again later; `authority` in ckgit.toml names the remote",
    )


def _not_written(remote: str, ref: str | None, why: str, place: str, state: str) -> NotReachedError:
    """The error where git cannot write a ref of this clone, or another file of its own, though the remote answers."""
    what = f"{ref or 'a file'} of this clone cannot be written: {why.removesuffix('.')}"
    onward = "mend that, and try again"
    if lock := _LOCK.search(why):
        onward = f"another git works here, or was killed and left its lock: rm {shlex.quote(lock[1])}, when no git runs; then try again"
    elif other := _IN_THE_WAY.search(why):
        taken = f"git update-ref -d {shlex.quote(other[1])}"
        onward = f"{remote} cannot have both: {taken} takes away the one that this clone still has; then try again"
    elif folder := _FULL.search(why):
        onward = f"ls -R {shlex.quote(folder[1])} shows what is in the way, mostly a killed git's .lock; take that away, and try again"
    return NotReachedError(what, code=Exit.COMMAND_FAILED, where=place, state=state, next=onward)


def _ask(lab: Lab, remote: str, args: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a git command that talks to a remote.

    Raises:
        NoAnswerError: nothing came for too long, now or a moment ago.
    """
    set_to = settings(lab.root, "ckgit.remotetimeout", kind="int").get("ckgit.remotetimeout")
    waiting = TimeLimit(f"remote {remote}", max(1.0, float(set_to or SECONDS)))
    if time.monotonic() - lab.silent_remotes.get(remote, -math.inf) < waiting.seconds:
        raise NoAnswerError(f"{waiting.who} timed out a moment ago", code=Exit.UNKNOWN)
    try:
        return run_git(lab.root, args, waiting=waiting)
    except NoAnswerError:
        lab.silent_remotes[remote] = time.monotonic()
        raise


def _is_unknown(root: Path, remote: str, words: str) -> bool:
    """Whether git took the name for a path, because this clone has no remote of that name."""
    return "does not appear to be a git repository" in words and not settings(root, f"remote.{remote}.url") and "/" not in remote


def _words(stderr: bytes) -> list[str]:
    """What git and the remote said, without progress and advice."""
    lines = (line.strip() for line in re.split(r"[\r\n]", stderr.decode(errors="replace")))
    return [line for line in lines if line and not _PROGRESS.fullmatch(line)]
