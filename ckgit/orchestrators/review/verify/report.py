"""The report follows from the committed logs: it is written again, and compared."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.orchestrators.analyze import analyze
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.step import Step, in_words


def report(step: Step) -> Iterator[Finding]:
    """Results, report and pictures are those that the commit before gives."""
    if step.event is not Event.ANALYZE or not step.before:
        return
    if not step.is_ours:
        what = f"its report cannot be written again: made by ckgit {step.version or 'of before versions were recorded'}"
        yield rules.UNCHECKED.found(what, commit=step.commit.oid, advice="verify with that version of ckgit")
        return
    try:
        expected = analyze(step.view_before._replace(ledger=step.ledger))  # with what accounting has told since
    except CkgitError as error:
        if error.code is Exit.TOOL_MISSING:
            raise
        yield rules.REPORT.found(f"no report follows from its logs: {in_words(error)}", commit=step.commit.oid)
        return
    there = step.after.read_many({*expected, *step.after.list(f"{step.folder}/analysis")})
    for path in sorted(expected.keys() | there.keys()):
        if path not in there:
            yield rules.REPORT.found("the logs give it, and it is not there", commit=step.commit.oid, path=path)
        elif path not in expected:
            yield rules.REPORT.found("no log gives it", commit=step.commit.oid, path=path)
        elif expected[path] != there[path]:
            yield _differs(step, path)


def _differs(step: Step, path: str) -> Finding:
    if path.endswith(".svg"):
        what = "it is not the picture that is drawn of these results with the matplotlib that is installed here"
        return rules.PICTURE.found(what, commit=step.commit.oid, path=path)
    return rules.REPORT.found("it is not what the logs give", commit=step.commit.oid, path=path)
