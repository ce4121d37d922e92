"""What became of a claim: the judgement, and the numbers that it rests on."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from ckgit.experiment.design.model import Claim, Frozen


class Judgement(StrEnum):
    """What the data say of a claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"
    IMPOSSIBLE = "cannot be judged"


class Quantity(StrEnum):
    """What a verdict is about, and so which chance is in its interval."""

    MODELS = "models"  # these trained models, on rows like these: rows
    ROWS = "rows"  # the settings, whatever the seed, on exactly these rows: seeds
    SETTINGS = "settings"  # the settings, whatever the seed, on rows like these: seeds and rows


class SettingScores(Frozen):
    """The scores of one setting that a claim is about, one for each run."""

    setting: str
    side: Literal["left", "right", "along"] = Field(description="Where it stands in the claim.")
    along: float | None = Field(default=None, description="Of a trend, the parameter's value.")
    runs: tuple[str, ...]
    scores: tuple[float, ...] = Field(description="The metric of each of these runs, in the same order.")
    sd: float | None = Field(default=None, description="Standard deviation between its seeds, n - 1; absent of fewer than two.")
    low: float | None = Field(default=None, description="Of the best of several: lower end of the interval against right, corrected.")
    high: float | None = Field(default=None, description="Upper end.")


class Registered(StrEnum):
    """When a claim was made."""

    BEFORE = "before results"  # before the first evaluation was submitted
    CHANGED = "changed after results could be seen"
    ADDED = "added after results could be seen"


class Verdict(Frozen):
    """A claim of the design and what became of it. The difference is left minus right; of a trend it is the slope."""

    claim: Claim
    judgement: Judgement
    about: str = Field(default="", description="What the verdict is about; absent in results that did not say it yet.")
    reason: str = Field(description="Why, and what it does not say.")
    left: float | None = None
    right: float | None = None
    difference: float | None = None
    stderr: float | None = Field(default=None, description="Standard error of the difference, in results of earlier versions.")
    low: float | None = Field(default=None, description="Lower end of the difference's 95 % interval over rows like these.")
    high: float | None = Field(default=None, description="Upper end.")
    interval: str | None = Field(default=None, description="Method of the interval; absent where there is none.")
    samples: int | None = Field(default=None, description="Sample ids that were compared (paired), or the smaller side's samples.")
    paired: bool = False
    left_scored: int | None = Field(default=None, description="Answers of the left run that have a score.")
    left_asked: int | None = Field(default=None, description="Answers that it was asked for.")
    right_scored: int | None = Field(default=None, description="Answers of the right run that have a score.")
    right_asked: int | None = Field(default=None, description="Answers that it was asked for.")
    left_epoch: int | None = None
    right_epoch: int | None = None
    left_checkpoint: str | None = Field(default=None, description="Folder of the left run's checkpoint, where that is not an epoch's.")
    right_checkpoint: str | None = Field(default=None, description="Folder of the right run's.")
    quantity: Quantity | None = Field(default=None, description="Which chance the interval has in it; absent in older results.")
    level: float = Field(default=0.95, description="Coverage of the interval: 0.9 for same, more than 0.95 where several are compared.")
    settings: tuple[SettingScores, ...] = Field(default=(), description="Of a claim about settings each one, with its runs' scores.")
    best: str | None = Field(default=None, description="Of the best of several: which setting that was.")
    compared: int | None = Field(default=None, description="Of the best of several: how many the interval is corrected for.")
    notes: tuple[str, ...] = Field(default=(), description="What was assumed or borrowed for the interval, a sentence each.")
    registered: Registered | None = Field(default=None, description="When it was claimed; absent in older results.")
    was: Claim | None = Field(default=None, description="Of a claim that was changed after results could be seen: what it was before.")
    since: tuple[str, ...] = Field(
        default=(), description="Of a claim whose words are as they were: what it refers to that was changed after results could be seen."
    )
