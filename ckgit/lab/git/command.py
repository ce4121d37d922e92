"""Running git: argument lists only, a pinned environment, and answers by shape."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.waiting import TimeLimit, run_waiting

# Git sets GIT_DIR, GIT_INDEX_FILE and more for the hooks that it runs; a git command inside would then work on the wrong
# repository or index (pre-commit's issue 300). What a user sets on purpose, identity and access, stays.
_KEPT_PREFIXES = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_SSH", "GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_", "GIT_CONFIG_")
_KEPT = {"GIT_ASKPASS", "GIT_ALLOW_PROTOCOL", "GIT_EXEC_PATH", "GIT_TERMINAL_PROMPT"}
# "-c" settings of an outer git and its one-shot config file belong to the outer command.
_DROPPED = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG"}
_ALWAYS = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",  # a look at the user's checkout must not rewrite its index
    "GIT_NO_REPLACE_OBJECTS": "1",  # a commit's bytes are those that its id names
    "GIT_GRAFT_FILE": os.devnull,  # and its parents, too
    "GIT_LITERAL_PATHSPECS": "1",
}
# What git tells a hook of the repository, the index and the objects that it is about: see `as_hook`.
_TOLD = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
_HOOK: dict[str, str] = {}
# Settings of the user's that would change an answer and that no option of the commands below outdoes. Where there is a choice,
# ckgit asks plumbing, which reads few settings: rev-list, and not log.
_PINNED = (
    *("-c", "i18n.commitEncoding=UTF-8"),
    *("-c", "i18n.logOutputEncoding=UTF-8"),
    *("-c", "core.commentChar=#"),  # a line that begins with it is no trailer
    *("-c", "trailer.separators=:"),
    *("-c", "core.fsmonitor=false"),  # a program that says which files changed
    *("-c", "color.ui=false"),
    *("-c", "advice.graftFileDeprecated=false"),  # git says so of any graft file, our empty one too
)
# Objects and refs are on disk before git says so: by default it flushes neither loose objects nor refs.
DURABLE = ("-c", "core.fsync=committed", "-c", "core.fsyncMethod=batch")
# Filters and hooks are the user's own programs, which git starts: they may hang.
OWN_PROGRAMS = TimeLimit("a hook or filter that git started", 120.0)


class GitError(CkgitError):
    """A git command that failed: its arguments, exit code and words."""

    def __init__(self, args: Sequence[str], cwd: Path, returncode: int, stderr: str) -> None:
        self.argv = tuple(args)
        self.cwd = cwd
        self.returncode = returncode
        self.stderr = stderr.strip()
        words = self.stderr or f"exit code {returncode}, without a word"
        super().__init__(f"git {command_of(args)} failed: {words}", code=Exit.COMMAND_FAILED, where=str(cwd), next=_advice(self.stderr))


def git(cwd: Path, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, waiting: TimeLimit | None = None) -> bytes:
    """Run git in `cwd` and return what it prints.

    Args:
        stdin: bytes for its standard input; nothing when absent.
        env: variables added to the pinned environment, e.g. GIT_INDEX_FILE.
        waiting: whom it may have to wait for, and how long; git alone never waits for long.

    Raises:
        GitError: it failed.
        CkgitError: git is not installed, or the folder is not there; UNKNOWN, it was ended because nothing came.
    """
    done = run_git(cwd, args, stdin, env, waiting)
    if done.returncode:
        raise GitError(args, cwd, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout


def git_text(cwd: Path, *args: str, stdin: bytes | None = None) -> str:
    """What git prints, as text without the final newline."""
    return git(cwd, *args, stdin=stdin).decode(errors="surrogateescape").rstrip("\n")


def git_lines(cwd: Path, *args: str, stdin: bytes | None = None, waiting: TimeLimit | None = None) -> list[str]:
    """What git prints, by line, or by NUL where `-z` is among the arguments."""
    separator = "\0" if "-z" in args else "\n"
    text = git(cwd, *args, stdin=stdin, waiting=waiting).decode(errors="surrogateescape")
    return [line for line in text.split(separator) if line]


def git_ok(cwd: Path, *args: str) -> bool:
    """Whether git says yes (exit code 0) or no (1).

    Raises:
        GitError: any other exit code.
    """
    done = run_git(cwd, args)
    if done.returncode > 1:
        raise GitError(args, cwd, done.returncode, done.stderr.decode(errors="replace"))
    return done.returncode == 0


def unreadable(cwd: Path, commits: Iterable[str], base: str) -> set[str]:
    """Those of some commits that, or whose history since a base, git cannot read: an object is missing or damaged."""
    known = sorted(set(commits))
    words = "".join(f"{word}\n" for word in (*known, f"^{base}"))
    try:
        git(cwd, "rev-list", "--no-commit-header", "--format=%s", "--stdin", stdin=words.encode())  # which takes each commit itself
    except GitError:
        half = len(known) // 2
        return unreadable(cwd, known[:half], base) | unreadable(cwd, known[half:], base) if half else set(known)
    return set()


def commits_there(cwd: Path, names: Iterable[str]) -> frozenset[str]:
    """Those of some commits, by ids that may be abbreviated, that git finds: in one call, which reads where each object begins.

    One whose file is empty, or begins with something else, is as one that is missing.
    """
    ordered = sorted(set(names))  # to ask for NAME^{commit} would end at one that is damaged
    answers = git_lines(cwd, "cat-file", "--batch-check=%(objecttype)", stdin="".join(f"{name}\n" for name in ordered).encode())
    return frozenset(name for name, answer in zip(ordered, answers, strict=True) if answer == "commit")


def has_commit(cwd: Path, name: str) -> bool:
    """Whether git can read a commit: all of it is read, as a file that is there may be damaged, or empty.

    Args:
        name: an id, or whatever else means a commit; it must not begin with a dash.
    """
    return run_git(cwd, ["cat-file", "commit", f"{name}^{{commit}}"]).returncode == 0


def is_ancestor(cwd: Path, older: str, newer: str) -> bool:
    """Whether a commit is, or is in the history of, another one."""
    return git_ok(cwd, "merge-base", "--is-ancestor", older, newer)


def settings(cwd: Path, *keys: str, kind: str = "") -> dict[str, str]:
    """Those of some settings that the user, or the repository, has; keys in small letters.

    Args:
        kind: `bool` or `int`, as git reads such values.

    Raises:
        GitError: a value is none of that kind.
    """
    pattern = "|".join(re.escape(key) for key in keys)
    done = run_git(cwd, ["config", *([f"--type={kind}"] if kind else []), "-z", "--get-regexp", f"^({pattern})$"])
    if done.returncode > 1:
        raise GitError(["config"], cwd, done.returncode, done.stderr.decode(errors="replace"))
    records = done.stdout.decode(errors="surrogateescape").split("\0")
    return {key: value for key, _, value in (record.partition("\n") for record in records if record)}


def environment() -> dict[str, str]:
    """The environment that git runs in."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT or (name.startswith(_KEPT_PREFIXES) and name not in _DROPPED)
    }
    kept.setdefault("GIT_TERMINAL_PROMPT", "0")  # a question that nobody sees would be waited for
    return {**kept, **_ALWAYS, **_HOOK}


@contextlib.contextmanager
def as_hook() -> Iterator[None]:
    """Within it, git works on what it told this process, which is one of its hooks.

    A commit of some files has an index of its own, and what is pushed lies in quarantine until the hook has agreed.
    """
    told = {name: os.environ[name] for name in _TOLD if os.environ.get(name)}
    alternates = "GIT_ALTERNATE_OBJECT_DIRECTORIES"  # a list of paths, which git itself makes absolute
    _HOOK.update({name: value if name == alternates else str(Path(value).absolute()) for name, value in told.items()})
    try:
        yield
    finally:
        _HOOK.clear()


def run_git(
    cwd: Path, args: Sequence[str], stdin: bytes | None = None, env: Mapping[str, str] | None = None, waiting: TimeLimit | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git, whatever it answers.

    Raises:
        CkgitError: as `git`, apart from its failure.
    """
    command, variables = ["git", *_PINNED, *args], {**environment(), **(env or {})}
    try:
        if waiting:
            return run_waiting(command, cwd, stdin or b"", variables, waiting)
        return subprocess.run(command, cwd=cwd, input=stdin or b"", env=variables, capture_output=True, check=False)
    except (FileNotFoundError, NotADirectoryError):
        if not cwd.is_dir():
            raise CkgitError("there is no such folder", code=Exit.USAGE, where=str(cwd)) from None
        raise CkgitError("git is not installed, or not on PATH", code=Exit.TOOL_MISSING, next="install git 2.36 or newer") from None


def command_of(args: Sequence[str]) -> str:
    """The git command without its global options."""
    words = iter(args)
    for word in words:
        if word != "-c":
            return word
        next(words, None)
    return ""


def _advice(stderr: str) -> str:
    if lock := re.search(r"'([^']+\.lock)': File exists", stderr):
        return f"another git process is at work; if there is none, it was killed and left {lock[1]}: delete that file, then try again"
    if "detected dubious ownership" in stderr:
        return "the repository belongs to another user; git's message says how to trust it"
    if re.search("missing object|bad object|[Cc]ould not (read|parse)|unable to read|is corrupt|raverse parents", stderr):
        return "git fsck says which objects are missing or damaged; git fetch --refetch REMOTE brings back what a remote has"
    return ""
