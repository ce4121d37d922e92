"""What a person's own configuration adds to a job that they hand over: set-up lines as the job's script reads them, and all of it in words.

`setup` in the job's folder has one line on whose lines they are, and then the lines. It is for that person alone to read, as the job is
theirs, and a line may hold what is not for others. It is written by the one process that may hand the job over.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from ckgit.experiment.cluster import Cluster, OwnKeys
from ckgit.formats.listing import plural
from ckgit.jobs.folder import user_name

_READS = b'"$job/setup"'  # in scripts; those that an older ckgit has rendered do not


def own_setup(cluster: Cluster) -> bytes:
    """What a job's script is to read; empty where a person adds no line."""
    if not cluster.own.setup:
        return b""
    file = cluster.own.file.replace("\n", " ")
    return f"{user_name(os.getuid())}'s own configuration ({file})\n".encode() + _lines(cluster.own)


def write_own_setup(folder: Path, cluster: Cluster) -> None:
    """Leave in a job's folder what its script is to read, in place of what another hand-over has left, which came to nothing.

    Raises:
        OSError: it cannot be written.
    """
    file = folder / "setup"
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
    if content := own_setup(cluster):
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as there:
            there.write(content)


def reads_own_setup(script: bytes) -> bool:
    """Whether a job's script reads that."""
    return _READS in script


def in_words(own: OwnKeys, *, setup: bool) -> list[str]:
    """What is handed over with jobs, for the record: values of options, and of set-up lines no more than tells whether they were the same.

    One line, or none where that is nothing.

    Args:
        setup: whether the jobs' scripts read set-up lines.
    """
    parts = [f"{name} {value}" for name, value in own.options.items()]
    if setup and own.setup:
        parts.append(f"{plural(len(own.setup), 'set-up line')} (SHA-256 {hashlib.sha256(_lines(own)).hexdigest()})")
    return [f"from the own configuration of who submits: {', '.join(parts)}"] if parts else []


def _lines(own: OwnKeys) -> bytes:
    return "".join(f"{line}\n" for line in own.setup).encode()
