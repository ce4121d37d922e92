"""Which commits the results of a lab are in: of every experiment the one that stands for it, and what its branches have lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ckgit.experiment.design.names import name_problem
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.git.command import GitError, git_lines, is_ancestor, unreadable
from ckgit.lab.git.tips import CLOSED, DELETED, RESCUED, TIPS
from ckgit.lab.lab import BRANCHES, Lab

BRANCH, REMOTE, MERGED, CLOSED_REF, RESCUE, DELETION = "branch", "remote", "merged", "closed", "rescued", "deleted"
# What holds a commit beside the one that stands for an experiment, by how its ref begins; where several do, the first one says it.
_BESIDE = {RESCUED: RESCUE, DELETED: DELETION, CLOSED: CLOSED_REF, "refs/remotes/": REMOTE, TIPS: RESCUE, BRANCHES: BRANCH}


class ResultsSource(NamedTuple):
    """A commit whose results are in the tables."""

    experiment: str  # NAME, or NAME@COMMIT of what does not stand for it
    name: str
    commit: str
    held: str  # what holds it
    current: bool  # whether it stands for the experiment


def source_commits(lab: Lab, refs: bytes) -> list[ResultsSource]:
    """The commits that results are read from, each experiment's own first."""
    beside = _beside(refs.decode(errors="replace").splitlines())
    found = {row.name: _main(lab, row, beside.get(row.name, {})) for row in list_experiments(lab, kept=True)}
    there = {each.commit for each in found.values()} | {lab.base}
    others = [(name, commit, held) for name, commits in beside.items() for commit, held in commits.items() if commit not in there]
    lost = unreachable(lab, [commit for _, commit, _ in others], there)
    return [*found.values(), *(lost_source(name, commit, held) for name, commit, held in others if commit in lost)]


def lost_source(name: str, commit: str, held: str) -> ResultsSource:
    """A commit of an experiment that does not stand for it."""
    return ResultsSource(f"{name}@{commit[:12]}", name, commit, held, current=False)


def _main(lab: Lab, row: ExperimentRow, beside: Mapping[str, str]) -> ResultsSource:
    """What stands for an experiment: as `ckgit list` has it, or a remote's branch, as it was fetched, that goes on from there."""
    held = REMOTE if row.remote else str(row.kept) if row.kept else BRANCH
    theirs = [] if held != BRANCH else [commit for commit, where in beside.items() if where == REMOTE and commit != row.tip]
    ahead = next((commit for commit in theirs if not row.lost and _holds(lab, commit, row.tip)), None)
    return ResultsSource(row.name, row.name, ahead or row.tip, REMOTE if ahead else held, current=True)


def _holds(lab: Lab, commit: str, older: str) -> bool:
    """Whether a commit has another in its history, as far as git can read that."""
    try:
        return is_ancestor(lab.root, older, commit)
    except GitError:
        return False


def _beside(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """What holds each commit, by experiment."""
    told: dict[str, dict[str, str]] = {}
    pairs = [line.rsplit(" ", 1) for line in lines]
    for begins, held in _BESIDE.items():
        for ref, commit in pairs:
            if ref.startswith(begins) and (name := _name(ref, begins)):
                told.setdefault(name, {}).setdefault(commit, held)
    return told


def _name(ref: str, begins: str) -> str:
    """The experiment that a ref is of; empty for none."""
    rest = ref.removeprefix(begins)
    name = rest.partition("/exp/")[2] if begins == "refs/remotes/" else rest.partition("/")[0].partition("@")[0]
    return "" if name_problem(name) else name


def unreachable(lab: Lab, commits: Iterable[str], held: Iterable[str]) -> set[str]:
    """Those of some commits that none of others holds; also those whose history git cannot read."""
    wanted, others = set(commits), set(held)
    if not wanted:
        return set()
    try:
        return wanted & set(_since(lab, wanted, others))
    except GitError:
        lost = unreadable(lab.root, wanted | others, lab.base)
        if not lost:
            raise
        return (wanted & lost) | (wanted & set(_since(lab, wanted - lost, others - lost)))


def _since(lab: Lab, commits: Iterable[str], held: Iterable[str]) -> list[str]:
    words = [*sorted(commits), *(f"^{each}" for each in sorted(held))]
    return git_lines(lab.root, "rev-list", "--stdin", stdin="".join(f"{word}\n" for word in words).encode())
