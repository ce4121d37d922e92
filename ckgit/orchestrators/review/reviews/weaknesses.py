"""What a design will not show, however its jobs end: said before they cost anything. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckgit.analysis.statistics.smallest_difference import smallest_difference
from ckgit.experiment.checks.remarks import joined
from ckgit.experiment.claims.settings import chosen
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.model import RunType, Summary
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.outputs.designs import ClaimPower
from ckgit.experiment.outputs.review.reviewed import SmallestDifference
from ckgit.formats.listing import plural
from ckgit.orchestrators.design.forecast import RunForecast
from ckgit.orchestrators.design.powers import rows_asked

_FEW_STEPS = 20  # below, a learning rate has hardly warmed up, and one batch more or less decides
DISAGREEING = 1 / 3


def weaknesses(summary: Summary, plan: Plan, runs: Sequence[RunForecast]) -> Iterator[str]:
    """One sentence for each."""
    few = [one.run.name for one in runs if one.steps and one.steps.total < _FEW_STEPS]
    if few:
        yield f"{joined(few)}: fewer than {_FEW_STEPS} optimizer steps in all, so little is learned and chance decides much"
    if plan.training and not any(run.type is RunType.CONTROL for run in plan.runs):
        yield "there is no control run: what training itself changes cannot be told"
    seeds = {run["seed"] for run in plan.training}
    if plan.training and len(seeds) == 1:
        yield f"every run is trained with one seed ({seeds.pop()}): no difference can be told from that of two seeds"
    yield from _uncovered(summary, plan)


def _uncovered(summary: Summary, plan: Plan) -> Iterator[str]:
    """Variables that no claim compares."""
    claims = summary.experiment.claims
    varied = [name for name, values in summary.variables.items() if len(values) > 1 and name != "seed"]
    if varied and not claims:
        yield f"nothing is claimed about {joined(varied)}: whatever comes out can be called expected"
        return
    uncovered = [name for name in varied if not any(_compares(claim, name, plan) for claim in claims)]
    if uncovered:
        yield f"no claim compares runs that differ in {joined(uncovered)}"


def _compares(claim: Claim, name: str, plan: Plan) -> bool:
    """Whether a claim's sides have other values of a parameter; of a trend whether it is that parameter's."""
    if claim.trend or claim.best:
        return claim.along == name or any(not isinstance(side, str) and name in side for side in claim.sides)
    left, right = ({run[name] for run in chosen(side, plan.runs)} for side in claim.sides)
    return left != right


def smallest(summary: Summary, plan: Plan) -> Iterator[SmallestDifference]:
    """Of each task whose rows are counted, the smallest difference of two runs that it can show."""
    for task in summary.evaluation.tasks:
        counts = {rows_asked(summary, plan, cell.run, task.name) for cell in plan.cells if cell.task.name == task.name} - {0}
        for rows in sorted(counts):
            yield SmallestDifference(
                task=task.name, rows=rows, at_best=smallest_difference(rows), disagreeing=smallest_difference(rows, DISAGREEING)
            )


def powers_in_words(powers: Sequence[ClaimPower]) -> Iterator[str]:
    """One sentence on what each claim could show, and one on what that is assumed by."""
    yield from map(_power_in_words, powers)
    yield from dict.fromkeys(each.assumed for each in powers if each.assumed)


_SHOWS = {"difference": "a true difference of", "margin": "the same within", "slope": "for each unit a true slope of"}


def _power_in_words(each: ClaimPower) -> str:
    begin = f"claim {each.number} ({each.says})"
    if each.unknown:
        return f"{begin}: not known: {each.unknown}"
    of = f"{each.rows:,} rows" + (f" and {' or '.join(map(str, each.seeds))} seeds of each setting" if each.seeds else "")
    said = f"nothing, as {of} are too few" if each.smallest is None else f"with {of} {_SHOWS[each.shows]} {each.smallest:.2g}"
    others = ", ".join(f"{value:.2g} with {count} seeds" for count, value in each.by_seeds.items() if (count,) != each.seeds)
    return f"{begin}: {said}{f'; {others}' if others else ''}"


def in_words(each: SmallestDifference) -> str:
    """One sentence."""
    rows = plural(each.rows, "row")
    if each.at_best is None:
        return f"{each.task}: its {rows} cannot show any difference"
    more = f", and {each.disagreeing:.2g} where two runs disagree on a third of them" if each.disagreeing is not None else ""
    return f"{each.task}: its {rows} can show a difference of {each.at_best:.2g} at best{more}"
