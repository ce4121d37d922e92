"""`estimate.json`: how long each job of a design was expected to take, written when it was designed.

Later it is held against what the jobs took, and the estimates of later experiments learn from both.
"""

import json
from collections.abc import Collection
from typing import Self

from pydantic import Field

from ckgit.experiment.design.fields import Positive, Sha256
from ckgit.experiment.design.model import Frozen, Stage
from ckgit.experiment.design.names import Name

FILE = "estimate.json"


class Kind(Frozen):
    """What jobs have in common that can tell of each other how long they take."""

    stage: Stage
    tool: Name
    model: Name
    card: Sha256 = Field(description="Digest of the model card.")
    device: str
    dtype: str
    method: str = Field(description="How the weights were trained, as the tool calls it; none: they are the model's own.")

    def __str__(self) -> str:
        """In words, e.g. `training of tiny (lora, cpu, fp32)`."""
        how = [self.method] if self.method != "none" else []
        return f"{self.stage} of {self.model} ({', '.join([*how, self.device, self.dtype])})"


class Group(Frozen):
    """The jobs of one kind."""

    kind: Kind
    scale: Positive = Field(description="What work takes, over what is assumed for it, by earlier jobs of this kind on this cluster.")
    start: Positive | None = Field(
        default=None, description="Seconds that start-up takes, by the same jobs; absent where the scale is that of the whole (formula 1)."
    )
    assumed_start: Positive | None = Field(default=None, description="Seconds that start-up is assumed to take, in each of `assumed`.")
    earlier: int = Field(ge=0, description="How many earlier jobs that is learned from; where there are none, it is what is assumed.")
    assumed: dict[str, Positive] = Field(description="Seconds by the assumed speeds alone, by name of the job.")

    def expected(self, assumed: float) -> float:
        """Seconds that a job is expected to take, from those that are assumed for it."""
        if self.start is None or self.assumed_start is None:
            return assumed * self.scale
        return self.start + max(assumed - self.assumed_start, 0.0) * self.scale


class Estimate(Frozen):
    """What a design was expected to take."""

    schema_version: int = 1
    formula: int = Field(description="Version of the formulas and assumed speeds; only estimates of one version are compared.")
    design: Sha256 = Field(description="Hash of the design that was estimated.")
    cluster: Name
    groups: tuple[Group, ...]

    def seconds(self, stage: Stage | None = None) -> dict[str, float]:
        """What each job, or each of a stage, was expected to take, by its name. A job whose rows are not known is left out."""
        groups = [group for group in self.groups if stage in (None, group.kind.stage)]
        return {job: group.expected(seconds) for group in groups for job, seconds in group.assumed.items()}

    def of(self, jobs: Collection[str]) -> Self:
        """The same estimate, of these jobs alone."""
        groups = [group.model_copy(update={"assumed": {j: s for j, s in group.assumed.items() if j in jobs}}) for group in self.groups]
        return self.model_copy(update={"groups": tuple(group for group in groups if group.assumed)})

    def sources(self) -> list[str]:
        """Where each kind's durations come from, one clause a kind."""
        return [f"{group.kind}: {self._source(group)}" for group in self.groups]

    def _source(self, group: Group) -> str:
        if not group.earlier:
            return f"assumed, as no experiment of this clone, merged ones included, has such a job done on cluster {self.cluster}"
        noun = group.kind.stage.row.one
        plural = "s" if group.earlier > 1 else ""
        start = f"{group.start:.2g} s to start, then " if group.start is not None else ""
        return f"from {group.earlier} earlier {noun}{plural} on cluster {self.cluster} ({start}{group.scale:.3g} times what is assumed)"

    def dump(self) -> bytes:
        """The bytes of estimate.json."""
        return (json.dumps(self.model_dump(mode="json"), indent=2) + "\n").encode()
