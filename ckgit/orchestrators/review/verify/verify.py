"""Verification of experiments, remembered by commit."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import ValidationError

from ckgit.experiment.outputs.findings import Finding, VerifiedExperiment
from ckgit.experiment.reproduction.record import Sameness
from ckgit.experiment.results import Results
from ckgit.experiment.state import Kept
from ckgit.formats.listing import plural
from ckgit.lab.branches import steps_of
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.remembered import recall, remember
from ckgit.lab.history.reproductions import REF, reproductions, unreadable
from ckgit.lab.lab import Lab
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.merged import since_merged
from ckgit.orchestrators.review.named import History
from ckgit.orchestrators.review.proof.anchors import attested
from ckgit.orchestrators.review.proof.signatures import unsigned
from ckgit.orchestrators.review.verify.branch import verify_branch


def verify(lab: Lab, subject: History, *, deep: bool = False) -> VerifiedExperiment:
    """What is wrong with an experiment's history. A history that was looked at before is remembered; what is remembered may be deleted.

    Args:
        deep: also ask the cluster, and look into the work tree.

    Raises:
        CkgitError: TOOL_MISSING, what reads logs or draws is not installed; or, if deep, a scheduler.
    """
    if subject.kept is Kept.MERGED and not subject.held:
        return _without_steps(lab, subject)
    found = _recalled(subject) or verify_branch(lab, subject.experiment, subject.commit)
    remember("verified", *subject[:3], content=found.model_dump_json().encode())
    signing = lab.config.signatures.required
    signed = unsigned(lab, [commit for commit, _ in steps_of(lab.root, subject.experiment, subject.commit)]) if signing else ()
    found = found.model_copy(update={"findings": (*found.findings, *attested(lab, subject), *signed)})
    if subject.held:
        since = since_merged(lab, subject.experiment, subject.commit, subject.held)
        found = found.model_copy(update={"findings": (*found.findings, *since)})
    found = found.model_copy(update={"kept": subject.kept, "findings": (*found.findings, *_reproduced(lab, subject))})
    if deep:
        from ckgit.orchestrators.review.verify.deep import deep as more

        found = found.model_copy(update={"findings": (*found.findings, *more(lab, subject.experiment, subject.commit))})
    return found


def _without_steps(lab: Lab, subject: History) -> VerifiedExperiment:
    """Of what was squashed, or made by hand, there is no history to look at."""
    path, name = f"experiments/{subject.experiment}", subject.experiment
    what = f"{lab.default_branch} holds its files and none of its steps: it was squashed when it was merged, or made by hand"
    missing = rules.UNCHECKED.found(what, commit=subject.commit, path=path, advice="merge experiments by a merge commit, which keeps them")
    return VerifiedExperiment(experiment=name, commit=subject.commit, commit_count=0, findings=(missing,), kept=subject.kept)


def _reproduced(lab: Lab, subject: History) -> Iterator[Finding]:
    """What second executions came to, as their notes tell, which are no part of the history."""
    known = reproductions(lab, subject.experiment, subject.commit)
    for each in known:
        first = next((f"; {job.job}, first here: {job.differences[0]}" for job in each.jobs if not job.sameness.is_same), "")
        rule = rules.NOT_REPRODUCED if each.sameness is Sameness.DIFFERENT else rules.REPRODUCED
        yield rule.found(f"{each.in_words}{first}", commit=each.commit)
    if count := unreadable(lab, subject.experiment, subject.commit):
        what = f"of what is noted on second executions, {plural(count, 'line')} cannot be read: damaged, or written by another ckgit"
        yield rules.UNCHECKED.found(what, commit=subject.commit)
    yield from _told_alone(lab, subject, {each.in_words for each in known})


def _told_alone(lab: Lab, subject: History, known: Collection[str]) -> Iterator[Finding]:
    """Second executions that the report tells of, and no note that is here."""
    path = f"experiments/{subject.experiment}/analysis/results.json"
    try:
        told = Results.model_validate_json(next(read_objects(lab.root, [f"{subject.commit}:{path}"], lenient=True)) or b"").reproduced
    except ValidationError:
        return  # there are none yet, or it was said
    for each in told:
        if each not in known:
            what = f"its report tells of a second execution that no note here tells of: {each}"
            yield rules.UNCHECKED.found(what, commit=subject.commit, path=path, advice=f"git fetch REMOTE {REF}:{REF} gets the notes")


def _recalled(subject: History) -> VerifiedExperiment | None:
    try:
        return VerifiedExperiment.model_validate_json(recall("verified", *subject[:3]) or b"")
    except ValidationError:
        return None
