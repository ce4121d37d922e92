"""Histories that were made to do harm: they are reported. Nothing of them is executed, followed or printed as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckgit import __version__
from ckgit.experiment.design.model import State
from tests.conftest import run_git
from tests.orchestrators.bench import DESIGN, Bench, design_demo
from tests.orchestrators.review.history import FOLDER, Branch, Commit

pytestmark = pytest.mark.slow
SECONDS = 20.0  # of the processor for one of them, which takes one or two
PWNED = "/tmp/ckgit-pwned"  # noqa: S108 - what they would make, if they were obeyed
EVIL = f"$(touch {PWNED})"
WHO = "Mallory <m@example.org> 1795000000 +0000"
SUMMARY, LEDGER = "experiment_summary.md", "jobs.json"


def since(branch: Branch, event: str, path: str, content: bytes | None) -> None:
    """A file of the experiment is another one from the first step of a kind on."""
    begun = next(index for index, commit in enumerate(branch.honest) if commit.event == event)
    branch.write([commit if index < begun else commit.put({path: content}) for index, commit in enumerate(branch.honest)])


def front(branch: Branch, line: str, event: str = "design") -> None:
    """A line more in the design."""
    begun = next(index for index, commit in enumerate(branch.honest) if commit.event == event)

    def edit(commit: Commit) -> Commit:
        return commit.put({SUMMARY: commit.own()[SUMMARY].replace(b"models: [tiny]\n", f"models: [tiny]\n{line}\n".encode())})

    branch.write([commit if index < begun else edit(commit) for index, commit in enumerate(branch.honest)])


def ledger(branch: Branch, edit: Callable[[Any], object]) -> None:
    def edited(commit: Commit) -> Commit:
        if LEDGER not in commit.own():
            return commit
        document = json.loads(commit.own()[LEDGER])
        return commit.put({LEDGER: json.dumps(edit(document) or document).encode()})

    branch.write([edited(commit) for commit in branch.honest])


def said(branch: Branch, old: str, new: str) -> None:
    """Something else in the messages of all steps."""
    branch.write([commit._replace(message=commit.message.replace(old, new)) for commit in branch.honest])


def on_top(branch: Branch, *changes: bytes, message: str = "mine", parents: str = "") -> None:
    """A commit more, in git's own words for an import."""
    tip = branch.write(branch.honest)[-1]
    head = f"commit refs/heads/exp/demo\nauthor {WHO}\ncommitter {WHO}\ndata {len(message.encode())}\n{message}\nfrom {tip}\n{parents}"
    branch.git("fast-import", "--quiet", "--force", stdin=head.encode() + b"\n".join(changes) + b"\n")


def put(path: str, content: bytes = b"x", mode: str = "100644") -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\x1b", "\\033") + '"'
    return f"M {mode} inline {quoted}\ndata {len(content)}\n".encode() + content


def submodule(path: str) -> bytes:
    return f"M 160000 {'1' * 40} {path}".encode()


def names(branch: Branch) -> None:
    evil = ["a\nb", "\x1b]0;x\x07\x1b[31m", "'\"`", "--upload-pack=x", "-n", EVIL, ":(glob)**", "\u202etxt.exe", "%s%n", " ", "x" * 240]
    on_top(branch, *(put(f"{FOLDER}/rank4/{name}") for name in evil))


def a_step_with_names(branch: Branch) -> None:
    """The same, in what calls itself a step."""
    on_top(branch, put(f"{FOLDER}/a\nb"), put(f"{FOLDER}/run-\x1b[2J.log"), put(f"{FOLDER}/--x"), message=branch.honest[2].message)


def merged_many(branch: Branch) -> None:
    """A merge of three, of which two are no experiment's."""
    tree = branch.git("rev-parse", "main^{tree}").decode().strip()
    others = [branch.git("commit-tree", tree, "-m", f"root {number}").decode().strip() for number in range(2)]
    on_top(branch, parents="".join(f"merge {other}\n" for other in others))


def root_in_its_midst(branch: Branch) -> None:
    """The second half has no history before it."""
    oids = branch.write(branch.honest)
    tree = branch.git("rev-parse", f"{oids[4]}^{{tree}}").decode().strip()
    parent = branch.git("commit-tree", tree, "-m", "root").decode().strip()
    told(branch, oids[5:], parent)


def told(branch: Branch, oids: list[str], parent: str) -> None:
    for oid in oids:
        tree = branch.git("rev-parse", f"{oid}^{{tree}}").decode().strip()
        message = branch.git("log", "-1", "--format=%B", oid)
        parent = branch.git("commit-tree", tree, "-p", parent, stdin=message).decode().strip()
    branch.git("update-ref", "refs/heads/exp/demo", parent)


def criss_cross(branch: Branch) -> None:
    """Two sides that merge each other, both with steps."""
    tip = branch.write(branch.honest)[-1]
    step = branch.git("log", "-1", "--format=%B", tip)
    tree = branch.git("rev-parse", f"{tip}^{{tree}}").decode().strip()
    one, two = (branch.git("commit-tree", tree, "-p", tip, "-m", name).decode().strip() for name in ("one", "two"))
    left = branch.git("commit-tree", tree, "-p", one, "-p", two, stdin=step).decode().strip()
    right = branch.git("commit-tree", tree, "-p", two, "-p", one, stdin=step).decode().strip()
    both = branch.git("commit-tree", tree, "-p", left, "-p", right, "-m", "both").decode().strip()
    branch.git("update-ref", "refs/heads/exp/demo", both)


def no_steps(branch: Branch) -> None:
    branch.git("update-ref", "refs/heads/exp/demo", "main")


def only_by_hand(branch: Branch) -> None:
    branch.write([branch.honest[0]._replace(message="a design by hand\n")])


def raw(branch: Branch, old: bytes, new: bytes) -> None:
    """The last commit with other bytes in its head, as no porcelain would write them."""
    tip = branch.write(branch.honest)[-1]
    commit = branch.git("cat-file", "commit", tip)
    assert old in commit
    oid = branch.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=commit.replace(old, new)).decode().strip()
    branch.git("update-ref", "refs/heads/exp/demo", oid)


DEEP = b"[" * 100_000 + b"]" * 100_000
OBJECTS = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
MOVES = "../../\n\x1b]8;;x"
NINE = [", ".join(["*a" + (str(n - 1) if n else "")] * 9) for n in range(30)]
BOMB = "\n".join(["x: &a [y, y, y, y, y, y, y, y, y]", *(f"x{n}: &a{n} [{names}]" for n, names in enumerate(NINE))])
LAB = b"schema_version = 1\nname = 'x'\n[clusters.local]\nsetup = ['touch x']\n"


def first(document: Any, **changes: Any) -> None:
    document["attempts"][0].update(changes)


def many(document: Any) -> None:
    one = document["attempts"][0]
    document["attempts"] = [{**one, "number": n + 1, "token": f"ckgit.demo.{n}"} for n in range(3_000)]


def elsewhere(document: Any) -> None:
    document.update(work_tree=f"/\x1b[2J{EVIL}", command_prefix=["sh", "-c", f"touch {PWNED}"])


def with_cells(document: Any) -> None:
    for each in document["attempts"]:
        each["cells"] = {"x": ""}


def profile(**profile: Any) -> bytes:
    return json.dumps({"cluster": "local", "profile": profile}).encode()


CASES: dict[str, Callable[[Branch], None]] = {
    "a component": lambda b: since(b, "scaffold", "rank4/setup.txt", f"_component_: os.system\ncommand: touch {PWNED}\n".encode()),
    "a script": lambda b: since(b, "scaffold", "rank4/finetune.slurm", f"#!/bin/bash\ntouch {PWNED}\n".encode()),
    "a tag": lambda b: front(b, f'x: !!python/object/apply:os.system ["touch {PWNED}"]'),
    "a tag later": lambda b: front(b, f'x: !!python/object/apply:os.system ["touch {PWNED}"]', "evaluate"),
    "a bomb": lambda b: front(b, BOMB),
    "a bomb later": lambda b: front(b, BOMB, "submit"),
    "much front matter": lambda b: since(b, "design", SUMMARY, b"---\n" + b"a: b\n" * 2_500_000 + b"state: designed\n---\n"),
    "deep front matter": lambda b: front(b, "x: " + "[" * 50_000),
    "a tool of another name": lambda b: front(b, f"recorded: {{tools: '{EVIL}'}}"),
    "names": names,
    "a step with names": a_step_with_names,
    "a link": lambda b: on_top(b, put(f"{FOLDER}/rank4/link", b"/etc/passwd", "120000")),
    "a link for the ledger": lambda b: on_top(b, put(f"{FOLDER}/{LEDGER}", b"/etc/passwd", "120000")),
    "a link for the summary": lambda b: on_top(b, put(f"{FOLDER}/{SUMMARY}", b"/etc/passwd", "120000")),
    "a link for the folder": lambda b: on_top(b, put(FOLDER, b"/etc", "120000")),
    "a submodule": lambda b: on_top(b, submodule(f"{FOLDER}/rank4/sub")),
    "a submodule for the ledger": lambda b: on_top(b, submodule(f"{FOLDER}/{LEDGER}")),
    "a submodule for the folder": lambda b: on_top(b, submodule(FOLDER)),
    "a submodule in a step": lambda b: on_top(b, submodule(f"{FOLDER}/rank4/sub"), message=b.honest[2].message),
    "a folder for the summary": lambda b: on_top(b, f"D {FOLDER}/{SUMMARY}".encode(), put(f"{FOLDER}/{SUMMARY}/x")),
    "a folder for the ledger": lambda b: on_top(b, f"D {FOLDER}/{LEDGER}".encode(), put(f"{FOLDER}/{LEDGER}/x")),
    "a folder in a step": lambda b: on_top(b, f"D {FOLDER}/{LEDGER}".encode(), put(f"{FOLDER}/{LEDGER}/x"), message=b.honest[3].message),
    "nothing at all": lambda b: on_top(b, b"deleteall"),
    "the lab's settings": lambda b: on_top(b, put("ckgit.toml", LAB)),
    "a workflow": lambda b: on_top(b, put(".github/workflows/x.yml", b"on: push\n"), message=b.honest[2].message),
    "a deep ledger": lambda b: since(b, "submit", LEDGER, DEEP),
    "a deep ledger of objects": lambda b: since(b, "submit", LEDGER, OBJECTS),
    "deep results": lambda b: since(b, "analyze", "analysis/results.json", DEEP),
    "a deep profile": lambda b: since(b, "scaffold", "cluster.json", OBJECTS),
    "deep defaults": lambda b: since(b, "scaffold", "defaults.json", DEEP),
    "a deep log": lambda b: since(b, "evaluate", "rank4/eval/logs/capitalization_epoch0.json", DEEP),
    "a list for a log": lambda b: since(b, "evaluate", "rank4/eval/logs/capitalization_epoch0.json", b"[]"),
    "a training log of nothing": lambda b: since(b, "fail", "rank4/training.log", b""),
    "a log of noise": lambda b: since(b, "fail", "run-tiny-trainer.log", bytes(range(256)) * 100),
    "a ledger of noise": lambda b: since(b, "submit", LEDGER, bytes(range(256))),
    "a ledger in another encoding": lambda b: since(b, "submit", LEDGER, "{}".encode("utf-16")),
    "an empty ledger": lambda b: since(b, "submit", LEDGER, b""),
    "a ledger of nothing": lambda b: since(b, "submit", LEDGER, b"{}"),
    "no number": lambda b: ledger(b, lambda d: first(d, exit_code=float("nan"))),
    "no usage": lambda b: ledger(b, lambda d: first(d, usage={"elapsed_seconds": float("inf"), "cpu_seconds": float("nan")})),
    "a huge number": lambda b: ledger(b, lambda d: first(d, number=10**4000)),
    "a huge exit code": lambda b: ledger(b, lambda d: first(d, exit_code=10**4000)),
    "no time": lambda b: ledger(b, lambda d: first(d, started="when\x1b[2J it rained", ended="0001-01-01T00:00:00+23:59")),
    "a time without a zone": lambda b: ledger(b, lambda d: first(d, started="2026-11-29T13:52:27", ended="9999-12-31T23:59:59Z")),
    "no time of a submission": lambda b: ledger(b, lambda d: first(d, submitted="when\x1b[2J it rained")),
    "a submission without a zone": lambda b: ledger(b, lambda d: first(d, submitted="2026-11-29T13:52:27")),
    "a job of another name": lambda b: ledger(b, lambda d: first(d, job="\x1b[31m../../x", files={"../../../etc/passwd": "0" * 64})),
    "files with line breaks": lambda b: ledger(b, lambda d: first(d, files={"a\nb": "0" * 64, "\x1b[2J": "0" * 64})),
    "another token": lambda b: ledger(b, lambda d: first(d, token=MOVES)),
    "a work tree of evil": lambda b: ledger(b, elsewhere),
    "cells of nobody": lambda b: ledger(b, lambda d: first(d, cells={"\x1b[2J": ""})),
    "cells of a failure": lambda b: ledger(b, with_cells),
    "three thousand attempts": lambda b: ledger(b, many),
    "a version that moves the terminal": lambda b: said(b, f"Ckgit-Version: {__version__}", "Ckgit-Version: \x1b[2J\x07"),
    "a version of long numbers": lambda b: said(b, f"Ckgit-Version: {__version__}", "Ckgit-Version: " + "9" * 20_000),
    "a version that takes long to match": lambda b: said(b, f"Ckgit-Version: {__version__}", "Ckgit-Version: 1" + ".1a" * 5_000 + "!"),
    "an event that moves the terminal": lambda b: said(b, "Ckgit-Event: train", "Ckgit-Event: train\x1b[2J"),
    "a design that moves the terminal": lambda b: said(b, "Ckgit-Design: ", "Ckgit-Design: \x1b[2J"),
    "an experiment that moves the terminal": lambda b: said(b, "Ckgit-Experiment: demo", "Ckgit-Experiment: \x1b[2Jdemo"),
    "a separator in a trailer": lambda b: said(b, "Ckgit-To: trained", "Ckgit-To: \x01\x02trained\x02"),
    "a long message": lambda b: said(b, "Ckgit-Experiment", "x \x1b[2J" * 100_000 + "\n\nCkgit-Experiment"),
    "a separator in a name": lambda b: raw(b, b"Ada Author", b"Ada\x02\x01\x02Author"),
    "no author": lambda b: raw(b, b"author Ada Author <ada@example.org>", b"author"),
    "no time of a commit": lambda b: raw(b, b" +0000\ncommitter", b"99999999999999999999 +0000\ncommitter"),
    "a commit after all calendars": lambda b: raw(b, b" +0000\n\n", b"00000 +0200\n\n"),
    "a commit before all clocks": lambda b: raw(b, b"<cleo@example.org> ", b"<cleo@example.org> -"),
    "a commit after all clocks": lambda b: raw(b, b"<cleo@example.org> ", b"<cleo@example.org> 922337203"),
    "no number for a time": lambda b: raw(b, b"Author <ada@example.org> 1", b"Author <ada@example.org> x"),
    "a message of noise": lambda b: raw(b, b"analyze demo", bytes(range(1, 10)) + bytes(range(11, 256))),
    "no steps": no_steps,
    "only by hand": only_by_hand,
    "a criss-cross merge": criss_cross,
    "a merge of many": merged_many,
    "a root in its midst": root_in_its_midst,
    "a picture of noise": lambda b: since(b, "analyze", "analysis/loss.svg", f'<svg onload="{EVIL}">'.encode() * 1000),
    "an estimate of noise": lambda b: since(b, "design", "estimate.json", DEEP),
    "a profile that runs": lambda b: since(b, "scaffold", "cluster.json", profile(setup=[EVIL])),
    "a log that was cut, by hand": lambda b: on_top(b, put(f"{FOLDER}/base/eval/logs/mine.eval", b"PK\x03\x04 and no more")),
    "a profile of another scheduler": lambda b: since(b, "scaffold", "cluster.json", profile(scheduler="../os")),
}
# Of these there are warnings and notes at most: nothing that is recorded is otherwise than ckgit makes it.
MILD = {"no steps", "only by hand", "a merge of many", "names", "the lab's settings"}
MILD |= {"a long message", "a message of noise", "a separator in a name", "no author", "no time of a commit", "no number for a time"}
MILD |= {"a commit after all calendars", "a commit before all clocks", "a commit after all clocks"}


def cpu_seconds() -> float:
    """Of this process and of those that it has started."""
    return sum(os.times()[:4])


def printed(bench: Bench) -> Iterator[str]:
    """What is wrong with how a history is reported."""
    begun, written = cpu_seconds(), (bench.steer / "page", bench.steer / "annotations")
    done = bench.ckgit("verify", "demo", check=False)
    reviewed = bench.ckgit("review", "demo", "--html", str(written[0]), "--annotations", str(written[1]), check=False)
    for each in (done, reviewed):
        if each.returncode == 70:
            yield f"exit 70: {each.stderr[-1500:]}"
    for words in (("list",), ("review", "other")):
        if (beside := bench.ckgit(*words, check=False)).returncode:
            yield f"it keeps others from theirs: ckgit {' '.join(words)} ends with {beside.returncode}: {beside.stderr or beside.stdout}"
    text = "".join([done.stdout, done.stderr, reviewed.stdout, reviewed.stderr, *(file.read_text() for file in written)])
    if bad := {char for char in text if not char.isprintable() and char not in "\n\u200b"}:  # the latter is what breaks others' links
        yield f"it prints {bad}"
    if (took := cpu_seconds() - begun) > SECONDS:
        yield f"it takes {took:.0f} s"
    if reviewed.returncode != done.returncode and "### Problems" not in reviewed.stdout:
        yield f"verify ends with {done.returncode}, and review with {reviewed.returncode}"
    yield f"{done.returncode}"


def test_each_is_reported(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    bench.ckgit("retry", "demo")
    bench.advance(State.ANALYZED)
    branch, wrong = Branch(bench.folder), dict[str, list[str]]()
    design_demo(bench.lab, {"experiment": {**DESIGN["experiment"], "name": "other"}}, "other")
    config = bench.folder / "ckgit.toml"
    config.write_text(f"{config.read_text()}\n[review]\ngpu_hours_per_month = 1000\n")
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=A budget")
    for name, make in CASES.items():
        make(branch)
        *bad, code = printed(bench)
        if bad or (code == "0") is not (name in MILD) or Path(PWNED).exists():
            wrong[name] = [*bad, f"exit code {code}"]
    assert wrong == {}
