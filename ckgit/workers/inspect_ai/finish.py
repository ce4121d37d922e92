"""Last step of an evaluation job: give inspect's log its final name, and fail when the log does not say success.

`python -m ckgit.workers.inspect_ai.finish FOLDER LOG`, at the top of a work tree. inspect names its logs by time, and its
exit code is 0 whatever became of the evaluation. Reads the log's header without importing inspect, which takes two seconds.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import click

from ckgit.workers.inspect_ai.codes import MARK, NO_LOG, NOT_SUCCESS, TOKENS_DIFFER


def main(folder: Path, log: Path) -> int:
    """Run the step for one cell; the exit code."""
    written = sorted(folder.glob("*.eval"), key=lambda path: path.stat().st_mtime_ns)
    if not written:
        click.echo(f"ckgit: inspect wrote no log to {folder}", err=True)
        return NO_LOG
    written[-1].replace(log)
    if not any(folder.iterdir()):
        folder.rmdir()
    try:
        header = read_header(log)
    except (OSError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        click.echo(f"ckgit: inspect's log was cut short: {error}", err=True)
        return NOT_SUCCESS
    if header["status"] == "success":
        return 0
    message = str((header.get("error") or {}).get("message", ""))
    click.echo(f"ckgit: inspect ended with status {header['status']}: {message}", err=True)
    return TOKENS_DIFFER if MARK in message else NOT_SUCCESS


def read_header(log: Path) -> dict[str, Any]:
    """Status, error and all else that an `.eval` holds beside its samples.

    Raises:
        KeyError: there is no header yet: the evaluation was not finished.
        zipfile.BadZipFile: the file is cut short, or no log.
    """
    # Python's zipfile learns Zstandard in 3.14 only; inspect-ai requires this package, which teaches it.
    import zipfile_zstd  # noqa: F401

    with zipfile.ZipFile(log) as archive:
        header: dict[str, Any] = json.loads(archive.read("header.json"))
    return header


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
