"""The lab's model cards: adding one, listing them, and where their files are on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.names import name_problem
from ckgit.lab.export import find_model
from ckgit.lab.git.command import OWN_PROGRAMS, GitError, git, git_text
from ckgit.lab.git.objects import read_object
from ckgit.lab.git.waiting import NoAnswerError, TimeLimit
from ckgit.lab.lab import Lab
from ckgit.lab.models.card_file import parse_card
from ckgit.lab.models.folder import read_card
from ckgit.lab.user_folders import needed_user_folder

_AS_IT_IS = ("-c", "core.safecrlf=false")
_HOOKS = TimeLimit("a commit hook, or the program that signs", 600.0)  # the user's own commit: his hooks may build and test


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
    folder: Path | None
    problem: str


def add_model(lab: Lab, name: str, folder: Path, *, replace: bool, commit: bool, dry_run: bool) -> AddedCard:
    """Write a folder's card into the lab, commit it, and remember where the folder is.

    The card alone is committed, and only where the default branch is checked out; whatever else is changed or staged stays so.

    Raises:
        CkgitError: no name, not a model, another model has that name, or git refused.
    """
    if problem := name_problem(name):
        raise CkgitError(f"{name!r} is not a name for a model: {problem}", code=Exit.USAGE, state="nothing was written")
    card, content = read_card(name, folder)
    path = lab.root / card_path(name)
    before = path.read_bytes() if path.is_file() else None
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
    made, left = _commit(lab, card_path(name), content) if commit else ("", _by_hand(card_path(name)))
    return AddedCard(card, card_path(name), content, before != content, made, left)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as stream:
        stream.write(content)
    os.chmod(stream.name, 0o644)  # noqa: PTH101 as git would create it
    Path(stream.name).replace(path)


def _commit(lab: Lab, path: str, content: bytes) -> tuple[str, str]:
    """Commit one file on the default branch; the new commit, or what the user has to do instead."""
    if read_object(lab.root, f"HEAD:{path}") == content:
        return "", ""
    head = git_text(lab.root, "rev-parse", "--symbolic-full-name", "HEAD").strip()
    if head != f"refs/heads/{lab.default_branch}":
        return "", f"the default branch is not checked out; there: {_by_hand(path)}"
    try:
        # By name and as it is: files that the user ignores, and line ends that he wants checked, do not concern it.
        git(lab.root, *_AS_IT_IS, "add", "--force", "--", path, waiting=OWN_PROGRAMS)
        git(lab.root, *_AS_IT_IS, "commit", "--quiet", f"--message=Add model {Path(path).stem}", "--", path, waiting=_HOOKS)
    except (GitError, NoAnswerError) as error:
        return "", f"git did not commit it ({error.what}): {_by_hand(path)}"
    return git_text(lab.root, "rev-parse", "HEAD").strip(), ""


def _by_hand(path: str) -> str:
    return f"git add {shlex.quote(path)} && git commit -m {shlex.quote(f'Add model {Path(path).stem}')} -- {shlex.quote(path)}"


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


def list_models(lab: Lab, cluster: Cluster) -> Sequence[ListedCard]:
    """The cards in the lab's checkout, by name.

    Raises:
        CkgitError: a file in models/ is not a model card.
    """
    return [_listed(lab, cluster, path) for path in sorted((lab.root / "models").glob("*.yaml"))]


def _listed(lab: Lab, cluster: Cluster, path: Path) -> ListedCard:
    content = path.read_bytes()
    try:
        card = parse_card(content)
    except ValueError as error:
        again = f"git checkout -- models/{path.name}, or delete it and make it anew: ckgit models add {path.stem} FOLDER"
        raise CkgitError(str(error), code=Exit.USAGE, where=f"models/{path.name}", next=again) from error
    try:
        return ListedCard(card, find_model(lab, cluster, card, content), "")
    except CkgitError as error:
        return ListedCard(card, None, error.what)
