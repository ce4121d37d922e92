"""What a design says beforehand of what will come out: claims, and which runs each of them is about."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ckgit.experiment.design.fields import Frozen, NonNegative
from ckgit.experiment.design.names import Name
from ckgit.formats.numbers import short_value

Value = str | int | float | bool
# Strict JSON has no tuple of one: a value alone is what most designs write.
Chosen = Annotated[dict[str, Value | tuple[Value, ...]], Field(min_length=1)]
Side = Name | Chosen
Direction = Literal["greater", "less", "same", "increases", "decreases"]
TRENDS: tuple[Direction, ...] = ("increases", "decreases")


class Claim(Frozen):
    """A part of the hypothesis that is fixed before results exist: left compared with right, or a trend, by a metric of a task.

    A side is a run, which is about that one trained model, or settings, which are about every run that has them, whatever its seed.
    """

    metric: str = Field(description="Metric name as the report lists it, e.g. accuracy or mean.")
    task: Name = Field(description="Task it is measured on.")
    left: Side | None = Field(
        default=None,
        description="Left of the comparison: a run, or settings, e.g. {lora_rank: 16}, over all seeds and whatever else varies. "
        "Of a trend the runs that it is about; all that are trained when absent.",
    )
    right: Side | None = Field(default=None, description="Right of the comparison, likewise; a trend has none.")
    direction: Direction = Field(
        description="Whether left is greater than right, less, or the same within `by`; or whether the metric increases or decreases."
    )
    along: str | None = Field(default=None, description="Of a trend the parameter, whose values are numbers.")
    best: bool = Field(
        default=False, description="The best of the settings that left names is meant; corrected for how many were compared."
    )
    by: NonNegative = Field(
        default=0.0, description="By at least how much, in the metric's unit; of same: within how much; of a trend: for each unit of along."
    )
    scorer: str | None = Field(default=None, description="Scorer the metric belongs to; needed when a task has several.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if why := self._wrong():
            raise ValueError(why)
        return self

    def _wrong(self) -> str:
        """What does not go together in it."""
        if self.trend:
            if not self.along:
                return f"{self.direction} needs along: the parameter that it is about"
            other = self.right is not None or self.best or isinstance(self.left, str)
            return f"{self.direction} compares no two sides: left may name settings, right and best are not for it" if other else ""
        if self.along:
            return f"along belongs to a trend (direction: increases or decreases), and this one is {self.direction}"
        if self.left is None or self.right is None:
            return f"{self.direction} compares two sides: give left and right"
        if self.direction == "same" and not self.by:
            return "same needs by: within how much two scores are held to be the same; no two are exactly equal"
        if self.best and (self.direction == "same" or isinstance(self.left, str)):
            return "best is of several settings: left must name settings, and direction be greater or less"
        return ""

    @property
    def trend(self) -> bool:
        """Whether it is about how a metric goes with a parameter."""
        return self.direction in TRENDS

    @property
    def sides(self) -> tuple[Side, ...]:
        """Those that it names, left first."""
        return tuple(side for side in (self.left, self.right) if side is not None)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two runs that it names, where it compares runs and not settings."""
        return (self.left, self.right) if isinstance(self.left, str) and isinstance(self.right, str) else None


def side_in_words(side: Side | None) -> str:
    """`rank4`, or `lora_rank 16, lr 0.0001 or 0.001`."""
    if isinstance(side, Mapping):
        return ", ".join(f"{name} {_or(values)}" for name, values in side.items())
    return side or "all that are trained"


def _or(values: Any) -> str:
    listed = values if isinstance(values, Sequence) and not isinstance(values, str) else [values]
    return " or ".join(map(short_value, listed))
