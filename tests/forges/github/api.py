"""A stand-in for GitHub's REST API: each request and each answer is held against GitHub's own description of it."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydantic

from tests.forges.github.openapi import checked, operations

TOKEN = "the-token-of-the-job"  # noqa: S105 - of nothing
REPOSITORY, FORK = "lab/demo", "mallory/demo"
BOT = "github-actions[bot]"
# Permissions of a job's token that a request takes, by what its path holds; on a pull request's comments, those of pull requests do.
NEEDS = {"/pulls/": "pull-requests", "/issues/": "pull-requests", "/actions/": "actions", "/contents/": "contents", "/compare/": "contents"}
Answer = tuple[int, Any]


class GitHub:
    """One repository on GitHub, as a test has it."""

    def __init__(self) -> None:
        self.pulls: dict[int, dict[str, Any]] = {}
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.artifacts: dict[int, dict[str, bytes]] = {}  # by run and name: zip files
        self.blob: Callable[[str, str], str | None] = lambda path, ref: "0" * 40
        self.merge_base: Callable[[str, str], str] = lambda base, head: "b" * 40
        self.permissions: Mapping[str, str] = {}  # of the job's token
        self.faults: list[str] = []  # requests and answers that the description does not have
        self.written: list[str] = []  # requests that changed something
        self.url = self.elsewhere = ""

    def open(self, number: int, branch: str, commit: str, *, repository: str = REPOSITORY, **given: Any) -> dict[str, Any]:
        """A pull request into main, as an event and as the API tell it."""
        sides = {
            "head": {"ref": branch, "sha": commit, "repo": {"full_name": repository, "default_branch": "main"}},
            "base": {"ref": "main", "sha": "b" * 40, "repo": {"full_name": REPOSITORY, "default_branch": "main"}},
        }
        self.pulls[number] = {"number": number, "state": "open", **sides, **given}
        return self.pulls[number]

    def review(self, number: int, login: str, commit: str, state: str = "APPROVED") -> None:
        """Somebody reviews a pull request."""
        self.reviews.setdefault(number, []).append({"user": {"login": login}, "commit_id": commit, "state": state})

    def comment(self, number: int, login: str, body: str) -> None:
        """Somebody comments on it."""
        every = sum(map(len, self.comments.values()))
        self.comments.setdefault(number, []).append({"id": every + 1, "user": {"login": login}, "body": body})

    def bodies(self, number: int, login: str = BOT) -> list[str]:
        """What somebody's comments say."""
        return [each["body"] for each in self.comments.get(number, []) if each["user"]["login"] == login]

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> Answer:
        """What GitHub would answer; a request that its description does not have is a fault of who asks."""
        known = next((each for each in operations() if each.method == method and each.path.fullmatch(path)), None)
        if known is None or (extra := query.keys() - known.query):
            self.faults.append(f"{method} {path}: {'no such request' if known is None else f'no parameters {sorted(extra)}'}")
            return 404, checked("BasicError")
        try:
            if known.body:
                known.check_body(body)
            code, found = self._allowed(method, path) or self._answer(method, path.split("/")[4:], query, body)
            if code < 300 and known.answer:
                known.check_answer(found)
        except (pydantic.ValidationError, AssertionError) as error:
            self.faults.append(f"{method} {path}: {error}")
            return 422, checked("BasicError")
        if method != "GET" and code < 300:
            self.written.append(f"{method} {path}")
        return code, found

    def _allowed(self, method: str, path: str) -> Answer | None:
        permission = next(value for key, value in NEEDS.items() if key in path)
        has = self.permissions.get(permission)
        return None if has == "write" or (has == "read" and method == "GET") else (403, checked("BasicError"))

    def _answer(self, method: str, parts: list[str], query: Mapping[str, list[str]], body: Any) -> Answer:  # noqa: C901, PLR0911 - a table
        match method, *parts:
            case "GET", "pulls", number if int(number) in self.pulls:
                return 200, checked("PullRequest", **self.pulls[int(number)])
            case "GET", "pulls", number, "reviews":
                return 200, [checked("PullRequestReview", **each) for each in _page(self.reviews.get(int(number), []), query)]
            case "GET", "issues", number, "comments":
                return 200, [checked("IssueComment", **each) for each in _page(self.comments.get(int(number), []), query)]
            case "POST", "issues", number, "comments":
                assert len(body["body"]) <= 65_536
                self.comment(int(number), BOT, body["body"])
                return 201, checked("IssueComment", **self.comments[int(number)][-1])
            case "PATCH", "issues", "comments", which:
                (found,) = (each for every in self.comments.values() for each in every if each["id"] == int(which))
                if found["user"]["login"] != BOT:
                    return 403, checked("BasicError")
                found["body"] = body["body"]
                return 200, checked("IssueComment", **found)
            case "GET", "actions", "runs", run, "artifacts":
                left = self.artifacts.get(int(run), {})
                listed = [_artifact(int(run), name, zipped) for name, zipped in left.items() if name in query.get("name", [name])]
                return 200, {"total_count": len(listed), "artifacts": listed}
            case "GET", "actions", "artifacts", _, "zip":
                return 302, f"{self.elsewhere}/signed/{parts[2]}"
            case "GET", "compare", ends:
                base = self.merge_base(*ends.split("..."))
                return 200, checked("CommitComparison", merge_base_commit={"sha": base})
            case "GET", "contents", *path:
                oid = self.blob("/".join(path), query["ref"][0])
                return (200, checked("ContentFile", type="file", sha=oid)) if oid else (404, checked("BasicError"))
        return 404, checked("BasicError")

    def zip_of(self, artifact: int) -> bytes:
        """An artifact's zip file, which lies elsewhere."""
        return next(zipped for run, left in self.artifacts.items() for zipped in left.values() if run == artifact)


def _artifact(run: int, name: str, zipped: bytes) -> dict[str, Any]:
    return checked("Artifact", id=run, name=name, size_in_bytes=len(zipped), expired=False)


def _page(every: list[Any], query: Mapping[str, list[str]]) -> list[Any]:
    size, number = (int(query.get(name, [default])[0]) for name, default in (("per_page", "30"), ("page", "1")))
    assert size <= 100
    return every[size * (number - 1) : size * number]


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A zip file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@contextmanager
def serving(github: GitHub) -> Iterator[GitHub]:
    """Answer on this machine, as api.github.com and as the place where artifacts lie, which is another host."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("Authorization") or ""
            if url.path.startswith("/signed/"):
                if token:
                    github.faults.append("the token was sent to the place where artifacts lie")
                self._send(200, github.zip_of(int(url.path.rpartition("/")[2])), "application/zip")
                return
            if token.split(" ")[-1] != TOKEN:
                self._send(401, json.dumps(checked("BasicError")).encode())
                return
            code, found = github.answer(self.command, url.path, parse_qs(url.query), json.loads(sent) if sent else None)
            if code == 302:
                self.send_response(302)
                self.send_header("Location", found)
                self.end_headers()
                return
            self._send(code, json.dumps(found).encode())

        def _send(self, code: int, content: bytes, kind: str = "application/json") -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - as the library calls them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    github.url, github.elsewhere = (f"http://{host}:{server.server_port}" for host in ("127.0.0.1", "localhost"))
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
