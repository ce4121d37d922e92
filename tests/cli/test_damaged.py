"""Damaged files: whatever is in their place, every command that looks says which file it is, and none ends as a bug."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ckgit.cli import _invoke
from ckgit.cli.errors import guarded
from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.upkeep.doctor.left_over import jobs
from tests.conftest import run_git
from tests.damage import empty, lose, spoil
from tests.orchestrators.bench import Bench, design_demo

ODD = {"attempts": [{"job": "a", "stage": "b", "phase": "failed", "token": "t", "number": {}, "reason": 7}], "accepted_missing": 9}
OPEN = {"job": "a", "stage": "b", "phase": "submitted", "token": "t", "number": {}}
SHORT = {"schema_version": "x", "cluster": "local", "scheduler": "local", "work_tree": "/", "attempts": [OPEN]}
DAMAGE: Mapping[str, bytes | None] = {
    "garbage": bytes(range(256)) * 4,
    "empty": b"",
    "nul": b"\x00" * 512,
    "cut": b'{"attempts": [{"job": ',
    "null": b"null\n",
    "list": b"[]\n",
    "deep": b"[" * 100_000,
    "number": b"9" * 5000,
    "infinite": b'{"schema_version": 1e999, "attempts": NaN}',
    "odd": json.dumps(ODD).encode(),
    "short": json.dumps(SHORT).encode(),
    "folder": None,
}
LOOKS = (
    ("list", "--json"),
    ("status", "demo"),
    ("status", "demo", "--json"),
    ("log", "demo"),
    ("show", "demo", "rank4"),
    ("show", "demo", "rank4", "--json"),
    ("why", "demo"),
    ("validate", "demo"),
    ("advance", "demo", "--dry-run"),
    ("retry", "demo", "--dry-run"),
    ("cancel", "demo", "--dry-run"),
    ("worker", "scaffold-tiny-trainer", "demo", "--dry-run"),
    ("design", "other", "--like", "demo", "--dry-run"),
    ("models", "list"),
)
UNREAD = ("garbage", "empty", "folder")  # of files that are held against a digest, or only looked for
AT_JOBS = (("status", "demo"), ("why", "demo"), ("advance", "demo", "--dry-run"), ("cancel", "demo", "--dry-run"))


class Answer:
    """What a command came to, in this process."""

    def __init__(self, bench: Bench, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(sys, "argv", ["ckgit", "-C", str(bench.folder), *words])
        capfd.readouterr()
        self.words = " ".join(words)
        self.code = guarded(_invoke, sys.argv[1:])
        self.out, self.err = capfd.readouterr()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """`ask(bench, commands)`: their answers."""

    def all_of(bench: Bench, commands: Sequence[tuple[str, ...]] = LOOKS) -> list[Answer]:
        return [Answer(bench, words, monkeypatch, capfd) for words in commands]

    return all_of


def damage(*, read: bool) -> Mapping[str, bytes | None]:
    """What is put in a file's place."""
    return {kind: content for kind, content in DAMAGE.items() if read or kind in UNREAD}


REFUSED = (Exit.EVIDENCE_MISSING, Exit.INVALID_DESIGN, Exit.USAGE, Exit.COMMAND_FAILED)


def faults(answers: Sequence[Answer], kind: str, *names: str) -> list[tuple[str, str, str]]:
    """Answers that are bugs, or that refuse without naming one of the files, or without saying what to do."""
    return [
        (kind, answer.words, answer.err)
        for answer in answers
        if answer.code == Exit.BUG
        or "Traceback" in answer.err
        or (answer.code in REFUSED and "next" not in answer.err and not answer.words.startswith("validate"))
        or (answer.code in REFUSED and not any(name in answer.err + answer.out for name in names))
    ]


def out(bench: Bench) -> None:
    """Have jobs out, of which one has ended and is not collected."""
    bench.advance(State.SCAFFOLDED)
    bench.hold("rank8/finetune")
    bench.advance(wait=False)
    bench.until((bench.work / ".ckgit/jobs" / bench.latest("rank4/finetune").token / "status.json").exists)
    bench.until(lambda: len(bench.executions()) == 2)


def analyzed(bench: Bench) -> None:
    bench.advance(State.ANALYZED)


@pytest.fixture(params=[analyzed, out])
def bench_in(request: pytest.FixtureRequest, kept: Callable[..., Bench]) -> Bench:
    return kept(request.param)


FILES = [f"experiments/demo/{name}" for name in ("experiment_summary.md", "jobs.json", "estimate.json", "analysis/results.json")]
NEEDED, BY = FILES[:2], ("status", "advance", "retry")  # what cannot do without a file may never end well with another in its place
ALSO = ("nothing is to be cancelled", "no run", "there is no")


@pytest.mark.slow
@pytest.mark.parametrize("file", [*FILES, "models/tiny.yaml", "tasks/capitalization.py", "data/words.json"])
def test_a_file_of_the_branch(bench_in: Bench, file: str, ask) -> None:
    tip, found = bench_in.snapshot.tip, []
    for kind, content in damage(read=file in FILES).items():
        with replaced(bench_in, file, content, tip):
            answers = ask(bench_in)
            found += faults(answers, kind, file.rpartition("/")[2], *ALSO)
            found += [(kind, each.words, "done") for each in answers if file in NEEDED and each.words.startswith(BY) and not each.code]
    assert found == []


@contextmanager
def replaced(bench: Bench, file: str, content: bytes | None, tip: str) -> Iterator[None]:
    """A commit by hand with other bytes in a file's place, or a folder."""
    paths = {f"{file}/odd": b"x\n"} if content is None else {file: content}
    stream = b"commit refs/heads/exp/demo\ncommitter Ada <a@b> 1764000000 +0000\ndata 7\nby hand\nfrom " + tip.encode() + b"\n"
    stream += f"D {file}\n".encode()
    for path, data in paths.items():
        stream += f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
    subprocess.run(["git", "fast-import", "--quiet", "--force"], input=stream, cwd=bench.folder, check=True)
    try:
        yield
    finally:
        subprocess.run(["git", "update-ref", "refs/heads/exp/demo", tip], cwd=bench.folder, check=True)


READ = ("status.json", "local.json", "gpu.csv")
JOB_FILES = (*READ, "claim", "output", "cancelled")


OF_A_RUN, OF_ALL = (*JOB_FILES, "script", "artifacts"), ("export.json", "work tree", "jobs")


@pytest.mark.slow
@pytest.mark.parametrize(("run", "name"), [*itertools.product(("rank4", "rank8"), OF_A_RUN), *(("rank4", name) for name in OF_ALL)])
def test_a_file_of_the_work_tree(kept: Callable[..., Bench], name: str, run: str, ask) -> None:
    bench = kept(out)
    token, work = bench.latest(f"{run}/finetune").token, bench.work
    places = {
        "script": work / f"experiments/demo/{run}/finetune.slurm",
        "export.json": work / ".ckgit/export.json",
        "artifacts": work / f"experiments/demo/{run}/artifacts",
        "work tree": work,
        "jobs": work / ".ckgit/jobs",
    }
    place = places.get(name, work / ".ckgit/jobs" / token / name)
    found = []
    for kind, content in {**damage(read=name in READ), "not there": ...}.items():
        with in_its_place(place, content):
            found += faults(ask(bench, AT_JOBS), kind, place.name, token, str(work))
    assert found == []


@contextmanager
def in_its_place(place: Path, content: bytes | object | None) -> Iterator[None]:
    aside = place.with_name(f"{place.name}.aside")
    there = place.exists()
    if there:
        place.rename(aside)
    if content is None:
        place.mkdir()
    elif isinstance(content, bytes):
        place.write_bytes(content)
    try:
        yield
    finally:
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        if there:
            aside.rename(place)


@pytest.mark.slow
def test_the_lab_s_configuration(bench: Bench, ask, run) -> None:
    file, found = bench.folder / "ckgit.toml", []
    for kind, content in DAMAGE.items():
        file.unlink()
        if content is None:
            file.mkdir()
            (file / "odd").write_text("x")
        else:
            file.write_bytes(content)
        found += [fault for fault in faults(ask(bench, LOOKS[:4]), kind, "ckgit.toml") if "list" not in fault[1]]
        run(bench.folder, "add", "--all")
        run(bench.folder, "commit", "--quiet", "--message=Broken")
        found += faults(ask(bench), kind, "ckgit.toml")
        run(bench.folder, "reset", "--quiet", "--hard", "HEAD~1")
    assert found == []


@contextmanager
def damaged(lab: Path, how: Callable[[Path, str], str], name: str) -> Iterator[None]:
    oid = run_git(lab, "rev-parse", name)
    file = lab / ".git/objects" / oid[:2] / oid[2:]
    whole = file.read_bytes()
    how(lab, name)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        file.write_bytes(whole)


def test_a_commit_of_which_git_has_an_empty_file_is_told_like_one_that_is_missing(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    design_demo(bench.lab, name="other")
    commands = (("list",), ("list", "--json"), ("retry", "--all"), ("cancel", "--all"), ("results",))
    answers = list[list[object]]()
    for how in (lose, empty, spoil):
        with damaged(bench.folder, how, "exp/demo"):
            done = [bench.ckgit(*words, check=False) for words in commands]
            answers.append([*((each.returncode, each.stdout, each.stderr) for each in done), *jobs(bench.lab)])
    first, *others = answers
    assert "is missing or damaged: git fsck says which objects are" in str(first[0])
    assert others == [first] * 2


def test_a_default_branch_whose_commit_is_lost_is_no_lab_without_a_configuration(bench: Bench) -> None:
    for how in (lose, empty):
        with damaged(bench.folder, how, "main"):
            done = bench.ckgit("list", check=False)
        assert (done.returncode, "git fsck says which objects are missing or damaged" in done.stderr) == (Exit.COMMAND_FAILED, True)


def test_a_preview_says_of_a_damaged_status_what_advance_says(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.advance(wait=False)
    status = bench.work / ".ckgit/jobs" / bench.latest("rank4/finetune").token / "status.json"
    bench.until(status.exists)
    status.write_bytes(b"{")
    shown = bench.ckgit("advance", "demo", "--dry-run")
    assert "would wait for rank4/finetune: gone, and its status.json is damaged: " in shown.stdout
    assert f"({status.parent}); a job that stays so counts as lost" in shown.stdout
    done = bench.ckgit("advance", "demo", check=False)
    assert done.returncode == Exit.JOBS_FAILED
    assert "rank4/finetune: lost: its status.json is damaged: " in done.stderr
