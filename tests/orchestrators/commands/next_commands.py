"""What `next:` names, followed as a person would who has nothing else to go by."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from ckgit.formats.advice import commands
from tests.orchestrators.bench import Bench

Done = subprocess.CompletedProcess[str]


def named(done: Done) -> list[list[str]]:
    """The commands of ckgit that `next:` names, in its order; each is about this experiment."""
    (line,) = [line.partition("next:")[2] for line in f"{done.stdout}\n{done.stderr}".splitlines() if "next: " in line]
    found = [shlex.split(command)[1:] for command in commands(line) if command.startswith("ckgit ")]
    assert found, line
    assert all("demo" in words for words in found), line
    return found


def look(bench: Bench) -> tuple[str, list[str]]:
    """What changes where a command leads on."""
    return bench.snapshot.tip, bench.executions()


def follow(bench: Bench, done: Done) -> Done:
    """Run what `next:` names, until a commit was made or a job was run; a command that could do neither names another one."""
    before, tried = look(bench), list[list[str]]()
    for _ in range(3):
        for words in named(done):
            assert words not in tried, f"{words} leads to itself: {done.stderr}"
            done = bench.ckgit(*words, check=False)
            if look(bench) != before:
                return done
            tried += [] if words[0] in ("why", "status", "show") else [words]
    pytest.fail(f"nothing has changed: {done.stdout}{done.stderr}")
