"""What was claimed before results could be seen, and what only then; and how much was scored on the same rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.analysis.score_text import stated
from ckgit.experiment.claims.verdicts import Registered, Verdict
from ckgit.experiment.measured.compared import ScoredSplit
from ckgit.experiment.results import Results
from ckgit.formats.listing import first_of, plural
from ckgit.formats.markdown import cell

_NAMED = 8  # experiments of a sentence


def registered_section(results: Results) -> str:
    """Which claims are confirmatory, which exploratory, what these were before, and how many variants saw the same rows."""
    parts = [part for part in (_claims(results), "\n".join(f"- {cell(each)}" for each in map(scored_in_words, results.scored))) if part]
    return "\n\n".join(["## Claimed before results, and after", *parts]) if parts else ""


def _claims(results: Results) -> str:
    if results.registration:
        return f"When the claims were made is not known: {cell(results.registration)}."
    late = [verdict for verdict in results.claims if verdict.registered not in (Registered.BEFORE, None)]
    known = [verdict for verdict in results.claims if verdict.registered]
    if not known and not results.withdrawn:
        return ""
    early, count = len(known) - len(late), len(known)
    which = {0: "None of the claims was", count: "The claim was" if count == 1 else "Each claim was"}.get(
        early, f"{early} of {count} claims were"
    )
    said = f"{which} in the design before the first evaluation was submitted" + (", and so is confirmatory." if early == count else ".")
    lines = [f"- {cell(text)}" for text in (*map(_late, late), *(f"withdrawn: {stated(claim)}" for claim in results.withdrawn))]
    after = "Since results could be seen, these were changed, added or withdrawn; what comes out of them is exploratory:\n\n" + "\n".join(
        lines
    )
    return "\n\n".join([f"{said} Whatever else is in this report is exploratory.", *([after] if lines else [])])


def _late(verdict: Verdict) -> str:
    said = stated(verdict.claim)
    if verdict.since:
        return f"says the same of something else: {said}; changed: {'; '.join(verdict.since)}"
    return f"changed: {said}; before: {_before(verdict)}" if verdict.was else f"added: {said}"


def _before(verdict: Verdict) -> str:
    return stated(verdict.was) if verdict.was else ""


def scored_in_words(each: ScoredSplit) -> str:
    """How many variants a lab has scored on the rows of a task, and where."""
    controls = f" and {plural(each.controls, 'control')}" if each.controls else ""
    listed = ", ".join(first_of((f"{name} ({count})" for name, count in each.experiments.items()), _NAMED))
    own = f" of data {each.data[:12]}" if each.data else ""
    if each.again:
        return f"{each.task}: split {each.split}{own} has the same rows under another name, and is counted there"
    said = (
        f"{each.task}: on split {each.split}{own} this lab has scored {plural(each.variants, 'variant')}{controls}, seeds and epochs apart"
    )
    return f"{said}: {listed}{''.join([*_elsewhere(each), *_unread(each)])}"


def _elsewhere(each: ScoredSplit) -> Iterator[str]:
    if each.elsewhere:
        listed = ", ".join(first_of((f"{name} ({count})" for name, count in each.elsewhere.items()), _NAMED))
        yield f"; variants of this experiment were scored elsewhere, too, where what came of them could be seen: {listed}"


def _unread(each: ScoredSplit) -> Iterator[str]:
    if each.unread:
        yield f"; could not be read, and may have scored more: {', '.join(first_of(each.unread, _NAMED))}"
