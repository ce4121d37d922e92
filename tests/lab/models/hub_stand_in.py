"""A hub of Hugging Face on this machine: what its client asks for, in the form that the documentation of the hub's API has."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Repository:
    """A model of the hub: its files, and what happens to who asks for them."""

    def __init__(self, files: dict[str, bytes], *, gated: bool = False, broken: str = "", unlisted: str = "") -> None:
        self.files = files
        self.gated = gated
        self.broken = broken  # a file whose answer ends in its middle
        self.unlisted = unlisted  # a file that the tree lacks, by which the client goes

    @cached_property
    def siblings(self) -> list[dict[str, object]]:
        return [{"rfilename": name, "size": len(content), "blobId": _blob(content)} for name, content in self.files.items()]

    @cached_property
    def tree(self) -> list[dict[str, object]]:
        listed = {name: content for name, content in self.files.items() if name != self.unlisted}
        return [{"type": "file", "path": name, "size": len(content), "oid": _blob(content)} for name, content in listed.items()]


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    repositories: dict[str, Repository]
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.asked.append(path)
        named = path.removeprefix("api/models/").split("/")
        repository = self.repositories.get("/".join(named[:2]))
        rest = named[2:]
        if repository is None:
            self._answer(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"{}")
        elif repository.gated:
            self._answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}, b"{}")
        elif path.startswith("api/models/"):
            self._api(repository, "/".join(named[:2]), rest)
        else:
            self._file(repository, "/".join(rest[2:]))

    def _api(self, repository: Repository, name: str, rest: list[str]) -> None:
        if rest[1:2] not in ([], ["main"], [REVISION]):
            self._answer(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b"{}")
        elif rest[:1] == ["tree"]:
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(repository.tree).encode())
        else:
            about = {"id": name, "modelId": name, "sha": REVISION, "private": False, "tags": [], "siblings": repository.siblings}
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def _file(self, repository: Repository, name: str) -> None:
        content = repository.files[name]
        headers = {"ETag": f'"{_blob(content)}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        sent = content[: len(content) // 2] if name == repository.broken else content
        self._answer(200, headers, sent, length=len(content))

    def _answer(self, code: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
        self.send_response(code)
        for key, value in {**headers, "Content-Length": str(len(body) if length is None else length)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def serve(repositories: dict[str, Repository]) -> Iterator[tuple[str, list[str]]]:
    """The hub's address, and the paths that were asked for so far."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"repositories": repositories, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
