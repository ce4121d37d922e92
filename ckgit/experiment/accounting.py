"""What an experiment's jobs took, attempt by attempt and in all. `analysis/results.json` and `ckgit show --json` hold these."""

from pydantic import Field

from ckgit.experiment.design.model import Frozen, Stage
from ckgit.experiment.jobs import Phase, Usage


class AttemptUsage(Frozen):
    """One attempt that ended, well or not."""

    job: str
    stage: Stage
    number: int = Field(description="1 for the first try.")
    phase: Phase
    usage: Usage
    gpu_hours: float | None = Field(default=None, description="GPUs that were held, times hours.")


class Total(Frozen):
    """One quantity over several attempts. What is not known of an attempt is not counted as 0: it is left out."""

    value: float | None = Field(default=None, description="Absent when it is known of no attempt.")
    known: int = Field(default=0, description="Attempts of which it is known.")


class UsageTotals(Frozen):
    """What the attempts of a stage took together; those that failed count, too."""

    stage: Stage | None = Field(default=None, description="Absent: all stages.")
    attempts: int = Field(description="Attempts that ended.")
    failed: int = Field(description="Of these, how many failed; in results without `cancelled`, those that were cancelled, too.")
    cancelled: int = Field(default=0, description="Of these, how many were cancelled.")
    queue_seconds: Total = Field(description="Sum.")
    elapsed_seconds: Total = Field(description="Sum.")
    gpu_hours: Total = Field(description="Sum.")
    cpu_seconds: Total = Field(description="Sum.")
    peak_memory_bytes: Total = Field(description="The largest.")
    gpu_utilization: Total = Field(description="Percent: the mean, in which an attempt counts by its GPU-hours.")


class Comparison(Frozen):
    """What the jobs of a stage took, against what was expected when they were designed."""

    stage: Stage | None = Field(default=None, description="Absent: all stages.")
    jobs: int = Field(description="Jobs that were estimated.")
    compared: int = Field(description="Of these, those that are done and whose time is known; the rest is about them alone.")
    estimated_seconds: float | None = Field(default=None, description="Sum.")
    taken_seconds: float | None = Field(default=None, description="Sum, with the attempts that failed before one was done.")
    ratio: float | None = Field(default=None, description="Taken over estimated: 2 is twice as long.")


class Accounting(Frozen):
    """Every attempt that ended, totals, and how far the estimate was off."""

    attempts: tuple[AttemptUsage, ...] = Field(default=(), description="In the order in which they were submitted.")
    costs: tuple[UsageTotals, ...] = Field(default=(), description="Per stage that has attempts, then of all stages.")
    estimate: tuple[Comparison, ...] = Field(default=(), description="Likewise; empty where ckgit did not estimate this design.")
    sources: tuple[str, ...] = Field(default=(), description="Where the estimate came from, one clause for each kind of job.")
