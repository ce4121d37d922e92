"""A dashboard's pages, made from what was read, and as files in a folder that is one's own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.lab.history.entries import HistoryEntry, history
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.dashboard.experiment_page import experiment_page
from ckgit.orchestrators.dashboard.names import FOLDER, INDEX, page_names
from ckgit.orchestrators.dashboard.now import UNREADABLE, ExperimentNow, LabNow, Unread
from ckgit.orchestrators.dashboard.overview_page import overview_page
from ckgit.orchestrators.reports.read import read_report

MARKER = ".ckgit-dashboard.json"
MADE_BY = f"Made by ckgit {__version__}."
_FORMAT = 2


class WrittenDashboard(NamedTuple):
    """Where a dashboard is."""

    page: Path  # the first one
    lab: LabNow
    removed: int  # pages of experiments that are there no more


def first_page(lab: LabNow) -> bytes:
    """The page that leads to the others."""
    return overview_page(lab, page_names(each.name for each in lab.experiments), MADE_BY)


def page_of(lab: Lab, experiment: ExperimentNow) -> bytes:
    """An experiment's page. What of it cannot be read is told on it."""
    report, why = "", "It has no report yet: that is written when it is analyzed."
    commits: list[HistoryEntry] = []
    try:
        snapshot = take_snapshot(lab, experiment.name, kept=True)
        commits = history(lab, snapshot)
        if snapshot.state is State.ANALYZED:
            report = read_report(lab, experiment.name).body("h2")
    except UNREADABLE as error:
        why = f"There is no report to show: {Unread.of(error).what}."
    return experiment_page(experiment, commits, report, why)


def write_dashboard(lab: Lab, now: LabNow, folder: Path) -> WrittenDashboard:
    """Write the pages. Each is replaced at once, and the first one last, so that whoever looks meanwhile sees whole pages.

    Raises:
        CkgitError: USAGE, the folder holds something else; COMMAND_FAILED, it cannot be written.
    """
    before = _refuse_other(folder)
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        pages = page_names(each.name for each in now.experiments)
        _replace(folder / MARKER, _marker(dict.fromkeys(pages.values(), "") | before))  # which tells at each moment of all that is ours
        made = {pages[each.name]: _page_made(lab, each, folder / pages[each.name], before) for each in now.experiments}
        _replace(folder / INDEX, first_page(now))
        stale = sorted({*before} - {*pages.values()})
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        _replace(folder / MARKER, _marker(made))
    except OSError as error:
        what = f"it cannot be written: {error.strerror}"
        where = error.filename or str(folder)
        raise CkgitError(what, code=Exit.COMMAND_FAILED, where=where, next="make room there, or name another place: --output DIR") from None
    return WrittenDashboard(folder / INDEX, now, len(stale))


def _page_made(lab: Lab, experiment: ExperimentNow, file: Path, before: Mapping[str, str]) -> str:
    """What the page was made of, and its digest. One that is there, made of the same, is not made again."""
    known = before.get(f"{FOLDER}/{file.name}", "")
    if experiment.key and known == _made_of(experiment, _content(file)):
        return known
    content = page_of(lab, experiment)
    _replace(file, content)
    return _made_of(experiment, content)


def _made_of(experiment: ExperimentNow, content: bytes) -> str:
    return f"{experiment.key} {hashlib.sha256(content).hexdigest()}"


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _refuse_other(folder: Path) -> dict[str, str]:
    """Pages that an earlier dashboard has there, each with what it was made of; of one of before that was kept, nothing."""
    if not os.path.lexists(folder):
        return {}
    if not folder.is_dir():
        raise _not_ours(folder, "it is no folder")
    if (folder / FOLDER).is_symlink():
        raise _not_ours(folder, f"its {FOLDER}/ leads elsewhere")
    try:
        pages = json.loads((folder / MARKER).read_bytes())["pages"]
        made = pages if isinstance(pages, dict) else dict.fromkeys(pages, "")
        return {name: str(of) for name, of in made.items() if _is_page(name)}
    except FileNotFoundError:
        if any(folder.iterdir()):
            raise _not_ours(folder, "it holds something that is no dashboard of ckgit's") from None
        return {}
    except (ValueError, LookupError, TypeError):
        raise _not_ours(folder, f"its {MARKER} cannot be read") from None


def _not_ours(folder: Path, why: str) -> CkgitError:
    onward = "name a folder that is new or empty: --output DIR"
    return CkgitError(why, code=Exit.USAGE, where=str(folder), state="nothing was written", next=onward)


def _is_page(name: object) -> bool:
    """Whether it may be removed: a file of our own folder, and not what somebody wrote into the marker."""
    return isinstance(name, str) and Path(name).parent == Path(FOLDER) and Path(name).suffix == ".html" and ".." not in name


def _marker(pages: Mapping[str, str]) -> bytes:
    return (json.dumps({"format": _FORMAT, "pages": pages}, indent=1, sort_keys=True) + "\n").encode()


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
