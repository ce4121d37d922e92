"""From an interval to a judgement. Pure."""

from __future__ import annotations

from ckgit.experiment.claims.verdicts import Judgement
from ckgit.experiment.design.claim import Claim
from ckgit.formats.markdown import number

SAME_LEVEL = 0.9  # two one-sided tests of 5 % each: Schuirmann 1987 (J. Pharmacokinet. Biopharm. 15:657)


def level_of(claim: Claim, compared: int = 1) -> float:
    """Coverage of the interval that decides a claim; of one among several with Bonferroni's correction."""
    return SAME_LEVEL if claim.direction == "same" else 1 - 0.05 / compared


def decide(claim: Claim, low: float, high: float) -> tuple[Judgement, str]:
    """What the ends of left minus right, or of a slope, say of a claim, and why."""
    wanted = f"{claim.by:g}"
    if claim.direction == "same":
        return _same(claim, low, high)
    least, most = (low, high) if claim.direction in ("greater", "increases") else (-high, -low)
    if least > claim.by:
        return Judgement.SUPPORTED, f"the whole interval lies beyond {wanted}"
    if most < claim.by:
        return Judgement.NOT_SUPPORTED, f"the whole interval falls short of {wanted}: at most {number(most)}"
    return Judgement.UNDECIDED, f"the interval includes {wanted}"


def _same(claim: Claim, low: float, high: float) -> tuple[Judgement, str]:
    wanted = f"{claim.by:g}"
    if -claim.by < low and high < claim.by:
        return Judgement.SUPPORTED, f"the whole 90 % interval lies within {wanted} of 0"
    if low > claim.by or high < -claim.by:
        return Judgement.NOT_SUPPORTED, f"the whole 90 % interval lies farther than {wanted} from 0"
    return Judgement.UNDECIDED, f"the 90 % interval reaches over {wanted} or -{wanted}"
