"""The command line in this process, for tests that would start dozens: the same from its arguments to its exit code, but Python's start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

from ckgit.cli import _invoke
from ckgit.cli.errors import guarded
from ckgit.cli.output.streams import NOTES
from docs.exit_codes import may_end_with


def ckgit(*words: str, folder: Path | None = None, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return what a process would have: exit code, standard output and standard error.

    Args:
        folder: where it is started.
        stdin: what is on its standard input.
        environment: variables added to those of the test.
    """
    given, out, err = (TextIOWrapper(BytesIO(content), encoding="utf-8") for content in (stdin.encode(), b"", b""))
    with (
        patch.object(sys, "argv", ["ckgit", *words]),
        patch.object(sys, "stdin", given),
        patch.object(NOTES, "kept", None),  # each process begins with none
        patch.dict(os.environ, environment),
        chdir(folder or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = guarded(_invoke, words)
        except SystemExit as end:  # an answer to a shell ends the process
            code = int(end.code or 0)
    return as_the_reference_says(subprocess.CompletedProcess(words, code, _written(out), _written(err)), words)


def as_the_reference_says(done: subprocess.CompletedProcess[str], words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command that has ended, whatever a test wanted it for: with one of the exit codes that the reference names for it."""
    assert may_end_with(words, done.returncode), f"docs/exit_codes.py does not say this of {words}: {done.returncode}\n{done.stderr}"
    return done


def _written(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
