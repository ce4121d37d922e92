"""The work tree of an experiment: made at its first submission, found again by every later command."""

from __future__ import annotations

import itertools
import os
import shlex
from pathlib import Path

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import card_path
from ckgit.experiment.jobs import Ledger
from ckgit.jobs.folder import is_there
from ckgit.jobs.ownership import owner_of
from ckgit.lab.context import job_inputs
from ckgit.lab.export import export_work_tree, lead
from ckgit.lab.models.find import find_model
from ckgit.lab.models.links import MovedModels, moved
from ckgit.orchestrators.engine.experiment import ExperimentView
from ckgit.orchestrators.engine.orphans import known_by_now, tokens_in
from ckgit.orchestrators.run.change_cluster import bring_checkpoints


def make_work_tree(view: ExperimentView) -> Ledger:
    """Export the branch's tip, and the ledger that names it; the ledger's own work tree where there is one.

    Raises:
        CkgitError: a model folder is missing, the export failed, or the work tree of earlier jobs has vanished.
    """
    if view.ledger and view.ledger.work_tree:
        find_work_tree(view.ledger)
        return view.ledger
    work = export_work_tree(view.lab, job_inputs(view.snapshot, view.context), _free_folder(view), model_folders(view))
    if view.ledger:
        bring_checkpoints(view, view.ledger, work)
    return _ledger(view, work)


def model_folders(view: ExperimentView) -> dict[str, Path]:
    """The real folder of each model, by its card's name.

    Raises:
        CkgitError: EVIDENCE_MISSING, one of them is not on this machine.
    """
    cards, read = view.context.cards, view.snapshot.read
    return {name: find_model(view.lab, view.context.cluster, card, read(card_path(name)) or b"") for name, card in cards.items()}


def moved_models(view: ExperimentView, work: Path, *, remember: bool = False) -> MovedModels:
    """Where the links of a work tree to models are to lead, as far as these were moved."""
    cards = {name: (card, view.snapshot.read(card_path(name)) or b"") for name, card in view.context.cards.items()}
    return moved(view.lab, view.context.cluster, cards, work, remember=remember)


def lead_models(view: ExperimentView, work: Path) -> None:
    """Have a work tree's links lead to where models were moved. Where one is nowhere, its stays: the jobs that need it will say so.

    Raises:
        CkgitError: COMMAND_FAILED, they cannot be written.
    """
    lead(work, moved_models(view, work, remember=True).folders)


def planned_ledger(view: ExperimentView) -> Ledger:
    """The ledger as `make_work_tree` would give it; nothing is written."""
    if view.ledger and view.ledger.work_tree:
        return view.ledger
    return _ledger(view, _free_folder(view))


def _free_folder(view: ExperimentView) -> Path:
    """Where the jobs of this submission run: a folder that is named by the commit, and in which no other submission's jobs ever ran."""
    lab, known = view.lab, known_by_now(view.lab, view.name).union(view.ledger.tokens if view.ledger else ())
    first = lab.work_root(view.context.cluster_name) / lab.config.name / view.name / view.snapshot.tip[:12]
    names = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in itertools.count(1))
    return next(work for work in names if known.issuperset([*tokens_in(work), *filter(None, [owner_of(work)])]))


def _ledger(view: ExperimentView, work: Path) -> Ledger:
    ledger = view.ledger or Ledger(cluster=view.context.cluster_name, scheduler=view.context.cluster.scheduler)
    update = {"design": view.context.summary.digest, "commit": view.snapshot.tip, "tree": view.snapshot.tree}
    return ledger.model_copy(update={**update, "work_tree": str(work), "host": os.uname().nodename})


def find_work_tree(ledger: Ledger) -> Path:
    """Where the jobs of a ledger run.

    Raises:
        CkgitError: it is not on this machine, or not there any more.
    """
    work, here = Path(ledger.work_tree), os.uname().nodename
    if is_there(work):
        return work
    name = work.parent.name
    if ledger.host != here:
        gone = declare_lost(name, f"{ledger.host} is no more") if ledger.open() else f"ckgit revise {name} --anew"
        raise CkgitError(
            f"its jobs run on {ledger.host}, in {work}, which {here} does not see",
            code=Exit.UNKNOWN,
            state="nothing was changed",
            next=f"run the same command on {ledger.host}; where that is no more: {gone}",
        )
    lost = f"{declare_lost(name, 'the work tree is gone')}, then " if ledger.open() else ""  # revise leaves no job alone
    raise CkgitError(
        "the work tree with the jobs' files and checkpoints is gone",
        code=Exit.EVIDENCE_MISSING,
        where=str(work),
        state="what was committed stands; checkpoints that were only there are lost",
        next=f"bring the folder back, or start anew: {lost}ckgit revise {name} --anew",
    )


def declare_lost(name: str, because: str) -> str:
    """The command that declares open jobs lost. What names a machine is a file's: to a shell it is one word."""
    return f"ckgit cancel {name} --lost --because {shlex.quote(because)}"
