"""Digests of the files of a model folder, and whether they are those that were recorded."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ckgit.experiment.card import FileDigest, is_model_file
from ckgit.formats.plain_json import read_json

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BASE = "base"  # before the names of files of the model that an adapter is loaded beside
FILE_OPTION = "--file="  # of a job's command: PATH=SHA256
_AT_ONCE = 4  # files that are read at the same time; the shards of a large model are many


def digests(
    folder: Path, seen: Callable[[Path], Path | None] = Path, digest: Callable[[Path], FileDigest] | None = None
) -> Mapping[str, FileDigest]:
    """Every file of a folder that loading the model may read, by name, and of an adapter alone those of its base. All of it is read.

    Args:
        seen: where from here the base of an adapter is, which the adapter names as seen from the top of the work tree, where jobs run;
            where that is None, the base is left out.
        digest: reads a file; without it each is read anew, also the base that many adapters have.

    Raises:
        OSError: a file cannot be read.
        ValueError: what an adapter says of itself cannot be read.
    """
    named = base_of(folder)
    own, base = ((ADAPTER_CONFIG, ADAPTER_WEIGHTS), seen(named)) if named else ((), None)
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and (is_model_file(file.name) or file.name in own)]
    found = {file.name: each for file, each in zip(files, _digests(files, digest), strict=True)}
    return {**found, **{f"{BASE}/{name}": each for name, each in (digests(base, digest=digest) if base else {}).items()}}


def base_of(folder: Path) -> Path | None:
    """The folder of the model that an adapter alone is loaded beside, relative to the work tree; None for a folder of whole weights.

    Raises:
        ValueError: what the adapter says of itself cannot be read.
    """
    config = folder / ADAPTER_CONFIG
    if not config.is_file() or any(file.name != ADAPTER_WEIGHTS for file in folder.glob("*.safetensors")):
        return None
    try:
        return Path(read_json(config.read_bytes())["base_model_name_or_path"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{config} does not say which model the adapter is of") from error


def changed(files: Mapping[str, str]) -> list[str]:
    """Files, relative to the work tree, that have not these SHA-256, in lines as `differences` gives them. All of them are read.

    Raises:
        OSError: a file cannot be read.
    """
    found = zip(files.items(), _digests([Path(path) for path in files]), strict=True)
    return [_line(Path(path), digest.sha256, wanted) for (path, wanted), digest in found if digest.sha256 != wanted]


@functools.cache
def digests_once(folder: Path) -> Mapping[str, FileDigest]:
    """The same, read once in a process: it is checked, loaded and recorded there."""
    return digests(folder)


def parse_file_options(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The words of a command: those that are no `FILE_OPTION`, and what these say, SHA-256 by path."""
    files = [word.removeprefix(FILE_OPTION).rpartition("=") for word in words if word.startswith(FILE_OPTION)]
    return [word for word in words if not word.startswith(FILE_OPTION)], {path: sha256 for path, _, sha256 in files}


def options(files: Mapping[str, FileDigest]) -> list[str]:
    """The words that `parse_file_options` reads."""
    return [f"{FILE_OPTION}{path}={file.sha256}" for path, file in sorted(files.items())]


def differences(folder: Path, found: Mapping[str, FileDigest], wanted: Mapping[str, str]) -> Iterator[str]:
    """Each file that is not as recorded, in a line as `sha256sum --check` writes it, with the reason.

    Args:
        found: as `digests` gives it.
        wanted: SHA-256 in hexadecimal, by name.
    """
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            yield f"{folder / name}: FAILED (it is not there)"
        elif name not in wanted:
            yield f"{folder / name}: FAILED (it was not there when the others were recorded, and would be loaded with them)"
        elif found[name].sha256 != wanted[name]:
            yield _line(folder / name, found[name].sha256, wanted[name])


def _line(file: Path, found: str, wanted: str) -> str:
    return f"{file}: FAILED (its SHA-256 is {found[:12]}, recorded was {wanted[:12]})"


def _digests(files: Sequence[Path], digest: Callable[[Path], FileDigest] | None = None) -> list[FileDigest]:
    from concurrent.futures import ThreadPoolExecutor  # scaffolding needs none

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(digest or _digest, files))


def _digest(file: Path) -> FileDigest:
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileDigest(sha256=sha256, bytes=stream.tell())
