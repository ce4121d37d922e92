"""analyze-experiment: from the committed logs to the report."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ckgit.analysis.accounting import account
from ckgit.analysis.assemble import ResultsByJob, assemble
from ckgit.analysis.score_text import difference, judged, stated
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.claims.meant import Designed, changed_since
from ckgit.experiment.claims.registered import compare
from ckgit.experiment.estimates.guess import Fact
from ckgit.experiment.jobs import Job
from ckgit.experiment.results import Results
from ckgit.experiment.worker import Context
from ckgit.formats.listing import plural
from ckgit.lab.history.claimed import claims_when_seen
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.orchestrators.analyze.evidence import collected, planned_jobs, refused
from ckgit.orchestrators.analyze.files import files_of
from ckgit.orchestrators.analyze.surroundings import Surroundings, surroundings_of
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.logs import untimed
from ckgit.orchestrators.engine.plugins import preparation_for
from ckgit.orchestrators.run.collect import gist

LOG = "analyze-experiment.log"
INSTALL = 'pip install "ckgit[run]"'


def analyze(view: ExperimentView, surroundings: Surroundings | None = None) -> Mapping[str, bytes]:
    """The report, the results, the pictures and the log, by path of the lab. The same commit, ledger and versions give the same bytes.

    Args:
        surroundings: what it is to say beside what follows from the logs; what is so now, where there is none.

    Raises:
        CkgitError: EVIDENCE_MISSING, naming every job whose logs are missing, cannot be read, or contradict each other;
            TOOL_MISSING, when what reads logs or draws is not installed.
    """
    try:
        return _analyze(view, surroundings or surroundings_of(view))
    except ModuleNotFoundError as error:
        raise CkgitError(
            f"reading logs and drawing need {error.name}, which is not installed", code=Exit.TOOL_MISSING, next=INSTALL
        ) from error


def _analyze(view: ExperimentView, surroundings: Surroundings) -> Mapping[str, bytes]:
    context = view.context
    planned = planned_jobs(context)
    left, missing = collected(view, planned)
    jobs = [job for job, _ in planned]
    try:
        took = account(view.attempts, view.snapshot.estimate())
        results = assemble(context, jobs, left, missing, took, surroundings.scored, _facts(context))
        said: dict[str, Any] = {"made_with": dict(surroundings.made_with), "reproduced": tuple(surroundings.reproduced)}
        said["max_bytes"] = surroundings.max_bytes
        results = _registered(view, results.model_copy(update=said))
    except ValueError as error:
        raise refused(view.snapshot, [str(error)]) from None
    folder = f"{context.folder}/analysis"
    files = {f"{folder}/{name}": content for name, content in files_of(view, results, surroundings.max_bytes).items()}
    files[f"{context.folder}/{LOG}"] = untimed(_log(jobs, left, missing, results, files))
    return files


def _registered(view: ExperimentView, results: Results) -> Results:
    """The results with what was claimed before the first evaluation was submitted, and what only then."""
    try:
        seen = claims_when_seen(view.lab.root, view.name, view.snapshot.tip)
    except CkgitError as error:
        return results.model_copy(update={"registration": error.what})
    if seen is None:
        return results
    now, then = Designed(view.context.summary, view.context.plan, view.context.sources), seen.design
    changed = partial(changed_since, before=then, now=now) if then else lambda _: ()
    told, withdrawn = compare([verdict.claim for verdict in results.claims], seen.claims, changed)
    claims = [
        verdict.model_copy(update={"registered": each.registered, "was": each.was, "since": tuple(each.since)})
        for verdict, each in zip(results.claims, told, strict=True)
    ]
    return results.model_copy(update={"claims": tuple(claims), "withdrawn": tuple(withdrawn)})


def _facts(context: Context) -> dict[str, Sequence[Fact]]:
    """What follows from the settings of each run that is trained, as its tool says."""
    worker = preparation_for(context.summary)
    return {run.name: worker.facts(context, run) for run in context.plan.training} if worker else {}


def _log(
    jobs: Sequence[Job], left: ResultsByJob, missing: Mapping[str, Sequence[str]], results: Results, files: Mapping[str, bytes]
) -> Iterator[tuple[str, str]]:
    """What was read, found and written, as (event, text)."""
    for job in jobs:
        if job.name in left:
            yield "READ", f"{job.name}: {gist(left[job.name])}"
        yield from (("MISSING", f"{job.name}: {reason}") for reason in missing.get(job.name, ()))
    for verdict in results.claims:
        yield "CLAIM", f"{judged(verdict)}: {stated(verdict.claim)}, {difference(verdict)}; {verdict.reason}"
    for path, content in sorted(files.items()):
        yield "WROTE", f"{path} ({len(content)} bytes)"


def outdated(snapshot: Snapshot, files: Mapping[str, bytes]) -> list[str]:
    """Paths of what an earlier analysis left that is not what this one gives; also where this one gives nothing."""
    there = snapshot.read_many({*files, *snapshot.list(f"{snapshot.folder}/analysis")})
    return sorted(path for path in {*there, *files} if there.get(path) != files.get(path))


def wrote(files: Collection[str], report: str) -> str:
    """What the commit says of the files, and where the report is."""
    return f"Wrote {plural(len(files), 'file')}; the report is {report}."
