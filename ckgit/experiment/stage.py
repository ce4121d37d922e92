"""The two stages in which jobs run: what each is called, and how it stands in the lifecycle. No other place says any of that."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State


class Stage(StrEnum):
    """Which half of the work a job belongs to."""

    TRAINING = "training"
    EVALUATION = "evaluation"

    @property
    def row(self) -> StageRow:
        """What is to be known of it."""
        return TABLE[self]

    @property
    def tool(self) -> str:
        """The key under the design's `tools` that names its tool."""
        return TABLE[self].tool


class StageRow(NamedTuple):
    """A row of the table of stages."""

    tool: str
    verb: str  # in sentences: what its jobs do
    begins: State  # in which its jobs are submitted
    event: Event  # of the commit with which it has passed
    ends: State  # after that commit
    block: str  # of the summary, with the state of its jobs
    heading: str
    one: str  # what one of its jobs makes, in sentences
    nothing: str  # why it passes where the design has no job for it


TABLE: Mapping[Stage, StageRow] = {
    Stage.TRAINING: StageRow(
        tool="preparation",
        verb="train",
        begins=State.SCAFFOLDED,
        event=Event.TRAIN,
        ends=State.TRAINED,
        block="fine-tuning",
        heading="Fine-tuning",
        one="run",
        nothing="the design has no fine-tuned runs",
    ),
    Stage.EVALUATION: StageRow(
        tool="evaluation",
        verb="evaluate",
        begins=State.TRAINED,
        event=Event.EVALUATE,
        ends=State.EVALUATED,
        block="evaluation",
        heading="Evaluations",
        one="evaluation",
        nothing="the design has no evaluations",
    ),
}
STAGES: Mapping[State, Stage] = {row.begins: stage for stage, row in TABLE.items()}  # which stage is run from a state
