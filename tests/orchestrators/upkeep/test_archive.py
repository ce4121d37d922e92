"""One file has the whole experiment, also for another lab; what is damaged or would replace something is refused."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.upkeep.scratch import _remove_unless_used as remove_unless_used
from ckgit.orchestrators.upkeep.scratch import scratch
from tests.by_hand import commit_by_hand
from tests.command_line import ckgit
from tests.conftest import make_test_lab, run_git
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.upkeep.test_clean import checkpoint, files
from tests.orchestrators.upkeep.test_delete import refs


@pytest.fixture
def archived(bench: Bench, tmp_path: Path) -> tuple[Bench, Path]:
    bench.advance(State.ANALYZED)
    bench.ckgit("archive", "demo", "--with", "logs", "--with", "checkpoints", "--output", str(tmp_path / "demo.tar"))
    return bench, tmp_path / "demo.tar"


def test_in_another_lab_it_is_the_same_and_goes_on(archived: tuple[Bench, Path], tmp_path: Path) -> None:
    bench, file = archived
    other = make_test_lab(tmp_path / "other")
    part = open_lab(other).experiment_folders("demo")["local"] / f".{bench.work.name}-restoring-abcdefgh/files"
    part.mkdir(parents=True)
    (part / "of another archive").touch()  # a command that was killed has left it
    done = json.loads(ckgit("-C", str(other), "archive", "--restore", str(file), "--json").stdout)
    assert (done["restored"], done["commit"], done["next"]) == (True, bench.snapshot.tip, ["ckgit status demo"])
    assert take_snapshot(open_lab(other), "demo").tip == bench.snapshot.tip
    assert refs(other, "refs/heads/exp", "refs/ckgit") == refs(bench.folder, "refs/heads/exp", "refs/ckgit")
    for command in ("status", "show", "verify"):
        assert ckgit("-C", str(other), command, "demo").returncode == 0
    assert run_git(other, "fsck", "--strict", "--no-dangling") == ""
    [work] = open_lab(other).experiment_folders("demo")["local"].iterdir()
    plain = {path: size for path, size in files(bench.work).items() if not (bench.work / path).is_symlink()}
    assert files(work) == plain


def test_the_branch_may_go_and_comes_back_from_the_file_alone(bench: Bench, tmp_path: Path) -> None:
    bench.advance(State.ANALYZED)
    tip = bench.snapshot.tip
    bench.ckgit("reproduce", "demo", "base")  # whose note is the experiment's
    noted = bench.ckgit("show", "demo").stdout
    bench.ckgit("archive", "demo", "--output", str(tmp_path / "demo.tar"), "--remove")
    assert refs(bench.folder, "refs/heads/exp") == {}
    for ref in refs(bench.folder, "refs/ckgit", "refs/notes"):
        run_git(bench.folder, "update-ref", "-d", ref)
    bench.ckgit("archive", "--restore", str(tmp_path / "demo.tar"))
    assert (bench.snapshot.tip, bench.ckgit("show", "demo").stdout) == (tip, noted)
    bench.ckgit("archive", "--restore", str(tmp_path / "demo.tar"))  # twice is once


def test_a_closed_experiment_whose_branch_is_gone_is_archived_from_what_keeps_it(bench: Bench, tmp_path: Path) -> None:
    bench.ckgit("close", "demo", "--because", "no better")
    run_git(bench.folder, "branch", "--delete", "--force", "exp/demo")
    bench.ckgit("archive", "demo", "--output", str(tmp_path / "demo.tar"))
    other = make_test_lab(tmp_path / "other")
    assert ckgit("-C", str(other), "archive", "--restore", str(tmp_path / "demo.tar")).returncode == 0
    assert "no better" in ckgit("-C", str(other), "show", "demo").stdout


def test_nothing_is_replaced(archived: tuple[Bench, Path], tmp_path: Path) -> None:
    bench, file = archived
    content = file.read_bytes()
    assert bench.ckgit("archive", "demo", "--output", str(file), check=False).returncode == Exit.USAGE
    assert file.read_bytes() == content
    commit_by_hand(bench.folder, "notes.md", "since")
    before = refs(bench.folder)
    done = bench.ckgit("archive", "--restore", str(file), check=False)
    assert (done.returncode, refs(bench.folder)) == (Exit.USAGE, before), done.stderr
    other = open_lab(make_test_lab(tmp_path / "other"))
    design_demo(other)
    run_git(other.root, "switch", "--quiet", "exp/demo")
    run_git(other.root, "branch", "-f", "main", "exp/demo")  # merged, and its branch deleted
    run_git(other.root, "switch", "--quiet", "main")
    run_git(other.root, "branch", "-D", "exp/demo")
    for ref in refs(other.root, "refs/ckgit"):
        run_git(other.root, "update-ref", "-d", ref)
    done = ckgit("-C", str(other.root), "archive", "--restore", str(file))
    assert (done.returncode, "another experiment demo" in done.stderr) == (Exit.USAGE, True), done.stderr


def test_a_dry_run_says_what_would_be_there_and_writes_nothing(archived: tuple[Bench, Path], tmp_path: Path) -> None:
    bench, file = archived
    before, there = refs(bench.folder), files(tmp_path).keys()
    shown = bench.ckgit("archive", "demo", "--with", "checkpoints", "--remove", "--output", str(tmp_path / "new.tar"), "--dry-run").stdout
    assert f"would write {tmp_path}/new.tar: 2 refs and 2 files of work trees (52 B)\nexp/demo would be deleted here" in shown
    assert (refs(bench.folder), files(tmp_path).keys()) == (before, there)
    other = make_test_lab(tmp_path / "other")
    before = refs(other)
    assert "could be there again" in ckgit("-C", str(other), "archive", "--restore", str(file), "--dry-run").stdout
    assert refs(other) == before
    cut = tmp_path / "cut.tar"
    cut.write_bytes(file.read_bytes()[:-20_000])
    assert ckgit("-C", str(other), "archive", "--restore", str(cut), "--dry-run").returncode == Exit.EVIDENCE_MISSING


def test_an_archive_that_is_cut_anywhere_is_damaged_and_a_file_of_others_is_theirs(archived: tuple[Bench, Path], tmp_path: Path) -> None:
    bench, file = archived
    with tarfile.open(file) as tar:
        begins = [each.offset for each in tar.getmembers()]
    whole, cut, damaged = file.read_bytes(), tmp_path / "cut.tar", set()
    for place in [*begins[:4], begins[1] + 100, begins[1] + 512, begins[-1], begins[-1] + 512]:
        cut.write_bytes(whole[:place])
        done = bench.ckgit("archive", "--restore", str(cut), "--dry-run", check=False)
        damaged.add((done.returncode, "bring an undamaged copy of the file" in done.stderr))
    assert damaged == {(Exit.EVIDENCE_MISSING, True)}
    done = bench.ckgit("archive", "--restore", str(write(cut, {"a": b"others"})), check=False)
    assert (done.returncode, "it is no archive of ckgit's" in done.stderr) == (Exit.USAGE, True)


def test_where_the_disk_is_full_nothing_is_restored_and_nothing_left(
    archived: tuple[Bench, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `shutil.copytree` does it, which tries each file, and then tells of all."""
    _, file = archived
    other = make_test_lab(tmp_path / "other")

    def full(tree: Path, part: Path) -> None:
        part.mkdir()
        raise shutil.Error([(str(tree), str(part), "[Errno 28] No space left on device")] * 2)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", full)
        done = ckgit("-C", str(other), "archive", "--restore", str(file))
    assert done.returncode == Exit.COMMAND_FAILED
    assert "its files cannot be written there: [Errno 28] No space left on device\n" in done.stderr
    folder = open_lab(other).experiment_folders("demo")["local"]
    assert (list(folder.iterdir()), refs(other, "refs/heads/exp")) == ([], {})
    assert ckgit("-C", str(other), "archive", "--restore", str(file)).returncode == 0


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "is faster"])
def test_a_second_command_that_restores_the_same_takes_nothing_of_the_first(
    archived: tuple[Bench, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """It runs as a whole when the first one has copied the files, and has not yet put them in their place."""
    bench, file = archived
    other, copytree, codes = make_test_lab(tmp_path / "other"), shutil.copytree, list[int]()

    def copied(tree: Path, part: Path, *below: Any, **options: Any) -> None:  # it calls itself for each folder
        copytree(tree, part, *below, **options)
        if below:
            return
        if not codes:
            codes.append(-1)
            codes.append(ckgit("-C", str(other), "archive", "--restore", str(file)).returncode)
        elif fails:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", copied)
    done = ckgit("-C", str(other), "archive", "--restore", str(file))
    assert (done.returncode, codes) == (0, [-1, Exit.COMMAND_FAILED if fails else 0]), done.stderr
    [work] = open_lab(other).experiment_folders("demo")["local"].iterdir()
    assert files(work) == {path: size for path, size in files(bench.work).items() if not (bench.work / path).is_symlink()}


def test_where_a_second_work_tree_fails_the_first_is_told(
    archived: tuple[Bench, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file = archived
    other, copytree = make_test_lab(tmp_path / "other"), shutil.copytree
    members = members_of(file)
    [tree] = {name.split("/")[1] for name in members if name.startswith("files/")}
    listed = json.loads(members.pop("manifest.json"))
    for name in [name for name in members if name.startswith("files/")]:
        again = name.replace(tree, f"{tree}-2", 1)
        members[again], listed["files"][again] = members[name], listed["files"][name]
    two = write(tmp_path / "two.tar", {**members, "manifest.json": json.dumps(listed).encode()})

    def full(source: Path, part: Path, *below: Any, **options: Any) -> None:
        if source.name == f"{tree}-2":
            raise OSError(28, "No space left on device")
        copytree(source, part, *below, **options)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", full)
        done = ckgit("-C", str(other), "archive", "--restore", str(two))
    first = open_lab(other).experiment_folders("demo")["local"] / tree
    assert (done.returncode, first.is_dir()) == (Exit.COMMAND_FAILED, True)
    assert f"only a part was restored, which stays, and the same command brings the rest: {first}\n" in done.stderr
    assert ckgit("-C", str(other), "archive", "--restore", str(two)).returncode == 0


def test_a_folder_that_another_command_takes_for_one_that_is_left_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdtemp, made = tempfile.mkdtemp, list[str]()

    def looked_at(**options: Any) -> str:
        made.append(mkdtemp(**options))
        if len(made) == 1:  # between its making and its being held
            remove_unless_used(Path(made[0]))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", looked_at)
    with scratch(tmp_path, ".x-") as folder:
        assert [Path(each).exists() for each in made] == [False, True]
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_held_though_another_command_held_it_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdtemp, flock, looking = tempfile.mkdtemp, fcntl.flock, list[int]()

    def looked_at(**options: Any) -> str:
        folder = mkdtemp(**options)
        looking.append(os.open(folder, os.O_RDONLY))
        flock(looking[0], fcntl.LOCK_EX)
        return folder

    def lets_go(descriptor: int, flags: int) -> None:
        if not flags & fcntl.LOCK_NB:
            os.close(looking[0])
        flock(descriptor, flags)

    monkeypatch.setattr(tempfile, "mkdtemp", looked_at)
    monkeypatch.setattr(fcntl, "flock", lets_go)
    with scratch(tmp_path, ".x-") as folder:
        another = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(another)


def test_what_a_killed_command_has_left_goes_with_the_next_one_and_nothing_else_does(archived: tuple[Bench, Path], tmp_path: Path) -> None:
    bench, file = archived
    left, used, mine = (tmp_path / f".more.tar-{word}" for word in ("killed_0", "inuse_00", "mine_000"))
    restoring = bench.folder / ".git/.ckgit-restore-abcdefgh"
    for folder in (left, used, mine, restoring):
        folder.mkdir()
        (folder / "refs.bundle").write_bytes(b"some of it")
    (mine / "thesis.txt").touch()
    descriptor = os.open(used, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # a command is writing there
    bench.ckgit("archive", "demo", "--output", str(tmp_path / "more.tar"))
    bench.ckgit("archive", "--restore", str(file))
    os.close(descriptor)
    assert [folder.exists() for folder in (left, used, mine, restoring)] == [False, True, True, False]


def test_what_the_work_tree_has_already_is_left(archived: tuple[Bench, Path]) -> None:
    bench, file = archived
    weights = checkpoint(bench, "rank4") / "weights"
    weights.write_text("newer")
    bench.ckgit("archive", "--restore", str(file))
    assert weights.read_text() == "newer"


def members_of(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar.getmembers()}


def write(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


@pytest.mark.parametrize("how", ["member", "lacking", "more", "outside", "ref", "commit", "bundle", "text", "cut"])
def test_a_damaged_or_hostile_file_brings_nothing(archived: tuple[Bench, Path], tmp_path: Path, how: str) -> None:
    _, file = archived
    other = make_test_lab(tmp_path / "other")
    members = members_of(file)
    first = next(name for name in members if name.startswith("files/") and name.endswith("weights"))
    manifest = json.loads(members["manifest.json"])
    changed = {
        "member": {**members, first: b"others"},
        "lacking": {name: content for name, content in members.items() if name != first},
        "more": {"files/more": b"", **members},
        "bundle": {**members, "refs.bundle": members["refs.bundle"][:-30]},
    }
    if how == "outside":
        manifest["files"]["files/0123456789ab/../../../evil"] = manifest["files"][first]
        changed[how] = {"files/0123456789ab/../../../evil": members[first], **members, "manifest.json": json.dumps(manifest).encode()}
    if how == "ref":
        manifest["refs"]["refs/heads/main"] = manifest["commit"]
        changed[how] = {**members, "manifest.json": json.dumps(manifest).encode()}
    if how == "commit":
        manifest["refs"]["refs/heads/exp/demo"] = "0" * 40
        changed[how] = {**members, "manifest.json": json.dumps(manifest).encode()}
    bad = tmp_path / "bad.tar"
    if how == "text":
        bad.write_text("hello")
    elif how == "cut":
        bad.write_bytes(file.read_bytes()[:-20_000])
    else:
        write(bad, changed[how])
    before = refs(other), files(tmp_path).keys()
    done = ckgit("-C", str(other), "archive", "--restore", str(bad))
    assert done.returncode in (Exit.EVIDENCE_MISSING, Exit.USAGE), done.stderr
    assert "nothing was restored" in done.stderr
    assert (refs(other), files(tmp_path).keys()) == before
