"""What is remembered of commits goes by itself: what nobody used for long, and the oldest where it is too much."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckgit.lab.history import remembered
from ckgit.lab.history.remembered import kept_files, prune, recall, remember

DAY = 86_400
NOW = time.time()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ckgit"


def put(cache: Path, name: str, days: float, size: int = 10, kind: str = "scored") -> Path:
    """A file that was used so many days ago, whose name is made of a letter."""
    stem, _, suffix = name.partition(".")
    file = cache / kind / f"{stem * 64}.{suffix or 'json'}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    os.utime(file, (NOW - days * DAY,) * 2)
    return file


def left(cache: Path) -> set[str]:
    return {each.path.name[0] + each.path.suffix for each in kept_files(cache)}


def test_what_was_not_used_for_long_goes_and_what_is_not_ours_stays(cache: Path) -> None:
    put(cache, "a", 89)
    put(cache, "b", 91, kind="verified")
    put(cache, "c.12.part", 0.5)
    put(cache, "d.12.part", 2)
    model = cache / "tiny" / "model.safetensors"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    os.utime(model, (0, 0))
    prune(cache, NOW)
    assert left(cache) == {"a.json", "c.part"}
    assert model.exists()


def test_the_oldest_beyond_what_all_may_take_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST_BYTES", 25)
    for days, name in enumerate("abcd"):
        put(cache, name, days)
    prune(cache, NOW)
    assert left(cache) == {"a.json", "b.json"}


def test_it_is_done_once_a_day_when_something_is_remembered(cache: Path) -> None:
    put(cache, "a", 91)
    remember("scored", "first", content=b"1")
    assert "a.json" not in left(cache)
    put(cache, "a", 91)
    remember("scored", "second", content=b"2")
    assert "a.json" in left(cache)
    os.utime(cache / "pruned", (NOW - 1.1 * DAY,) * 2)
    remember("scored", "second", content=b"2")  # is there already
    assert "a.json" in left(cache)
    remember("scored", "third", content=b"3")
    assert "a.json" not in left(cache)
    put(cache, "a", 91)
    os.utime(cache / "pruned", (NOW + 9 * DAY,) * 2)  # by a clock that was ahead
    remember("scored", "fourth", content=b"4")
    assert "a.json" not in left(cache)


def test_what_is_recalled_is_used(cache: Path) -> None:
    remember("scored", "key", content=b"1")
    [file] = kept_files(cache)
    os.utime(file.path, (NOW - 80 * DAY,) * 2)
    assert recall("scored", "key") == b"1"
    [used] = kept_files(cache)
    assert NOW - used.used < DAY
    assert recall("scored", "other") is None


def test_two_processes_may_prune_at_once(cache: Path) -> None:
    for number in range(400):
        file = cache / "scored" / f"{number:064x}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
        os.utime(file, (NOW - 91 * DAY,) * 2)
    code = f"from pathlib import Path; from ckgit.lab.history.remembered import prune; prune(Path({str(cache)!r}), {NOW})"
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(2)]
    assert [each.communicate()[1] for each in both] == [b"", b""]
    assert left(cache) == set()
