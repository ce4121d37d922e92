"""The trailers of ckgit's commits, as git's own parser reads them."""

from __future__ import annotations

from typing import NamedTuple

_KEYS = ("Experiment", "Event", "From", "To", "Design")
# One atom for all keys: git 2.39 adds the keys of several atoms together.
_ATOM = "trailers:" + ",".join(f"key=Ckgit-{key}" for key in _KEYS)
REF_ATOM = f"%(contents:{_ATOM})"  # in a format of for-each-ref
LOG_ATOM = f"%({_ATOM})"  # in a format of log


class Recorded(NamedTuple):
    """What a commit of ckgit's recorded. `source` is `none` for the first one."""

    event: str
    source: str
    target: str
    design: str


def parse_trailers(text: str, name: str) -> Recorded | None:
    """What git printed for one of the atoms; None when the commit is not ckgit's, or not of experiment `name`."""
    pairs = [line.split(": ", 1) for line in text.strip().splitlines() if ": " in line]
    found = {key.removeprefix("Ckgit-"): value for key, value in pairs}
    if len(found) != len(pairs) or set(found) != set(_KEYS) or found["Experiment"] != name:
        return None
    return Recorded(found["Event"], found["From"], found["To"], found["Design"])
