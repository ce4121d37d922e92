"""A model of the hub of Hugging Face as a folder: asked for and fetched by its own client, in a process of its own.

The folder appears whole or not at all. What came before an interruption is kept beside it, and the same command goes on from there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import HubSource
from ckgit.formats.markdown import size

LATEST = "main"  # the branch that every repository of the hub has
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PATTERNS = ("model*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "README.md", "LICENSE*")
_OFTEN = 0.5  # seconds between two looks at what has come
_SHOWN = 500  # characters of what a client printed that failed
_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}


class Offer(NamedTuple):
    """What the hub has of a model."""

    source: HubSource
    files: Mapping[str, int]  # bytes by name

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(self.files.values())


def is_hub_name(text: str) -> bool:
    """Whether a text that names no folder may name a model in the hub, as `org/name`."""
    return bool(_NAME.fullmatch(text)) and not Path(text).exists()


def ask(repo: str, revision: str) -> Offer:
    """What there is to fetch; nothing is.

    Raises:
        CkgitError: TOOL_MISSING, its client is not installed; USAGE, there is no such model for this user, or it is none that can be
            used; UNKNOWN, the hub cannot be reached or does not answer.
    """
    with _client(repo, revision, None) as client:
        return _offer(client, repo, revision)


def fetch(repo: str, revision: str, folder: Path, tell: Callable[[Offer, int], None]) -> Offer:
    """Fetch a model into a folder, which does not exist yet.

    Args:
        tell: takes what is fetched, and how many bytes of it have come.

    Raises:
        CkgitError: as for `ask`; COMMAND_FAILED, there is no room for it.
    """
    part = folder.with_name(f".{folder.name}-part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        with _client(repo, revision, part) as client:
            offer = _offer(client, repo, revision)
            _refuse_full(part, offer)
            while client.process.poll() is None:
                tell(offer, _came(part))
                time.sleep(_OFTEN)
            _said(client, repo, offer.source.revision)
    finally:
        with contextlib.suppress(OSError):
            part.rmdir()  # of which nothing has come
    if lacking := [name for name, count in offer.files.items() if not (part / name).is_file() or (part / name).stat().st_size != count]:
        raise _unreachable(repo, revision, f"{', '.join(lacking)} did not come whole")
    shutil.rmtree(part / ".cache", ignore_errors=True)  # the client's own notes
    part.rename(folder)
    return offer


class _Client(NamedTuple):
    process: subprocess.Popen[str]
    answers: IO[str]


@contextlib.contextmanager
def _client(repo: str, revision: str, folder: Path | None) -> Iterator[_Client]:
    """The client's process, which does not outlive the block."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise CkgitError(
            "models of the hub are fetched by huggingface_hub, which is not installed",
            code=Exit.TOOL_MISSING,
            state="nothing was written",
            next=f'pip install "ckgit[run]"; or {_by_hand(repo, revision)}',
        )
    command = [sys.executable, "-m", "ckgit.lab.models.hub_client", repo, revision, *([str(folder)] if folder else [])]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **_QUIET})
        try:
            yield _Client(process, process.stdout or io.StringIO())
        finally:
            process.terminate()
            process.communicate()


def _offer(client: _Client, repo: str, revision: str) -> Offer:
    told = _said(client, repo, revision, first=True)
    if not told.get("revision"):
        raise _unreachable(repo, revision, "its client ended without an answer")
    files: Mapping[str, int] = told["files"]
    if not any(name.endswith(".safetensors") for name in files):
        raise CkgitError(
            f"{repo} has no weights as safetensors: {', '.join(files) or 'none of its files belongs to a model'}",
            code=Exit.USAGE,
            state="nothing was written",
            next="choose a model that has; or load it with transformers, save it with save_pretrained, and add that folder",
        )
    return Offer(HubSource(repo=repo, revision=told["revision"]), files)


def _said(client: _Client, repo: str, revision: str, *, first: bool = False) -> dict[str, Any]:
    """The client's first line, or its last one."""
    last = (client.answers.readline() if first else client.answers.read()).strip().rpartition("\n")[2]
    told: dict[str, Any] = json.loads(last) if last else {}
    if "error" in told:
        raise _refused(told["error"], told["message"], repo, revision)
    return told


def _refused(kind: str, message: str, repo: str, revision: str) -> CkgitError:
    nothing = "no model card was written"
    if kind == "gated":
        onward = f"ask for it on its page in the hub, then `hf auth login`, and the same command again; or {_by_hand(repo, revision)}"
        return CkgitError(f"the hub gives {repo} only to those who have accepted its terms", code=Exit.USAGE, state=nothing, next=onward)
    if kind in ("no model", "no revision"):
        what = f"no revision {revision} of {repo}" if kind == "no revision" else f"no model {repo}, or it is private"
        onward = "look at its name on the hub, and for a private one `hf auth login`; a folder is named by a path that exists"
        return CkgitError(f"the hub has {what}, and there is no folder of that name here", code=Exit.USAGE, state=nothing, next=onward)
    return _unreachable(repo, revision, message[:_SHOWN])


def _unreachable(repo: str, revision: str, why: str) -> CkgitError:
    return CkgitError(
        f"{repo} cannot be fetched from the hub: {why}",
        code=Exit.UNKNOWN,
        state="no model card was written; what has come is kept, and the same command goes on from there",
        next=f"the same command again where there is a network; or {_by_hand(repo, revision)}",
    )


def _by_hand(repo: str, revision: str) -> str:
    """How to bring a model here from a machine that has a network."""
    name = repo.rpartition("/")[2]
    patterns = " ".join(f"--include {shlex.quote(pattern)}" for pattern in _PATTERNS)
    fixed = f" --revision {shlex.quote(revision)}" if revision != LATEST else ""
    return (
        f"on a machine that has one: `hf download {repo}{fixed} {patterns} --local-dir {name}`, copy the folder {name} to this machine "
        f"(rsync -a {name} THIS-MACHINE:), and here: ckgit models add NAME PATH-OF-{name}"
    )


def _refuse_full(part: Path, offer: Offer) -> None:
    lacking, free = offer.bytes - _came(part), shutil.disk_usage(part).free
    if lacking > free:
        raise CkgitError(
            f"{offer.source.repo} needs {size(lacking)} more, and there are {size(free)} free",
            code=Exit.COMMAND_FAILED,
            where=str(part),
            state="no model card was written",
            next="make room, or name another models_root in ckgit.toml, and run the same command again",
        )


def _came(part: Path) -> int:
    """Bytes that have come so far, whole files and parts of files."""
    total = 0
    for folder, _, names in os.walk(part):
        for name in names:
            with contextlib.suppress(OSError):  # renamed while one looks
                total += (Path(folder) / name).stat().st_size
    return total
