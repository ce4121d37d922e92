"""A history holds the steps that were attested of it: who has written it anew cannot have them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding, Severity
from ckgit.formats.listing import plural
from ckgit.formats.numbers import rough_duration
from ckgit.formats.times import of_git
from ckgit.lab.branches import steps_of
from ckgit.lab.git.anchors import ATTESTED, Anchor, anchors, is_any, lost
from ckgit.lab.git.command import git_lines, is_ancestor
from ckgit.lab.git.signatures import signatures
from ckgit.lab.git.tips import CLOSED
from ckgit.lab.lab import Lab
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.named import History
from ckgit.orchestrators.review.proof.signatures import allowed_signers

_DESIGNS = (Event.DESIGN, Event.REVISE)
_NAMED = 5


def attested(lab: Lab, subject: History) -> Iterator[Finding]:
    """What anchors say of a history: which of its steps they attest, and which they attest that it does not have."""
    known = anchors(lab.root, subject.experiment)
    gone = [each for each in lost(lab.root, known, subject.commit) if not is_ancestor(lab.root, subject.commit, each.commit)]
    elsewhere = [each for each in gone if not is_ancestor(lab.root, each.commit, lab.base)]  # merged, and the name was used again
    closed = [each for each in elsewhere if _closed(lab, each)]
    yield from _replaced(closed)
    yield from lost_findings([each for each in elsewhere if each not in closed])
    if not known and not lab.config.authority and not is_any(lab.root):
        return
    steps = [oid for oid, step in steps_of(lab.root, subject.experiment, subject.commit) if step.event in ATTESTED]
    here = [each for each in known if each.commit in steps]
    if not here:
        what = "this clone has no anchor of it: where the repository that others push to has none either, who made it could make it anew"
        yield rules.ATTESTED.found(what, commit=subject.commit)
        return
    times = " to ".join(dict.fromkeys(f"{each.event} {each.when}" for each in (here[0], here[-1])))
    makers = ", ".join(dict.fromkeys(each.by for each in here)) + _signed(lab, here)
    late = f"{rough_duration(_latest(lab, here))} after they were made at most"
    verb = "is" if len(here) == 1 else "are"
    what = f"{len(here)} of {plural(len(steps), 'step')} that can be attested {verb}, by {makers}, {late} ({times})"
    yield rules.ATTESTED.found(what, commit=here[-1].commit, advice="" if len(here) == len(steps) else rules.ATTESTED.do)


def _latest(lab: Lab, here: Sequence[Anchor]) -> float:
    """Seconds between a step and its anchor, by their own words, at most: a history that came as a whole has them from long ago."""
    form = ("rev-list", "--no-walk", "--no-commit-header", "--format=%H %at")
    made = dict(line.split(" ") for line in git_lines(lab.root, *form, *(each.commit for each in here), "--"))
    return max(0.0, *(datetime.datetime.fromisoformat(each.when).timestamp() - of_git(made[each.commit]).timestamp() for each in here))


def _signed(lab: Lab, here: Sequence[Anchor]) -> str:
    """Whose signatures the anchors have, where the lab says whose count."""
    if not lab.config.signatures.allowed_signers:
        return ""
    found = signatures(lab.root, [each.oid for each in here], allowed_signers(lab)).values()
    count = sum(not each.why for each in found)
    signers = ", ".join(dict.fromkeys(each.signer for each in found if each.signer))
    return f", {count} of them signed by {signers}" if count else ", none of them signed"


def lost_findings(gone: Sequence[Anchor]) -> Iterator[Finding]:
    """What is to be said of attested steps that a history does not have, and that nothing keeps.

    A server lets a branch be deleted from which no job was handed over; so a design alone that is not there was given up, and its
    name used again. Whoever reads the new one is told.
    """
    designs = [each for each in gone if each.event in _DESIGNS]
    if len(designs) == len(gone):
        rule = rules.ANCHOR._replace(severity=Severity.WARNING)
        for each in designs[-1:]:
            what = f"another design of this name was attested at {each.when}, and was given up before any job of it was known"
            yield rule.found(what, commit=each.commit, advice=f"git show {each.commit[:12]} shows it")
        return
    for each in gone[:_NAMED]:
        what = f"{each.event} was attested at {each.when} by {each.by}, and this history does not have it"
        yield rules.ANCHOR.found(what, commit=each.commit)
    if len(gone) > _NAMED:
        yield rules.ANCHOR.found(f"and {len(gone) - _NAMED} more attested steps that it does not have")


def _replaced(closed: Sequence[Anchor]) -> Iterator[Finding]:
    if closed:
        what = f"another history of this name was attested, from {closed[0].when} to {closed[-1].when}, and is kept as closed"
        advice = f"git log {closed[-1].commit[:12]} shows it: find out why it was given up"
        yield rules.ANCHOR._replace(severity=Severity.WARNING).found(what, commit=closed[-1].commit, advice=advice)


def _closed(lab: Lab, anchor: Anchor) -> bool:
    return bool(git_lines(lab.root, "for-each-ref", "--count=1", f"--contains={anchor.commit}", "--format=%(refname)", CLOSED))
