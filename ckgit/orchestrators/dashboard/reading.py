"""What a whole lab is at now, experiment by experiment; of one that cannot be read, why. One that is broken takes no other with it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ckgit.errors import CkgitError
from ckgit.jobs.folder import job_folder
from ckgit.lab.experiments import ExperimentRow, list_experiments
from ckgit.lab.git.command import git
from ckgit.lab.lab import Lab
from ckgit.orchestrators.dashboard.kept import keep, keys_of, recalled
from ckgit.orchestrators.dashboard.now import UNREADABLE, CommittedFacts, ExperimentNow, LabNow, Unread
from ckgit.orchestrators.queries.experiments import beside, with_unknown_jobs
from ckgit.orchestrators.queries.status import overview


@dataclass
class LabReader:
    """Reads a lab again and again: what is committed only where it is new, jobs that are out each time.

    What was read with its results is kept for the next process, too.
    """

    lab: Lab
    results: bool = True  # whether verdicts and costs are wanted, which takes longer
    only: str | None = None  # the one experiment that is wanted; None for all
    _known: dict[str, ExperimentNow] = field(default_factory=dict)

    def read(self) -> LabNow:
        """The lab now.

        Raises:
            CkgitError: the branches of the lab cannot be listed.
        """
        rows = list_experiments(self.lab, kept=True)
        problems: list[Unread] = []
        try:
            rows = with_unknown_jobs(self.lab, rows, beside(self.lab, rows))
        except CkgitError as error:  # where jobs would be looked for cannot be read
            problems.append(Unread.of(error))
        wanted = [row for row in rows if self.only in (None, row.name)]
        keys = self._keys(wanted)
        self._known = {row.name: self._experiment(row, keys.get(row.name, "")) for row in wanted}
        now = datetime.datetime.now(datetime.UTC)
        return LabNow(self.lab.root.resolve().name, now, [*self._known.values()], problems)

    def _keys(self, rows: Sequence[ExperimentRow]) -> Mapping[str, str]:
        try:
            return keys_of(self.lab, rows)
        except CkgitError:  # git cannot tell of all together: each is read, and says why
            return {}

    def _experiment(self, row: ExperimentRow, key: str) -> ExperimentNow:
        known = self._known.get(row.name)
        if key and known and known.key == key:
            return known
        if key and self.results and (kept := recalled(key)):
            return kept
        now = self._read(row, known)
        if not key or not now.is_settled:
            return now
        now = now._replace(key=key)
        if self.results:
            keep(now)
        return now

    def _read(self, row: ExperimentRow, known: ExperimentNow | None) -> ExperimentNow:
        if row.lost:
            return ExperimentNow(row, None, CommittedFacts(), [Unread(row.note, "git fsck")])
        try:
            found = overview(self.lab, row.name)
        except UNREADABLE as error:
            return ExperimentNow(row, None, CommittedFacts(), [Unread.of(error)])
        if known and known.row == row and known.overview and not known.problems:
            return known._replace(overview=found)
        try:
            return ExperimentNow(row, found, _committed(self.lab, row.name) if self.results else CommittedFacts())
        except UNREADABLE as error:
            return ExperimentNow(row, found, CommittedFacts(), [Unread.of(error)])


def _committed(lab: Lab, name: str) -> CommittedFacts:
    from ckgit.orchestrators.engine.experiment import open_experiment
    from ckgit.orchestrators.queries.show import describe

    found = describe(open_experiment(lab, name, kept=True), None)
    costs = next((costs for costs in found.accounting.costs if costs.stage is None), None)
    claims = found.results.claims if found.results else ()
    return CommittedFacts(found.view.context.summary.experiment.question, found.jobs, claims, costs)


def traces(lab: Lab, out: Collection[ExperimentNow]) -> tuple[object, ...]:
    """What differs when a ref of the lab has moved, ckgit.toml was changed, or a job of those that are out has told news."""
    form = "--format=%(objectname) %(refname)"
    refs = git(lab.root, "for-each-ref", form, "refs/heads", "refs/remotes", "refs/ckgit")
    jobs = [
        _trace(job_folder(Path(found.work_tree), job.attempt.token) / name)
        for each in out
        if (found := each.overview) and found.work_tree
        for job in found.open
        for name in ("claim", "output", "status.json")
    ]
    return (refs, _trace(lab.root / "ckgit.toml"), *jobs)


def _trace(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@dataclass
class LabWatch:
    """Reads a lab only where something has changed: git and the jobs' files at each look, a scheduler now and then."""

    lab: Lab
    reader: LabReader
    poll: float = 30.0  # seconds after which a scheduler is asked again of jobs that are out
    _traces: tuple[object, ...] = ()
    _at: float = float("-inf")

    def read(self, known: LabNow | None) -> LabNow:
        """The lab now; where nothing has changed, what is known.

        Raises:
            CkgitError: the branches of the lab cannot be listed.
        """
        found = traces(self.lab, known.out if known else ())
        overdue = bool(known and known.out) and time.monotonic() - self._at > self.poll
        if known and found == self._traces and not overdue:
            return known
        now = self.reader.read()
        self._traces, self._at = found, time.monotonic()  # as it was before, so that nothing is missed
        return now
