"""The files of a commit, each by itself: whether git should carry it at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckgit.errors import CkgitError
from ckgit.formats.listing import escaped
from ckgit.lab.git.objects import REGULAR, read_objects, sizes
from ckgit.lab.hooks.staged import ChangedFile
from ckgit.lab.secrets import MAX_FILE_BYTES, find_secrets

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding

_WEIGHTS = re.compile(r"\.(?:safetensors|ckpt|gguf|pth?)$|(?:^|/)[^/]*model[^/]*\.bin$", re.IGNORECASE)
_AT_ONCE = 64_000_000  # bytes that are read together


def found(rule: str, message: str, *, commit: str | None = None, path: str = "", line: int = 0, advice: str = "") -> Finding:
    """A finding of a rule, in which nothing of what others wrote is hidden. Most hooks find nothing, and have no time to import rules."""
    from ckgit.orchestrators.review.rules import RULES

    return RULES[rule].found(escaped(message), commit=commit, path=escaped(path), line=line, advice=escaped(advice) or None)


def file_findings(root: Path, folder: str, files: Sequence[ChangedFile], commit: str | None = None) -> Iterator[Finding]:
    """What is wrong with files that a commit adds or changes.

    Args:
        folder: the experiment's own.
        commit: the one that has them; None where they are staged.
    """
    there = [file for file in files if not file.gone]
    for file in there:
        if file.mode not in REGULAR and f"{file.path}/".startswith(f"{folder}/"):
            what = "a submodule" if file.mode == "160000" else "a symbolic link"
            yield found("not-a-file", f"it is {what}", commit=commit, path=file.path)
    plain = [file for file in there if file.mode in REGULAR]
    known = sizes(root, list(dict.fromkeys(file.oid for file in plain)))
    for file in plain:
        size = known.get(file.oid, 0)
        if _WEIGHTS.search(file.path):
            yield found("weights", f"these are a model's weights, by the file's name ({size:,} bytes)", commit=commit, path=file.path)
        elif size > MAX_FILE_BYTES:
            yield found("too-large", f"it has {size / 1e6:.0f} MB, and the limit is 50 MB", commit=commit, path=file.path)
    yield from _secrets(root, [file for file in plain if known.get(file.oid, 0) <= MAX_FILE_BYTES], known, commit)


def _secrets(root: Path, files: Iterable[ChangedFile], known: dict[str, int], commit: str | None) -> Iterator[Finding]:
    batch: list[ChangedFile] = []
    room = _AT_ONCE
    for file in files:
        if known.get(file.oid, 0) > room:
            yield from _secrets_in(root, batch, commit)
            batch, room = [], _AT_ONCE
        batch.append(file)
        room -= known.get(file.oid, 0)
    yield from _secrets_in(root, batch, commit)


def _secrets_in(root: Path, files: Sequence[ChangedFile], commit: str | None) -> Iterator[Finding]:
    contents = list(read_objects(root, [file.oid for file in files]))
    for file, content in zip(files, contents, strict=True):
        try:
            places = find_secrets({file.path: content})
        except CkgitError as error:
            yield found("secret", error.what, commit=commit, path=file.path, advice=error.next)
            continue
        for place in places:
            inner = place.path.removeprefix(file.path).removeprefix("!")  # of an archive
            what = f"{place.rule}: {place.masked}" + (f", in {inner}" if inner else "")
            yield found("secret", what, commit=commit, path=file.path, line=place.line)
