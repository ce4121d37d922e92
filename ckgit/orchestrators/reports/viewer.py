"""inspect's viewer, started on a folder of logs. It answers on this machine alone, and shows what models wrote as plain text."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from ckgit.errors import CkgitError, Exit
from ckgit.orchestrators.reports.logs import CellLog

_HOST = "127.0.0.1"
_SECONDS = 60.0  # in which the viewer must answer: it imports much
_SHOWN = 3  # lines of what it said


def check_viewer() -> None:
    """Refuse where inspect is not installed.

    Raises:
        CkgitError: TOOL_MISSING.
    """
    if importlib.util.find_spec("inspect_ai") is None:
        what = "logs are shown by inspect-ai, which is not installed"
        raise CkgitError(what, code=Exit.TOOL_MISSING, state="nothing was written", next='pip install "ckgit[review]"')


def lay_out(logs: Sequence[CellLog], folder: Path) -> None:
    """Put logs into a folder by run; of those that lie in the work tree, links.

    Raises:
        CkgitError: COMMAND_FAILED, they cannot be written.
    """
    try:
        for log in logs:
            place = folder / log.run / f"{log.cell}.eval"
            place.parent.mkdir(parents=True, exist_ok=True)
            if log.large:
                place.symlink_to(log.large)
            elif log.content is not None:
                place.write_bytes(log.content)
    except OSError as error:
        what = f"the logs cannot be written: {error.strerror}"
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=str(folder), next="make room there") from None


class Viewer:
    """A viewer that answers."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        self.address = f"http://{_HOST}:{port}/"
        self._port, self._process, self._said = port, process, said

    def wait(self) -> None:
        """Until somebody ends this process.

        Raises:
            CkgitError: COMMAND_FAILED, the viewer has ended by itself.
        """
        self._process.wait()
        raise self.failed("inspect's viewer has ended")

    def await_answer(self) -> None:
        """Until it answers.

        Raises:
            CkgitError: COMMAND_FAILED, it does not.
        """
        until = time.monotonic() + _SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((_HOST, self._port), timeout=_SECONDS):
                return
            time.sleep(0.1)
        raise self.failed("inspect's viewer does not answer")

    def failed(self, what: str) -> CkgitError:
        """What it said last."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()[-_SHOWN:]
        told = "\n  ".join([what, *lines])
        return CkgitError(told, code=Exit.COMMAND_FAILED, state="nothing was changed", next="run the same command again")


@contextmanager
def viewing(folder: Path, port: int | None) -> Iterator[Viewer]:
    """A viewer of the logs in a folder; it is ended afterwards.

    Args:
        port: that it is to answer on; one that is free where that is None.

    Raises:
        CkgitError: COMMAND_FAILED, the port is taken, or the viewer does not answer.
    """
    port = _port(port)
    command = [sys.executable, "-m", "inspect_ai", "view", "start", "--log-dir", str(folder), "--host", _HOST, "--port", str(port)]
    with tempfile.TemporaryFile() as said, _ended_with_us():
        process = subprocess.Popen([*command, "--no-trust-content"], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            viewer = Viewer(port, process, said)
            viewer.await_answer()
            yield viewer
        finally:
            process.terminate()
            process.wait()


def _port(asked: int | None) -> int:
    """The port that was asked for, or one that nobody listens on: inspect would end another viewer to have it."""
    with socket.socket() as probe:
        try:
            probe.bind((_HOST, asked or 0))
        except OSError as error:
            what = f"port {asked} cannot be used: {error.strerror}"
            raise CkgitError(what, code=Exit.COMMAND_FAILED, next="name another one, or none: ckgit then finds one that is free") from None
        return int(probe.getsockname()[1])


@contextmanager
def _ended_with_us() -> Iterator[None]:
    """A signal that ends this process ends what it has started, too."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # whoever ends a group of processes may signal each of them twice
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is leave:
            signal.signal(signal.SIGTERM, before)
