"""Verification of experiments, remembered by commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

import ckgit
from ckgit.experiment.outputs.findings import Finding, VerifiedExperiment
from ckgit.lab.history.commits import changes
from ckgit.lab.lab import Lab
from ckgit.lab.user_folders import user_folder
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.named import History
from ckgit.orchestrators.review.verify.branch import verify_branch


def verify(lab: Lab, subject: History, *, deep: bool = False) -> VerifiedExperiment:
    """What is wrong with an experiment's history. A history that was looked at before is remembered; what is remembered may be deleted.

    Args:
        deep: also ask the cluster, and look into the work tree.

    Raises:
        CkgitError: TOOL_MISSING, what reads logs or draws is not installed; or, if deep, a scheduler.
    """
    file = _remembered(subject)
    found = _read(file) or verify_branch(lab, subject.experiment, subject.commit)
    _write(file, found)
    if subject.held:
        found = found.model_copy(update={"findings": (*found.findings, *_since_merged(lab, subject))})
    if deep:
        from ckgit.orchestrators.review.verify.deep import deep as more

        found = found.model_copy(update={"findings": (*found.findings, *more(lab, subject.experiment, subject.commit))})
    return found


def _since_merged(lab: Lab, subject: History) -> Iterator[Finding]:
    """What the default branch holds is what was merged into it."""
    for path in changes(lab.root, subject.commit, subject.held, f"experiments/{subject.experiment}"):
        yield rules.EDITED.found(f"{lab.default_branch} holds something else than its last step left", commit=subject.held, path=path)


def _remembered(subject: History) -> Path | None:
    """Where a history is remembered by this very ckgit; None where its user has no home."""
    folder = user_folder("XDG_CACHE_HOME")
    key = hashlib.sha256("\0".join([_build(), *subject]).encode()).hexdigest()
    return folder / "verified" / f"{key}.json" if folder else None


def _build() -> str:
    """What tells the installed ckgit from another one, which may have other rules: sizes and times of its files."""
    top = Path(ckgit.__file__).parent
    stats = ((str(file.relative_to(top)), file.stat()) for file in sorted(top.rglob("*.py")))
    return "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)


def _read(file: Path | None) -> VerifiedExperiment | None:
    try:
        return VerifiedExperiment.model_validate_json(file.read_bytes()) if file else None
    except (OSError, ValidationError):
        return None


def _write(file: Path | None, found: VerifiedExperiment) -> None:
    try:
        if file and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(found.model_dump_json())
            part.replace(file)
    except OSError:
        return  # it is looked at again the next time
