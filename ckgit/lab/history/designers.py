"""Who designed the experiments of a lab, and which designs were given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ckgit.lab.git.command import git, is_ancestor
from ckgit.lab.git.trailers import LOG_ATOM, parse_trailers


def designers(root: Path, tips: Mapping[str, str]) -> dict[str, str]:
    """The address of who made each experiment's newest design commit, by name of the experiment.

    Args:
        tips: commit of each experiment. What another one's branch says of it does not count where its own says otherwise.
    """
    command = ("rev-list", "--no-commit-header", "--extended-regexp", "--grep=^Ckgit-Event: (design|revise)$")
    fields = git(root, *command, f"--format=%H %ae%x00{LOG_ATOM}%x00", *tips.values(), "--").decode(errors="replace").split("\0")
    made: dict[str, list[tuple[str, str]]] = {}
    for told, trailers in zip(fields[::2], fields[1::2], strict=False):
        name = next((line.partition(": ")[2] for line in trailers.splitlines() if line.startswith("Ckgit-Experiment: ")), "")
        if name in tips and parse_trailers(trailers, name):
            commit, _, address = told.strip().partition(" ")
            made.setdefault(name, []).append((commit, address))
    return {name: _newest(root, tips[name], found) for name, found in made.items()}


def _newest(root: Path, tip: str, made: Sequence[tuple[str, str]]) -> str:
    if len({address for _, address in made}) == 1:
        return made[0][1]
    return next((address for commit, address in made if is_ancestor(root, commit, tip)), "")


def revised(root: Path, tips: Mapping[str, str]) -> list[tuple[str, str]]:
    """Experiments that were taken back to a new design, each with the commit before that, whose ledger is the only one of its jobs.

    Args:
        tips: commit of each experiment.
    """
    form = f"--format=%P%x00{LOG_ATOM}%x00"
    command = ("rev-list", "--no-commit-header", "--grep=^Ckgit-Event: revise$", form)
    fields = git(root, *command, *tips.values(), "--").decode(errors="replace").split("\0")
    found = []
    for parents, trailers in zip(fields[::2], fields[1::2], strict=False):
        name = next((line.partition(": ")[2] for line in trailers.splitlines() if line.startswith("Ckgit-Experiment: ")), "")
        before = next(iter(parents.split()), "")
        if before and name in tips and parse_trailers(trailers, name) and is_ancestor(root, before, tips[name]):
            found.append((name, before))
    return found
