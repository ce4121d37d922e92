"""The one place where an exception becomes text, an exit code and, for a bug, a report to send."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ckgit import __version__
from ckgit.cli.output.streams import NOTES, fresh_line, json_text, say
from ckgit.errors import CkgitError, DesignError, Exit

INSTALL_RUN = 'pip install "ckgit[run]"'
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What the machine lacks, whatever the path, and what helps.
_OF_THE_MACHINE = {
    **dict.fromkeys(_FULL, "make room, then run the same command again"),
    errno.EIO: "the disk or the network file system fails: tell who runs it, and run the same command again when it is mended",
    errno.ESTALE: "the network file system has lost that file: run the same command again",
    errno.EROFS: "that file system is read-only: have it mounted for writing, or work in another folder",
    errno.ENOMEM: "free some memory, then run the same command again",
    errno.EAGAIN: "end some processes (ulimit -u is the limit), then run the same command again",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close some programs, or raise the limit of open files (ulimit -n)"),
    errno.ENOLCK: "that file system cannot lock files: put the work root on one that can",
}
# What is wrong with a path that somebody chose or changed, and what helps.
_OF_A_PATH = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "ls -ld on it shows who may use it: have that changed, or name another"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "it was moved or removed, or never there: bring it back, or name another"),
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY), "something else stands there: move it away, or name another"),
    errno.ENAMETOOLONG: "choose a shorter name or folder",
    errno.ELOOP: "its symbolic links lead in a circle: mend them",
}
_OURS = Path(__file__).resolve().parent.parent


def guarded(run: Callable[[], Any], argv: Sequence[str]) -> int:
    """Call `run` and return the exit code; whatever it raises is reported here.

    A number that `run` returns is the exit code.
    """
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return Exit.PIPE_CLOSED
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        if "--json" in argv:
            return _report(CkgitError("interrupted", code=Exit.INTERRUPTED), argv)
        fresh_line()
        _say("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line and a code
        return _report(error, argv)
    return code if isinstance(code, int) else Exit.DONE


def _report(error: Exception, argv: Sequence[str]) -> int:
    known = masked_error(_as_known(error, argv))
    if isinstance(error, OSError) and error.errno in _FULL:
        _forget_output()  # it may be what is full
    if "--json" in argv:
        _say(json_text(_document(known), indent=None, err=True))
        return known.code
    if known.code is Exit.INTERRUPTED:
        fresh_line()
    if type(error).__name__ == "NoArgsIsHelpError":  # newer than the oldest click that we run on
        _say(known.what)
    else:
        _say(f"{error.ctx.get_usage()}\n" if isinstance(error, click.UsageError) and error.ctx else "", f"ckgit: {known}")
    return known.code


def _as_known(error: Exception, argv: Sequence[str]) -> CkgitError:
    if isinstance(error, CkgitError):
        return error
    if isinstance(error, click.ClickException):
        return CkgitError(error.format_message(), code=Exit.USAGE)
    if isinstance(error, OSError) and (known := _of_the_system(error, argv)):
        return known
    if isinstance(error, UnicodeEncodeError):
        return CkgitError(
            f"the encoding {error.encoding} has no {error.object[error.start : error.end]!a}, which a file's name or text has",
            code=Exit.USAGE,
            state="what was committed before stands",
            next="export LC_ALL=C.UTF-8 PYTHONUTF8=1, then run the same command again; a name that is not UTF-8 at all must be changed",
        )
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in _run_packages():
        return CkgitError(f"this needs {package}, which is not installed", code=Exit.TOOL_MISSING, next=INSTALL_RUN)
    return _bug(error, argv)


def _run_packages() -> set[str]:
    """Modules that ckgit's own package metadata ask for in jobs, and numpy, which comes with them."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        wanted = [each for each in requires("ckgit") or () if "extra" in each and "run" in each.partition(";")[2]]
    except PackageNotFoundError:  # it runs from a folder
        wanted = []
    return {re.split(r"[^\w.-]", each, maxsplit=1)[0].replace("-", "_") for each in wanted} | {"numpy"}


def _of_the_system(error: OSError, argv: Sequence[str]) -> CkgitError | None:
    """What the machine lacks, or what is wrong with a path; None for what ckgit should not have asked for."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    advice = _OF_THE_MACHINE.get(error.errno or 0)
    if error.errno == errno.EBADF and not _can_print():
        advice = "run the same command again with a standard output that can be written, such as >FILE"
    if not advice and (not path or _OURS in Path(path).absolute().parents):
        return None
    advice = advice or _OF_A_PATH.get(error.errno or 0)
    if not advice:
        return None
    return CkgitError(
        f"{error.strerror} while writing" if error.errno in _FULL else f"it cannot be read or written: {error.strerror}",
        code=Exit.USAGE if path and path in argv else Exit.COMMAND_FAILED,
        where=path or "a file, a folder or the output",
        state="what was committed before stands; nothing half-written counts",
        next=advice,
    )


def _can_print() -> bool:
    """Whether standard output is open for writing."""
    try:
        os.write(1, b"")
    except OSError:
        return False
    return True


def _document(error: CkgitError) -> dict[str, Any]:
    """An error for `--json`, with what was noted before it."""
    from ckgit.experiment.outputs.refusals import ErrorDocument, ErrorReport

    return ErrorDocument(error=ErrorReport.of(error), notes=tuple(NOTES.kept or ())).model_dump(mode="json")


def _bug(error: Exception, argv: Sequence[str]) -> CkgitError:
    import traceback

    from ckgit.formats.secret_patterns import masked

    text = masked(
        f"ckgit {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"arguments: {json.dumps(list(argv))}\n\n{''.join(traceback.format_exception(error))}",
        os.environ,
    )
    try:
        where = _write_report(text)
    except OSError:
        where = "(no report could be written)"
        if "--json" not in argv:
            _say(text)
    return CkgitError(f"a bug in ckgit: {type(error).__name__}: {error}", code=Exit.BUG, next=f"please report it, with the file {where}")


def masked_error(error: CkgitError) -> CkgitError:
    """An error may quote what git, a scheduler or a file said."""
    from ckgit.formats.secret_patterns import masked

    error.what, error.where, error.next = (masked(text, os.environ) for text in (error.what, error.where, error.next))
    if isinstance(error, DesignError):
        error.problems = [replace(problem, message=masked(problem.message, os.environ)) for problem in error.problems]
    return error


def _write_report(text: str) -> str:
    """In the lab's git folder, where nothing commits it; outside a lab, in the system's folder for temporary files."""
    here = Path.cwd()
    git = next((folder / ".git" for folder in (here, *here.parents) if (folder / ".git").is_dir()), None)
    import tempfile  # it brings much along, which no other command needs

    folder = git / "ckgit" if git and os.access(git, os.W_OK) else Path(tempfile.gettempdir())
    folder.mkdir(exist_ok=True)
    path = folder / f"ckgit-bug-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return str(path)


def _say(*lines: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody is listening any more
        for line in filter(None, lines):
            say(line, err=True)


def _forget_output() -> None:
    """Let Python's own flush at exit have nowhere to fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
