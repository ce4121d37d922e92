"""design-experiment: a design becomes a branch, checked against the lab and measured; and revise, which designs it anew."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ckgit import __version__
from ckgit.analysis.tables import status_blocks
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.kept import FILE as KEPT
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.estimates import file as estimate_file
from ckgit.experiment.lifecycle import Event, refuse_closed
from ckgit.experiment.outputs.designs import ClaimPower
from ckgit.experiment.outputs.planned import PlannedCommit
from ckgit.experiment.state import State
from ckgit.experiment.worker import Context
from ckgit.formats.listing import first_of, in_words, plural
from ckgit.formats.markdown import size
from ckgit.formats.numbers import rough_duration
from ckgit.formats.yaml.edit import ValueChange
from ckgit.lab.commit import CommitPlan, make_commit, preview
from ckgit.lab.git import tips
from ckgit.lab.git.objects import tree_entries
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import FILE, SummaryFile, design_text
from ckgit.orchestrators.design.check import context_of, measured_design, placed
from ckgit.orchestrators.design.forecast import Forecast, forecast, kinds
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit, default_branch, updated
from ckgit.orchestrators.design.inputs.stale import stale, uncommitted
from ckgit.orchestrators.design.names import refuse_existing
from ckgit.orchestrators.design.past_runs import read_past_runs
from ckgit.orchestrators.design.powers import read_powers
from ckgit.orchestrators.design.reuse import Reusable, reusable
from ckgit.orchestrators.design.tables import log_lines, resources_block, runs_block
from ckgit.orchestrators.design.touched import JobFate, Touched, touched
from ckgit.orchestrators.engine import logs
from ckgit.orchestrators.engine.generated import generated
from ckgit.orchestrators.engine.logs import DESIGN_LOG
from ckgit.orchestrators.engine.plugins import worker_for

_NAMED = 20  # kept jobs that a commit's message names


class Draft(NamedTuple):
    """A checked and measured design that is not committed yet."""

    lab: Lab
    name: str
    event: Event
    parent: Snapshot | None
    summary: SummaryFile
    plan: Plan
    context: Context
    forecast: Forecast
    files: Mapping[str, bytes | None]  # all that its commit writes or deletes, by path of the lab
    warnings: Sequence[str]  # each with its place in the file that was read, where it has one
    updated: Sequence[str] = ()  # files of the lab that it takes from the default branch
    reusable: Sequence[Reusable] = ()  # of a new one: trainings of the lab that it could take over
    touched: Touched | None = None  # of a revision: what becomes of the results that there are
    powers: Sequence[ClaimPower] = ()  # what each claim could show

    @property
    def plan_of_commit(self) -> CommitPlan:
        """Its commit."""
        parent = self.parent.branch_tip if self.parent else None
        return CommitPlan(self.name, self.event, parent, self.files, self.summary.summary.digest, self.body, self.updated)

    @property
    def body(self) -> str:
        """The commit's text for people."""
        counts = f"{_runs(self.plan)}; {plural(len(self.plan.cells), 'evaluation')}."
        lines = [self.summary.summary.experiment.question, "", counts]
        kept = [f"- {fate.job.name}: {fate.kept.in_words}" for fate in (self.touched.kept if self.touched else ()) if fate.kept]
        lines += [f"Taken from the default branch: {in_words(self.updated)}"] if self.updated else []
        told = ["", "Kept, as it would be made from the same:", *first_of(kept, _NAMED, more="more, which kept.json names")] if kept else []
        return "\n".join([*lines, *(f"Warning: {text}" for text in self.forecast.warnings), *told])

    @property
    def parent_state(self) -> State:
        """The state that it was in."""
        return self.parent.state if self.parent else State.DESIGNED

    @property
    def changes_nothing(self) -> bool:
        """Whether it is the design as it was, and every job of it has left all that it would leave again."""
        same = self.parent is not None and self.parent.design_digest == self.summary.summary.digest
        taken = self.parent is not None and any(self.parent.read(path) != self.files[path] for path in self.updated)
        return same and not taken and self.touched is not None and all(fate.kept for fate in self.touched.fates)


def draft_new(lab: Lab, name: str, content: bytes, file: str, changes: Sequence[ValueChange] = ()) -> Draft:
    """A new experiment from a summary or a design as YAML, checked and measured.

    Args:
        content: the file's bytes. Its name, if it has one, gives way to `name`; a missing date is today's, in UTC.
        file: how problems name it.

    Raises:
        DesignError: with every problem.
        CkgitError: the experiment exists, or a tool is missing.
    """
    draft = _new(lab, name, content, file, changes)
    return draft._replace(warnings=[*_renamed(draft), *draft.warnings])


def _new(lab: Lab, name: str, content: bytes, file: str, changes: Sequence[ValueChange]) -> Draft:
    refuse_existing(lab, name)
    named = ValueChange("experiment.name", name, first=True)
    summary = SummaryFile.from_design(content, file, changes=[*changes, named], defaults=[_dated()], strict=False)
    return _draft(default_branch(lab), name, summary, None)


def _renamed(draft: Draft) -> list[str]:
    """What is to be said where the file that was read has another name than the experiment."""
    about = draft.summary.document.value.get("experiment")
    own = about.get("name") if isinstance(about, Mapping) else None
    return [] if own in (None, draft.name) else [f"{draft.summary.file} calls the experiment {own}; it is designed as {draft.name}"]


def draft_like(lab: Lab, name: str, other: str, changes: Sequence[ValueChange] = ()) -> Draft:
    """A new experiment with the design of another one and today's date.

    Raises:
        DesignError: with every problem.
        CkgitError: there is no such experiment, the new one exists, or a tool is missing.
    """
    refuse_existing(lab, name)
    return _new(lab, name, *read_like(lab, other), [_dated(), *changes])


def read_like(lab: Lab, other: str) -> tuple[bytes, str]:
    """The design of another experiment, and what messages call it.

    Raises:
        DesignError: it cannot be read.
        CkgitError: there is no such experiment.
    """
    snapshot = take_snapshot(lab, other, kept=True)
    file = f"exp/{other}:{snapshot.folder}/{FILE}"
    return SummaryFile.parse(snapshot.summary_bytes(), file).without_body(), file


def to_edit(name: str, content: bytes, file: str, changes: Sequence[ValueChange], *, anew: bool) -> bytes:
    """A design as its author edits it: under its experiment's name, with the changes, without what ckgit writes.

    Args:
        anew: whether it is of another experiment, and gets today's date.

    Raises:
        DesignError: a change has no place in it.
    """
    named = ValueChange("experiment.name", name, first=True)
    return design_text(content, file, [named, *([_dated()] if anew else []), *changes])


def draft_revision(
    lab: Lab,
    name: str,
    content: bytes | None,
    file: str,
    changes: Sequence[ValueChange] = (),
    *,
    update: Sequence[str] = (),
    anew: bool = False,
) -> Draft:
    """An existing experiment designed anew. Results of jobs that would leave the same again are kept; all else is taken away.

    Args:
        content: the new summary or design; the present one where it is None.
        file: how problems name it.
        update: paths of task and data files that are taken from the default branch.
        anew: whether nothing is kept.

    Raises:
        DesignError: with every problem.
        CkgitError: IN_FLIGHT, jobs may still be running; there is no such experiment; or a tool is missing.
    """
    snapshot = take_snapshot(lab, name)
    refuse_closed(name, snapshot.standing)
    ledger = snapshot.any_ledger()
    if ledger and ledger.open() and not snapshot.other_design(ledger.design, ledger.commit):
        raise CkgitError(
            f"{plural(len(ledger.open()), 'job')} of {name} are in flight",
            code=Exit.IN_FLIGHT,
            state="nothing was changed",
            next=f"ckgit cancel {name} ends them; where the design is as it was, ckgit advance {name} waits for them",
        )
    source = snapshot.summary_bytes() if content is None else content
    named = ValueChange("experiment.name", name, first=True)
    summary = SummaryFile.from_design(source, file, changes=[*changes, named], defaults=[_dated()], strict=False)
    place = updated(SourceCommit(lab, snapshot.tip, f"exp/{name}"), summary.summary, update)
    draft = _draft(place, name, summary, snapshot, anew=anew)
    return draft._replace(warnings=[*_renamed(draft), *draft.warnings])


def reusing(draft: Draft) -> Draft:
    """The draft with every training taken over that can be."""
    taken = {each.job.name: each for each in draft.reusable}
    jobs = [job for stage in Stage if (worker := worker_for(draft.summary.summary, stage)) for job in worker.jobs(draft.context)]
    fates = [JobFate(job, taken[job.name].kept, files=[*taken[job.name].files]) if job.name in taken else JobFate(job) for job in jobs]
    found = Touched(fates, draft.summary.summary.digest)
    copies = {path: content for each in draft.reusable for path, content in each.files.items()}
    return draft._replace(files={**draft.files, **copies, f"experiments/{draft.name}/{KEPT}": found.dump()}, touched=found, reusable=())


def commit(draft: Draft) -> str:
    """Make the draft's commit; its id.

    Raises:
        CkgitError: BRANCH_MOVED, someone else was first; then nothing was changed.
    """
    return make_commit(draft.lab, draft.plan_of_commit)


def show(draft: Draft) -> PlannedCommit:
    """What `commit` would commit."""
    return preview(draft.plan_of_commit)


def totals(draft: Draft) -> str:
    """A draft in one line."""
    counts = f"{_runs(draft.plan)}, {plural(len(draft.plan.cells), 'evaluation')}"
    kept = {fate.job.name for fate in (draft.touched.kept if draft.touched else ())}
    if kept:
        seconds = sum(each for job, each in draft.forecast.estimate.seconds().items() if job not in kept)
        return f"{counts}; {plural(len(kept), 'job')} kept; about {rough_duration(seconds)} for the others"
    return f"{counts}; about {rough_duration(draft.forecast.seconds)}, {size(draft.forecast.disk)} of checkpoints"


def _runs(plan: Plan) -> str:
    return f"{plural(len(plan.runs), 'run')}, {len(plan.training)} of them trained"


def _dated() -> ValueChange:
    """Today's date, in UTC: one moment has one date everywhere."""
    return ValueChange("experiment.date", datetime.datetime.now(datetime.UTC).date().isoformat())


def _draft(place: SourceCommit, name: str, file: SummaryFile, parent: Snapshot | None, *, anew: bool = False) -> Draft:
    measured, cluster, remarks = measured_design(place, file, recipes=True)
    file = file.with_recorded(measured.recorded)
    summary, plan = file.summary, build_plan(file.summary)
    context = context_of(place.lab, summary, plan, measured, cluster)
    cost = forecast(context, read_past_runs(place.lab, context.cluster_name, kinds(context)))
    old = [*stale(place, summary), *uncommitted(place.lab, summary)]
    warnings = [*old, *cost.warnings, *placed(file, remarks)]
    cost = cost._replace(warnings=[*old, *cost.warnings, *(remark.message for remark in remarks)])
    resources = resources_block(summary, measured.recorded, measured.cards, cost)
    for block, markdown in {"runs": runs_block(cost), "resources": resources, **status_blocks(context, None)}.items():
        file = file.with_block(block, markdown)
    event = Event.REVISE if parent else Event.DESIGN
    lines = [(event, f"{name}, design {summary.digest}, ckgit {__version__}"), *log_lines(summary, measured, cost)]
    log = f"experiments/{name}/{DESIGN_LOG}"
    powers = read_powers(place.lab, summary, plan, name)
    warnings = [*_rewritten(place, name, parent), *warnings, *powers.warnings]
    kept = touched(place.lab, parent, context, place.commit, instead=place.instead, anew=anew) if parent else None
    stays = kept.files if kept else frozenset()
    files: dict[str, bytes | None] = {
        **dict.fromkeys(path for path in (generated(parent) if parent else _of_that_name(place, name)) if path not in stays),
        **place.instead,
        f"experiments/{name}/{FILE}": file.dump(),
        **measured.rows,
        f"experiments/{name}/{estimate_file.FILE}": cost.estimate.dump(),
        log: logs.appended(parent.read(log) if parent else None, lines, time=logs.now()),
    }
    if kept and (content := kept.dump()):
        files[f"experiments/{name}/{KEPT}"] = content
    could = reusable(place.lab, name, context) if parent is None and place.lab.config.reuse != "never" else []
    found = Draft(place.lab, name, event, parent, file, plan, context, cost, files, warnings, tuple(place.instead), could, kept)
    return found._replace(powers=powers.claims)


def _of_that_name(place: SourceCommit, name: str) -> list[str]:
    """Files that the default branch has under a name which is no experiment's: the branch begins with nothing."""
    return [entry.path for entry in tree_entries(place.lab.root, place.commit, f"experiments/{name}/", recursive=True)]


def _rewritten(place: SourceCommit, name: str, parent: Snapshot | None) -> list[str]:
    """What is to be said where the branch was rewritten, or one of that name was deleted."""
    left = tips.KnownTips(parent.left, parent.tip) if parent else tips.KnownTips(tips.left_at(place.lab.root, name), place.lab.base)
    return list(filter(None, [tips.kept_note(place.lab.root, name, left)]))
