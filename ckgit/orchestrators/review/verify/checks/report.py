"""The report follows from the committed logs: it is written again, and compared."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.analysis.plots.drawing import DRAWN_BY, FORMATS
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.results import Results
from ckgit.lab.history.scored import understated
from ckgit.orchestrators.analyze.analyze import analyze
from ckgit.orchestrators.analyze.surroundings import Surroundings, installed_versions, said_before
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks.step import Step, in_words

_DRAWN = dict.fromkeys([*(f".{form}" for form in FORMATS), ".html"], DRAWN_BY)  # the page has the pictures in it
_MADE_BY = {**_DRAWN, ".parquet": ("pyarrow",)}


def report(step: Step) -> Iterator[Finding]:
    """Results, report and pictures are those that the commit before gives."""
    if step.event is not Event.ANALYZE or not step.before:
        return
    if not step.is_ours:
        what = f"its report cannot be written again: made by ckgit {step.version or 'of before versions were recorded'}"
        yield rules.UNCHECKED.found(what, commit=step.commit.oid, advice="verify with that version of ckgit")
        return
    recorded = said_before(step.after)
    made_with = recorded.made_with if recorded else {}
    try:
        # accounting may have come with this step
        limit = recorded.max_bytes if recorded else None
        limit = step.view_before.context.max_log_bytes if limit is None else limit
        told = (recorded.reproduced, limit, recorded.scored) if recorded else ((), limit)
        said = Surroundings(made_with or installed_versions(), *told)
        expected = analyze(step.view_before._replace(ledger=step.ledger), said)
    except CkgitError as error:
        if error.code is Exit.TOOL_MISSING:
            raise
        yield rules.REPORT.found(f"no report follows from its logs: {in_words(error)}", commit=step.commit.oid)
        return
    yield from _variants(step, recorded)
    there = step.after.read_many({*expected, *step.after.list(f"{step.folder}/analysis")})
    installed = installed_versions()
    others = {end: [name for name in names if made_with.get(name) != installed.get(name)] for end, names in _MADE_BY.items()}
    for path in sorted(expected.keys() | there.keys()):
        if path not in there:
            yield rules.REPORT.found("the logs give it, and it is not there", commit=step.commit.oid, path=path)
        elif path not in expected:
            yield rules.REPORT.found("no log gives it", commit=step.commit.oid, path=path)
        elif expected[path] != there[path] and (other := others.get(path[path.rindex(".") :])):
            said_of = f"it was made with another {' and another '.join(other)} than is installed"
            yield rules.UNCHECKED.found(said_of, commit=step.commit.oid, path=path)
        elif expected[path] != there[path]:
            yield rules.REPORT.found("it is not what the logs give", commit=step.commit.oid, path=path)


def _variants(step: Step, recorded: Results | None) -> Iterator[Finding]:
    """How much the lab had scored is taken as it is said, but for what the experiment's own jobs tell."""
    for task in understated(recorded.scored, step.after) if recorded else ():
        what = f"it says that fewer variants were scored on the rows of {task} than this experiment alone has"
        yield rules.REPORT.found(what, commit=step.commit.oid)
