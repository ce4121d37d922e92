"""What all documents for programs have in common: each thing has one name and one form.

`experiment` is a name, `commit` a full id, `design_hash` the hash of a design, `lifecycle_state` the state of an experiment, `condition`
where a job stands, `code` an exit code of ckgit. `advice` says to people what to do next, and `next` lists the commands in it.
"""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.state import Kept
from ckgit.formats.times import utc

CommitId = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", json_schema_extra={"format": "date-time"})]
Advice = Annotated[str, Field(description="What to do next, for people; empty where that is nothing.")]
Commands = Annotated[tuple[str, ...], Field(description="The commands in `advice`, in its order, each as it may be typed.")]
Records = Annotated[str | None, Field(description="What its last commit recorded; null where that is not ckgit's.")]

Ahead = Annotated[
    tuple[str, ...], Field(description="A sentence on each remote's branch that has commits which this one lacks, as it was last fetched.")
]


WhatHasIt = Annotated[
    Kept | None,
    Field(description="What has it where its branch is gone, as it was `closed` or `merged`; null otherwise."),
]


class Closed(Frozen):
    """The step that closed an experiment."""

    commit: CommitId
    time: Moment
    because: str = Field(description="Why, on one line.")

    @classmethod
    def of(cls, closing: tuple[str, datetime, str] | None) -> Self | None:
        """It, of its commit, time and reason."""
        return cls(commit=closing[0], time=utc(closing[1]), because=closing[2]) if closing else None


WhyClosed = Annotated[Closed | None, Field(description="Null where it is open.")]


class PrintedDocument(Frozen):
    """What a command prints with `--json`."""

    notes: tuple[str, ...] = Field(default=(), description="What people are told beside it, on standard error.")
