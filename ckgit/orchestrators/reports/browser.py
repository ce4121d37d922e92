"""A page in the user's browser, or on paper by an installed Chromium. Nothing is fetched: the page needs nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ckgit.errors import CkgitError, Exit

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "microsoft-edge", "msedge")
_ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
_SECONDS = 120  # in which a page is printed
_SHOWN = 3  # lines of what it said


def open_in_browser(address: str) -> bool:
    """Show an address in the user's browser; False where there is none that could be seen, as over ssh."""
    import webbrowser

    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform not in ("darwin", "win32") and not any(os.environ.get(name) for name in screens):
        return False  # what is found then is made for terminals, and would take this one
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def printed(page: bytes, name: str) -> bytes:
    """A page of HTML as PDF.

    Args:
        name: of the experiment.

    Raises:
        CkgitError: TOOL_MISSING, no Chromium is installed; COMMAND_FAILED, it failed.
    """
    program = _chromium(name)
    with tempfile.TemporaryDirectory(prefix="ckgit-pdf-", ignore_cleanup_errors=True) as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_bytes(page)
        said = _run([program, *_options(Path(folder)), f"--print-to-pdf={made}", source.as_uri()])
        if not made.is_file():
            raise CkgitError(
                "\n  ".join(["the page was not printed", *said.strip().splitlines()[-_SHOWN:]]),
                code=Exit.COMMAND_FAILED,
                where=program,
                state="nothing was written",
                next=f"ckgit report {name} --html writes the page, which any browser prints",
            )
        return made.read_bytes()


def _chromium(name: str) -> str:
    found = next(filter(None, map(shutil.which, (*_CHROMIUMS, _ON_MACOS))), None)
    if found is None:
        raise CkgitError(
            "a PDF is printed by Chromium or Chrome, and neither is installed",
            code=Exit.TOOL_MISSING,
            state="nothing was written",
            next=f"install one (apt-get install chromium), or print the page from any browser: ckgit report {name} --html",
        )
    return found


def _options(folder: Path) -> list[str]:
    """Without a window, with a profile of its own, so that the user's browser is left alone."""
    plain = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--no-pdf-header-footer"]
    alone = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # it refuses to run as root otherwise
    return [*plain, *alone, f"--user-data-dir={folder / 'profile'}"]


def _run(command: list[str]) -> str:
    """What it printed."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it did not end within {_SECONDS} seconds"
    except OSError as error:
        return f"it cannot be started: {error.strerror}"
    return done.stderr.decode(errors="replace")
