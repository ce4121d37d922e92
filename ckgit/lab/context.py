"""Everything scaffolding may depend on, read from one commit."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ckgit
from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.card import ModelCard, card_path
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.files import declared_files
from ckgit.experiment.design.model import Summary
from ckgit.experiment.design.plan import Plan
from ckgit.experiment.design.row_files import data_files
from ckgit.experiment.state import State
from ckgit.experiment.worker import Context
from ckgit.formats.listing import in_words
from ckgit.formats.numbers import shown
from ckgit.formats.plain_json import leaves
from ckgit.lab.git.objects import read_object
from ckgit.lab.lab import Lab
from ckgit.lab.models.card_file import parse_card
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.summary.file import FILE, SummaryFile

if TYPE_CHECKING:
    from ckgit.experiment.jobs import Ledger
    from ckgit.lab.export import JobInputs

_MOST_PLACES = 4  # changed places that an error names


def load_context(lab: Lab, snapshot: Snapshot, ledger: Ledger | None = None, *, cluster_name: str | None = None) -> Context:
    """The context of an experiment.

    Reading needs no profile: one that ckgit.toml has no more is what the ledger tells of it, and whoever needs the rest asks for that.

    Args:
        ledger: names the profile by which the experiment runs, where it does; else it is the design's, or the lab's default.
        cluster_name: another profile to use, which must be there.

    Raises:
        CkgitError: the design was changed after it was scaffolded, a card or task file is missing or not as it was
            designed, or there is no profile `cluster_name`.
    """
    summary = snapshot.summary.summary
    _refuse_renamed(snapshot, summary)
    _refuse_changed_design(snapshot, summary)
    plan = build_plan(summary, snapshot.defaults() or None)
    cards = {name: card_path(name) for name in model_names(summary, plan)}
    named = named_files(summary)
    contents = snapshot.read_many([*cards.values(), *named, *(path for each in summary.data for path in data_files(summary, each))])
    name = cluster_name or (ledger.cluster if ledger else summary.compute.cluster) or lab.config.default_cluster
    return Context(
        summary=summary,
        plan=plan,
        cards=_cards(snapshot, summary, cards, contents),
        cluster=lab.cluster(name) if cluster_name else _known_profile(lab, name, ledger),
        cluster_name=name,
        version=ckgit.__version__,
        sources=_sources(snapshot, summary, named, contents),
        max_log_bytes=lab.config.max_log_bytes,
        kept=kept.jobs if (kept := snapshot.kept_jobs()) and kept.design == summary.digest else {},
    )


def _known_profile(lab: Lab, name: str, ledger: Ledger | None) -> Cluster:
    """A profile, or what is known of one that is gone."""
    there = lab.config.clusters.get(name)
    return there or (lab.cluster_of(ledger.model_dump()) if ledger else Cluster())


def job_inputs(snapshot: Snapshot, context: Context) -> JobInputs:
    """What the jobs of an experiment need of its commit."""
    from ckgit.lab.export import JobInputs

    summary = context.summary
    data = [file for name in summary.data for file in data_files(summary, name).items()]
    paths = [f"{snapshot.folder}/", "tasks/", *sorted({*dict(data), *map(card_path, context.cards), *context.sources})]
    return JobInputs(snapshot.name, snapshot.tip, paths, data, context.cluster.data_root)


def named_files(summary: Summary) -> list[str]:
    """Paths of the files of tasks and scorers, and of those that they need, sorted."""
    return sorted({*(task.source for task in summary.evaluation.tasks), *declared_files(summary), *summary.recorded.files})


def model_names(summary: Summary, plan: Plan) -> list[str]:
    """Names of the cards that a design uses, sorted."""
    return sorted({*summary.models, *(run.model for run in plan.runs)})


def _refuse_renamed(snapshot: Snapshot, summary: Summary) -> None:
    if summary.experiment.name != snapshot.name:
        raise CkgitError(
            f"the summary calls its experiment {summary.experiment.name!r}",
            code=Exit.INVALID_DESIGN,
            where=f"exp/{snapshot.name}",
            state="nothing was done",
            next=f"an experiment keeps its name; ckgit design NEW --like {snapshot.name} begins another one",
        )


def _refuse_changed_design(snapshot: Snapshot, summary: Summary) -> None:
    if snapshot.state is State.DESIGNED or summary.digest == snapshot.design_digest:
        return
    last = snapshot.recorded_at
    before = read_object(snapshot.root, f"{last}:{snapshot.folder}/{FILE}") if last else None
    places = changed_places(before or b"", summary)
    named = in_words(places, _MOST_PLACES) if places else f"hash {summary.digest[:12]}, scaffolded {str(snapshot.design_digest)[:12]}"
    raise CkgitError(
        f"the design was changed after it was scaffolded ({named})",
        code=Exit.ILLEGAL_TRANSITION,
        where=f"exp/{snapshot.name}",
        state="nothing was done",
        next=f"revert the change, or go back to designed with it: ckgit revise {snapshot.name}",
    )


def changed_places(before: bytes, summary: Summary) -> list[str]:
    """Where a design differs from that of an earlier summary, with both values; empty where that cannot be told."""
    try:
        return differing_places(SummaryFile.parse(before, FILE).summary, summary)
    except DesignError:
        return []


def differing_places(earlier: Summary, summary: Summary) -> list[str]:
    """Where a design differs from another one, with both values."""
    own = {"state", "recorded"}
    old, new = (dict(leaves(each.model_dump(mode="json", exclude=own, exclude_none=True))) for each in (earlier, summary))
    changed = [place for place in {**old, **new} if old.get(place) != new.get(place)]
    return [f"{place}: {shown(old.get(place))}, now {shown(new.get(place))}" for place in changed]


def _cards(snapshot: Snapshot, summary: Summary, paths: Mapping[str, str], contents: Mapping[str, bytes]) -> dict[str, ModelCard]:
    for name, path in paths.items():
        if path not in contents:
            raise _missing(snapshot, path, f"ckgit models add {name} PATH, and commit the card to the branch")
        _refuse_changed(snapshot, path, contents[path], summary.recorded.models.get(name))
    return {name: _card(snapshot, path, contents[path]) for name, path in paths.items()}


def _card(snapshot: Snapshot, path: str, content: bytes) -> ModelCard:
    try:
        return parse_card(content)
    except ValueError as error:
        raise CkgitError(
            f"the model card cannot be read: {error}",
            code=Exit.EVIDENCE_MISSING,
            where=f"exp/{snapshot.name}:{path}",
            state="nothing was done",
            next=f"`ckgit models add` writes it anew; commit it to exp/{snapshot.name}, then ckgit revise {snapshot.name}",
        ) from None


def _sources(snapshot: Snapshot, summary: Summary, named: Sequence[str], contents: Mapping[str, bytes]) -> dict[str, bytes]:
    data = {path: digest for name in summary.data for path, digest in data_files(summary, name).items()}
    for path in named:
        if path not in contents:
            raise _missing(snapshot, path, f"commit the file to exp/{snapshot.name}")
        _refuse_changed(snapshot, path, contents[path], {**summary.recorded.files, **summary.recorded.tasks}.get(path))
    for path, digest in data.items():
        if path in contents:
            _refuse_changed(snapshot, path, contents[path], digest)
    return {path: contents[path] for path in sorted({*named, *data}) if path in contents}


def _missing(snapshot: Snapshot, path: str, advice: str) -> CkgitError:
    where = f"exp/{snapshot.name}"
    return CkgitError(f"{path} is not there", code=Exit.EVIDENCE_MISSING, where=where, state="nothing was done", next=advice)


def _refuse_changed(snapshot: Snapshot, path: str, content: bytes, expected: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    if expected is None or found == expected:
        return
    raise CkgitError(
        f"{path} is not the file that was designed with (SHA-256 {found[:12]}, designed with {expected[:12]})",
        code=Exit.EVIDENCE_MISSING,
        where=f"exp/{snapshot.name}",
        state="nothing was done",
        next=f"design with the new file: ckgit revise {snapshot.name}; or {_brought_back(snapshot, path, expected)}",
    )


def _brought_back(snapshot: Snapshot, path: str, expected: str) -> str:
    """How a file comes back that a commit of ckgit's has as it was."""
    for commit in dict.fromkeys(filter(None, (snapshot.left, snapshot.recorded_at))):
        content = read_object(snapshot.root, f"{commit}:{path}")
        if content is not None and hashlib.sha256(content).hexdigest() == expected:
            words = f"git checkout {commit[:12]} -- {shlex.quote(path)} && git commit -m 'The file that was designed with'"
            return f"bring the old one back: git switch exp/{snapshot.name} && {words}"
    return "restore the old one"
