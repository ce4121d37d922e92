"""What a gap between two runs comes from: `ckgit bisect --json`."""

from typing import Literal

from pydantic import Field, JsonValue

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import PrintedDocument

Held = dict[str, Literal["A", "B"]]
Told = Literal["higher", "lower", "not told apart", "unknown"]


class BisectedFactor(Frozen):
    """A parameter in which the two differ, or places of the designs that change together."""

    name: str
    a: dict[str, JsonValue] = Field(description="A's value by place; a place that A has not is left out.")
    b: dict[str, JsonValue] = Field(description="B's.")


class BisectedGap(Frozen):
    """A difference of scores: after minus before, over rows that all runs of this answer have in common."""

    before: tuple[str, ...] = Field(description="Runs, those that differ in their seed alone together.")
    after: tuple[str, ...]
    before_value: float | None
    after_value: float | None
    difference: float | None
    low: float | None = Field(default=None, description="Lower end of the interval.")
    high: float | None = Field(default=None, description="Upper end.")
    level: float = Field(description="Coverage of the interval: of all in this answer together it is at least 0.95 (Bonferroni).")
    interval: str | None = Field(default=None, description="Method; absent where there is none.")
    about: Literal["models", "settings"] = Field(description="What the interval is about: these models, or their settings with any seed.")
    told: Told = Field(description="Whether after is higher or lower than before as the interval tells.")


class BisectedStep(BisectedGap):
    """One parameter changed from A's value to B's, the others held."""

    factor: str
    held: Held = Field(description="Whose value each other factor has.")
    on_way: bool = Field(description="Whether it is a step of the way from A to B.")


class BisectedInteraction(Frozen):
    """How much more one parameter's step is where another one has B's value."""

    factors: tuple[str, str]
    held: Held
    difference: float | None
    low: float | None = None
    high: float | None = None
    told: Told


class WantedRun(Frozen):
    """A run that nobody has made yet, and that lies on the way."""

    held: Held = Field(description="Whose value each factor has.")
    parameters: dict[str, JsonValue] = Field(description="The values in which it differs from A.")
    seeds: tuple[int, ...] = Field(description="A run for each; empty where the tool has no seed, or nothing is trained.")
    designed: bool = Field(description="Whether it is in `design`; a run whose data or evaluation are B's is not.")


class BisectDocument(PrintedDocument):
    """What explains a gap, as far as runs that exist tell."""

    run_a: str = Field(description="A.")
    run_b: str = Field(description="B.")
    task: str
    scorer: str
    metric: str
    rows: int = Field(description="Rows that all runs of this answer have in common.")
    gap: BisectedGap = Field(description="B minus A.")
    factors: tuple[BisectedFactor, ...]
    steps: tuple[BisectedStep, ...] = Field(description="Those of the way in its order, then the others that are known.")
    interactions: tuple[BisectedInteraction, ...]
    wanted: tuple[WantedRun, ...] = Field(description="The fewest new runs with which the way is whole.")
    answer: str = Field(description="In words.")
    remarks: tuple[str, ...]
    design: str | None = Field(default=None, description="The wanted runs as a design, in YAML; absent where there are none.")
    file: str | None = Field(default=None, description="Where that was written.")
