"""All checks, one after the other: each has a time limit, and one that breaks hides no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.lab.lab import Lab
from ckgit.orchestrators.upkeep.doctor import lab as of_lab
from ckgit.orchestrators.upkeep.doctor import left_over, machine
from ckgit.orchestrators.upkeep.doctor.point import Check, Point, error, warning

_QUIET = 2.0  # seconds after which a person is told what is looked at
CHECKS: Sequence[Check] = (
    Check("git", machine.git_there),
    Check("python", machine.python_there),
    Check("versions", machine.versions),
    Check("trainers", machine.trainers),
    Check("gpu", machine.gpu, seconds=120.0),  # torch takes long to import from a slow disk
    Check("ckgit.toml", of_lab.configuration),
    Check("slurm", of_lab.slurm, seconds=120.0),
    Check("hooks", of_lab.hooks),
    Check("authority", of_lab.authority, seconds=90.0),
    Check("disk", of_lab.disk),
    Check("models", of_lab.models),
    Check("jobs", left_over.jobs, seconds=120.0),
    Check("work trees", left_over.work_trees, seconds=120.0),
    Check("left files", left_over.left_files),
    Check("cache", left_over.cache),
)


class CheckedThing(NamedTuple):
    """A point, and the name of the check that made it."""

    check: str
    point: Point


def checkup(lab: Lab, tell: Callable[[str], None], checks: Sequence[Check] = CHECKS) -> Iterator[CheckedThing]:
    """What each check finds, in their order.

    Args:
        tell: told what is looked at, where that takes a moment.
    """
    for check in checks:
        yield from (CheckedThing(check.name, point) for point in _looked(lab, check, tell))


def _looked(lab: Lab, check: Check, tell: Callable[[str], None]) -> Sequence[Point]:
    found: list[Point] = []
    thread = threading.Thread(target=_look, args=(lab, check, found), daemon=True)  # one that hangs ends with the process
    thread.start()
    thread.join(min(_QUIET, check.seconds))
    if thread.is_alive():
        tell(f"looking at {check.name}, which may take {check.seconds:.0f} s")
        thread.join(check.seconds - _QUIET)
    if thread.is_alive():
        return [*found, warning(f"no answer within {check.seconds:.0f} s", "try again, or look at a disk or a server that hangs")]
    return found


def _look(lab: Lab, check: Check, found: list[Point]) -> None:
    try:
        for point in check.look(lab):
            found.append(point)  # noqa: PERF402 - what was found before it breaks is told
    except CkgitError as failed:
        found.append(error(f"{failed.where}: {failed.what}" if failed.where else failed.what, failed.next))
    except Exception as failed:  # noqa: BLE001 - whatever breaks one check, the others are told
        found.append(error(f"the check itself broke: {type(failed).__name__}: {failed}", "please report it"))
