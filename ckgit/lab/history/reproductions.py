"""What second executions of an experiment's jobs came to: a line of JSON each, in notes on the commits that they are about.

They lie under a ref of their own, `refs/notes/ckgit/reproduced`. Anybody who may push there can write them, so they are read as what others
have written: a line that is none is counted, and one that is about other attempts than those that count now is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from ckgit.experiment.classify import newest, read_outline
from ckgit.experiment.reproduction.record import Reproduction
from ckgit.lab.branches import last_recorded
from ckgit.lab.git.command import has_commit, is_ancestor
from ckgit.lab.git.notes import add_line, notes_tip, read_notes
from ckgit.lab.git.objects import read_object
from ckgit.lab.lab import Lab
from ckgit.lab.remotes.notes import fetch_notes, push_notes

REF = "refs/notes/ckgit/reproduced"
_LONGEST = 1_000_000  # bytes of a line
_LARGEST = 10_000_000  # bytes of a note


def reproductions(lab: Lab, name: str, commit: str) -> tuple[Reproduction, ...]:
    """Those of the results that an experiment has at a commit, in the order of their times. Asks no remote."""
    tip = notes_tip(lab.root, REF)
    if not tip:
        return ()
    found = [each for on, content in read_notes(lab.root, tip, most=_LARGEST).items() for each in _read(content, name, on)]
    here = {on for on in {each.commit for each in found} if _holds(lab, on, commit)}
    tokens = _counting(lab, name, commit) if here else frozenset()
    shown = (each for each in found if each.commit in here and all(job.recorded in tokens for job in each.jobs))
    return tuple(sorted(shown, key=lambda each: each.time))


def unreadable(lab: Lab, name: str, commit: str) -> int:
    """How many lines of notes on an experiment's steps, up to a commit, are none that this ckgit can read."""
    tip = notes_tip(lab.root, REF)
    notes = read_notes(lab.root, tip, most=_LARGEST) if tip else {}
    lines = {on: sum(1 for line in content.splitlines() if line.strip() and _parsed(line) is None) for on, content in notes.items()}
    return sum(count for on, count in lines.items() if count and _holds(lab, on, commit) and last_recorded(lab.root, name, on)[0] == on)


def record(lab: Lab, found: Reproduction) -> None:
    """Add one to the notes here, and to the authority's.

    Raises:
        CkgitError: UNKNOWN, the authority does not answer; COMMAND_FAILED, it refuses, or git does. It is noted here in any case.
    """
    line = found.model_dump_json(exclude_defaults=True)
    add_line(lab.root, REF, found.commit, line, subject=f"reproduce {found.experiment}: {found.sameness}")
    push_notes(lab, REF)


def bring_up_to_date(lab: Lab) -> None:
    """Have what the authority knows of them here, too.

    Raises:
        CkgitError: UNKNOWN, it does not answer.
    """
    fetch_notes(lab, REF)


def _read(content: bytes, name: str, on: str) -> Iterator[Reproduction]:
    for line in content.splitlines():
        found = _parsed(line)
        if found and (found.experiment, found.commit) == (name, on) and found.jobs:
            yield found


def _parsed(line: bytes) -> Reproduction | None:
    if len(line) > _LONGEST:
        return None
    try:
        return Reproduction.model_validate_json(line)
    except (ValidationError, RecursionError):
        return None


def _holds(lab: Lab, on: str, commit: str) -> bool:
    return has_commit(lab.root, on) and is_ancestor(lab.root, on, commit)


def _counting(lab: Lab, name: str, commit: str) -> frozenset[str]:
    """Tokens of the attempts that count, as the ledger has them."""
    try:
        ledger = read_outline(read_object(lab.root, f"{commit}:experiments/{name}/jobs.json") or b"")
    except ValueError:
        return frozenset()
    latest: Sequence[str] = [attempt.token for attempt in newest(ledger.attempts).values()]
    return frozenset(latest)
