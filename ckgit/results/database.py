"""The database of a lab's results: a file in the repository's folder that may be deleted at any time.

It is named by a digest of all refs that it follows from, so whoever finds the file of the refs as they are now has the right one, and
one that is being made is never in anybody's way: it is written beside, and renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import escaped
from ckgit.lab.lab import Lab
from ckgit.results.refs import lost_in, mark_of, refs_text

T = TypeVar("T")
_FOLDER = "ckgit/results"  # in the folder of the repository
_KEPT = 2  # files: a reader may have seen the name of the one before
FORMAT = "4"  # of the tables: to be raised when a column changes, or what is put into one
# What a query may do: nothing but read these tables.
_LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # variables of this process
    "temp_directory": "",
    "lock_configuration": "true",
}


class Moment(NamedTuple):
    """Which state of the lab is asked for; with neither, the present one."""

    as_of: str = ""  # a date
    at: str = ""  # a commit


NOW = Moment()
_VERSION = f"{FORMAT}-{__version__}"


def _no_word(_count: int) -> None:
    pass


def answered(lab: Lab, question: Callable[[Any], T], moment: Moment = NOW, tell: Callable[[int], None] = _no_word) -> T:
    """What a question to the results of a lab gives.

    Args:
        question: is given a connection that can do nothing but read them; asked again where what was kept turns out to be damaged.
        tell: told how many experiments are to be read first.

    Raises:
        CkgitError: USAGE, there is no such date or commit; TOOL_MISSING, duckdb is not installed; or what `question` raises.
    """
    _duckdb()
    if moment != NOW:
        return _asked(_past(lab, moment, tell), question)
    try:
        return _asked(_present(lab, tell), question)
    except damage():
        for path in _newest(lab.git_dir / _FOLDER):
            path.unlink(missing_ok=True)
        return _asked(_present(lab, tell), question)


def _asked(connection: Any, question: Callable[[Any], T]) -> T:
    try:
        return question(connection)
    finally:
        connection.close()


def damage() -> tuple[type[Exception], ...]:
    """What DuckDB raises where its file is damaged."""
    duckdb = _duckdb()
    return (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)


def _duckdb() -> Any:
    try:
        import duckdb
    except ModuleNotFoundError:
        what = "the results of a lab are read by duckdb, which is not installed"
        raise CkgitError(what, code=Exit.TOOL_MISSING, state="nothing was read", next='pip install "ckgit[results]"') from None
    return duckdb


def _present(lab: Lab, tell: Callable[[int], None]) -> Any:
    refs = refs_text(lab.root)
    file = lab.git_dir / _FOLDER / f"{_VERSION}-{mark_of(refs, lab.base, *_installed(), *lost_in(lab.root, refs, lab.base))}.duckdb"
    return _read_only(file) or _filled(lab, refs, file, tell)


def _installed() -> list[str]:
    """What changes when a tool is installed, without which an experiment could not be read."""
    places = [place for place in map(Path, sys.path) if place.is_dir()]
    return [f"{place} {place.stat().st_mtime_ns}" for place in places if place.name in ("site-packages", "dist-packages")]


def _read_only(file: Path) -> Any | None:
    """A connection to a file; None where it is not there, or damaged."""
    duckdb = _duckdb()
    if not file.exists():
        return None
    with contextlib.suppress(duckdb.Error, OSError):
        connection = duckdb.connect(str(file), read_only=True, config=_LOCKED)
        with contextlib.suppress(duckdb.Error):
            connection.execute("SELECT count(*) FROM experiments").fetchall()  # to its end, or the connection would be busy
            return connection
        connection.close()
    return None


def _filled(lab: Lab, refs: bytes, file: Path, tell: Callable[[int], None]) -> Any:
    """A connection to a file that is made now, from the newest one that is kept."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with (file.parent / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # who waits here finds it made, in most cases
            if found := _read_only(file):
                return found
            new = file.with_suffix(f".{os.getpid()}.new")
            try:
                _make(lab, refs, new, file.parent, tell)
                new.replace(file)
            finally:
                _remove(new)
            found = _read_only(file)
            _tidy(file.parent, file)
    except _unwritten():  # somebody else's repository, or a full disk: then it is made for this command alone
        found = None
    return found or _made_apart(lab, lambda own: _make(lab, refs, own, file.parent, tell))


def _made_apart(lab: Lab, make: Callable[[Path], None]) -> Any:
    """A connection to a file that is gone when the question is answered.

    Raises:
        CkgitError: COMMAND_FAILED, there is no room for it either.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="ckgit-results-", ignore_cleanup_errors=True) as folder:
            own = Path(folder) / "results.duckdb"
            make(own)
            return _read_only(own)
    except _unwritten() as error:
        what = f"the tables of the results cannot be written, neither into {lab.git_dir / _FOLDER} nor for this command alone: {error}"
        onward = "make room there, or set TMPDIR to a folder on a disk with room"
        raise CkgitError(escaped(what), code=Exit.COMMAND_FAILED, state="nothing was read", next=onward) from None


def _unwritten() -> tuple[type[Exception], ...]:
    """What is raised where a file cannot be written, as on a full disk."""
    duckdb = _duckdb()
    return (OSError, duckdb.IOException, duckdb.TransactionException, duckdb.FatalException)


def _remove(file: Path) -> None:
    """Remove a database that is being made, with its log: DuckDB would play that back into the next one of its name."""
    for path in (file, file.with_name(f"{file.name}.wal")):
        path.unlink(missing_ok=True)


def _make(lab: Lab, refs: bytes, new: Path, kept: Path, tell: Callable[[int], None]) -> None:
    from ckgit.results.from_git.sources import source_commits

    write(lab, source_commits(lab, refs), new, kept, tell)


def write(lab: Lab, sources: Any, new: Path, kept: Path, tell: Callable[[int], None]) -> None:
    """Write a database with what some commits hold. What another one has of them is taken from there.

    Args:
        kept: folder of databases that were made before.
    """
    from ckgit.results.from_git.filling import fill, make_tables

    duckdb = _duckdb()
    for before in [*_newest(kept, f"{_VERSION}-*.duckdb")[:1], None]:
        _remove(new)
        try:
            if before:
                shutil.copyfile(before, new)
            with duckdb.connect(str(new)) as connection:
                if not before:
                    make_tables(connection)
                fill(connection, lab, sources, tell)
                connection.execute("CHECKPOINT")
        except (duckdb.Error, OSError):
            if before is None:
                raise
            continue  # that one is damaged, or of another version: from nothing, then
        return


def _newest(folder: Path, pattern: str = "*.duckdb") -> list[Path]:
    """Databases that are kept, the newest first."""
    with contextlib.suppress(OSError):
        return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    return []


def _tidy(folder: Path, current: Path) -> None:
    for path in [each for each in _newest(folder) if each != current][_KEPT - 1 :]:
        path.unlink(missing_ok=True)


def _past(lab: Lab, moment: Moment, tell: Callable[[int], None]) -> Any:
    """A connection to what is made for this question alone."""
    from ckgit.results.from_git.past import past_commits

    sources = past_commits(lab, moment.as_of, moment.at)
    return _made_apart(lab, lambda own: write(lab, sources, own, lab.git_dir / _FOLDER, tell))
