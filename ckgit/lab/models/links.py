"""A work tree's links to models whose folders were moved since: where they are to lead now, and the tree as it will be then."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.lab.lab import Lab
from ckgit.lab.models.find import find_model, unfit

_MODELS = "models"


class MovedModels(NamedTuple):
    """Models that a work tree's links lead to no more."""

    folders: Mapping[str, Path]  # where this machine has their files, by name
    nowhere: CkgitError | None  # why it has not those of another one


def moved(lab: Lab, cluster: Cluster, cards: Mapping[str, tuple[ModelCard, bytes]], work: Path, *, remember: bool) -> MovedModels:
    """The models that a work tree's links lead to no more, and where they are now.

    Args:
        cards: by name, with the bytes of their files.
        remember: see `find_model`.
    """
    folders, nowhere = dict[str, Path](), None
    for name, (card, content) in cards.items():
        place = work / _MODELS / name
        if unfit(place, card) and not _is_own(place):
            try:
                folders[name] = find_model(lab, cluster, card, content, remember=remember)
            except CkgitError as error:
                nowhere = error
    return MovedModels(folders, nowhere)


def _is_own(place: Path) -> bool:
    """Whether it is no link, but a folder that somebody has put there."""
    return place.is_dir() and not place.is_symlink()


@contextlib.contextmanager
def as_led(work: Path, folders: Mapping[str, Path]) -> Iterator[Path]:
    """A work tree as it will be once its links lead to these folders: nothing is written in it."""
    if not folders:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="ckgit-") as top:
        seen = Path(top)
        (seen / _MODELS).mkdir()
        there = [*work.iterdir(), *((work / _MODELS).iterdir() if (work / _MODELS).is_dir() else ())]
        goals = {each.relative_to(work): each for each in there if each.name != _MODELS or each.parent != work}
        for path, goal in {**goals, **{Path(_MODELS, name): folder for name, folder in folders.items()}}.items():
            (seen / path).symlink_to(goal)
        yield seen
