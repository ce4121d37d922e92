"""The dashboard on this machine alone, made anew where git or the jobs have moved on. It answers with its own pages and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.lab.lab import Lab
from ckgit.orchestrators.dashboard.make import first_page, page_of
from ckgit.orchestrators.dashboard.names import INDEX, page_names
from ckgit.orchestrators.dashboard.now import ExperimentNow, LabNow
from ckgit.orchestrators.dashboard.reading import LabReader, LabWatch

HOST = "127.0.0.1"
RELOAD = 5  # seconds after which a browser asks again
_LOOK = 1.0  # seconds between two looks for news, whoever asks


class LivePage(NamedTuple):
    """A page as it is now."""

    content: bytes
    changes: bool  # whether it is likely to be another one soon


class LivePages:
    """The pages as they are now; made when they are asked for."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._watch, self._lock = lab, LabWatch(lab, LabReader(lab)), threading.Lock()
        self._now: LabNow | None = None
        self._looked = float("-inf")
        self._made: dict[str, tuple[ExperimentNow | LabNow, bytes]] = {}

    def page(self, path: str) -> LivePage | None:
        """A page by its path within the dashboard; None where there is no such page.

        Raises:
            CkgitError: the lab cannot be read.
        """
        with self._lock:
            now = self._current()
            by_path = {page: name for name, page in page_names(each.name for each in now.experiments).items()}
            if path == INDEX:
                return LivePage(self._kept(path, now), changes=True)
            wanted = by_path.get(path)
            found = next((each for each in now.experiments if each.name == wanted), None)
            return LivePage(self._kept(path, found), _is_open(found)) if found else None

    def _kept(self, path: str, of: ExperimentNow | LabNow) -> bytes:
        known = self._made.get(path)
        if known and known[0] is of:
            return known[1]
        content = first_page(of) if isinstance(of, LabNow) else page_of(self._lab, of)
        self._made[path] = (of, content)
        return content

    def _current(self) -> LabNow:
        if self._now and time.monotonic() - self._looked < _LOOK:
            return self._now
        self._now = self._watch.read(self._now)
        self._looked = time.monotonic()
        return self._now


def _is_open(experiment: ExperimentNow) -> bool:
    found = experiment.overview
    return experiment.is_out or found is None or not (found.closing or found.state is State.ANALYZED)


class DashboardServer(ThreadingHTTPServer):
    """Listens on this machine's own address.

    Raises:
        CkgitError: COMMAND_FAILED, the port cannot be used.
    """

    daemon_threads = True

    def __init__(self, pages: LivePages, port: int | None) -> None:
        self.pages = pages
        try:
            super().__init__((HOST, port or 0), _Handler)
        except OSError as error:
            what = f"port {port} cannot be used: {error.strerror}"
            raise CkgitError(what, code=Exit.COMMAND_FAILED, next="name another one, or none: ckgit then finds one that is free") from None

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    """One request. Only GET and HEAD, and only of who names this machine: another site's name may be made to lead here."""

    server: DashboardServer
    server_version, sys_version = "ckgit", ""
    timeout = 30

    def do_GET(self) -> None:
        """A page."""
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        """What stands before a page."""
        self._answer(with_content=False)

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):  # any other method
            return self._refuse_method
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request's line is anybody's text."""

    def _refuse_method(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"The dashboard is only read: GET.\n", more={"Allow": "GET, HEAD"})

    def _answer(self, *, with_content: bool) -> None:
        if not self._is_asked_here():
            self._send(
                HTTPStatus.MISDIRECTED_REQUEST, b"The dashboard answers to this machine's own address alone.\n", with_content=with_content
            )
            return
        path = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        try:
            page = self.server.pages.page(path)
        except CkgitError as error:
            content = f"The lab cannot be read now: {error}\n".encode(errors="replace")
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, content, with_content=with_content, more={"Refresh": str(RELOAD)})
            return
        if page is None:
            self._send(HTTPStatus.NOT_FOUND, b"The dashboard has no such page.\n", with_content=with_content)
        else:
            again = {"Refresh": str(RELOAD)} if page.changes else {}
            self._send(HTTPStatus.OK, page.content, "text/html", with_content=with_content, more=again)

    def _is_asked_here(self) -> bool:
        port = self.server.server_port
        return self.headers.get("Host", "").lower() in (f"{HOST}:{port}", f"localhost:{port}")

    def _send(
        self, status: HTTPStatus, content: bytes, kind: str = "text/plain", *, with_content: bool = True, more: Mapping[str, str] = {}
    ) -> None:
        self.send_response(status)
        fixed = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(content)), "Cache-Control": "no-store"}
        safe = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"}
        for name, value in {**fixed, **safe, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_content:
            self.wfile.write(content)
