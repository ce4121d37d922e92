"""Which commits the results of a lab were in at a time, or are in as one commit has the lab."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.lab.git.command import GitError, git, git_text, unreadable
from ckgit.lab.git.objects import read_objects, tree_entries
from ckgit.lab.lab import Lab
from ckgit.results.from_git.sources import MERGED, ResultsSource, lost_source, source_commits, unreachable
from ckgit.results.refs import refs_text


def past_commits(lab: Lab, as_of: str, at: str) -> list[ResultsSource]:
    """The commits that results are read from.

    Args:
        as_of: a date, with or without a time; empty where `at` is given.
        at: a commit; empty where `as_of` is given.

    Raises:
        CkgitError: USAGE, both are given, or it is no date, or there is no such commit.
    """
    if as_of and at:
        raise CkgitError("--as-of and --at do not go together", code=Exit.USAGE, next="give one of them")
    return _held_by(lab, at) if at else _as_of(lab, _last_moment(as_of))


def _held_by(lab: Lab, at: str) -> list[ResultsSource]:
    """The experiments whose folders a commit has."""
    try:
        commit = git_text(lab.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{at}^{{commit}}")
    except GitError:
        what = f"there is no commit {at!r} here"
        advice = f"git log {lab.default_branch} shows those of the default branch"
        raise CkgitError(what, code=Exit.USAGE, where=str(lab.root), next=advice) from None
    folders = [entry.path for entry in tree_entries(lab.root, commit, "experiments/") if entry.kind == "tree"]
    summaries = read_objects(lab.root, [f"{commit}:{folder}/experiment_summary.md" for folder in folders], lenient=True)
    names = [folder.rpartition("/")[2] for folder, summary in zip(folders, summaries, strict=True) if summary is not None]
    return [ResultsSource(name, name, commit, MERGED, current=True) for name in names if not name_problem(name)]


def _last_moment(text: str) -> int:
    """The last second, since 1970, that a date stands for; without a time zone it is this machine's."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise CkgitError(f"{text!r} is no date", code=Exit.USAGE, next="write 2026-11-30, or 2026-11-30T18:00:00Z") from None
    last = moment + datetime.timedelta(days=1, seconds=-1) if _is_day(text) else moment
    return int(last.astimezone().timestamp())


def _is_day(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _as_of(lab: Lab, moment: int) -> list[ResultsSource]:
    """What the tips were then: of all that is known of an experiment, the newest commit of that time stands for it."""
    sources = source_commits(lab, refs_text(lab.root))
    lost = _lost(lab, sources)
    known = _first_parents(lab, [each.commit for each in sources if each not in lost])
    then: dict[str, dict[str, ResultsSource]] = {}
    for each in sources:
        if each not in lost and (commit := _newest(each.commit, known, moment)):
            then.setdefault(each.name, {}).setdefault(commit, each._replace(commit=commit))
    there = _with_summaries(lab, [each for by_commit in then.values() for each in by_commit.values()])
    found = {name: [each for each in there if each.name == name] for name in then}
    return [*(source for each in found.values() if each for source in _ranked(lab, each, known)), *_still_named(lost, found)]


def _lost(lab: Lab, sources: Sequence[ResultsSource]) -> list[ResultsSource]:
    """Those whose history git cannot read: what they were then is not known, which is said of each."""
    lost = unreadable(lab.root, [each.commit for each in sources], lab.base)
    return [each for each in sources if each.commit in lost]


def _still_named(lost: Sequence[ResultsSource], found: Mapping[str, Sequence[ResultsSource]]) -> Iterator[ResultsSource]:
    for each in lost:
        yield lost_source(each.name, each.commit, each.held) if found.get(each.name) else each


def _ranked(lab: Lab, found: Sequence[ResultsSource], known: Mapping[str, tuple[str, int]]) -> Iterator[ResultsSource]:
    first, *others = sorted(found, key=lambda each: (-known[each.commit][1], not each.current))
    yield first._replace(experiment=first.name, current=True)
    lost = unreachable(lab, [each.commit for each in others], [first.commit])
    yield from (lost_source(each.name, each.commit, each.held) for each in others if each.commit in lost)


def _first_parents(lab: Lab, tips: Sequence[str]) -> dict[str, tuple[str, int]]:
    """First parent, empty for none, and time of each commit that some stand on."""
    command = ("rev-list", "--no-commit-header", "--format=%H %ct %P", "--stdin")
    lines = git(lab.root, *command, stdin="".join(f"{tip}\n" for tip in sorted(set(tips))).encode()).decode().splitlines()
    fields = (line.split(" ") for line in lines)
    return {oid: (parents[0] if parents else "", int(time)) for oid, time, *parents in fields}


def _newest(tip: str, known: Mapping[str, tuple[str, int]], moment: int) -> str:
    """The newest commit of a branch that was there at a moment; empty for none."""
    while tip and known[tip][1] > moment:
        tip = known[tip][0]
    return tip


def _with_summaries(lab: Lab, found: Sequence[ResultsSource]) -> list[ResultsSource]:
    paths = [f"{each.commit}:experiments/{each.name}/experiment_summary.md" for each in found]
    contents = read_objects(lab.root, paths, lenient=True)
    return [each for each, content in zip(found, contents, strict=True) if content is not None]
