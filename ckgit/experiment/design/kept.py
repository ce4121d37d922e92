"""`kept.json`: jobs that need not run again, because what they would leave is there already. Written by ckgit."""

import hashlib
import json
from collections.abc import Mapping

from pydantic import Field

from ckgit.experiment.design.fields import Frozen, Sha256
from ckgit.experiment.design.names import Name

FILE = "kept.json"


class KeptJob(Frozen):
    """A job whose results are taken over, and where from."""

    experiment: Name = Field(description="Experiment that the job was run for.")
    job: str = Field(description="Name of the job there.")
    commit: str = Field(description="Commit whose ledger has its attempts.")
    token: str = Field(description="The attempt that left the results.")
    design: Sha256 = Field(description="Hash of the design that its files name.")
    made_from_sha256: Sha256 = Field(description="Digest of all that decides what it leaves; what it would be made from now has the same.")
    tasks: tuple[Name, ...] = Field(default=(), description="Of a training: tasks whose rows it has compared as they are asked now.")

    @property
    def run(self) -> str:
        """Name of the run there."""
        return self.job.partition("/")[0]

    @property
    def in_words(self) -> str:
        """Where it is from, and by what it is known to be the same."""
        return f"{self.token} of {self.experiment} at {self.commit[:12]}, made from {self.made_from_sha256[:12]}"


class KeptJobs(Frozen):
    """All of them, by name of the job here."""

    schema_version: int = 1
    design: Sha256 = Field(description="Hash of the design for which this was found out.")
    jobs: dict[str, KeptJob] = {}

    def dump(self) -> bytes:
        """The bytes of kept.json."""
        document = {"schema_version": self.schema_version, **self.model_dump(mode="json", exclude_defaults=True)}
        return (json.dumps(document, indent=2) + "\n").encode()


def made_from_digest(made_from: Mapping[str, str]) -> str:
    """SHA-256 of what decides what a job leaves: its JSON with sorted keys, compact, in UTF-8."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
