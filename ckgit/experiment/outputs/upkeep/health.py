"""How a lab and a machine are: `--json` of `ckgit doctor`."""

from typing import Literal

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import Advice, Commands, PrintedDocument


class CheckedPoint(Frozen):
    """One thing that was looked at."""

    check: str = Field(description="Its name.")
    level: Literal["ok", "warning", "error"]
    text: str
    mend: str = Field(description="What mends it; empty where nothing is wrong.")


class DoctorDocument(PrintedDocument):
    """How a lab and this machine are."""

    healthy: bool = Field(description="Whether nothing is an error.")
    checks: tuple[CheckedPoint, ...]
    advice: Advice
    next: Commands
