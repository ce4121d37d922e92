"""Unpacks a log that anybody may have written: within bounds, into one file, and nothing that inspect would not write."""

from __future__ import annotations

import io
import zipfile
from typing import IO

from ckgit.workers.inspect_ai.codes import RefusedLogError

MOST = 2_000_000_000  # bytes of a log once it is unpacked
DENSEST = 200  # times as large as packed: transcripts repeat themselves, and are packed to a tenth or a fiftieth
SMALL = 64_000_000  # what unpacks to less may be packed as densely as it likes
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93)  # 93 is Zstandard, as inspect packs; a little bzip2 becomes gigabytes at once
_AT_ONCE = 4096  # packed bytes; Python's zipfile unpacks all that it read before it counts


def unpack(content: bytes, copy: IO[bytes]) -> list[str]:
    """Write the archive anew, not packed: then every reader finds in it what was counted here. Does not import inspect.

    Returns:
        The names of its files.

    Raises:
        RefusedLogError: it is no archive, damaged, or unpacks to more than a log may.
    """
    # Python's zipfile learns Zstandard in 3.14 only; inspect-ai requires this package, which teaches it.
    import zipfile_zstd  # noqa: F401

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = archive.infolist()
            _check(files, len(content))
            with zipfile.ZipFile(copy, "w") as plain:
                for file in files:
                    _copy(archive, file, plain)
    except RefusedLogError:
        raise
    except Exception as error:  # each compression has an error of its own
        raise RefusedLogError(f"the log cannot be read, it was cut short or damaged: {error}") from error
    copy.flush()
    return [file.filename for file in files]


def _check(files: list[zipfile.ZipInfo], packed: int) -> None:
    if len({file.filename for file in files}) != len(files):
        raise RefusedLogError("the log cannot be unpacked: it has two files of one name")
    if any(file.compress_type not in _PACKED for file in files):
        raise RefusedLogError("the log cannot be unpacked: it is not packed as inspect packs")
    size, most = sum(file.file_size for file in files), min(MOST, max(SMALL, DENSEST * packed))
    if size > most:
        raise RefusedLogError(f"the log is not unpacked: its {packed} bytes would become {size}; at most {most} are read")


def _copy(archive: zipfile.ZipFile, file: zipfile.ZipInfo, plain: zipfile.ZipFile) -> None:
    """Copy one file; zipfile reads no more of it than the size that was checked, and knows by its CRC that this was all."""
    same = zipfile.ZipInfo(file.filename)  # without the time: the same log gives the same copy
    with archive.open(file) as source, plain.open(same, "w") as target:
        while part := source.read(_AT_ONCE):
            target.write(part)
