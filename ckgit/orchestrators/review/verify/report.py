"""The report follows from the committed logs: it is written again, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.results import Results
from ckgit.orchestrators.analyze import analyze, installed_versions
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
    made_with = _recorded(step)
    try:
        # accounting may have come with this step
        expected = analyze(step.view_before._replace(ledger=step.ledger), made_with)
    except CkgitError as error:
        if error.code is Exit.TOOL_MISSING:
            raise
        yield rules.REPORT.found(f"no report follows from its logs: {in_words(error)}", commit=step.commit.oid)
        return
    there = step.after.read_many({*expected, *step.after.list(f"{step.folder}/analysis")})
    drawn_alike = (made_with or {}).get("matplotlib") == installed_versions().get("matplotlib")
    for path in sorted(expected.keys() | there.keys()):
        if path not in there:
            yield rules.REPORT.found("the logs give it, and it is not there", commit=step.commit.oid, path=path)
        elif path not in expected:
            yield rules.REPORT.found("no log gives it", commit=step.commit.oid, path=path)
        elif expected[path] != there[path] and path.endswith(".svg") and not drawn_alike:
            yield rules.UNCHECKED.found("it was drawn with another matplotlib than is installed", commit=step.commit.oid, path=path)
        elif expected[path] != there[path]:
            yield rules.REPORT.found("it is not what the logs give", commit=step.commit.oid, path=path)


def _recorded(step: Step) -> Mapping[str, str] | None:
    """The versions that the results say they were made with; None where they cannot be read, or say none."""
    try:
        return Results.model_validate_json(step.after.read(f"{step.folder}/analysis/results.json") or b"").made_with or None
    except ValidationError:
        return None
