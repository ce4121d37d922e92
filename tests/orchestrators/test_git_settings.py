"""The main commands say and write the same, whatever the user's git is set to."""

from __future__ import annotations

import os
import re
import subprocess
from difflib import unified_diff
from itertools import groupby
from pathlib import Path

import pytest

from tests import command_line
from tests.orchestrators.bench import Bench

HOSTILE = """\
[advice]
\tpushUpdateRejected = true
[alias]
\trev-list = !false
\tstatus = !false
[blame]
\tshowEmail = true
[checkout]
\tworkers = 4
\tdefaultRemote = nowhere
[color]
\tui = always
\tadvice = always
\tpush = always
\tremote = always
\ttransport = always
[column]
\tui = always
[commit]
\tcleanup = verbatim
\tstatus = true
\ttemplate = {home}/template
\tverbose = true
[core]
\tabbrev = 4
\tcommentChar = C
\teditor = false
\tfsmonitor = {home}/fsmonitor
\thooksPath = {home}/hooks
\tlogAllRefUpdates = always
\tpager = false
\tpreloadIndex = false
\tquotePath = true
\tsplitIndex = true
\tuntrackedCache = true
\tuseReplaceRefs = true
[diff]
\talgorithm = histogram
\texternal = false
\tignoreSubmodules = all
\tmnemonicPrefix = true
\tnoprefix = true
\torderFile = {home}/order
\trelative = true
\trenames = copies
\tsubmodule = log
[fetch]
\tfsckObjects = true
\tprune = true
\tpruneTags = true
\trecurseSubmodules = true
\tunpackLimit = 1
\twriteCommitGraph = true
[format]
\tpretty = oneline
[gc]
\tauto = 1
[grep]
\tpatternType = fixed
\tfullName = true
[i18n]
\tcommitEncoding = ISO-8859-1
\tlogOutputEncoding = ISO-8859-1
[index]
\tversion = 4
[init]
\tdefaultBranch = trunk
\ttemplateDir = {home}/templates
[log]
\tabbrevCommit = true
\tdate = raw
\tdecorate = full
\tdiffMerges = off
\texcludeDecoration = *
\tfollow = true
\tmailmap = true
\tshowRoot = false
\tshowSignature = true
[mailmap]
\tfile = {home}/mailmap
[maintenance]
\tauto = true
[pack]
\tcompression = 0
\tindexVersion = 1
[pager]
\tconfig = true
\trev-list = true
[push]
\tdefault = nothing
\tfollowTags = true
\trecurseSubmodules = only
\tuseForceIfIncludes = true
[remote "origin"]
\tmirror = true
\tprune = true
\tpush = refs/heads/*:refs/heads/elsewhere/*
\ttagOpt = --tags
[status]
\tbranch = true
\tshortStatus = true
\tshowStash = true
\tshowUntrackedFiles = no
[submodule]
\trecurse = true
[tag]
\tsort = -version:refname
[trailer]
\tseparators = =
\tifmissing = doNothing
[trailer "ckgit-to"]
\tkey = "State="
[trailer "Ckgit"]
\tkey = "Signed-off-by="
[transfer]
\tfsckObjects = true
\tunpackLimit = 1
[user]
\tuseConfigOnly = true
[worktree]
\tguessRemote = true
"""
DESIGN = """\
experiment: {question: Does training help?}
tools: {preparation: tiny-trainer, evaluation: tiny-evaluator}
models: [tiny]
data:
  words: {path: data/words.json}
variables:
  lora_rank: [4, 8]
runs:
  - {name: base, type: control}
evaluation:
  tasks:
    - {name: capitalization}
"""
HOOKS = ("reference-transaction", "post-index-change", "pre-push", "post-checkout", "post-commit", "pre-auto-gc")
BY_HAND = "# A note of mine: é\n"


def hostile_home(home: Path) -> Path:
    """A global configuration in which nothing is as it is by default; every program it names makes noise."""
    for hook in HOOKS:
        file = home / "hooks" / hook
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/sh\necho a hook speaks\necho a hook speaks >&2\n")
        file.chmod(0o755)
    (home / "templates/info").mkdir(parents=True)
    (home / "templates/info/grafts").write_text("")
    (home / "template").write_text("Fill this in\n")
    (home / "order").write_text("*.md\n")
    (home / "mailmap").write_text("Nobody <nobody@example.org> <cleo@example.org>\nNobody <nobody@example.org> <ada@example.org>\n")
    (home / "fsmonitor").write_text("#!/bin/sh\nexit 1\n")
    (home / "fsmonitor").chmod(0o755)
    (home / "gitconfig").write_text(HOSTILE.format(home=home))
    return home / "gitconfig"


def plain(text: str, folder: Path) -> str:
    """Text without what differs from one time to the next: ids, tokens, times and the lab's place."""
    text = re.sub(r"(?m)^\S+: (queued|running)\n", "", text)  # seen or not, as jobs are fast or slow
    text = re.sub(r"(slurm-|\(job |\| )\d{3,}(?=\.out|\)| \|)", r"\1JOB", re.sub(r'(?<=seconds": )[\d.]+', "N", text))
    text = re.sub(r"/\.ckgit/work/([\w-]+/\w+)/[0-9a-f]{12}", r"/.ckgit/work/\1/ID", text.replace(str(folder.parent), "TOP"))
    text = re.sub(r"(?<=\.\d\.)[0-9a-f]{8}\b", "CHANCE", re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{12})\b", "ID", text))
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?", "TIME", text)
    text = re.sub(r"\bin \d+:\d\d(:\d\d)?\b", "in N", text)
    text = re.sub(
        r"\b\d+(\.\d+)?( ?s| min)\b|(?<=\(pid )\d+|(?<=: )\d+\.\d{3,}", "N", re.sub(r'"job_id": "\d+[^"]*"|process \d+', "JOB", text)
    )
    return _without_usage(text) if re.search(r"estimate|assumed|queue wait|\"ratio\"|results.json \(", text) else text


def _without_usage(text: str) -> str:
    """Text that has what jobs took: on a busy machine one takes seconds more, and the next estimate follows from that."""
    lines = [re.sub(r"\d+(\.\d+)?", "N", line) for line in text.splitlines() if not re.search(r"assumed|earlier", line)]
    return re.sub(r"  +", "  ", "\n".join(lines))


def story_of(lab: Path, ref: str) -> list[str]:
    """Message and files of every commit of a branch, oldest first."""
    told = []
    for commit in git(lab, "rev-list", "--reverse", ref).split():
        listed = git(lab, "ls-tree", "-r", "--name-only", commit).splitlines()
        files = [f"{path}:\n{git(lab, 'cat-file', 'blob', f'{commit}:{path}')}" for path in listed if path.startswith("experiments/")]
        message = git(lab, "cat-file", "commit", commit).partition("\n\n")[2]
        told += [plain(message, lab), *sorted(plain(text, lab) for text in [*listed, *files])]
    return told


def git(folder: Path, *words: str) -> str:
    """Git as it is without settings."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))
    }
    clean = {**own, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=clean, capture_output=True, check=True)
    return done.stdout.decode(errors="backslashreplace").rstrip("\n")  # pictures and tables are no text


def go_through(bench: Bench, folder: Path) -> list[str]:
    """A lab's life, by lines: what each command says, and what every commit holds."""
    said: list[str] = []
    own = bench._replace(folder=folder, steer=bench.steer)

    def ckgit(*words: str, code: int = 0) -> None:
        done = command_line.ckgit(*words) if words[0] == "init" else own.ckgit(*words, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        said.append(plain(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}", folder))

    ckgit("init", str(folder), "--slots", "1")
    first = git(folder, "rev-parse", "main^{tree}")
    for path in ("data/words.json", "tasks/capitalization.py", "models/tiny.yaml", "models/tiny/model.safetensors"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((bench.folder / path).read_bytes())
    (folder / "ckgit.toml").write_text('authority = "origin"\n' + (bench.folder / "ckgit.toml").read_text())
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Files")
    git(folder, "tag", "--annotate", "--message=mine", "private")
    git(folder, "init", "--quiet", "--bare", str(folder.parent / "remote.git"))
    git(folder, "remote", "add", "origin", str(folder.parent / "remote.git"))
    git(folder, "push", "--quiet", "origin", "main")
    design = folder.parent / "design.yaml"
    design.write_text(DESIGN)
    ckgit("validate", str(design))
    ckgit("design", "demo", "--from", str(design))
    git(folder, "worktree", "add", "--quiet", str(folder.parent / "beside"), "exp/demo")
    by_hand(folder.parent / "beside")
    for words in (["status", "demo"], ["list"], ["log", "demo"], ["validate", "demo"], ["advance", "demo"]):
        ckgit(*words)
    own.hold()
    ckgit("advance", "demo", "--no-wait", code=10)
    own.until(lambda: len(own.executions()) == 2)
    ckgit("cancel", "demo")
    own.go()
    (own.steer / "executions").unlink()
    ckgit("why", "demo", code=0)
    ckgit("retry", "demo")
    by_hand(folder.parent / "beside")
    for words in (["status", "demo"], ["advance", "demo", "--to", "analyzed"], ["show", "demo"], ["show", "demo", "rank4"]):
        ckgit(*words)
    (own.steer / "executions").unlink()
    ckgit("revise", "demo", "--set", "experiment.question=Why?")
    for words in (["log", "demo"], ["status", "demo", "--json"], ["list", "--json"]):
        ckgit(*words)
    assert git(folder.parent / "beside", "status", "--porcelain") == ""
    remote = git(folder.parent / "remote.git", "for-each-ref", "--format=%(refname)").split()
    assert git(folder.parent / "remote.git", "rev-parse", "exp/demo") == git(folder, "rev-parse", "exp/demo")
    assert git(folder, "fsck", "--strict") == ""
    return "\n".join([first, *remote, *said, *story_of(folder, "exp/demo"), *story_of(folder, "main")]).splitlines()


def by_hand(checkout: Path) -> None:
    """A commit of the user's own."""
    note = checkout / "experiments/demo/notes.md"
    note.write_text((note.read_text() if note.exists() else "") + BY_HAND)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=A note, é", "--message=with a body\n# that has a hash")


def in_order(lines: list[str]) -> list[str]:
    """What is said of several jobs, one after the other, in order of their names: which ends first is chance."""
    runs = groupby(lines, key=lambda line: "/" in line.partition(": ")[0] and ": " in line)
    return [line for about_jobs, some in runs for line in (sorted(some) if about_jobs else some)]


@pytest.mark.slow
def test_no_setting_of_the_users_git_changes_an_answer(
    bare_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: Path
) -> None:
    (tmp_path / "clean").mkdir()
    clean = go_through(bare_bench, tmp_path / "clean" / "lab")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile_home(isolated / "hostile")))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "grep.patternType")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "perl")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_PAGER", "false")
    monkeypatch.setenv("GIT_DIR", str(bare_bench.folder / ".git"))  # as in a hook of another repository
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))
    (tmp_path / "hostile").mkdir()

    hostile = go_through(bare_bench, tmp_path / "hostile" / "lab")

    different = list(unified_diff(in_order(clean), in_order(hostile), lineterm="", n=0))
    assert not different, "\n".join(different[:100])
    assert "refs/tags/private" not in clean
