"""What came of running an experiment's jobs again: one document a time, kept as a line of a git note on the commit that it is about."""

from collections import Counter
from enum import StrEnum

from pydantic import Field

from ckgit.experiment.cluster import ReproduceConfig
from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.stage import Stage
from ckgit.formats.listing import in_words, plural


class Sameness(StrEnum):
    """How what a second execution left compares with what is recorded."""

    SAME_BYTES = "same bytes"
    WITHIN_TOLERANCE = "same within the tolerance"
    DIFFERENT = "different"
    FAILED = "failed"  # the second execution did, so there is nothing to compare

    @property
    def is_same(self) -> bool:
        """Whether the record stands."""
        return self in (Sameness.SAME_BYTES, Sameness.WITHIN_TOLERANCE)


_WORST = (Sameness.DIFFERENT, Sameness.FAILED, Sameness.WITHIN_TOLERANCE, Sameness.SAME_BYTES)


class ReproducedJob(Frozen):
    """A job that was run again."""

    job: str
    run: str
    stage: Stage
    recorded: str = Field(description="Token of the attempt whose results are recorded.")
    again: str = Field(description="Token of the one that was made for this; empty where it was not handed over.")
    sameness: Sameness
    compared: str = Field(description="What was compared, e.g. 12 losses, 2 checkpoints; empty where nothing could be.")
    differences: tuple[str, ...] = Field(default=(), description="The first one first, a sentence each; or why it failed.")
    more: int = Field(default=0, description="Differences beside these.")
    uncompared: tuple[str, ...] = Field(default=(), description="What could not be compared, and why, a sentence each.")
    surroundings: tuple[str, ...] = Field(default=(), description="In what machine and versions the two differ, a clause each.")


class Reproduction(Frozen):
    """One time that jobs were run again."""

    schema_version: int = 1
    sameness: Sameness = Field(description="Of all jobs, the one that says most against the record.")
    experiment: str
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$", description="Whose results were compared: a step of the experiment.")
    scaffold: str = Field(pattern=r"^[0-9a-f]{40,64}$", description="The commit that the jobs were run from.")
    design_hash: str
    runs: tuple[str, ...] = Field(description="That were run again.")
    sample_of: int | None = Field(default=None, description="Number of runs that these were drawn from by chance; absent where not drawn.")
    remarks: tuple[str, ...] = Field(
        default=(), description="What a reader must know: that scripts were rendered anew, or that the history does not hold."
    )
    cluster: str
    scheduler: str
    by: str = Field(description="Who ran it, as git names them.")
    host: str = Field(description="Machine that the command ran on.")
    time: str = Field(description="ISO 8601, UTC: when it was over.")
    version: str = Field(description="Of ckgit.")
    tolerances: ReproduceConfig
    jobs: tuple[ReproducedJob, ...]

    @property
    def in_words(self) -> str:
        """One line: `same bytes: 2 of 2 jobs of rank4, by Ada <ada@example.org>`."""
        count = Counter(job.sameness for job in self.jobs)
        each = ", ".join(f"{count[kind]} {kind}" for kind in _WORST if count[kind]) if len(count) > 1 else plural(len(self.jobs), "job")
        drawn = f" (drawn from {self.sample_of})" if self.sample_of else ""
        return f"{self.sameness}: {each} of {in_words(self.runs)}{drawn}, on cluster {self.cluster} by {self.by} at {self.time}"


def worst(jobs: tuple[ReproducedJob, ...]) -> Sameness:
    """Of several jobs, what says most against the record."""
    return min((job.sameness for job in jobs), key=_WORST.index)
