"""The lab's model cards: adding one, listing them, and where their files are on this machine."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import HubSource, ModelCard, TrainedSource, card_path
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.names import name_problem
from ckgit.formats.listing import choose
from ckgit.lab.lab import Lab
from ckgit.lab.models import hub
from ckgit.lab.models.add_files import by_hand, commit_files
from ckgit.lab.models.card_file import parse_card
from ckgit.lab.models.find import find_model, register
from ckgit.lab.models.folder import license_of, read_card


class AddedCard(NamedTuple):
    """What adding a model did."""

    card: ModelCard
    path: str  # of the card, relative to the lab
    content: bytes
    changed: bool  # whether the card's file was written
    commit: str  # the new commit; empty when none was made
    next: str  # what is left for the user to do; empty for nothing


class ListedCard(NamedTuple):
    """One card of the lab, and the folder that holds its files on this machine, or why there is none."""

    card: ModelCard
    path: str  # of the card, relative to the lab
    folder: Path | None
    problem: str
    license: str | None  # that the folder names


def add_model(
    lab: Lab, name: str, folder: Path, *, replace: bool, commit: bool, dry_run: bool, source: HubSource | TrainedSource | None = None
) -> AddedCard:
    """Write a folder's card into the lab, commit it, and remember where the folder is.

    The card alone is committed, and only where the default branch is checked out; whatever else is changed or staged stays so. A card of
    the same files stays as it is, so that a folder that was moved changes no design.

    Args:
        source: where in the hub the folder was fetched, or which training of the lab left it.

    Raises:
        CkgitError: no name, not a model, another model has that name, or git refused.
    """
    _refuse_name(name)
    card, content = read_card(name, folder, source)
    path = lab.root / card_path(name)
    before = path.read_bytes() if path.is_file() else None
    known = _parsed(before)
    if before and known and known.files == card.files and not replace:
        card, content = known, before
    if before not in (None, content) and not replace:
        raise CkgitError(
            f"there is another model of that name: {card_path(name)} differs",
            code=Exit.USAGE,
            state="nothing was written",
            next=f"choose another name, or: ckgit models add --replace {name} {shlex.quote(str(folder))}",
        )
    if dry_run:
        return AddedCard(card, card_path(name), content, before != content, "", "")
    register(content, folder)
    if before != content:
        _write(path, content)
    files, message = {card_path(name): content}, f"Add model {name}"
    made, left = commit_files(lab, files, message) if commit else ("", by_hand(files, message))
    return AddedCard(card, card_path(name), content, before != content, made, left)


class FromHub(NamedTuple):
    """A model of the hub that is to be added, and what is known of it before anything is fetched."""

    repo: str
    revision: str  # that is asked for
    folder: Path  # where its files are, or go
    here: bool  # whether they are there


def plan_from_hub(lab: Lab, name: str, repo: str, revision: str | None, *, replace: bool) -> FromHub:
    """What adding a model of the hub would fetch, and where to: into the cluster's models_root.

    Args:
        revision: a branch, a tag or a commit; None for the commit in the lab's card, and where there is none the hub's newest.

    Raises:
        CkgitError: USAGE, no name, another model has it, or something is in the place of its folder.
    """
    _refuse_name(name)
    cluster, path = lab.cluster(), lab.root / card_path(name)
    folder = lab.folder(cluster.models_root) / name
    before = path.read_bytes() if path.is_file() else None
    card = None if replace else _parsed(before)
    same = card is not None and card.hub is not None and card.hub.repo == repo and revision in (None, card.hub.revision)
    if before and not same and not replace:
        raise CkgitError(
            f"there is another model of that name: {card_path(name)}",
            code=Exit.USAGE,
            state="nothing was written",
            next=f"choose another name, or: ckgit models add --replace {name} {repo}",
        )
    if card and before and (found := _found(lab, cluster, card, before)[0]):
        return FromHub(repo, hub.LATEST, found, here=True)
    if folder.exists():
        raise CkgitError(
            "there is such a folder already",
            code=Exit.USAGE,
            where=str(folder),
            state="nothing was written",
            next=f"move it away to have it fetched again; ckgit models add {name} {shlex.quote(str(folder))} takes it as it is",
        )
    return FromHub(repo, revision or (card.hub.revision if card and card.hub else hub.LATEST), folder, here=False)


def _refuse_name(name: str) -> None:
    if problem := name_problem(name):
        raise CkgitError(f"{name!r} is not a name for a model: {problem}", code=Exit.USAGE, state="nothing was written")


def _parsed(content: bytes | None) -> ModelCard | None:
    """The card that a file is; None where it is none."""
    try:
        return parse_card(content) if content else None
    except ValueError:
        return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
        stream.write(content)
    os.chmod(stream.name, 0o644)  # noqa: PTH101 as git would create it
    Path(stream.name).replace(path)


def list_models(lab: Lab) -> Sequence[ListedCard]:
    """The cards in the lab's checkout, by name.

    Raises:
        CkgitError: a file in models/ is not a model card.
    """
    return [_listed(lab, path) for path in sorted((lab.root / "models").glob("*.yaml"))]


def show_model(lab: Lab, name: str) -> ListedCard:
    """One card of the lab's checkout.

    Raises:
        CkgitError: USAGE, there is none of that name, or it is no model card.
    """
    path = lab.root / card_path(name)
    if not path.is_file():
        known = choose(name, sorted(each.stem for each in path.parent.glob("*.yaml"))) or "ckgit models add NAME PATH makes one"
        raise CkgitError(f"there is no model card {name!r}", code=Exit.USAGE, next=known)
    return _listed(lab, path)


def _listed(lab: Lab, path: Path) -> ListedCard:
    content = path.read_bytes()
    try:
        card = parse_card(content)
    except ValueError as error:
        again = f"git checkout -- models/{path.name}, or delete it and make it anew: ckgit models add {path.stem} FOLDER"
        raise CkgitError(str(error), code=Exit.USAGE, where=f"models/{path.name}", next=again) from error
    folder, problem = _found(lab, lab.cluster(), card, content)
    return ListedCard(card, f"models/{path.name}", folder, problem, license_of(folder) if folder else None)


def _found(lab: Lab, cluster: Cluster, card: ModelCard, content: bytes) -> tuple[Path | None, str]:
    """The folder of a card's files, or why there is none."""
    try:
        return find_model(lab, cluster, card, content), ""
    except CkgitError as error:
        return None, f"{error.what}; next: {error.next}"
