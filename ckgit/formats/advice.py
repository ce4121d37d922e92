"""The commands in a sentence that says what to do next: `ckgit cancel demo ends them; or ckgit revise demo` has two.

Sentences are for people, and commands stand in them as they are typed. Where one ends, its own grammar says: how many words follow that
are no options, and which options take a value. What comes after that is prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

# Words that are no options, by how a command begins.
OPERANDS: Mapping[str, int] = {
    "ckgit advance": 1,
    "ckgit analyze-experiment": 1,
    "ckgit archive": 1,
    "ckgit bisect": 2,
    "ckgit cancel": 1,
    "ckgit ci approvals": 0,
    "ckgit ci comment": 0,
    "ckgit ci guard": 0,
    "ckgit ci may-start": 0,
    "ckgit clean": 1,
    "ckgit close": 1,
    "ckgit compare": 2,
    "ckgit dashboard": 0,
    "ckgit data add": 1,
    "ckgit data show": 1,
    "ckgit delete": 1,
    "ckgit design": 1,
    "ckgit doctor": 0,
    "ckgit hooks install": 0,
    "ckgit hooks print": 1,
    "ckgit hooks run": 1,
    "ckgit hooks status": 0,
    "ckgit hooks uninstall": 0,
    "ckgit import cruijff": 1,
    "ckgit init": 1,
    "ckgit list": 0,
    "ckgit log": 1,
    "ckgit models add": 2,
    "ckgit models list": 0,
    "ckgit models show": 1,
    "ckgit quickstart": 1,
    "ckgit report": 1,
    "ckgit reproduce": 1,
    "ckgit results": 0,
    "ckgit retry": 1,
    "ckgit review": 1,
    "ckgit revise": 1,
    "ckgit run-experiment": 1,
    "ckgit scaffold-experiment": 1,
    "ckgit schema": 1,
    "ckgit show": 1,
    "ckgit sql": 1,
    "ckgit status": 1,
    "ckgit task check": 1,
    "ckgit task list": 0,
    "ckgit task new": 1,
    "ckgit validate": 1,
    "ckgit verify": 1,
    "ckgit view": 2,
    "ckgit watch": 1,
    "ckgit why": 1,
    "ckgit worker": 0,
    "git add": 1,
    "git branch": 2,
    "git branch --all": 0,
    "git checkout": 1,
    "git commit": 0,
    "git config": 2,
    "git fetch": 2,
    "git fsck": 0,
    "git log": 1,
    "git ls-remote": 1,
    "git merge": 1,
    "git push": 2,
    "git rebase": 2,
    "git remote add": 2,
    "git reset": 1,
    "git rev-parse": 0,
    "git revert": 5,
    "git show": 1,
    "git status": 0,
    "git switch": 1,
}
_PATHS: Mapping[str, int] = {"git checkout": 1000}  # words after `--`; of others it is one
# Options that take a value.
_OF_CKGIT = ["--because", "--cluster", "--from", "--gpus", "--job", "--like", "--limit", "--mem", "--run", "--set", "--slots", "--sort"]
_COLUMNS = ["--input-column", "--output-column"]
_OF_DATA = ["--config", "--name", "--rendered"]
_OF_TASKS = [*_COLUMNS, "--system-prompt", "--experiment", "--data", "--split", "--prompt", "--label", "--rows", "--arg", "--model"]
_OF_BEGINNINGS = ["--output", "--port", "--revision", "--template"]
_OF_FILES = ["--sarif", "--html", "--annotations", "--keep", "--with", "--restore", *_OF_BEGINNINGS]
_OF_RESULTS = ["--metric", "--design", "--task", "--as-of", "--columns", "--export", "--format"]
_OF_OTHERS = [*_OF_RESULTS, "--at", "--ci", "--git-path", "--onto", "--update", "--sample", *_OF_FILES, *_OF_TASKS, *_OF_DATA]
_OF_EXAMPLES = ["--example", "--cache", "--trainer"]
VALUED = frozenset([*_OF_CKGIT, "--state", "--time", "--to", "--where", *_OF_EXAMPLES, "--write", "-m", *_OF_OTHERS])
_FLAGS_OF_GIT = frozenset(["--keep"])  # which take none there
FLAGS = frozenset({("ckgit report", "--html")})  # that take none, of a command
_UPPER = ["DIR", "FILE", "FOLDER", "NAME", "NEW", "OTHER", "PATH", "REMOTE", "SIZE", "TEMPLATE", "URL", "VALUE"]
_PLACEHOLDERS = frozenset([*_UPPER, '"Your Name"', "you@example"])
_ELSEWHERE = frozenset(["as", "on", "there"])  # what follows a command that is to be given by somebody else, or on another machine
_BEGINS = re.compile(r"(?<![\w./@-])(?:ckgit|git)(?= )")
_WORD = re.compile(r""" *((?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\;`()&|<>])+)""")
_LONGEST = 3  # words of a command's beginning
_ENDS = ",:?"  # punctuation after a word


def commands(text: str) -> list[str]:
    """The commands of `ckgit` and `git` in a sentence, in its order, each as it may be typed.

    One that has a placeholder in it, is to be given elsewhere, or is only named, as `ckgit retry` without an experiment, is left out.
    """
    found = (_command(list(_words(text[begin.start() :]))) for begin in _BEGINS.finditer(text))
    return list(dict.fromkeys(filter(None, found)))


def _words(text: str) -> Iterator[str]:
    """The shell words of a clause; the last one has its punctuation."""
    at = 0
    while word := _WORD.match(text, at):
        yield word[1]
        at = word.end()
        if text[at : at + 1] != " " or word[1][-1] in _ENDS:
            return


def _command(words: Sequence[str]) -> str | None:
    place = words[1:3] if words[1:2] == ["-C"] else []
    rest = [words[0], *words[1 + len(place) :]] if words else []
    plain = [word.rstrip(_ENDS) for word in rest]
    begins = next((key for count in range(_LONGEST, 1, -1) if (key := " ".join(plain[:count])) in OPERANDS), None)
    if begins is None:
        return None
    taken, lacking = _taken(plain, begins)
    whole = [plain[0], *place, *plain[1:taken]]
    if _is_placeholder(whole) or _ELSEWHERE.intersection(plain[taken : taken + 1]) or (lacking and _needs_all(begins)):
        return None
    return " ".join(whole)


def _taken(words: Sequence[str], begins: str) -> tuple[int, int]:
    """How many of the words are the command's, and how many operands it might have had besides."""
    at = len(begins.split())
    left = OPERANDS[begins]
    while at < len(words):
        word = words[at]
        if word == "--":
            left = _PATHS.get(begins, 1)
        elif word.startswith("-"):
            takes_none = (words[0] == "git" and word in _FLAGS_OF_GIT) or (begins, word) in FLAGS
            at += word in VALUED and not takes_none
        elif left:
            left -= 1
        else:
            break
        at += 1
    return min(at, len(words)), left


def _needs_all(begins: str) -> bool:
    """Whether a command means something else with fewer operands."""
    return begins.startswith("ckgit ") or begins in ("git config", "git remote add")


def _is_placeholder(words: Sequence[str]) -> bool:
    """Whether a part of a command stands for something else, as what is left of a secret does."""
    parts = {part for word in words for part in re.split(r"[=/.:]", word)}
    return bool(parts & _PLACEHOLDERS) or any("…" in word for word in words)
