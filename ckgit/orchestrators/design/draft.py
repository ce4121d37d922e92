"""design-experiment: a design becomes a branch, checked against the lab and measured; and revise, which designs it anew."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ckgit import __version__
from ckgit.analysis.tables import status_blocks
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.estimates import file as estimate_file
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.outputs.planned import PlannedCommit
from ckgit.formats.listing import plural
from ckgit.formats.markdown import size
from ckgit.formats.numbers import rough_duration
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.edit import ValueChange
from ckgit.lab.commit import CommitPlan, make_commit, preview
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git import tips
from ckgit.lab.git.objects import tree_entries
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot import Snapshot, take_snapshot
from ckgit.lab.summary.file import FILE, SummaryFile
from ckgit.orchestrators.design.check import context_of, measured_design, placed
from ckgit.orchestrators.design.forecast import Forecast, forecast, kinds
from ckgit.orchestrators.design.lookup import SourceCommit, default_branch
from ckgit.orchestrators.design.past_runs import read_past_runs
from ckgit.orchestrators.design.stale import stale
from ckgit.orchestrators.design.tables import log_lines, resources_block, runs_block
from ckgit.orchestrators.engine import logs
from ckgit.orchestrators.engine.generated import generated
from ckgit.orchestrators.engine.logs import DESIGN_LOG

_OWN_KEYS = ("state", "recorded", "schema_version")


class Draft(NamedTuple):
    """A checked and measured design that is not committed yet."""

    lab: Lab
    name: str
    event: Event
    parent: Snapshot | None
    summary: SummaryFile
    plan: Plan
    forecast: Forecast
    files: Mapping[str, bytes | None]  # all that its commit writes or deletes, by path of the lab
    warnings: Sequence[str]  # each with its place in the file that was read, where it has one

    @property
    def plan_of_commit(self) -> CommitPlan:
        """Its commit."""
        parent = self.parent.branch_tip if self.parent else None
        return CommitPlan(self.name, self.event, parent, self.files, self.summary.summary.digest, self.body)

    @property
    def body(self) -> str:
        """The commit's text for people."""
        counts = f"{_runs(self.plan)}; {plural(len(self.plan.cells), 'evaluation')}."
        lines = [self.summary.summary.experiment.question, "", counts]
        return "\n".join([*lines, *(f"Warning: {text}" for text in self.forecast.warnings)])


def changes_from(texts: Iterable[str]) -> list[ValueChange]:
    """`PLACE=VALUE` texts as changes, each value read by the same strict rules as a design.

    Raises:
        CkgitError: USAGE, with what is wrong with the text.
    """
    return [_change(text) for text in texts]


def _change(text: str) -> ValueChange:
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path or "" in path.split("."):
        raise _refused(f"--set {text}: expected PLACE=VALUE", "write it as in --set controls.lr=1e-4; ckgit schema design shows all places")
    if path.split(".")[0] in _OWN_KEYS:
        raise _refused(f"--set {path}: {path.split('.')[0]} is written by ckgit itself", "leave it out: ckgit schema design shows the rest")
    if path == "experiment.name":
        raise _refused(f"--set {path}: an experiment's name is that of its branch", "leave it out: the command's NAME is the name")
    document = read_yaml(value)
    if document.problems or not value.strip():
        raise _refused(
            f"--set {path}: {document.problems[0].message if document.problems else 'has no value'}",
            f"text with braces or a colon needs quotes of its own: --set '{path}=\"...\"'",
        )
    return ValueChange(path, document.value)


def _refused(what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was written", next=onward)


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
    snapshot = take_snapshot(lab, other)
    file = f"exp/{other}:{snapshot.folder}/{FILE}"
    design = SummaryFile.parse(snapshot.summary_bytes(), file).without_body()
    return _new(lab, name, design, file, [_dated(), *changes])


def draft_revision(lab: Lab, name: str, content: bytes | None, file: str, changes: Sequence[ValueChange] = ()) -> Draft:
    """An existing experiment designed anew, without what was scaffolded, run and analyzed from its old design.

    Args:
        content: the new summary or design; the present one where it is None.
        file: how problems name it.

    Raises:
        DesignError: with every problem.
        CkgitError: IN_FLIGHT, jobs may still be running; there is no such experiment; or a tool is missing.
    """
    snapshot = take_snapshot(lab, name)
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
    draft = _draft(SourceCommit(lab, snapshot.tip, f"exp/{name}"), name, summary, snapshot)
    return draft._replace(warnings=[*_renamed(draft), *draft.warnings])


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
    cost = f"about {rough_duration(draft.forecast.seconds)}, {size(draft.forecast.disk)} of checkpoints"
    return f"{_runs(draft.plan)}, {plural(len(draft.plan.cells), 'evaluation')}; {cost}"


def _runs(plan: Plan) -> str:
    return f"{plural(len(plan.runs), 'run')}, {len(plan.training)} of them trained"


def refuse_existing(lab: Lab, name: str) -> None:
    """Refuse a name that cannot be one, or that an experiment has, here or on a remote.

    Raises:
        CkgitError: USAGE.
    """
    if problem := name_problem(name):
        raise _refused(f"{name!r} cannot be the name of an experiment: {problem}", "run the same command again with another name")
    taken = next((row.name for row in list_experiments(lab) if row.name.lower() == name.lower()), None)
    if taken is None:
        return
    exists = f"experiment {name} exists already" if taken == name else f"experiment {taken} exists, and {name} differs from it only in case"
    onward = f"ckgit revise {taken} changes its design, ckgit advance {taken} goes on with it"
    raise CkgitError(exists, code=Exit.USAGE, state="nothing was changed", next=onward)


def _dated() -> ValueChange:
    """Today's date, in UTC: one moment has one date everywhere."""
    return ValueChange("experiment.date", datetime.datetime.now(datetime.UTC).date().isoformat())


def _draft(place: SourceCommit, name: str, file: SummaryFile, parent: Snapshot | None) -> Draft:
    measured, cluster, remarks = measured_design(place, file, recipes=True)
    file = file.with_recorded(measured.recorded)
    summary, plan = file.summary, build_plan(file.summary)
    context = context_of(place.lab, summary, plan, measured, cluster)
    cost = forecast(context, read_past_runs(place.lab, context.cluster_name, kinds(context)))
    old = stale(place, summary)
    warnings = [*old, *cost.warnings, *placed(file, remarks)]
    cost = cost._replace(warnings=[*old, *cost.warnings, *(remark.message for remark in remarks)])
    resources = resources_block(summary, measured.recorded, measured.cards, cost)
    for block, markdown in {"runs": runs_block(cost), "resources": resources, **status_blocks(context, None)}.items():
        file = file.with_block(block, markdown)
    event = Event.REVISE if parent else Event.DESIGN
    lines = [(event, f"{name}, design {summary.digest}, ckgit {__version__}"), *log_lines(summary, measured, cost)]
    log = f"experiments/{name}/{DESIGN_LOG}"
    gone = generated(parent) if parent else _of_that_name(place, name)
    warnings = [*_on_the_name(place, name, parent, gone), *warnings]
    files: dict[str, bytes | None] = {
        **dict.fromkeys(gone),
        f"experiments/{name}/{FILE}": file.dump(),
        f"experiments/{name}/{estimate_file.FILE}": cost.estimate.dump(),
        log: logs.appended(parent.read(log) if parent else None, lines, time=logs.now()),
    }
    return Draft(place.lab, name, event, parent, file, plan, cost, files, warnings)


def _of_that_name(place: SourceCommit, name: str) -> list[str]:
    """Files that the default branch has of an experiment that had this name before: a name that is used again begins with nothing."""
    return [entry.path for entry in tree_entries(place.lab.root, place.commit, f"experiments/{name}/", recursive=True)]


def _on_the_name(place: SourceCommit, name: str, parent: Snapshot | None, gone: Sequence[str]) -> list[str]:
    """What is to be said where the name was used before, or its branch was rewritten."""
    left = tips.KnownTips(parent.left, parent.tip) if parent else tips.KnownTips(tips.left_at(place.lab.root, name), place.lab.base)
    kept = tips.kept_note(place.lab.root, name, left)
    main = place.lab.default_branch
    files = plural(len(gone), "file")
    kept_in = f"merging it will remove them from {main}; commit {place.commit[:12]} keeps them"
    held = f"{main} holds an experiment that was called {name}: the new branch begins without its {files}, and {kept_in}"
    return [*([held] if gone and not parent else []), *([kept] if kept else [])]
