"""The commits of many experiments' branches, by two calls of git."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.formats.times import of_git
from ckgit.lab.git.command import GitError, git, unreadable
from ckgit.lab.git.trailers import LOG_ATOM, Trailers, parse_trailers
from ckgit.lab.lab import Lab
from ckgit.results.from_git.sources import ResultsSource

_FORM = f"--format=%H%x00%P%x00%ct%x00%an%x00%s%x00{LOG_ATOM}%x00"
_FIELDS = 6
_OF = "Ckgit-Experiment: "


class LoggedStep(NamedTuple):
    """A commit, as git tells it."""

    oid: str
    parents: Sequence[str]
    committed: str  # seconds since 1970
    author: str
    subject: str
    trailers: str

    def of(self, name: str) -> Trailers | None:
        """What it has recorded of an experiment; None where that is nothing."""
        return parse_trailers(self.trailers, name)


def commits_of(lab: Lab, sources: Sequence[ResultsSource]) -> dict[str, list[LoggedStep]]:
    """The commits of each source, oldest first: those that the default branch does not hold, and steps of the experiment's that it does.

    Of a source whose history git cannot read there is none.
    """
    own, lost = _own(lab, {each.commit for each in sources})
    sources = [each for each in sources if each.commit not in lost]
    merged: dict[str, list[LoggedStep]] = {}
    for step in _logged(lab, f"{lab.base}\n", f"--grep=^{_OF}"):
        for name in [line.removeprefix(_OF) for line in step.trailers.splitlines() if line.startswith(_OF)]:
            merged.setdefault(name, []).insert(0, step)
    order = {oid: at for at, oid in enumerate(own)}
    return {each.experiment: [*(merged.get(each.name, ()) if each.current else ()), *_below(each.commit, own, order)] for each in sources}


def _own(lab: Lab, tips: set[str]) -> tuple[dict[str, LoggedStep], set[str]]:
    """Commits that some tips stand on and the default branch does not, by id; and those tips of which git cannot tell."""
    lost = set[str]()
    while True:
        try:
            found = _logged(lab, "".join(f"{word}\n" for word in (*sorted(tips - lost), f"^{lab.base}")))
            return {step.oid: step for step in found}, lost
        except GitError:
            if lost or not (lost := unreadable(lab.root, tips, lab.base)):
                raise


def _logged(lab: Lab, commits: str, *options: str) -> Iterator[LoggedStep]:
    """Commits, the newest first."""
    command = ("rev-list", "--topo-order", "--no-commit-header", *options, _FORM, "--stdin")
    fields = git(lab.root, *command, stdin=commits.encode()).decode(errors="replace").split("\0")
    for at in range(0, len(fields) - _FIELDS, _FIELDS):
        oid, parents, *rest = fields[at : at + _FIELDS]
        yield LoggedStep(oid.strip(), parents.split(), *rest)


def _below(tip: str, known: Mapping[str, LoggedStep], order: Mapping[str, int]) -> list[LoggedStep]:
    """A commit and those that it stands on, oldest first, as far as they are known."""
    found, waiting = set[str](), [tip]
    while waiting:
        oid = waiting.pop()
        if oid in known and oid not in found:
            found.add(oid)
            waiting += known[oid].parents
    return [known[oid] for oid in sorted(found, key=order.__getitem__, reverse=True)]


def commit_rows(source: ResultsSource, steps: Sequence[LoggedStep]) -> list[dict[str, Any]]:
    """The rows of the table."""
    return [_row(source, number, step) for number, step in enumerate(steps, start=1)]


def _row(source: ResultsSource, number: int, step: LoggedStep) -> dict[str, Any]:
    recorded = step.of(source.name)
    return {
        "experiment": source.experiment,
        "commit": step.oid,
        "number": number,
        "time": of_git(step.committed).replace(tzinfo=None),
        "author": step.author,
        "subject": step.subject,
        "event": recorded.event if recorded else None,
        "source": recorded.source if recorded else None,
        "target": recorded.target if recorded else None,
        "design_hash": recorded.design if recorded else None,
        "version": recorded.version or None if recorded else None,
    }
