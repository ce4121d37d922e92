"""The rules that verification, hooks and review hold a history against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckgit.experiment.outputs.findings import Finding, Severity


class Rule(NamedTuple):
    """What is looked for."""

    name: str
    severity: Severity
    means: str  # what a finding says, in one sentence
    do: str  # what to do about it
    example: str  # something that it catches

    def found(self, message: str, *, commit: str | None = None, path: str = "", line: int = 0, advice: str = "") -> Finding:
        """A finding of this rule."""
        advice = advice or self.do
        return Finding(rule=self.name, severity=self.severity, commit=commit, path=path, line=line, message=message, advice=advice)


# What somebody is about to commit, or has committed: found in a commit's own files, whatever it records.
SECRET = Rule(
    "secret",
    Severity.ERROR,
    "A file holds what is certainly a secret.",
    "Revoke it, and take it out of the file before it is committed; a secret that was pushed is known.",
    "An access token in a log that was added by hand.",
)
TOO_LARGE = Rule(
    "too-large",
    Severity.ERROR,
    "A file is larger than git can carry well.",
    "Keep it in the work tree or under data_root, and commit its SHA-256 instead.",
    "A checkpoint that was added by hand.",
)
NOT_A_FILE = Rule(
    "not-a-file",
    Severity.ERROR,
    "A link or a submodule stands in an experiment's folder.",
    "Put the file itself there; nothing of ckgit follows a link.",
    "A link from a run's folder to /etc.",
)

RULES: Mapping[str, Rule] = {rule.name: rule for rule in (SECRET, TOO_LARGE, NOT_A_FILE)}

# What git's hooks look for, besides these, before somebody commits or pushes.
WEIGHTS = Rule(
    "weights",
    Severity.ERROR,
    "A model's weights are about to be committed.",
    "Take it out of the commit: git restore --staged PATH; weights stay in the work tree, and ckgit commits their SHA-256.",
    "A checkpoint of an epoch, added by `git add --force`.",
)
SUMMARY = Rule(
    "summary",
    Severity.ERROR,
    "experiment_summary.md is no summary of this experiment.",
    "Mend the line, stage the file and commit again.",
    "A number that is a text, or a key that there is not.",
)
DESIGN_CHANGED = Rule(
    "design-changed",
    Severity.ERROR,
    "The design is not the one that the jobs were made of.",
    "Take the change back, or go back to designed with it by `ckgit revise`.",
    "Another learning rate in the summary of a trained experiment.",
)
OWNED_FILE = Rule(
    "owned-file",
    Severity.ERROR,
    "A file that ckgit wrote was changed, removed or put there by hand.",
    "Take it out of the commit: git restore --staged PATH; notes of your own belong into the summary's body, or into files of your own.",
    "A better score in analysis/results.json.",
)
ILLEGAL_STEP = Rule(
    "illegal-step",
    Severity.ERROR,
    "A commit's trailers record a step that is none of the experiment's, or not one from where it stands.",
    "Let ckgit make the step, or take the lines that begin with Ckgit- out of the message.",
    "A commit that says it evaluated what was never trained.",
)
UNRECORDED_STEP = Rule(
    "unrecorded-step",
    Severity.ERROR,
    "The summary says another state than before, and no step is recorded that led there.",
    "Leave the state to ckgit: `ckgit advance` takes the next step, and `ckgit revise` goes back to designed.",
    "`state: analyzed`, written into the summary by hand.",
)
REMOVED_ATTEMPT = Rule(
    "removed-attempt",
    Severity.ERROR,
    "An attempt that was committed is told by nothing any more.",
    "Push a branch that still has its commit; `ckgit revise` begins anew without losing it.",
    "A failed training that a rebase has left out.",
)
CHANGED_ATTEMPT = Rule(
    "changed-attempt",
    Severity.ERROR,
    "An attempt that was committed is told otherwise.",
    "Take the commit back that changes jobs.json; only ckgit writes it.",
    "A failed job whose exit code became 0.",
)

_OF_HOOKS = (WEIGHTS, SUMMARY, DESIGN_CHANGED, OWNED_FILE, ILLEGAL_STEP, UNRECORDED_STEP, REMOVED_ATTEMPT, CHANGED_ATTEMPT)
RULES = {**RULES, **{rule.name: rule for rule in _OF_HOOKS}}
