"""What all documents for programs have in common: each thing has one name and one form.

`experiment` is a name, `commit` a full id, `design_hash` the hash of a design, `lifecycle_state` the state of an experiment, `condition`
where a job stands, `code` an exit code of ckgit. `advice` says to people what to do next, and `next` lists the commands in it.
"""

from typing import Annotated

from pydantic import Field

from ckgit.experiment.design.fields import Frozen

CommitId = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", json_schema_extra={"format": "date-time"})]
Advice = Annotated[str, Field(description="What to do next, for people; empty where that is nothing.")]
Commands = Annotated[tuple[str, ...], Field(description="The commands in `advice`, in its order, each as it may be typed.")]
Records = Annotated[str | None, Field(description="What its last commit recorded; null where that is not ckgit's.")]

Ahead = Annotated[
    tuple[str, ...], Field(description="A sentence on each remote's branch that has commits which this one lacks, as it was last fetched.")
]


class PrintedDocument(Frozen):
    """What a command prints with `--json`."""

    notes: tuple[str, ...] = Field(default=(), description="What people are told beside it, on standard error.")
