"""What an experiment claimed when the first of its evaluations was submitted, as its branch tells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.claims.meant import Designed
from ckgit.experiment.claims.registered import shows_results
from ckgit.experiment.design.claim import Claim
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.lifecycle import NO_STATE
from ckgit.experiment.state import State
from ckgit.lab.branches import steps_of
from ckgit.lab.context import named_files
from ckgit.lab.git.command import git_text
from ckgit.lab.git.objects import read_object, read_objects
from ckgit.lab.snapshot.take import as_committed


class ClaimsSeen(NamedTuple):
    """The design as it was when results could first be seen."""

    commit: str
    design: Designed | None  # None where it had none of this name

    @property
    def claims(self) -> Sequence[Claim]:
        """What it claimed."""
        return self.design.summary.experiment.claims if self.design else ()


def claims_when_seen(root: Path, name: str, tip: str) -> ClaimsSeen | None:
    """The claims of the step with which the first evaluation was submitted; None where none was, as far as the branch tells.

    Raises:
        CkgitError: EVIDENCE_MISSING, the history is not all here, or what it has cannot be read.
    """
    steps = steps_of(root, name, tip)[::-1]
    if not any(step.source == NO_STATE for _, step in steps) and git_text(root, "rev-parse", "--is-shallow-repository") == "true":
        raise _missing("this clone is shallow and lacks the beginning of its history", name)
    commits = [commit for commit, step in steps if step.target != State.DESIGNED]
    ledgers = read_objects(root, [f"{commit}:experiments/{name}/jobs.json" for commit in commits])
    for commit, content in zip(commits, ledgers, strict=True):
        if content and b'"evaluation"' in content and (attempts := _attempts(content, name, commit)) and shows_results(attempts):
            kept = next((each.kept for each in attempts if each.kept and shows_results([each])), None)
            before = kept if kept and kept not in commits[: commits.index(commit)] else None
            if before and read_object(root, f"{before}:experiments/{name}/experiment_summary.md") is None:
                return ClaimsSeen(commit, None)  # of evaluations that were kept from another experiment nothing was claimed here
            return ClaimsSeen(commit, _designed(root, name, before or commit))
    return None


def _attempts(content: bytes, name: str, commit: str) -> Sequence[Any]:
    from pydantic import ValidationError

    from ckgit.experiment.jobs import Ledger

    try:
        return Ledger.model_validate_json(content).attempts
    except ValidationError as error:
        raise _missing(f"its ledger at {commit[:12]} cannot be read ({error.errors()[0]['msg']})", name) from None


def _designed(root: Path, name: str, commit: str) -> Designed:
    snapshot = as_committed(root, name, commit)
    try:
        summary = snapshot.summary.summary
        return Designed(summary, build_plan(summary, snapshot.defaults() or None), snapshot.read_many(named_files(summary)))
    except CkgitError as error:
        raise _missing(f"its design at {commit[:12]} cannot be read ({error.what.splitlines()[0]})", name) from None


def _missing(what: str, name: str) -> CkgitError:
    return CkgitError(what, code=Exit.EVIDENCE_MISSING, where=f"exp/{name}", next="git fetch --unshallow")
