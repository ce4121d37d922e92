"""`ckgit verify`: whether an experiment's numbers follow from what is in git."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments
from ckgit.cli.output.tables import printable
from ckgit.cli.output.writing import refuse_others, write_file
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, note
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import Kept
from ckgit.formats.listing import plural

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import RulesDocument, VerifiedExperiment, VerifyDocument
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.review.named import History
    from ckgit.orchestrators.review.rule import Rule

_HAS = {Kept.CLOSED: ", kept as closed", Kept.MERGED: ", merged"}  # where the branch is gone


@click.command("verify")
@click.argument("targets", metavar="[NAME|BRANCH|RANGE]...", nargs=-1, shell_complete=experiments)
@click.option("--all", "every", is_flag=True, help="All experiments of the lab, also those that were closed or merged.")
@click.option("--deep", is_flag=True, help="Also ask the cluster for each job, and look at the checkpoints in the work tree.")
@click.option("--rules", is_flag=True, help="List the rules, and verify nothing.")
@click.option("--sarif", type=click.Path(path_type=Path, dir_okay=False), help="Write the findings as SARIF 2.1.0, too.", metavar="FILE")
@json_option
@click.pass_context
def command(ctx: click.Context, targets: Sequence[str], sarif: Path | None, *, every: bool, deep: bool, rules: bool, as_json: bool) -> None:
    """Check that an experiment's numbers follow from what is in git.

    Each commit of its branch is held against what ckgit itself makes of the one before: steps, design, scaffolded files, ledger, logs,
    report. It reads git objects alone, and executes nothing of them. RANGE is BASE..HEAD: the experiments that it is about.
    It ends with 9 where something does not follow; what could not be checked is noted, and says nothing against it.
    """
    if rules:
        emit(_rules_document, as_json, _rules_text())
        return
    lab = lab_from(ctx)
    refuse_others(lab, [sarif] if sarif else [])
    failed: list[CkgitError] = []
    verified = list(_verified(lab, _subjects(lab, targets, every=every), failed, deep=deep))
    if sarif:
        from ckgit.orchestrators.review.sarif import sarif as log

        write_file(lab, sarif, log(verified))
        note(f"findings written to {printable(str(sarif))}")
    if not verified and not failed:
        note("no experiments yet, so there is nothing to verify")
    if verified or as_json:
        emit(lambda: _document(verified), as_json, "\n".join(line for each in verified for line in _lines(each)))
    code = failed[0].code if failed else Exit.DONE
    ctx.exit(code if all(each.holds for each in verified) else Exit.NOT_VERIFIED)


def _subjects(lab: Lab, targets: Sequence[str], *, every: bool) -> list[History]:
    from ckgit.orchestrators.review.named import subjects

    return subjects(lab, targets or ([] if every else [experiment_name(lab, None)]), every=every)


def _verified(lab: Lab, wanted: Sequence[History], failed: list[CkgitError], *, deep: bool) -> Iterator[VerifiedExperiment]:
    """What was found of each. Of several, one that cannot be verified here is told, added to `failed`, and stops no other."""
    from ckgit.orchestrators.review.verify.verify import verify

    for number, subject in enumerate(wanted, start=1):
        if len(wanted) > 1:
            note(f"verifying {subject.experiment} ({number} of {len(wanted)})")
        try:
            yield verify(lab, subject, deep=deep)
        except CkgitError as error:
            if len(wanted) == 1:
                raise
            note(f"ckgit: {subject.experiment}: {error}")
            failed.append(error)


def _lines(found: VerifiedExperiment) -> Iterator[str]:
    found_of = Counter(str(each.severity) for each in found.findings)
    counts = ", ".join(plural(found_of[kind], kind) for kind in ("error", "warning", "note") if found_of[kind])
    what = "what could be checked" if any(each.rule == "unchecked" for each in found.findings) else "all that is recorded"
    holds = f"{what} follows from what is in git" if found.holds else "it does not hold"
    place = f"{found.experiment} at {found.commit[:12]}, {plural(found.commit_count, 'commit')}{_HAS[found.kept] if found.kept else ''}"
    yield f"{place}: {holds}{f' ({counts})' if counts else ''}"
    for each in found.findings:
        yield f"  {each}"
        yield from [f"    {each.advice}"] if each.advice else []


def _document(verified: Sequence[VerifiedExperiment]) -> VerifyDocument:
    from ckgit.experiment.outputs.findings import VerifyDocument

    return VerifyDocument(experiments=tuple(verified))


def _rules_document() -> RulesDocument:
    from ckgit.experiment.outputs.findings import DescribedRule, RulesDocument
    from ckgit.orchestrators.review.rules import RULES

    described = (DescribedRule(rule=r.name, severity=r.severity, means=r.means, advice=r.do, example=r.example) for r in RULES.values())
    return RulesDocument(rules=tuple(described))


def _rules_text() -> str:
    from ckgit.orchestrators.review.rules import RULES

    return "\n".join(line for rule in RULES.values() for line in _described(rule))


def _described(rule: Rule) -> list[str]:
    example = [f"  For example: {rule.example}"]
    return [f"{rule.name} ({rule.severity})", *(f"  {text}" for text in (rule.means, rule.do) if text), *example]
