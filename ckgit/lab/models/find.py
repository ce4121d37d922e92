"""Where a model's files are on this machine: in their usual places, or wherever their folder was moved to."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import FileDigest, ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.formats.listing import in_words
from ckgit.lab.lab import Lab
from ckgit.lab.user_folders import needed_user_folder, user_folder

_MOST_FOLDERS = 1_000  # that are looked into at one place


def find_model(lab: Lab, cluster: Cluster, card: ModelCard, card_bytes: bytes, *, remember: bool = True) -> Path:
    """The folder that holds a model's files: `<models_root>/NAME`, or the one that `ckgit models add` registered for this card.

    Where neither has them, folders beside these and beside the user's other models, and the cache of Hugging Face, are looked through
    for the same bytes.

    Args:
        remember: whether what is found so is registered; not where nothing may be written.

    Raises:
        CkgitError: EVIDENCE_MISSING, there is none with all the card's files in their sizes.
    """
    root = lab.folder(cluster.models_root)
    registered = _registered(card_bytes)
    usual = [root / card.name, *([registered] if registered else [])]
    problems = []
    for place in usual:
        problem = unfit(place, card)
        if problem is None:
            return place.resolve()
        problems.append(f"{_goal(place)}: {problem}")
    parents = _parents(root)
    for place in _candidates(parents, card):
        if unfit(place, card) is None and _same_bytes(place, card):
            with contextlib.suppress(OSError):
                if remember:
                    register(card_bytes, place)
            return place.resolve()
    looked = in_words(list(map(str, parents)))
    again = f"ckgit models add {card.name} PATH says where they are now; the same files leave card and designs as they are"
    fetch = f"; ckgit models add {card.name} {card.hub.repo} --revision {card.hub.revision} fetches them" if card.hub else ""
    raise CkgitError(
        f"the files of model {card.name} are not on this machine ({'; '.join(problems)}; nor are the same files in a folder of {looked})",
        code=Exit.EVIDENCE_MISSING,
        state="nothing was submitted",
        next=again + fetch,
    )


def register(content: bytes, folder: Path) -> Path:
    """Remember where the files of a card are: a link named by the card's digest, for every lab of this user."""
    link = needed_user_folder("XDG_DATA_HOME") / "models" / hashlib.sha256(content).hexdigest()
    link.parent.mkdir(parents=True, exist_ok=True)
    part = link.with_name(f".{link.name}-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    part.symlink_to(folder.resolve())
    part.replace(link)
    return link


def _registered(content: bytes) -> Path | None:
    known = user_folder("XDG_DATA_HOME")
    return known / "models" / hashlib.sha256(content).hexdigest() if known else None


def _goal(place: Path) -> Path:
    """Where a registered link leads, which says more to a person than the link."""
    return place.readlink() if place.is_symlink() else place


def unfit(place: Path, card: ModelCard) -> str | None:
    """Why a folder cannot be that of a card, by names and sizes; None where it may be."""
    if not place.is_dir():
        return "no such folder"
    for name, expected in card.files.items():
        file = place / name
        if not file.is_file():
            return f"{name} is missing"
        if (size := file.stat().st_size) != expected.bytes:
            return f"{name} has {size} bytes, and the card says {expected.bytes}"
    return None


def _same_bytes(place: Path, card: ModelCard) -> bool:
    """Whether each file has its digest: two models that were trained from one have the same names and sizes."""
    with contextlib.suppress(OSError):
        return all(digest_once(place / name).sha256 == expected.sha256 for name, expected in card.files.items())
    return False


def digest_once(file: Path) -> FileDigest:
    """Digest and size of a file, which is read once in a process while nobody writes to it: a command meets the same model many times.

    Raises:
        OSError: it cannot be read.
    """
    status = file.stat()
    return _digest(file.resolve(), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@functools.cache
def _digest(file: Path, as_it_is: tuple[int, ...]) -> FileDigest:  # noqa: ARG001 - by which another one is told
    return FileDigest(sha256=sha256(file), bytes=file.stat().st_size)


def sha256(file: Path) -> str:
    """The SHA-256 of a file of any size, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _parents(root: Path) -> Sequence[Path]:
    """Folders of model folders: the cluster's, and those where this user's other models are or were."""
    known = user_folder("XDG_DATA_HOME")
    links = sorted(known.glob("models/*")) if known else []
    found = [root, *(link.readlink().parent for link in links if link.is_symlink()), *_hub_cache()]
    return [each for each in dict.fromkeys(found) if each.is_dir()]


def _hub_cache() -> Iterator[Path]:
    """Where the tools of Hugging Face keep what they have downloaded, by the rules of its documentation."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    hub = Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE") or f"{home}/hub"))  # noqa: PTH111 - pathlib's own raises without a home
    if hub.is_absolute():
        yield from hub.glob("models--*/snapshots")


def _candidates(parents: Sequence[Path], card: ModelCard) -> Iterator[Path]:
    """Folders in which the first file of the weights may lie."""
    for parent in parents:
        with contextlib.suppress(OSError):
            yield from (each for each in itertools.islice(parent.iterdir(), _MOST_FOLDERS) if (each / card.checkpoint_files[0]).is_file())
