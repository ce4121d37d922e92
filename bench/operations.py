"""The operations that have a bar, each beside what cannot be avoided: plain git and a plain Python interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.labs import ckgit, design, git, make_lab
from bench.measure import Row, Used, run, timed
from ckgit.lab.hooks.folder import NAMES, ON_SERVERS

CKGIT = (sys.executable, "-m", "ckgit")
TRAILERS = "%(refname) %(objectname) %(committerdate:unix) %(contents:trailers:key=Ckgit-To,valueonly)"
REPEAT = 15
TRANSITIONS = 12
PROCESSES = 32
PUSHED = 50
HUNDRED_RUNS = f"{{lr: {[n / 1000 for n in range(1, 11)]}, lora_rank: {list(range(1, 11))}}}"
MANY_RUNS = f"{{lr: {[n / 1000 for n in range(1, 11)]}, lora_rank: {list(range(1, 11))}, seed: {list(range(10))}}}"


class Labs(NamedTuple):
    """The two labs that everything is measured in."""

    small: Path
    large: Path


def make_labs(folder: Path) -> Labs:
    """A small lab, and one of 10,000 files and 1,000 experiments."""
    small = make_lab(folder / "small", files=10, experiments=TRANSITIONS + 1)
    return Labs(small, make_lab(folder / "large", files=10_000, experiments=1_000))


def rows(labs: Labs) -> Iterator[Row]:
    """Each operation, measured now."""
    python = timed(lambda: subprocess.run([sys.executable, "-c", ""], check=True), REPEAT)
    yield status(labs, python)
    yield listing(labs, python)
    yield from transitions(labs, python)
    yield from hooks(labs, python)
    yield from push_of_many(labs, python)
    yield scaffold_many(labs)
    yield from verification(labs, python)
    yield at_once(labs, python)


def status(labs: Labs, python: list[float]) -> Row:
    """`ckgit status` of one experiment."""
    used = [run([*CKGIT, "status", "e0001"], cwd=labs.large) for _ in range(REPEAT)]
    floor = timed(lambda: git(labs.large, "cat-file", "-p", "refs/heads/exp/e0001"), REPEAT)
    return Row("status of one experiment", used, _sum(python, floor), "python + git cat-file", "6 times")


def listing(labs: Labs, python: list[float]) -> Row:
    """`ckgit list` over all branches."""
    used = [run([*CKGIT, "list"], cwd=labs.large) for _ in range(REPEAT)]
    floor = timed(lambda: git(labs.large, "for-each-ref", f"--format={TRAILERS}", "refs/heads/exp/"), REPEAT)
    return Row("list over 1,000 branches", used, _sum(python, floor), "python + git for-each-ref", "5 times")


def transitions(labs: Labs, python: list[float]) -> Iterator[Row]:
    """A transition that runs no job, in both labs by turns, so that both see the same machine."""
    used: dict[str, list[Used]] = {"small": [], "large": []}
    for number in range(TRANSITIONS):
        for size, lab in labs._asdict().items():
            used[size].append(run([*CKGIT, "scaffold-experiment", f"e{number:04}"], cwd=lab))
    for size, lab in labs._asdict().items():
        tip = git(lab, "rev-parse", f"exp/e{TRANSITIONS:04}")
        floor = timed(lambda lab=lab, tip=tip: plain_commit(lab, tip, {"experiments/plain/file": "text\n"}), TRANSITIONS)  # type: ignore[misc]
        text = "10,000 files, 1,000 branches" if size == "large" else "small lab"
        yield Row(f"transition without jobs, {text}", used[size], _sum(python, floor), "python + plumbing commit", "4 times")


def hooks(labs: Labs, python: list[float]) -> Iterator[Row]:
    """Each git hook of a commit by hand, and of its push, on a scaffolded experiment of the large lab."""
    place = labs.large.parent / "by-hand"
    git(labs.large, "worktree", "add", "--quiet", str(place), "exp/e0000")
    summary = place / "experiments/e0000/experiment_summary.md"
    summary.write_text(f"{summary.read_text()}\nA note.\n")
    (place / "experiments/e0000/notes.md").write_text("A note.\n")
    git(place, "add", "--all")
    floor = _sum(python, timed(lambda: git(place, "diff-index", "--cached", "--raw", "HEAD"), REPEAT))
    message = place.parent / "message"
    message.write_text("A note\n")
    tip, none = git(place, "rev-parse", "HEAD"), "0" * 40
    received = dict.fromkeys(ON_SERVERS, f"{none} {tip} refs/heads/exp/e0000\n")
    pushed = {"pre-push": f"refs/heads/x {tip} refs/heads/exp/e0000 {none}\n", **received}
    for name in NAMES:
        command = [*CKGIT, "hooks", "run", name, *([str(message)] if "msg" in name else [])]
        used = [run(command, cwd=place, stdin=pushed.get(name, "")) for _ in range(REPEAT)]
        yield Row(f"hook {name}, 10,000 files", used, floor, "python + git diff-index", "0.3 s")
    git(labs.large, "worktree", "remove", "--force", str(place))


def push_of_many(labs: Labs, python: list[float]) -> Iterator[Row]:
    """What a server does when 50 scaffolded experiments are pushed to it at once; it attests each one's steps the first time."""
    names = [f"e{600 + number:04}" for number in range(PUSHED)]
    for name in names:
        ckgit("-C", labs.large, "scaffold-experiment", name)
    tips = [git(labs.large, "rev-parse", f"exp/{name}") for name in names]
    pushed = "".join(f"{'0' * 40} {tip} refs/heads/exp/{name}\n" for name, tip in zip(names, tips, strict=True))
    floor = _sum(python, timed(lambda: git(labs.large, "log", "--raw", *tips, "^main"), REPEAT))
    for name in ON_SERVERS:
        used = [run([*CKGIT, "hooks", "run", name], cwd=labs.large, stdin=pushed) for _ in range(3)]
        yield Row(f"hook {name} of {PUSHED} branches", used, floor, "python + git log --raw of all", "")


def scaffold_many(labs: Labs) -> Row:
    """Scaffold 1,000 runs with 5 cells each."""
    used, floor = [], []
    for number in range(3):
        name = f"many{number}"
        design(labs.small, name, MANY_RUNS, epochs=5)
        before = git(labs.small, "rev-parse", f"exp/{name}")
        used.append(run([*CKGIT, "scaffold-experiment", name], cwd=labs.small))
        paths = git(labs.small, "diff", "--name-only", before, f"exp/{name}").splitlines()
        files = {path: f"{name} {path}\n" for path in paths}
        floor += timed(lambda files=files, tip=before: plain_commit(labs.small, tip, files), 1)  # type: ignore[misc]
    return Row("scaffold 1,000 runs x 5 cells", used, floor, "plumbing commit of the files", "1.5 times, 300 MB", f"{len(paths)} files")


def verification(labs: Labs, python: list[float]) -> Iterator[Row]:
    """`ckgit verify` of a scaffolded experiment of 100 runs with 5 cells each, which renders all its files again; and of one it knows."""
    design(labs.small, "hundred", HUNDRED_RUNS, epochs=5)
    run([*CKGIT, "scaffold-experiment", "hundred"], cwd=labs.small)
    floor = _sum(python, timed(lambda: git(labs.small, "log", "--raw", "main..exp/hundred"), REPEAT))
    with tempfile.TemporaryDirectory() as cache:
        environment = {"XDG_CACHE_HOME": cache}
        command = [*CKGIT, "verify", "hundred"]
        cold = [run(command, cwd=labs.small, environment=environment)]
        yield Row("verify 100 runs x 5 cells, scaffolded", cold, floor, "python + git log --raw", "30 s")
        known = [run(command, cwd=labs.small, environment=environment) for _ in range(REPEAT)]
        yield Row("verify the same again", known, floor, "python + git log --raw", "1 s")


def at_once(labs: Labs, python: list[float]) -> Row:
    """32 processes, each advancing an experiment of its own."""
    names = [f"e{500 + number:04}" for number in range(PROCESSES)]
    before = {name: git(labs.large, "rev-parse", f"exp/{name}") for name in names}

    def all_at_once() -> None:
        started = [subprocess.Popen([*CKGIT, "scaffold-experiment", name], cwd=labs.large, stdout=-3, stderr=-3) for name in names]
        codes = [process.wait() for process in started]
        if any(codes):
            raise RuntimeError(f"exit codes {codes}")

    seconds = timed(all_at_once, 1)
    kept = sum(git(labs.large, "rev-list", "--count", f"{old}..exp/{name}") == "1" for name, old in before.items())
    git(labs.large, "fsck", "--no-dangling")
    note = f"{kept} of {PROCESSES} commits kept; fsck is clean"
    floor = [PROCESSES * min(python) / (os.cpu_count() or 1)]
    return Row("32 processes advance 32 experiments", [Used(seconds[0], 0)], floor, "32 interpreter starts", "20 times, 32 kept", note)


def plain_commit(lab: Path, parent: str, files: dict[str, str]) -> None:
    """A commit of `files` on `parent` by git's plumbing, on a branch of its own: what any program must at least do."""
    index = {"GIT_INDEX_FILE": str(lab / ".git" / "bench-index")}

    def call(*words: str, stdin: str = "") -> str:
        done = subprocess.run(["git", *words], cwd=lab, input=stdin, env=os.environ | index, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    call("read-tree", parent)
    objects = "".join(f"blob\nmark :{n}\ndata {len(text)}\n{text}\n" for n, text in enumerate(files.values(), start=1))
    exported = lab / ".git" / "bench-marks"
    call("fast-import", "--quiet", f"--export-marks={exported}", stdin=objects)
    ids = dict(line.split() for line in exported.read_text().splitlines())
    call("update-index", "--index-info", stdin="".join(f"100644 {ids[f':{n}']}\t{path}\n" for n, path in enumerate(files, start=1)))
    tree = call("write-tree")
    commit = call("commit-tree", tree, "-p", parent, "-m", "plain")
    call("-c", "core.fsync=committed", "update-ref", "refs/bench/plain", commit)


def _sum(*parts: list[float]) -> list[float]:
    return [sum(each) for each in zip(*parts, strict=False)]
