"""A checkpoint that an experiment has trained as a model of the lab: designs evaluate it, or train on from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import FileDigest, TrainedSource
from ckgit.experiment.checks.run_names import choose_run
from ckgit.experiment.classify import newest
from ckgit.experiment.jobs import Phase
from ckgit.experiment.results import MANIFEST, Checkpoint, read_manifest
from ckgit.formats.listing import first_of, in_words
from ckgit.lab.history.hand_edits import refuse_edited
from ckgit.lab.lab import Lab
from ckgit.orchestrators.engine.experiment import ExperimentView, open_experiment
from ckgit.orchestrators.engine.kept import checkpoints_of
from ckgit.workers.digests import ADAPTER_CONFIG, differences, digests
from ckgit.workers.loading import QUANTIZATION


class TrainedModel(NamedTuple):
    """A checkpoint, and the digests that its training committed."""

    folder: Path  # in the work tree
    source: TrainedSource
    files: Mapping[str, FileDigest]


def trained_model(lab: Lab, name: str, run: str, epoch: int | None) -> TrainedModel:
    """A checkpoint of an experiment's run; that after the last epoch where none is named.

    Raises:
        CkgitError: there is no such run or epoch, it is not trained, or this machine does not see the checkpoint.
    """
    view = open_experiment(lab, name, kept=True)
    names = [each.name for each in view.context.plan.training]
    if run not in names:
        raise CkgitError(f"{name} trains no run {run!r}", code=Exit.USAGE, state="nothing was written", next=choose_run(run, names))
    attempt = newest(view.attempts).get(view.context.plan.run(run).job)
    if attempt is None or attempt.phase is not Phase.DONE:
        raise _refused(view, f"run {run} is not trained yet", f"ckgit advance {name} --to trained")
    path = view.path(f"{run}/{MANIFEST}")
    refuse_edited(view.snapshot, path)
    checkpoint = _chosen(view, run, epoch, path)
    if ADAPTER_CONFIG in checkpoint.files:
        whole = "none are left beside a quantized base" if QUANTIZATION in checkpoint.files else "save: both leaves them"
        alone = f"{checkpoint.path} is an adapter alone, and a model card is of whole weights: {whole}"
        raise _refused(view, alone, f"ckgit show {name}")
    kept = view.context.kept.get(attempt.job)
    artifacts = checkpoints_of(lab, run, kept, view.ledger, name)
    folder = artifacts / PurePosixPath(checkpoint.path).name if artifacts else None
    if folder is None or not folder.is_dir():
        gone = f"the checkpoints of {run} are not where they were made, as far as this machine sees"
        raise _refused(view, gone, f"ckgit show {name}")
    model = view.context.plan.run(run).model
    source = TrainedSource(
        experiment=name, run=run, checkpoint=folder.name, commit=view.snapshot.tip, token=attempt.token, model=model
    )
    return TrainedModel(folder, source, checkpoint.files)


def _chosen(view: ExperimentView, run: str, epoch: int | None, path: str) -> Checkpoint:
    content = view.snapshot.read(path)
    try:
        listed = [each for each in read_manifest(content or b"[]") if each.files]
    except ValueError as error:
        raise _refused(view, f"{path} {error}", f"ckgit verify {view.name}") from None
    found = [each for each in listed if epoch is None or each.epoch == epoch]
    if found:
        return found[-1]
    known = in_words(str(each.epoch) for each in listed)
    what = f"run {run} has no checkpoint of epoch {epoch} (it has: {known})" if listed else f"run {run} left no weights with digests"
    raise _refused(view, what, f"ckgit show {view.name}")


def _refused(view: ExperimentView, what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.EVIDENCE_MISSING, where=f"exp/{view.name}", state="nothing was written", next=onward)


def place_of(lab: Lab, name: str) -> Path:
    """Where a model's files are kept: beside the lab's other models, so that no cleaning of work trees takes them."""
    return lab.folder(lab.cluster().models_root) / name


def bring(lab: Lab, name: str, model: TrainedModel) -> Path:
    """The model's folder, filled from the work tree; one that is there already and has the same bytes is left alone.

    Raises:
        CkgitError: the files are not those that training left, cannot be written, or another folder is in the way.
    """
    target = place_of(lab, name)
    not_these = ("its files are not those that training left:", "a folder with other files is in its place:")
    part = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(model.folder, part, copy_function=shutil.copyfile)
        held = target if target.exists() else part
        wanted = {name: file.sha256 for name, file in model.files.items()}
        if changed := list(differences(held, digests(held), wanted)):
            raise CkgitError(
                "\n  ".join([not_these[held is target], *first_of(changed)]),
                code=Exit.EVIDENCE_MISSING,
                where=str(target if held is target else model.folder),
                state="nothing was written",
                next="choose another name for the model, or bring the files back",
            )
        if held is part:
            part.rename(target)
    except OSError as error:
        raise CkgitError(
            f"the checkpoint cannot be copied: {error}", code=Exit.COMMAND_FAILED, where=str(target), state="no model card was written"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target
