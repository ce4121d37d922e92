"""Judging the claims of a design: of two runs, or of settings over their seeds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ckgit.analysis.claims import pairs, settings
from ckgit.analysis.claims.measured import Measured
from ckgit.analysis.claims.scope import scope
from ckgit.experiment.claims.settings import SettingRuns, settings_of
from ckgit.experiment.claims.verdicts import SettingScores, Verdict
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.model import DataSet
from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.design.plan import Run
from ckgit.experiment.results import RunRow


@dataclass(frozen=True)
class ClaimEvidence:
    """What claims are judged by."""

    rows: Sequence[RunRow]
    planned: Sequence[Run]
    parameters: type[Parameters]
    data: Mapping[str, Mapping[str, DataSet]]  # by task and run what was evaluated, where that is known
    clusters: Mapping[str, str]  # by task the metadata column whose rows belong together
    scored: Mapping[str, int]  # by task how many variants this lab has scored on its rows; empty where that was not counted

    @cached_property
    def settings(self) -> list[SettingRuns]:
        """All settings of the experiment."""
        return settings_of(self.planned, self.parameters)


def judge(claim: Claim, evidence: ClaimEvidence) -> Verdict:
    """What the results say of a claim; of a run with several epochs, the last that was evaluated."""
    if claim.pair and claim.task not in evidence.clusters:
        runs = {run.name: run for run in evidence.planned}
        left, right = (runs[name] for name in claim.pair)
        return pairs.judge(claim, evidence.rows, evidence.data.get(claim.task, {}), scope(left, right))
    measured = Measured(claim, evidence.rows, evidence.clusters.get(claim.task), evidence.data.get(claim.task, {}))
    alone = settings.one_run_a_side(claim, evidence.planned, measured)
    if alone:
        verdict = pairs.judge(
            claim.model_copy(update={"left": alone[0].name, "right": alone[1].name}),
            evidence.rows,
            evidence.data.get(claim.task, {}),
            scope(*alone),
        )
        return verdict.model_copy(update={"claim": claim, "settings": tuple(_sides(verdict, *alone))})
    return settings.judge(claim, evidence.planned, evidence.settings, measured, evidence.scored.get(claim.task, 0))


def _sides(verdict: Verdict, left: Run, right: Run) -> Iterator[SettingScores]:
    if verdict.left is not None:
        yield SettingScores(setting=left.name, side="left", runs=(left.name,), scores=(verdict.left,))
    if verdict.right is not None:
        yield SettingScores(setting=right.name, side="right", runs=(right.name,), scores=(verdict.right,))
