"""A model of the hub for `ckgit models add`: what is fetched, and one line that says how far it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ckgit.cli.output.streams import draws, say
from ckgit.cli.shared.common import note
from ckgit.formats.markdown import size

if TYPE_CHECKING:
    from ckgit.experiment.card import HubSource
    from ckgit.experiment.outputs.labs import FetchedModel, ModelDocument
    from ckgit.lab.lab import Lab
    from ckgit.lab.models.hub import Offer


class FetchedFiles(NamedTuple):
    """A model of the hub that is in a folder here, or with a dry run would be."""

    folder: Path
    here: bool  # whether the files are there
    offer: Offer | None  # None where they were there before

    @property
    def source(self) -> HubSource | None:
        """Where in the hub they are from; of files that were here, the card knows it."""
        return self.offer.source if self.offer else None

    def text(self) -> str:
        """What would be fetched."""
        if self.offer is None:
            return f"{self.folder} has its files already"
        lines = (f"    {name}  {size(count)}" for name, count in self.offer.files.items())
        return "\n".join([f"would fetch {_described(self.offer)} into {self.folder}:", *lines])

    def document(self) -> FetchedModel | None:
        """What was fetched; None where nothing was."""
        from ckgit.experiment.outputs.labs import FetchedModel

        return FetchedModel(source=self.offer.source, folder=str(self.folder), files=dict(self.offer.files)) if self.offer else None


def from_hub(lab: Lab, name: str, repo: str, revision: str | None, *, replace: bool, dry_run: bool) -> FetchedFiles:
    """Fetch a model of the hub, where its files are not here; with a dry run, only ask what there is.

    Raises:
        CkgitError: see `plan_from_hub`, and `fetch` of the hub.
    """
    from ckgit.lab.models import hub
    from ckgit.lab.models.cards import plan_from_hub

    plan = plan_from_hub(lab, name, repo, revision, replace=replace)
    if plan.here:
        return FetchedFiles(plan.folder, here=True, offer=None)
    if dry_run:
        return FetchedFiles(plan.folder, here=False, offer=hub.ask(repo, plan.revision))
    line = _Line()
    try:
        return FetchedFiles(plan.folder, here=True, offer=hub.fetch(repo, plan.revision, plan.folder, line.tell))
    finally:
        line.clear()


def would_fetch(name: str, fetched: FetchedFiles) -> ModelDocument:
    """The document of a dry run that would have to fetch the files first."""
    from ckgit.experiment.card import card_path
    from ckgit.experiment.outputs.labs import ModelDocument

    found = fetched.document()
    return ModelDocument(model=name, path=card_path(name), changed=True, commit=None, card=None, fetched=found, advice="", next=())


def _described(offer: Offer) -> str:
    return f"{offer.source.repo} at {offer.source.revision[:12]}, {len(offer.files)} files, {size(offer.bytes)}"


class _Line:
    """Says once what is fetched, and on a terminal how much of it has come."""

    def __init__(self) -> None:
        self._begun = False
        self._draws = draws(sys.stderr)

    def tell(self, offer: Offer, came: int) -> None:
        if not self._begun:
            note(f"fetching {_described(offer)}")
            self._begun = True
        if self._draws:
            say(f"\r\x1b[K{size(min(came, offer.bytes))} of {size(offer.bytes)}", err=True, nl=False)

    def clear(self) -> None:
        if self._begun and self._draws:
            say("\r\x1b[K", err=True, nl=False)
