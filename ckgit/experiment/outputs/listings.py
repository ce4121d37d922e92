"""The experiments of a lab, and the commits of one: `ckgit list --json` and `ckgit log --json`."""

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import CommitId, Moment, PrintedDocument, Records, WhatHasIt, WhyClosed
from ckgit.experiment.outputs.standing import LeftToJob
from ckgit.experiment.state import State


class ListedExperiment(Frozen):
    """One experiment."""

    experiment: str
    lifecycle_state: State | None = Field(description="Null where it cannot be told; `note` says why.")
    commit: CommitId = Field(description="The tip of its branch; where that is gone, its last commit in what has it.")
    time: Moment = Field(description="Of that commit.")
    records: Records
    design_hash: str | None = Field(description="As that commit recorded it; null where it is not ckgit's.")
    left_to: LeftToJob | None = Field(description="Null where nobody but its user goes on.")
    closed: WhyClosed
    kept: WhatHasIt
    note: str


class ListDocument(PrintedDocument):
    """The experiments of a lab."""

    experiments: tuple[ListedExperiment, ...]
    more: int = Field(description="Experiments that are left out.")


class LoggedCommit(Frozen):
    """One commit."""

    commit: CommitId
    time: Moment
    author: str
    records: str | None = Field(description="What it recorded; null where it is not ckgit's.")
    source: str | None = Field(description="The state before it; null for the first one, and where it is not ckgit's.")
    target: str | None = Field(description="The state after it; null where it is not ckgit's.")
    subject: str
    body: str = Field(description="Without the trailers.")
    problem: str | None = Field(description="Why it cannot record this step; null where it can.")


class LogDocument(PrintedDocument):
    """The history of an experiment."""

    experiment: str
    commits: tuple[LoggedCommit, ...] = Field(description="Oldest first.")
