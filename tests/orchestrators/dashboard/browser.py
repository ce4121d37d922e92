"""A real Chromium, without a window, driven over its pipe: no library, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PLAIN = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--remote-debugging-pipe")

# The browser reads its third descriptor and writes its fourth.
_HAND_OVER = """
import fcntl, os, sys
for source, target in zip([fcntl.fcntl(int(given), fcntl.F_DUPFD, 10) for given in sys.argv[1:3]], (3, 4)):
    os.dup2(source, target)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab. What the pages complain of, and what they ask for beyond themselves, is kept."""

    def __init__(self, profile: Path) -> None:
        self._to, self._from = os.pipe(), os.pipe()
        handed = [sys.executable, "-c", _HAND_OVER, str(self._to[0]), str(self._from[1])]
        command = [*handed, str(CHROMIUM), *_PLAIN, f"--user-data-dir={profile}", "--window-size=1100,1500", "about:blank"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(self._to[0], self._from[1]), **quiet)
        os.close(self._to[0])
        os.close(self._from[1])
        self._in, self._out = os.fdopen(self._to[1], "wb"), os.fdopen(self._from[0], "rb")
        self._last, self._session, self._rest = 0, "", b""
        self.loaded = 0
        self.complaints: list[str] = []
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        target = next(each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._in.close()
        self._out.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        self._in.write(json.dumps(message).encode() + b"\0")
        self._in.flush()
        while True:
            told = self._next()
            if told.get("id") == self._last:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._out.fileno(), 1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        self._hear(told.get("method", ""), told.get("params", {}))
        return told

    def _hear(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self.loaded += 1
        elif event == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif event == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"):
            self.complaints.append(event)

    def open(self, address: str) -> None:
        """Go to a page, and wait until it is there."""
        before = self.loaded
        self.call("Page.navigate", url=address)
        self.until_loaded(before)

    def until_loaded(self, before: int) -> None:
        """Wait for one more page than there were."""
        end = time.monotonic() + 30
        while self.loaded <= before:
            assert time.monotonic() < end, "the page does not load"
            self.value("0")
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse's button on an element that leads to another page."""
        box = f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
        x, y = self.value(f"{box} const r = e.getClientRects()[0]; return [r.x + r.width / 2, r.y + r.height / 2]}})()")
        before = self.loaded
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.until_loaded(before)

    def picture(self) -> bytes:
        """The page as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])
