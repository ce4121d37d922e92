"""`ckgit watch`: a real lab in a terminal that a test looks at and types into."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pty
import select
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ckgit.cli import watch
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.dashboard.now import LabNow
from ckgit.orchestrators.dashboard.reading import LabReader, LabWatch
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.conftest import bare_bench, bench, tiny_package  # noqa: F401 - fixtures
from tests.orchestrators.dashboard.lab import branch_of, git

pytest.importorskip("textual")

SIZE = (80, 24)


def seen(pilot: Any) -> str:
    """The characters of the whole screen."""
    screen = pilot.app.screen
    return "\n".join("".join(segment.text for segment in strip) for strip in screen._compositor.render_strips())


async def until(pilot: Any, condition: Callable[[str], bool]) -> str:
    end = time.monotonic() + 30
    while not condition(text := seen(pilot)):
        assert time.monotonic() < end, text
        await pilot.pause(0.05)
    return text


def watched(bench: Bench, look: Callable[[Any], Awaitable[None]], only: str | None = None) -> None:  # noqa: F811
    """Have a test look at the lab, which is read again and again."""
    from ckgit.cli.output.watch_app import WatchApp

    app = WatchApp(LabWatch(bench.lab, LabReader(bench.lab, results=False, only=only)).read, 0.1, only)

    async def run() -> None:
        async with app.run_test(size=SIZE) as pilot:
            await look(pilot)

    asyncio.run(run())


def test_jobs_are_followed_and_what_happens_is_told(bench: Bench) -> None:  # noqa: F811
    bench.hold()
    bench.advance(State.TRAINED, wait=False)

    async def look(pilot: Any) -> None:
        text = await until(pilot, lambda text: text.count("1/3") == 2)
        assert "lab lab · 1 experiment · 2 jobs running" in text
        assert "███░░░░░░░  rank4/finetune  1/3  loss 0.4" in text
        assert "next: ckgit advance demo" in text
        bench.go()
        await until(pilot, lambda text: "demo: ended and not collected yet: rank4/finetune and 1 more" in text)
        await asyncio.to_thread(bench.advance, State.TRAINED)
        text = await until(pilot, lambda text: "demo: train: scaffolded → trained" in text)
        assert "0 jobs running" in text

    watched(bench, look)


def test_keys_move_open_leave_and_end(bench: Bench) -> None:  # noqa: F811
    branch_of(bench, "exp/broken", "experiments/broken/experiment_summary.md", "no [red]summary\x1b[31m")
    branch_of(bench, "exp/ä&evil", "experiments/x/y", "")

    async def look(pilot: Any) -> None:
        text = await until(pilot, lambda text: "unreadable" in text)
        assert "3 experiments · 0 jobs running · 2 unreadable" in text
        assert "ä&evil" in text
        assert "\x1b" not in text
        rows = [line.split()[0] for line in text.splitlines()[2:5]]
        await pilot.press("home", *["down"] * rows.index("demo"), "enter")
        text = await until(pilot, lambda text: "demo: designed" in text)
        assert "next: ckgit advance demo" in text
        await pilot.press("escape")
        await until(pilot, lambda text: "3 experiments" in text)
        git(bench, "update-ref", "-d", "refs/heads/exp/broken")
        text = await until(pilot, lambda text: "broken: its branch is gone" in text)
        assert "2 experiments" in text
        assert pilot.app.marked == "demo"  # the mark stays where it was
        await pilot.press("q")
        await pilot.pause()
        assert not pilot.app.is_running

    watched(bench, look)


def test_keys_are_answered_while_the_lab_is_read(bench: Bench) -> None:  # noqa: F811
    from ckgit.cli.output.watch_app import WatchApp

    design_demo(bench.lab, {"experiment": {"name": "other", "question": "Why?", "date": "2026-11-23"}}, "other")
    first, go, asked = LabReader(bench.lab, results=False).read(), threading.Event(), threading.Event()

    def read(known: LabNow | None) -> LabNow:
        if known is None:
            return first
        asked.set()
        go.wait(30)
        return known

    async def run() -> None:
        app = WatchApp(read, 0.05)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda text: "2 experiments" in text)
            while not asked.is_set():
                await pilot.pause(0.01)
            before = app.marked
            await pilot.press("down")
            await pilot.pause()
            assert app.marked != before
            go.set()

    asyncio.run(run())


def test_a_lab_that_cannot_be_read_is_told_and_read_again(bench: Bench) -> None:  # noqa: F811
    async def look(pilot: Any) -> None:
        await until(pilot, lambda text: "1 experiment" in text)
        away = bench.folder.with_name("away")
        bench.folder.rename(away)
        await until(pilot, lambda text: "the lab cannot be read now: " in text)
        away.rename(bench.folder)
        git(bench, "branch", "exp/other", "exp/demo")
        await until(pilot, lambda text: "other: is new" in text)

    watched(bench, look)


def test_one_that_is_named_is_opened_and_read_alone(bench: Bench) -> None:  # noqa: F811
    branch_of(bench, "exp/broken", "experiments/broken/x", "")

    async def look(pilot: Any) -> None:
        assert "next: ckgit advance demo" in await until(pilot, lambda text: "demo: designed" in text)
        await asyncio.to_thread(bench.advance, State.SCAFFOLDED)
        await until(pilot, lambda text: "demo: scaffolded" in text)  # it is as it is now while it is open
        await pilot.press("escape")
        assert "1 experiment ·" in await until(pilot, lambda text: "lab lab" in text)

    watched(bench, look, "demo")


def test_without_a_terminal_it_says_what_says_it_once(bench: Bench) -> None:  # noqa: F811
    done = bench.ckgit("watch", check=False)
    assert (done.returncode, "ckgit list says it once" in done.stderr) == (Exit.USAGE, True)
    assert "ckgit status demo says it once" in bench.ckgit("watch", "demo", check=False).stderr


def test_without_textual_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CkgitError, match="textual, which is not installed") as caught:
        watch._refuse_without_terminal(None)
    assert (caught.value.code, caught.value.next) == (Exit.TOOL_MISSING, 'pip install "ckgit[results]"')


@pytest.mark.parametrize("keys", [b"q", b"\x03"])
def test_in_a_real_terminal_it_ends_and_leaves_it_as_it_was(bench: Bench, keys: bytes) -> None:  # noqa: F811
    ours, theirs = pty.openpty()
    process = subprocess.Popen(bench.command("watch"), stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    told, end = b"", time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                told += os.read(ours, 1 << 16)
            except OSError:
                break
        if b"1 experiment" in told and keys:
            os.write(ours, keys)
            keys = b""
    os.close(ours)
    assert process.wait(timeout=30) == 0, told
    assert b"\x1b[?1049h" in told  # a screen of its own
    assert b"\x1b[?1049l" in told.rpartition(b"\x1b[?1049h")[2]


def test_text_of_others_is_no_markup() -> None:
    from ckgit.cli.output.watch_app import plain

    assert plain("[red]x[/red] \x1b[31m").plain == "[red]x[/red] \\x1b[31m"
