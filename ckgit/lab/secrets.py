"""What must not enter history: secrets, and files that are too large for git."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckgit.experiment.errors import CkgitError, Exit

MAX_FILE_BYTES = 50_000_000
_SHORTEST_VALUE = 8  # a shorter value of a variable would be found everywhere
_SECRET_NAMES = ("TOKEN", "KEY", "SECRET")
_RULES = (
    ("a Hugging Face token", rb"\bhf_[A-Za-z0-9]{30,}\b"),
    ("a W&B key", rb"(?i:wandb)[\w\"' \t:=.-]{1,40}?\b([0-9a-f]{40})\b"),
    ("an AWS access key", rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("an API key of the form sk-…", rb"\bsk-[A-Za-z0-9_-]{20,}"),
    ("a GitHub token", rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b"),
    # to its end, or as far as it goes where a log was cut
    ("a private key", rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?s:.){1,16384}?-----END [A-Z ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s]*)"),
)
_PATTERNS = tuple((rule, re.compile(pattern)) for rule, pattern in _RULES)
# One look decides for most files: a rule can only match where one of these stands.
_HINT = re.compile(rb"hf_|(?i:wandb)|AKIA|ASIA|sk-|gh[pousr]_|github_pat_|PRIVATE KEY")


class Finding(NamedTuple):
    """A secret and its place. The value itself is never kept."""

    path: str
    line: int
    rule: str
    masked: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.masked}"


def refuse_unfit(files: Mapping[str, bytes | None]) -> None:
    """Check what is about to be committed.

    Raises:
        CkgitError: USAGE, a file holds a secret or is over 50 MB.
    """
    for path, content in files.items():
        if content is not None and len(content) > MAX_FILE_BYTES:
            raise CkgitError(
                f"{path} has {len(content) / 1e6:.0f} MB; at most {MAX_FILE_BYTES // 1_000_000} MB go into the repository",
                code=Exit.USAGE,
                state="nothing was committed",
                next="keep it in the work tree or under data_root, and commit its SHA-256 instead",
            )
    if findings := find_secrets(files):
        raise CkgitError(
            "\n".join(["a secret must not be committed:", *(f"  {finding}" for finding in findings)]),
            code=Exit.USAGE,
            state="nothing was committed",
            next="remove it from the file named above (an archive or a log can be deleted: its job then counts as failed, and "
            "ckgit retry repeats it), revoke it if others have seen it, and run the same command again",
        )


def find_secrets(files: Mapping[str, bytes | None]) -> list[Finding]:
    """Secrets in files by well-known forms, and the current values of *TOKEN, *KEY and *SECRET variables."""
    values = _secret_values()
    return [
        finding
        for path, content in files.items()
        if content is not None
        for place, part in _parts(path, content)
        for finding in _scan(place, part, values)
    ]


def without_secrets(path: str, content: bytes) -> tuple[bytes, list[Finding]]:
    """A plain file with each secret masked, and what was masked: a tool's log is not worth losing an experiment.

    Args:
        path: how findings name the file.
    """
    values = _secret_values()
    found = list(_scan(path, content, values))
    for value in sorted(values, key=len, reverse=True):  # one may contain another
        content = content.replace(value, mask(value).encode())
    for _, pattern in _PATTERNS if _HINT.search(content) else ():
        content = pattern.sub(_masked, content)
    return content, found


def _masked(match: re.Match[bytes]) -> bytes:
    value = match[match.lastindex or 0]
    return match[0].replace(value, mask(value).encode())


def _secret_values() -> dict[bytes, str]:
    return {
        value.encode(errors="surrogateescape"): name
        for name, value in os.environ.items()
        if name.upper().endswith(_SECRET_NAMES) and len(value) >= _SHORTEST_VALUE
    }


def _parts(path: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The file itself, and what is packed in it: an .eval log is a zip archive."""
    yield path, content
    if not content.startswith(b"PK\x03\x04"):
        return
    with contextlib.suppress(ImportError):  # inspect packs with Zstandard, and brings what teaches it to Pythons before 3.14
        importlib.import_module("zipfile_zstd")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f"{path}!{name}", archive.read(name)
    except Exception as error:  # each compression has an error of its own
        raise CkgitError(
            f"the archive cannot be searched for secrets: {error}",
            code=Exit.USAGE,
            where=path,
            state="nothing was committed",
            next="make it whole or delete it where it was made, then run the same command again; "
            "one that is packed with Zstandard needs pip install 'ckgit[run]'",
        ) from error


def _scan(path: str, content: bytes, values: Mapping[bytes, str]) -> Iterator[Finding]:
    for value, name in values.items():
        if (at := content.find(value)) >= 0:
            yield Finding(path, content.count(b"\n", 0, at) + 1, f"the value of ${name}", mask(value))
    if not _HINT.search(content):
        return
    for rule, pattern in _PATTERNS:
        for match in pattern.finditer(content):
            value = match[match.lastindex or 0]
            if value not in values:
                yield Finding(path, content.count(b"\n", 0, match.start()) + 1, rule, mask(value))


def mask(value: bytes) -> str:
    """The first four characters of a secret, and its length."""
    return f"{value[:4].decode(errors='replace')}… ({len(value)} characters)"
