"""The command of an evaluation job: inspect evaluates its cells after each other, in one process that loads a checkpoint once.

`python -m ckgit.workers.inspect_ai.evaluate CELL.yaml...`, at the top of a work tree. Each cell is what
`inspect eval --run-config CELL.yaml` makes of it, by that very command. inspect names its logs by time, and its exit code is 0
whatever became of an evaluation: a log gets its final name here, and one that does not say success fails the job, after all
other cells. A cell whose log is complete already, because an earlier attempt at this job came so far, stays as it is.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import click

from ckgit.workers.inspect_ai.cells import attempts_of, log_of
from ckgit.workers.inspect_ai.codes import MARK, NO_LOG, NOT_SUCCESS, TOKENS_DIFFER
from ckgit.workers.inspect_ai.logs import RefusedLogError, check_archive
from ckgit.workers.inspect_ai.pinned import pin


class End(NamedTuple):
    """How the evaluation of a cell ended."""

    code: int  # 0 for success
    why: str = ""


def main(configs: Sequence[str]) -> int:
    """Evaluate each cell; the job's exit code, which is that of the first failure, or of different tokens where there are any."""
    pin()
    failed: list[End] = []
    for number, config in enumerate(configs, start=1):
        if len(configs) > 1:
            click.echo(f"== evaluation {number} of {len(configs)}: {config}")
        if is_complete(Path(log_of(config))):
            click.echo(f"{log_of(config)} is complete: it is not evaluated again")
            continue
        end = _evaluate(config)
        failed += [end] if end.code else []
    failed.sort(key=lambda end: end.code != TOKENS_DIFFER)
    for end in reversed(failed):  # who explains the job's end reads its last word
        click.echo(f"ckgit: {end.why}", err=True)
    return failed[0].code if failed else 0


def _evaluate(config: str) -> End:
    folder = attempts_of(config)
    code = _inspect(
        *("eval", "--run-config", config),
        *("--log-dir", folder, "--log-format", "eval", "--display", "plain", "--ctl-server", "false"),
    )
    if code:
        return End(code, f"inspect ended with exit code {code} for {config}")
    return finish(Path(folder), Path(log_of(config)))


def _inspect(*words: str) -> int:
    """Call inspect's command line; its exit code."""
    (script,) = distribution("inspect-ai").entry_points.select(group="console_scripts", name="inspect")
    sys.argv = ["inspect", *words]
    try:
        script.load()()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - the other cells are evaluated nevertheless
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def finish(folder: Path, log: Path) -> End:
    """Give the newest log of a folder its final name, and judge it by its header."""
    written = sorted(folder.glob("*.eval"), key=lambda path: path.stat().st_mtime_ns)
    if not written:
        return End(NO_LOG, f"inspect wrote no log to {folder}")
    written[-1].replace(log)
    if not any(folder.iterdir()):
        folder.rmdir()
    try:
        header = read_header(log)
    except (OSError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        return End(NOT_SUCCESS, f"inspect's log was cut short: {error}")
    if header["status"] == "success":
        return End(0)
    message = str((header.get("error") or {}).get("message", ""))
    return End(TOKENS_DIFFER if MARK in message else NOT_SUCCESS, f"inspect ended with status {header['status']}: {message}")


def is_complete(log: Path) -> bool:
    """Whether there is a log that says success and is not damaged."""
    try:
        check_archive(log)
        return bool(read_header(log)["status"] == "success")
    except FileNotFoundError:
        return False
    except (RefusedLogError, ValueError, KeyError, ImportError):
        return False  # what cannot be read is made again


def read_header(log: Path) -> dict[str, Any]:
    """Status, error and all else that an `.eval` holds beside its samples. Does not import inspect, which takes two seconds.

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
    sys.exit(main(sys.argv[1:]))
