"""`ckgit dashboard --serve`: on this machine alone, always what is there now, and nothing but its own pages."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.dashboard import serving
from ckgit.orchestrators.dashboard.serving import DashboardServer, LivePages
from tests.orchestrators.bench import Bench
from tests.orchestrators.dashboard.browser import CHROMIUM, Browser
from tests.orchestrators.dashboard.lab import experiment


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks for news whenever it is asked."""
    monkeypatch.setattr(serving, "_LOOK", 0.0)


@contextmanager
def served(bench: Bench) -> Iterator[DashboardServer]:
    with DashboardServer(LivePages(bench.lab), None) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: DashboardServer, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def test_it_answers_with_its_own_pages_and_nothing_else(bench: Bench) -> None:
    with served(bench) as server:
        assert server.server_address[0] == "127.0.0.1"
        status, headers, page = ask(server, "/")
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "text/html; charset=utf-8", "no-store")
        assert 'href="experiments/demo.html"' in page
        assert ask(server, "/index.html")[0] == ask(server, "/experiments/demo.html?x=1")[0] == 200
        others = (
            "/ckgit.toml",
            "/../ckgit.toml",
            "/experiments/../../ckgit.toml",
            "/experiments/",
            "/%2e%2e/ckgit.toml",
            "//etc/passwd",
            "/x",
        )
        assert {ask(server, path)[0] for path in others} == {404}
        assert ask(server, "/", "HEAD")[0::2] == (200, "")


def test_only_who_names_this_machine_is_answered(bench: Bench) -> None:
    with served(bench) as server:
        port = server.server_port
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1",
            f"127.0.0.1:{port + 1}",
            f"0.0.0.0:{port}",
            f"127.0.0.1:{port}.evil",
            "",
        ):
            status, _, said = ask(server, "/", host=host)
            assert (status, "demo" in said) == (421, False), host
        assert ask(server, "/", host=f"localhost:{port}")[0] == 200


def test_it_is_only_read(bench: Bench) -> None:
    with served(bench) as server:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            status, headers, _ = ask(server, "/", method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD"), method


def test_it_stays_current_from_git_and_from_what_jobs_write(bench: Bench) -> None:
    with served(bench) as server:
        first = ask(server, "/")[2]
        assert "1 designed" in first
        assert ask(server, "/")[2] == first  # nothing is made anew for nothing
        experiment(bench, "other")
        assert "2 designed" in ask(server, "/")[2]
        bench.hold()
        bench.advance(State.TRAINED, wait=False)
        bench.until(lambda: "1/3" in ask(server, "/experiments/demo.html")[2])
        assert ask(server, "/experiments/demo.html")[1]["Refresh"] == "5"
        bench.go()
        bench.until(lambda: "1/3" not in ask(server, "/experiments/demo.html")[2])
        bench.advance(State.ANALYZED)
        _, headers, page = ask(server, "/experiments/demo.html")
        assert "<article" in page
        assert "Refresh" not in headers  # whoever reads it is not disturbed


def test_a_lab_that_cannot_be_read_is_told_and_waited_for(bench: Bench) -> None:
    with served(bench) as server:
        assert ask(server, "/")[0] == 200
        away = bench.folder.with_name("away")
        bench.folder.rename(away)
        status, headers, said = ask(server, "/")
        assert (status, headers["Refresh"]) == (503, "5")
        assert said.startswith("The lab cannot be read now: ")
        away.rename(bench.folder)
        assert ask(server, "/")[0] == 200


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_what_has_happened_since_by_itself(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "RELOAD", 1)
    with served(bench) as server, Browser(tmp_path / "profile") as browser:
        browser.open(server.address)
        before = browser.loaded
        experiment(bench, "other")
        browser.until_loaded(before)
        assert browser.value("[...document.querySelectorAll('#designed ~ div a')].map(a => a.textContent).sort().join()") == "demo,other"
        browser.click("a[href='experiments/other.html']")
        assert browser.value("document.querySelector('h1').textContent") == "other"
        wanted = {f"{server.address}{path}" for path in ("", "experiments/other.html")}
        assert {address for address in browser.asked if not address.startswith("data:")} - {f"{server.address}favicon.ico"} == wanted
        assert [told for told in browser.complaints if "404" not in told] == []


def test_a_port_that_is_taken_is_told(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CkgitError, match=f"port {port} cannot be used: ") as caught:
            DashboardServer(LivePages(bench.lab), port)
    assert caught.value.code is Exit.COMMAND_FAILED


def test_control_c_ends_it(bench: Bench) -> None:
    process = bench.start("dashboard", "--serve")
    assert process.stdout
    assert process.stdout.readline().startswith("Dashboard of lab: http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "Ctrl-C ends it.\ninterrupted\n")


def test_what_does_not_go_together_is_refused(bench: Bench) -> None:
    for words in (("--serve", "--json"), ("--serve", "--output", "x"), ("--port", "80")):
        done: subprocess.CompletedProcess[str] = bench.ckgit("dashboard", *words, check=False)
        assert done.returncode == Exit.USAGE
