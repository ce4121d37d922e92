"""What a dashboard has read is kept by all that it follows from: what is new is read, what was is not, and both give the same pages."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.many_results import add_results, make_results_lab
from ckgit.experiment.design.model import State
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.dashboard import make, reading
from ckgit.orchestrators.dashboard.make import MARKER, first_page, page_of, write_dashboard
from ckgit.orchestrators.dashboard.now import LabNow
from ckgit.orchestrators.dashboard.reading import LabReader
from tests.by_hand import commit_by_hand
from tests.conftest import run_git
from tests.damage import lose, spoil
from tests.orchestrators.bench import Bench
from tests.orchestrators.dashboard.lab import experiment, populate

MOMENT = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)


def look(lab: Path) -> LabNow:
    """As a process of its own would."""
    return LabReader(open_lab(lab)).read()._replace(time=MOMENT)


def pages(lab: Path, now: LabNow) -> dict[str, bytes]:
    return {"": first_page(now), **{each.name: page_of(open_lab(lab), each) for each in now.experiments}}


def kept() -> list[Path]:
    return sorted(Path(os.environ["XDG_CACHE_HOME"]).glob("ckgit/dashboard/*"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read of experiments, and which pages were made, in order."""
    found: list[str] = []
    overview, page = reading.overview, make.page_of
    monkeypatch.setattr(reading, "overview", lambda lab, name: (found.append(name), overview(lab, name))[1])
    monkeypatch.setattr(make, "page_of", lambda lab, each: (found.append(f"page of {each.name}"), page(lab, each))[1])
    return found


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return make_results_lab(tmp_path / "lab", experiments=3, runs=2, samples=8)


def rewritten(lab: Path) -> None:
    """A branch loses its commit; ckgit had left it there."""
    run_git(lab, "update-ref", "refs/ckgit/tips/r0001", "exp/r0001")
    message = run_git(lab, "log", "-1", "--format=%B", "exp/r0001")
    run_git(lab, "update-ref", "refs/heads/exp/r0001", run_git(lab, "commit-tree", "exp/r0001^{tree}", "-p", "main", "-m", message))


def fetched(lab: Path) -> None:
    """A remote's branch goes on from the local one, which stays where it is."""
    ahead = run_git(lab, "commit-tree", "exp/r0001^{tree}", "-p", "exp/r0001", "-m", "theirs")
    run_git(lab, "remote", "add", "origin", "nowhere")
    run_git(lab, "update-ref", "refs/remotes/origin/exp/r0001", ahead)


def merged(lab: Path) -> None:
    run_git(lab, "merge", "--quiet", "--no-ff", "--message=merged", "exp/r0001")
    run_git(lab, "branch", "-D", "exp/r0001")


def closed(lab: Path) -> None:
    run_git(lab, "update-ref", "refs/ckgit/closed/r0001", "exp/r0001")
    run_git(lab, "branch", "-D", "exp/r0001")


def lost(lab: Path) -> None:
    lose(lab, "exp/r0001")


def spoiled(lab: Path) -> None:
    spoil(lab, "exp/r0001")


def gone(lab: Path) -> None:
    run_git(lab, "branch", "-D", "exp/r0001")


CHANGES: dict[Callable[[Path], None], str] = {  # and what the first page then has of it
    rewritten: "rewritten since ckgit left it at",
    fetched: "origin",
    merged: "merged into main",
    closed: "r0001",
    lost: "is missing or damaged: git fsck says which objects are",
    spoiled: "is missing or damaged: git fsck says which objects are",
    gone: "2 experiments by state",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_has_changed_is_read_and_shown_and_nothing_else_is_read(many: Path, asked: list[str], change: Callable[[Path], None]) -> None:
    look(many)
    assert asked == ["r0000", "r0001", "r0002"]
    assert len(kept()) == 3
    look(many)
    assert len(asked) == 3
    change(many)
    found = look(many)
    assert {*asked[3:]} <= {"r0001"}
    shown = pages(many, found)
    assert CHANGES[change] in shown[""].decode()
    for file in kept():
        file.unlink()
    assert pages(many, look(many)) == shown  # as if nothing had been kept


def test_a_new_one_is_all_that_is_read_and_made(many: Path, tmp_path: Path, asked: list[str]) -> None:
    def written() -> None:
        write_dashboard(open_lab(many), look(many), tmp_path / "out")

    written()
    del asked[:]
    written()
    assert asked == []
    add_results(many, range(3, 4), runs=2, samples=8)
    written()
    assert asked == ["r0003", "page of r0003"]
    content = (tmp_path / "out/experiments/r0000.html").read_bytes()
    (tmp_path / "out/experiments/r0000.html").write_text("somebody else's")
    (tmp_path / "out/experiments/r0001.html").unlink()
    written()
    assert asked[2:] == ["page of r0000", "page of r0001"]
    assert (tmp_path / "out/experiments/r0000.html").read_bytes() == content


def test_one_of_before_pages_were_kept_is_made_again(many: Path, tmp_path: Path, asked: list[str]) -> None:
    write_dashboard(open_lab(many), look(many), tmp_path / "out")
    marker = tmp_path / "out" / MARKER
    marker.write_text(json.dumps({"format": 1, "pages": sorted(json.loads(marker.read_bytes())["pages"])}))
    del asked[:]
    write_dashboard(open_lab(many), look(many), tmp_path / "out")
    assert asked == ["page of r0000", "page of r0001", "page of r0002"]


def test_what_is_damaged_or_cannot_be_kept_is_read_anew(many: Path, asked: list[str]) -> None:
    whole = pages(many, look(many))
    one, other, third = kept()
    one.write_bytes(b"{")
    other.write_bytes(third.read_bytes())  # another experiment's
    del asked[:]
    assert pages(many, look(many)) == whole
    assert len(asked) == 2
    folder = one.parent
    for file in kept():
        file.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    del asked[:]
    for _ in range(2):
        assert pages(many, look(many)) == whole
    assert len(asked) == 6


def test_of_one_whose_earlier_commit_is_missing_that_is_said_and_the_others_are_there(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    experiment(bench, "other")
    lose(bench.folder, "exp/demo^")
    found = {each.name: each for each in look(bench.folder).experiments}
    assert found["other"].key
    assert not found["demo"].key
    told = page_of(bench.lab, found["demo"]).decode()
    assert "git rev-list failed" in told or found["demo"].problems


def test_a_whole_lab_is_shown_as_if_nothing_were_kept(bench: Bench, asked: list[str]) -> None:
    populate(bench)
    first = pages(bench.folder, look(bench.folder))
    del asked[:]
    assert pages(bench.folder, look(bench.folder)) == first
    assert {*asked} == {'a"b&c', "broken"}  # which cannot be read, and may be another time


def test_while_jobs_are_out_or_somebody_works_by_hand_it_is_read_each_time(bench: Bench, asked: list[str]) -> None:
    bench.hold()
    bench.apart("advance", "demo", "--to", "trained", "--no-wait", check=False)
    look(bench.folder)
    look(bench.folder)
    assert asked == ["demo"] * 2
    bench.go()
    experiment(bench, "mine")
    bench.advance(State.TRAINED)
    commit_by_hand(bench.folder, "notes.txt", "mine")
    del asked[:]
    look(bench.folder)
    look(bench.folder)
    assert asked.count("demo") == 2
    assert asked.count("mine") == 1
