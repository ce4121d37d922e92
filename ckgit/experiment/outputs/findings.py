"""What is wrong with an experiment's history, or with what somebody is about to commit."""

from enum import StrEnum

from pydantic import Field

from ckgit.experiment.design.fields import Frozen
from ckgit.experiment.outputs.fields import CommitId, PrintedDocument, WhatHasIt
from ckgit.experiment.reproduction.record import Reproduction


class Severity(StrEnum):
    """How much a finding says against an experiment's numbers."""

    ERROR = "error"  # what is recorded does not follow from what is in git
    WARNING = "warning"  # it may be meant so, and somebody should look
    NOTE = "note"  # something could not be checked, and why


class Finding(Frozen):
    """One thing that a rule found."""

    rule: str = Field(description="Name of the rule; `ckgit verify --rules` says what each one means.")
    severity: Severity
    commit: CommitId | None = Field(default=None, description="The commit that has it; null for what is staged.")
    path: str = Field(default="", description="The file, relative to the lab; empty where it is about the commit itself.")
    line: int = Field(default=0, ge=0, description="Line of that file, from 1; 0 where none is meant.")
    message: str = Field(description="What was found, in one sentence.")
    advice: str = Field(default="", description="What to do; empty where the rule's own advice says it all.")

    @property
    def is_error(self) -> bool:
        """Whether something recorded does not follow."""
        return self.severity is Severity.ERROR

    def __str__(self) -> str:
        place = ":".join(filter(None, [self.path, str(self.line or "")]))
        where = " ".join(filter(None, [(self.commit or "")[:12], place]))
        return f"{self.severity}: {where}: {self.message} [{self.rule}]" if where else f"{self.severity}: {self.message} [{self.rule}]"


class VerifiedExperiment(Frozen):
    """What verification of one experiment found."""

    experiment: str
    commit: CommitId = Field(description="Up to which its history was looked at.")
    commit_count: int = Field(description="Commits that were looked at.")
    findings: tuple[Finding, ...] = Field(description="Oldest commit first; none where all holds.")
    kept: WhatHasIt = None

    @property
    def holds(self) -> bool:
        """Whether all that is recorded follows from what is in git."""
        return not any(each.is_error for each in self.findings)


class VerifyDocument(PrintedDocument):
    """What `ckgit verify` found."""

    experiments: tuple[VerifiedExperiment, ...]


class ReproduceDocument(Reproduction, PrintedDocument):
    """What `ckgit reproduce` came to, as it is noted on the commit."""


class DescribedRule(Frozen):
    """What a rule looks for."""

    rule: str
    severity: Severity
    means: str
    advice: str
    example: str


class RulesDocument(PrintedDocument):
    """The rules that histories are held against."""

    rules: tuple[DescribedRule, ...]
