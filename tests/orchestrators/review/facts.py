"""The facts of an honest history, and what it is with one of them changed, as a liar would tell it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ckgit import __version__
from tests.orchestrators.review.history import FOLDER, Commit, History

LEDGER, SUMMARY = "jobs.json", "experiment_summary.md"
_WORDS = 2  # that are drawn of each file
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Mutation(NamedTuple):
    """One lie."""

    kind: str
    name: str  # the same whenever the history is made
    told: Callable[[History], History]
    kept: frozenset[str] = frozenset()  # files that are not made to agree, as they are the lie

    @property
    def label(self) -> str:
        return f"{self.kind}: {self.name}"


def mutations(history: History) -> list[Mutation]:
    """All of them, in an order that does not change."""
    makers = (_ledger, _everywhere, _design, _messages, _times, _words, _missing, _swapped, _order, _attempts, _inputs)
    return [mutation for maker in makers for mutation in maker(history)]


# the ledger


def _ledger(history: History) -> Iterator[Mutation]:
    last = json.loads(history[-1].own()[LEDGER])
    for name, value in last.items():
        if name != "attempts":
            for what, new in _others(value):
                yield Mutation("ledger", f"{name}{what}", _in_ledger(None, (name,), value, new), _kept(name))
    for attempt in last["attempts"]:
        who = f"{attempt['job']}#{attempt['number']}"
        for place, value in _leaves(attempt):
            for what, new in _others(value):
                name = f"{who} {_plain(history, '.'.join(place))}{what}"
                yield Mutation("ledger", name, _in_ledger(attempt["token"], place, value, new), _kept(place[0]))


def _kept(name: str) -> frozenset[str]:
    """Where a digest is the lie, it is not made to agree."""
    return frozenset({LEDGER}) if name in ("files", "script_sha256", "tree", "commit", "design") else frozenset()


def _leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, (*place, key))
    else:
        yield place, value


def _others(value: Any) -> list[tuple[str, Any]]:
    """Other values, each with a word on it."""
    if isinstance(value, bool):
        return [("", not value)]
    if isinstance(value, int | float):
        return [("", value + 1)]
    if isinstance(value, list | tuple):
        return [("", [*value, "x"])]
    if isinstance(value, dict):
        return [("", {"x": "y"})]
    if _TIME.fullmatch(value):
        return [(" +1h", _later(value, 1)), (" -1h", _later(value, -1)), (" +30d", _later(value, 720)), (" -30d", _later(value, -720))]
    if re.fullmatch(r"[0-9a-f]{40,64}", value):
        return [("", value[::-1])]
    known = {"done": "failed", "failed": "done", "training": "evaluation", "evaluation": "training", "error": "node-failure"}
    return [("", known.get(value) or (str(int(value) + 1) if value.isdigit() else f"{value}x"))]


def _later(time: str, hours: int) -> str:
    return (datetime.fromisoformat(time) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _in_ledger(token: str | None, place: Sequence[str], old: Any, new: Any) -> Callable[[History], History]:
    def edit(document: dict[str, Any]) -> None:
        for top in [each for each in document["attempts"] if each["token"] == token] if token else [document]:
            for key in place[:-1]:
                top = top.get(key) or {}  # noqa: PLW2901 - on the way down
            if top.get(place[-1]) == old:
                top[place[-1]] = new

    return lambda history: [_ledger_of(commit, edit) for commit in history]


def _ledger_of(commit: Commit, edit: Callable[[dict[str, Any]], None]) -> Commit:
    if LEDGER not in commit.own():
        return commit
    document = json.loads(commit.own()[LEDGER])
    edit(document)
    return commit.put({LEDGER: (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()})


# one value wherever it stands


def _everywhere(history: History) -> Iterator[Mutation]:
    """A careful liar: the value is another one in each file, path and message."""
    attempts = json.loads(history[-1].own()[LEDGER])["attempts"]
    for attempt in attempts:
        who = f"{attempt['job']}#{attempt['number']}"
        for name in ("job_id", "token"):
            other = attempt[name][:-1] + ("0" if attempt[name][-1] != "0" else "1")
            yield _replaced(f"{who} {name}", (attempt[name], other))
    failed = next(each for each in attempts if each["phase"] == "failed")
    yield _replaced("the reason of a failure", (failed["reason"], "the node went down, said the tool"))
    yield _replaced("what a tool printed", ("the tool says no", "the tool is not there"))
    yield _replaced("the work tree", (json.loads(history[-1].own()[LEDGER])["work_tree"], "/elsewhere/work"))
    yield _replaced("the scheduler", ("scheduler local", "scheduler slurm"))
    yield _replaced("the cluster", ("cluster local", "cluster there"))
    yield _replaced("a loss", ("loss:0.2", "loss:0.1"), ("final loss 0.2", "final loss 0.1"))
    yield _replaced("an accuracy", ('"accuracy": 0.9', '"accuracy": 0.95'), ("0.900 [0.704, 1.000]", "0.950 [0.754, 1.000]"))
    yield _replaced("the question", ("Does training help?", "Is training of help?"))
    yield _replaced("a run", ("rank8", "rank9"))
    yield _replaced("a set-up line", ("export TINY=", "export TIN="))


def _replaced(name: str, *pairs: tuple[str, str]) -> Mutation:
    def text(content: str) -> str:
        for old, new in pairs:
            content = content.replace(old, new)
        return content

    def told(history: History) -> History:
        return [commit._replace(message=text(commit.message), files=_of_all(commit.files, text)) for commit in history]

    return Mutation("everywhere", name, told)


def _of_all(files: Mapping[str, bytes], text: Callable[[str], str]) -> dict[str, bytes]:
    """Files and their paths with another text; outside of the experiment paths stay."""
    renamed = {path: text(path) if path.startswith(f"{FOLDER}/") else path for path in files}
    told = {path: text(content.decode(errors="surrogateescape")) for path, content in files.items()}
    return {renamed[path]: content.encode(errors="surrogateescape") for path, content in told.items()}


# the summary


def _design(history: History) -> Iterator[Mutation]:
    front = history[-1].own()[SUMMARY].decode().split("---\n")[1].splitlines()
    begun = next(index for index, commit in enumerate(history) if commit.event == "submit")
    for number, line in enumerate(front):
        found = re.fullmatch(r"(\s*(?:- )?)([\w./-]+: |)(.+[^:])", line)
        if not found:
            continue
        value = re.sub(r"\d+", lambda digits: str(int(digits[0]) + 1), found[3], count=1) if re.search(r"\d", found[3]) else f"{found[3]}x"
        value = value[:-2] + "x]" if value.endswith("]x") else value
        value = found[3][::-1] if re.fullmatch(r"[0-9a-f]{64}", found[3]) else value
        new = f"{found[1]}{found[2]}{value}"
        for since, word in ((0, "from the first commit on"), (begun, "once jobs were submitted")):
            yield Mutation("design", f"line {number} ({found[2].strip(': ')}) {word}", _line(SUMMARY, line, new, since))


def _line(path: str, old: str, new: str, since: int = 0) -> Callable[[History], History]:
    """A line of a file is another one, in each commit that has it."""

    def edit(commit: Commit) -> Commit:
        lines = commit.own().get(path, b"").decode(errors="surrogateescape").split("\n")
        if old not in lines:
            return commit
        lines[lines.index(old)] = new
        return commit.put({path: "\n".join(lines).encode(errors="surrogateescape")})

    return lambda history: [*history[:since], *(edit(commit) for commit in history[since:])]


# commits


def _messages(history: History) -> Iterator[Mutation]:
    for index, commit in enumerate(history):
        who = f"{index} {commit.event or 'by hand'}"
        lines = commit.message.rstrip("\n").split("\n")
        trailers = [number for number, line in enumerate(lines) if line.startswith("Ckgit-")]
        for number, line in enumerate(lines):
            if not line:
                continue
            what = line.partition(":")[0] if number in trailers else f"line {number}"
            if what == "Ckgit-Design":
                continue  # it is made to agree
            yield Mutation("message", f"{who} {what}", _message(index, [*lines[:number], _other_line(line), *lines[number + 1 :]]))
            if what in ("Ckgit-Version", "Ckgit-Build", "Ckgit-Event"):
                yield Mutation("message", f"{who} without {what}", _message(index, [*lines[:number], *lines[number + 1 :]]))


def _other_line(line: str) -> str:
    key, colon, value = line.partition(": ")
    if not line.startswith("Ckgit-"):
        return re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), line, count=1) if re.search(r"\d", line) else f"{line} x"
    known = {"design": "revise", "scaffold": "submit", "submit": "retry", "retry": "submit", "fail": "cancel", "train": "submit"}
    known |= {"none": "designed", "designed": "scaffolded", "scaffolded": "trained", "trained": "scaffolded", "demo": "other"}
    known |= {"evaluate": "analyze", "analyze": "evaluate", "evaluated": "analyzed", "analyzed": "evaluated", __version__: "0.1.0"}
    return f"{key}{colon}{known.get(value) or value[::-1]}"


def _message(index: int, lines: Sequence[str]) -> Callable[[History], History]:
    return lambda history: [
        commit._replace(message="\n".join(lines) + "\n") if number == index else commit for number, commit in enumerate(history)
    ]


def _times(history: History) -> Iterator[Mutation]:
    for index, commit in enumerate(history):
        for name, hours, word in (("author", -1, "-1h"), ("author", 720, "+30d"), ("author", -720, "-30d"), ("committer", -720, "-30d")):
            yield Mutation("time", f"{index} {commit.event or 'by hand'} {name} {word}", _timed(index, name, hours * 3600))
        yield Mutation("time", f"{index} {commit.event or 'by hand'} author", _named(index))


def _timed(index: int, name: str, seconds: int) -> Callable[[History], History]:
    def later(commit: Commit) -> Commit:
        who, time, zone = getattr(commit, name).rsplit(" ", 2)
        return commit._replace(**{name: f"{who} {int(time) + seconds} {zone}"})

    return lambda history: [later(commit) if number == index else commit for number, commit in enumerate(history)]


def _named(index: int) -> Callable[[History], History]:
    def other(commit: Commit) -> Commit:
        return commit._replace(author=commit.author.replace("Ada Author", "Eve Other"))

    return lambda history: [other(commit) if number == index else commit for number, commit in enumerate(history)]


# files


def _words(history: History) -> Iterator[Mutation]:
    drawn = random.Random(1)  # noqa: S311 - a fixed list, drawn once
    for path, content in sorted(history[-1].own().items(), key=lambda each: _plain(history, each[0])):
        if path in (LEDGER, SUMMARY):
            continue
        lines = content.decode().split("\n") if _is_text(content) else []
        places = [(number, found) for number, line in enumerate(lines) for found in re.finditer(r"[\w.]+", line)]
        for number, found in sorted(drawn.sample(places, min(_WORDS, len(places))), key=lambda place: place[0]):
            line = lines[number]
            new = line[: found.start()] + _other_word(found[0]) + line[found.end() :]
            name = f"{_plain(history, path)} line {number + 1} column {found.start() + 1}"
            yield Mutation("word", name, _line(path, line, new), frozenset({path}))
        yield Mutation("word", f"{_plain(history, path)} a line more", _appended(path), frozenset({path}))


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _other_word(word: str) -> str:
    digit = re.search(r"\d", word)
    return word[: digit.start()] + str((int(digit[0]) + 1) % 10) + word[digit.end() :] if digit else f"{word}x"


def _appended(path: str) -> Callable[[History], History]:
    def edit(commit: Commit) -> Commit:
        return commit.put({path: commit.own()[path] + b"one more\n"}) if path in commit.own() else commit

    return lambda history: [edit(commit) for commit in history]


def _plain(history: History, text: str) -> str:
    """A name without what is drawn anew: job ids, and tokens."""
    for attempt in json.loads(history[-1].own()[LEDGER])["attempts"]:
        text = text.replace(f"slurm-{attempt['job_id']}", f"slurm-#{attempt['number']}")
    return text


def _missing(history: History) -> Iterator[Mutation]:
    for path in sorted(history[-1].own()):
        name = _plain(history, path)
        yield Mutation("gone", f"{name} from the first commit on", _without(path), frozenset({path}))
        yield Mutation("gone", f"{name} in the last commit", _without(path, len(history) - 1), frozenset({path}))


def _without(path: str, since: int = 0) -> Callable[[History], History]:
    return lambda history: [commit.put({path: None}) if number >= since else commit for number, commit in enumerate(history)]


_PAIRS = (
    ("rank4/eval/logs/capitalization_epoch0.json", "base/eval/logs/capitalization_base.json"),
    ("rank4/finetune.slurm", "rank8/finetune.slurm"),
    ("rank4/eval/capitalization_epoch0.slurm", "rank8/eval/capitalization_epoch0.slurm"),
    ("scaffold-tiny-trainer.log", "scaffold-tiny-evaluator.log"),
    ("run-tiny-trainer.log", "run-tiny-evaluator.log"),
    ("analysis/loss.svg", "analysis/scores.svg"),
)


def _swapped(history: History) -> Iterator[Mutation]:
    for one, two in _PAIRS:
        yield Mutation("swap", f"{one} and {two}", _exchanged(one, two), frozenset({one, two}))


def _exchanged(one: str, two: str) -> Callable[[History], History]:
    def edit(commit: Commit) -> Commit:
        own = commit.own()
        there: Mapping[str, bytes | None] = {one: own.get(two), two: own.get(one)}
        return commit.put(there)

    return lambda history: [edit(commit) for commit in history]


# the order of commits


def _order(history: History) -> Iterator[Mutation]:
    for index, commit in enumerate(history):
        who = f"{index} {commit.event or 'by hand'}"
        yield Mutation("order", f"{who} is left out", lambda all_, at=index: [*all_[:at], *all_[at + 1 :]])
        yield Mutation("order", f"{who} is there twice", lambda all_, at=index: [*all_[: at + 1], *all_[at:]])
        if index + 1 < len(history):
            yield Mutation("order", f"{who} and the next change places", lambda all_, at=index: _changed_places(all_, at))
            yield Mutation("order", f"{who} and the next are one, by the first's name", lambda all_, at=index: _squashed(all_, at, 0))
    for index in range(1, len(history) - 1):
        what = f"{index} {history[index].event or 'by hand'} undone by the next commit"
        yield Mutation("order", what, lambda all_, at=index: [*all_[: at + 1], _undone(all_, at), *all_[at + 1 :]])


def _changed_places(history: History, at: int) -> History:
    return [*history[:at], history[at + 1], history[at], *history[at + 2 :]]


def _squashed(history: History, at: int, name: int) -> History:
    one = history[at + 1]._replace(message=history[at + name].message)
    return [*history[:at], one, *history[at + 2 :]]


def _undone(history: History, at: int) -> Commit:
    """A commit by hand that takes back what the one before did; the next step brings it again."""
    return history[at]._replace(files=history[at - 1].files, message="taken back\n")


# attempts


def _attempts(history: History) -> Iterator[Mutation]:
    attempts = json.loads(history[-1].own()[LEDGER])["attempts"]
    for attempt in attempts:
        who, token = f"{attempt['job']}#{attempt['number']}", attempt["token"]
        yield Mutation("attempt", f"{who} is left out, the others renumbered", lambda all_, token=token: _left_out(all_, token))
        yield Mutation("attempt", f"{who} is of another run", _in_ledger(token, ("job",), attempt["job"], f"x{attempt['job']}"))
        yield Mutation("attempt", f"{who} is there twice", lambda all_, token=token: _twice(all_, token))
    yield Mutation("attempt", "two change places", lambda all_: [_ledger_of(commit, _turned) for commit in all_])


def _left_out(history: History, token: str) -> History:
    def edit(document: dict[str, Any]) -> None:
        left = [each for each in document["attempts"] if each["token"] != token]
        counted: dict[str, int] = {}
        for each in left:
            counted[each["job"]] = each["number"] = counted.get(each["job"], 0) + 1
        document["attempts"] = left

    return [_ledger_of(commit, edit) for commit in history]


def _twice(history: History, token: str) -> History:
    def edit(document: dict[str, Any]) -> None:
        found = [each for each in document["attempts"] if each["token"] == token]
        document["attempts"] += [{**each, "number": 9, "token": f"{token[:-8]}01234567"} for each in found]

    return [_ledger_of(commit, edit) for commit in history]


def _turned(document: dict[str, Any]) -> None:
    document["attempts"] = document["attempts"][::-1]


# what was designed with


def _inputs(history: History) -> Iterator[Mutation]:
    for path in ("models/tiny.yaml", "tasks/capitalization.py", "data/words.json", "ckgit.toml"):
        for since, word in ((0, "from the first commit on"), (len(history) - 1, "in the last commit")):
            yield Mutation("input", f"{path} {word}", lambda all_, path=path, since=since: _with_input(all_, path, since))


def _with_input(history: History, path: str, since: int) -> History:
    def edit(commit: Commit) -> Commit:
        return commit._replace(files={**commit.files, path: commit.files[path] + b"\n# more\n"})

    return [edit(commit) if number >= since else commit for number, commit in enumerate(history)]
