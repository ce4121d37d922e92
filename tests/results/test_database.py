"""What is kept follows from git alone, whatever becomes of branches, of the file that keeps it, and of who else reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ckgit
from bench.many_results import add_results
from ckgit.errors import CkgitError, Exit
from ckgit.results.from_git import filling
from ckgit.results.tables import TABLES
from tests.command_line import ckgit as command
from tests.conftest import run_git
from tests.damage import empty, lose, spoil

OWN = 'SELECT experiment, "commit", held, "current" FROM experiments ORDER BY experiment'


def rows(lab: Path, query: str = OWN, **moment: str) -> list[tuple[object, ...]]:
    return ckgit.open(lab, **moment).sql(query, engine="polars").rows()


def everything(lab: Path) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows(lab, f"FROM {table} ORDER BY ALL") for table in TABLES}


def kept(lab: Path) -> list[Path]:
    return sorted((lab / ".git/ckgit/results").glob("*.duckdb"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Experiments that were read from git, in order."""
    found: list[str] = []

    def spying(lab: object, sources: list[object]) -> Iterator[object]:
        found.extend(each.experiment for each in sources)
        return real(lab, sources)

    real = filling.read_rows
    monkeypatch.setattr(filling, "read_rows", spying)
    return found


def rewritten(lab: Path) -> None:
    """A branch loses its commit, as by a rebase; ckgit had left it there."""
    tip = run_git(lab, "rev-parse", "exp/r0001")
    run_git(lab, "update-ref", "refs/ckgit/tips/r0001", tip)
    tree = run_git(lab, "rev-parse", "exp/r0001^{tree}")
    message = run_git(lab, "log", "-1", "--format=%B", "exp/r0001")
    again = run_git(lab, "commit-tree", tree, "-p", "main", "-m", f"{message}")
    run_git(lab, "update-ref", "refs/heads/exp/r0001", again)


def closed_and_deleted(lab: Path) -> None:
    run_git(lab, "update-ref", "refs/ckgit/closed/r0000", "exp/r0000")
    run_git(lab, "branch", "-D", "exp/r0000")


def deleted(lab: Path) -> None:
    tip = run_git(lab, "rev-parse", "exp/r0002")
    run_git(lab, "update-ref", f"refs/ckgit/deleted/r0002/{tip}", tip)
    run_git(lab, "branch", "-D", "exp/r0002")


def gone(lab: Path) -> None:
    """Nothing keeps it."""
    run_git(lab, "branch", "-D", "exp/r0002")


def merged(lab: Path) -> None:
    run_git(lab, "merge", "--quiet", "--no-ff", "--message=merged", "exp/r0000")
    run_git(lab, "branch", "-D", "exp/r0000")


def on_a_remote(lab: Path) -> None:
    run_git(lab, "update-ref", "refs/remotes/origin/exp/r0001", "exp/r0001")
    run_git(lab, "branch", "-D", "exp/r0001")


def fetched(lab: Path) -> None:
    """A remote's branch goes on from the local one."""
    tree = run_git(lab, "rev-parse", "exp/r0001^{tree}")
    ahead = run_git(lab, "commit-tree", tree, "-p", "exp/r0001", "-m", "theirs")
    run_git(lab, "update-ref", "refs/remotes/origin/exp/r0001", ahead)


def more(lab: Path) -> None:
    add_results(lab, range(3, 4), runs=2, samples=8)


HELD = {
    rewritten: {("r0001", "branch", True), ("r0001@", "rescued", False)},
    closed_and_deleted: {("r0000", "closed", True)},
    deleted: {("r0002@", "deleted", False)},
    gone: set(),
    merged: {("r0000", "merged", True)},
    on_a_remote: {("r0001", "remote", True)},
    fetched: {("r0001", "remote", True)},
    more: {("r0003", "branch", True)},
}


@pytest.mark.parametrize("change", HELD, ids=lambda change: change.__name__)
def test_what_is_kept_follows_from_git_as_if_it_were_made_anew(many: Path, read: list[str], change) -> None:
    before = {row[:2] for row in rows(many)}
    assert read == ["r0000", "r0001", "r0002"]
    read.clear()
    change(many)
    found = rows(many)
    told = {(str(name).partition("@")[0] + ("@" if "@" in str(name) else ""), held, current) for name, _, held, current in found}
    others = {(name, "branch", True) for name in ("r0000", "r0001", "r0002")}
    names = {name.rstrip("@") for name, _, _ in HELD[change]} or {"r0002"}
    assert told == {each for each in others if each[0] not in names} | HELD[change]
    assert set(read) <= {str(name) for name, commit, *_ in found if (name, commit) not in before} | {"r0000", "r0001"} & names
    kept_rows = everything(many)
    for path in kept(many):
        path.unlink()
    read.clear()
    assert everything(many) == kept_rows
    assert len(read) == len(found)


def test_one_more_experiment_is_all_that_is_read(many: Path, read: list[str]) -> None:
    rows(many)
    add_results(many, range(3, 4), runs=2, samples=8)
    assert len(rows(many)) == 4
    assert read == ["r0000", "r0001", "r0002", "r0003"]
    rows(many)
    assert len(read) == 4


@pytest.mark.parametrize("damage", [b"", b"no database", None])
def test_a_damaged_file_is_made_anew(many: Path, damage: bytes | None) -> None:
    whole = everything(many)
    [file] = kept(many)
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(damage if damage is not None else content[:8192] + b"\xff" * (len(content) - 8192 - middle) + content[-middle:])
    assert everything(many) == whole


def test_of_another_version_nothing_is_taken(many: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows(many)
    monkeypatch.setattr("ckgit.results.database._VERSION", "another")
    assert len(rows(many)) == 3
    assert read == ["r0000", "r0001", "r0002"] * 2


def test_where_nothing_can_be_kept_it_is_read_each_time(many: Path, read: list[str]) -> None:
    (many / ".git/ckgit").mkdir(exist_ok=True)
    (many / ".git/ckgit/results").write_text("in the way")
    assert len(rows(many)) == len(rows(many)) == 3
    assert len(read) == 6


READER = """\
import sys
import ckgit
lab = ckgit.open(sys.argv[1])
for _ in range(12):
    counted = lab.sql("SELECT count(DISTINCT experiment) e, count(*) n FROM samples", engine="polars").rows()[0]
    assert counted[0] >= 3 and counted[1] == counted[0] * 2 * 5 * 8, counted
"""


def test_readers_never_fail_while_others_fill(many: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", READER, str(many)], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for number in range(3, 12):
        add_results(many, range(number, number + 1), runs=2, samples=8)
    ended = [process.communicate()[1] for process in started]
    assert ended == ["", "", ""]
    assert len(rows(many)) == 12
    assert len(kept(many)) <= 2
    assert list((many / ".git/ckgit/results").glob("*.new")) == []


def test_the_past_is_what_the_tips_were(many: Path) -> None:
    first = rows(many)
    begun = run_git(many, "rev-parse", "exp/r0001")
    rewritten(many)
    at_first = "2026-01-01T00:00:01Z"  # of the second experiment's commit
    assert [(name, commit) for name, commit, *_ in rows(many, as_of=at_first)] == [(name, commit) for name, commit, *_ in first[:2]]
    assert rows(many, "SELECT count(*) FROM samples", as_of=at_first) == [(2 * 2 * 5 * 8,)]
    assert rows(many, as_of="2025-12-31") == []
    assert rows(many, as_of="20260101") == rows(many, as_of="2026-01-01") != []
    assert [name for name, *_ in rows(many, at=begun)] == ["r0001"]
    assert len(rows(many)) == 4
    with pytest.raises(CkgitError, match="is no date"):
        rows(many, as_of="yesterday")
    with pytest.raises(CkgitError, match="there is no commit"):
        rows(many, at="--all")
    with pytest.raises(CkgitError, match="do not go together"):
        rows(many, at="main", as_of="2026-01-01")


def test_what_branches_lost_is_shown_where_it_is_asked_for(many: Path) -> None:
    deleted(many)
    shown = {line.split()[0] for line in command("-C", str(many), "results").stdout.splitlines()[1:]}
    assert shown == {"r0000", "r0001"}
    lost = {line.split()[0].partition("@")[0] for line in command("-C", str(many), "results", "--lost").stdout.splitlines()[1:]}
    assert lost == {"r0000", "r0001", "r0002"}


@pytest.mark.filterwarnings("ignore:not all experiments could be read")
@pytest.mark.parametrize("what", ["exp/r0001", "refs/remotes/origin/exp/r0001", "exp/r0001^", "refs/ckgit/closed/r0001"])
def test_a_commit_that_is_missing_is_told_and_takes_no_other_experiment_with_it(many: Path, what: str) -> None:
    older = run_git(many, "commit-tree", "main^{tree}", "-p", "main", "-m", "older")
    newer = run_git(many, "commit-tree", "exp/r0001^{tree}", "-p", older, "-m", "newer")
    run_git(many, "update-ref", "refs/heads/exp/r0001", newer)
    if not what.startswith("exp/"):
        run_git(many, "update-ref", what, run_git(many, "commit-tree", "exp/r0001^{tree}", "-p", newer, "-m", "beside"))
    lose(many, what)
    before = rows(many, "SELECT * FROM results WHERE experiment != 'r0001' ORDER BY ALL")
    assert {row[0] for row in before} == {"r0000", "r0002"}
    problems = dict(rows(many, "SELECT experiment, problem FROM experiments WHERE problem IS NOT NULL"))
    assert [name.partition("@")[0] for name in problems] == ["r0001"]
    assert "missing or damaged: git fsck says which objects are" in problems.popitem()[1]
    for words in (("list",), ("results",), ("results", "--as-of", "2026-11-30"), ("status", "r0000"), ("compare", "r0000", "r0002")):
        done = command("-C", str(many), *words)
        assert done.returncode == 0, (words, done.stderr)
    assert "r0001" in command("-C", str(many), "list").stdout
    told = command("-C", str(many), "results", "--as-of", "2026-11-30").stderr
    assert ("r0001" in told) == what.startswith("exp/")  # otherwise what stands for it is there


@pytest.mark.filterwarnings("ignore:not all experiments could be read")
@pytest.mark.parametrize(("damage", "what"), [(lose, "exp/r0001"), (empty, "exp/r0001"), (empty, "exp/r0001^")])
def test_of_a_commit_that_git_has_lost_no_number_is_shown_any_more(many: Path, damage: Callable[[Path, str], str], what: str) -> None:
    older = run_git(many, "commit-tree", "main^{tree}", "-p", "main", "-m", "older")
    newer = run_git(many, "commit-tree", "exp/r0001^{tree}", "-p", older, "-m", "newer")
    run_git(many, "update-ref", "refs/heads/exp/r0001", newer)
    before = rows(many, "SELECT * FROM results ORDER BY ALL")
    assert {row[0] for row in before} == {"r0000", "r0001", "r0002"}
    oid = run_git(many, "rev-parse", what)
    file = many / ".git/objects" / oid[:2] / oid[2:]
    whole = file.read_bytes()
    damage(many, what)
    assert rows(many, "SELECT * FROM results ORDER BY ALL") == [row for row in before if row[0] != "r0001"]
    done = command("-C", str(many), "results")
    assert f"r0001: its commit {newer[:12]}, or one before it, is missing or damaged: git fsck says which objects are" in done.stderr
    file.unlink(missing_ok=True)
    file.write_bytes(whole)
    assert rows(many, "SELECT * FROM results ORDER BY ALL") == before


def test_where_all_is_lost_none_is_told_to_be_taken_on(many: Path) -> None:
    for name in ("r0000", "r0001", "r0002"):
        lose(many, f"exp/{name}")
    done = command("-C", str(many), "results")
    assert "no experiment has results that can be read" in done.stdout + done.stderr
    assert "ckgit advance" not in done.stdout + done.stderr


@pytest.mark.filterwarnings("ignore:not all experiments could be read")
@pytest.mark.parametrize("path", ["", ":experiments/r0001/analysis/results.json", ":experiments/r0001/experiment_summary.md"])
def test_a_damaged_object_takes_no_other_experiment_with_it(many: Path, path: str) -> None:
    spoil(many, f"exp/r0001{path}")
    assert {row[0] for row in rows(many, "SELECT experiment FROM results")} == {"r0000", "r0002"}
    [(name, problem)] = rows(many, "SELECT experiment, problem FROM experiments WHERE problem IS NOT NULL")
    assert name == "r0001"
    assert "damaged" in str(problem)
    assert command("-C", str(many), "list").returncode == 0


def test_a_missing_object_is_told_with_what_brings_it_back(many: Path) -> None:
    lose(many, "exp/r0001")
    done = command("-C", str(many), "status", "r0001")
    assert done.returncode == Exit.COMMAND_FAILED
    assert "git fetch --refetch REMOTE brings back what a remote has" in done.stderr
