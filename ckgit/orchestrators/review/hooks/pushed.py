"""pre-push and pre-receive: the experiment branches that are pushed, and what a server keeps of their attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckgit.errors import DesignError
from ckgit.experiment.lifecycle import NO_STATE, Event, state_of, step_problem
from ckgit.experiment.state import State
from ckgit.formats.listing import plural
from ckgit.lab.branches import last_merged, last_recorded, steps_in
from ckgit.lab.experiments import merged_experiments
from ckgit.lab.git.command import git_lines, is_ancestor
from ckgit.lab.git.objects import read_files, read_object
from ckgit.lab.git.tips import beside_ref
from ckgit.lab.history.hand_edits import HandEdit, restored, written
from ckgit.lab.hooks.pushed import Attempts, PushedCommit, RefUpdate, changed_files, commits_between, is_kept, lab_of_push, ledgers
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.snapshot.take import as_committed
from ckgit.lab.summary.state import state_in
from ckgit.orchestrators.review.hooks.default_branch import default_findings
from ckgit.orchestrators.review.hooks.files import file_findings, found
from ckgit.orchestrators.review.hooks.names import pushed_name
from ckgit.orchestrators.review.hooks.results import anchors_moved, is_full, unattested, unsigned, verified
from ckgit.orchestrators.review.hooks.staged import SUMMARY

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding

# What an attempt is, and how it ended; accounting may come to know later what it took.
_IDENTITY = ("job", "stage", "number", "script_sha256", "submitted")
_ENDING = ("phase", "job_id", "started", "ended", "exit_code", "failure", "cells")


def pushed_findings(folder: Path, updates: Sequence[RefUpdate], tell: Callable[[str], None], *, server: bool) -> Iterator[Finding]:
    """What speaks against a push.

    Args:
        folder: of the repository whose hook runs.
        updates: the refs that it moves in the repository that is pushed to.
        tell: is told what takes long.
        server: whether the hook runs there.

    Raises:
        CkgitError: USAGE, the repository's setting of how much is verified is none.
    """
    if server:
        yield from anchors_moved(updates)
    branches = [update for update in updates if update.ref.startswith("refs/heads/") or (server and update.closed)]
    if not branches or (lab := lab_of_push(folder, updates)) is None:
        return
    full = is_full(lab, server=server)
    for update in branches:
        if update.ref == f"refs/heads/{lab.default_branch}":
            yield from default_findings(lab, update)
            yield from _unmerged(lab, update, updates) if server and update.old else ()
        elif update.closed:
            yield from _closed(lab, update, updates)
            yield from _arrived(lab, _as_branch(update), _kept_alone(lab, update, updates), tell, full=full)
        elif update.name and not update.new:
            yield from _deleted(lab, update, updates) if server else ()
        elif update.name and not _is_experiment(lab, update):
            yield from pushed_name(lab, update, [], updates)
        elif update.name:
            yield from _moved(lab, update, updates, tell, full=full)
            yield from unattested(lab, update, updates) if server else ()


def _moved(lab: Lab, update: RefUpdate, updates: Sequence[RefUpdate], tell: Callable[[str], None], *, full: bool) -> Iterator[Finding]:
    """What speaks against where an experiment's branch is pushed to."""
    commits = commits_between(lab.root, update.name, update.new, update.old, lab.base)
    taken = list(pushed_name(lab, update, commits, updates))
    yield from taken
    yield from _arrived(lab, update, commits, tell, full=full and not taken)
    if update.old and not is_ancestor(lab.root, update.old, update.new):
        yield from _rewritten(lab, update)


def _as_branch(update: RefUpdate) -> RefUpdate:
    """What is kept as closed, as if it were the experiment's branch."""
    return update._replace(ref=f"{BRANCHES}{update.closed}")


def _arrived(lab: Lab, update: RefUpdate, commits: Sequence[PushedCommit], tell: Callable[[str], None], *, full: bool) -> Iterator[Finding]:
    """What is wrong with commits that an experiment gets: first by their structure, and where that is right, with their results."""
    light = [*branch_findings(lab, update.name, commits, strict=full), *unsigned(lab, commits, tell)]
    yield from light
    if full and not any(each.is_error for each in light):
        yield from verified(lab, update, commits, tell)


def branch_findings(lab: Lab, name: str, commits: Sequence[PushedCommit], *, strict: bool) -> Iterator[Finding]:
    """What is wrong with commits that a branch gets, by their structure.

    Args:
        commits: parents first; the last one is the branch's new tip.
        strict: whether a scaffolded file may not be edited, as verification of what comes of it says later.
    """
    if not commits:
        return
    yield from _steps(lab, name, commits)
    yield from _ledgers(lab, name, commits)
    by_hand = [commit.oid for commit in commits if commit.recorded is None]
    folder = f"experiments/{name}"
    for oid, files in changed_files(lab.root, by_hand).items():
        mine = [file for file in files if lab.base or f"{file.path}/".startswith(f"{folder}/")]  # or the default branch's are there, too
        yield from file_findings(lab.root, folder, mine, oid)
    new = {commit.oid for commit in commits}
    edits = written(as_committed(lab.root, name, commits[-1].oid)).edits
    yield from (_edited(name, edit, strict=strict) for edit in edits if edit.hand in new)


def _edited(name: str, edit: HandEdit, *, strict: bool) -> Finding:
    """A file of ckgit's that is not as it left it. Nothing may follow from one that tells what jobs did; of others it may be told only."""
    from ckgit.experiment.outputs.findings import Severity

    what = f"ckgit owns this file, and it was {'removed' if edit.gone else 'changed'} by hand"
    finding = found("edited", what, commit=edit.hand, path=edit.path, advice=restored(name, [edit]))
    return finding.model_copy(update={"severity": Severity.WARNING}) if edit.scaffolded and not strict else finding


def _is_experiment(lab: Lab, update: RefUpdate) -> bool:
    """Whether a branch of such a name has, or had, an experiment."""
    path = f"experiments/{update.name}/{SUMMARY}"
    return any(read_files(lab.root, commit, [path]) != ({}, {}) for commit in (update.new, update.old) if commit) or bool(
        last_recorded(lab.root, update.name, update.new)[0]
    )


def _steps(lab: Lab, name: str, commits: Sequence[PushedCommit]) -> Iterator[Finding]:
    """Steps that the lifecycle does not allow from where their parents stand, and a summary that says another state."""
    after: dict[str, frozenset[str]] = {}
    for commit in commits:
        before = frozenset().union(*(after.get(parent) or _state_at(lab, name, parent) for parent in commit.parents)) or {NO_STATE}
        after[commit.oid] = frozenset({commit.recorded.standing} if commit.recorded else before)
        step = commit.recorded
        wrong = [step_problem(step.event, step.source, step.target, each) for each in before] if step else []
        if wrong and all(wrong):
            yield found("step", f"{wrong[0]}", commit=commit.oid)
    tip = commits[-1].oid
    path = f"experiments/{name}/{SUMMARY}"
    try:
        state = state_in(read_object(lab.root, f"{tip}:{path}") or b"", path)
    except DesignError as error:
        for problem in error.problems[:1]:
            yield found("summary", problem.message, commit=tip, path=path, line=problem.line)
        return
    reached = {state_of(each) for each in after[tip]} - {NO_STATE} or {State.DESIGNED}
    if state not in reached:
        yield found("state", f"the summary says {state}, and the steps led to {' or '.join(reached)}", commit=tip, path=path)


def _state_at(lab: Lab, name: str, commit: str) -> frozenset[str]:
    _, recorded = last_recorded(lab.root, name, commit)
    return frozenset({recorded.standing if recorded else NO_STATE})


def _ledgers(lab: Lab, name: str, commits: Sequence[PushedCommit]) -> Iterator[Finding]:
    """Attempts that a commit takes out of the ledger, or records otherwise than before. To revise an experiment begins a new ledger."""
    own = {commit.oid for commit in commits}
    known = ledgers(lab.root, name, list(dict.fromkeys(oid for commit in commits for oid in (commit.oid, *commit.parents))))
    for commit in commits:
        if not commit.parents or (commit.recorded and (commit.recorded.event == Event.REVISE or commit.recorded.source == NO_STATE)):
            continue
        parents = [parent for parent in commit.parents if parent in own or not _foreign(lab, parent)]
        against = [_differences(known[parent], known[commit.oid]) for parent in parents]
        if against and all(against):
            yield from (_attempt_finding(name, token, commit.oid, told=told) for token, told in against[0].items())


def _foreign(lab: Lab, parent: str) -> bool:
    """Whether a commit belongs to the default branch, where another experiment of this name may lie."""
    return bool(lab.base) and is_ancestor(lab.root, parent, lab.base)


def _differences(before: Attempts, after: Attempts) -> dict[str, bool]:
    """Attempts that do not go on as they were, by token: whether they are told at all."""
    return {token: token in after for token, attempt in before.items() if token not in after or not _goes_on(attempt, after[token])}


def _goes_on(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an attempt is recorded as before, or as what became of it."""
    same = _IDENTITY if before.get("phase") == "submitted" else (*_IDENTITY, *_ENDING)
    return all(before.get(key) == after.get(key) for key in same)


def _rewritten(lab: Lab, update: RefUpdate) -> Iterator[Finding]:
    """Attempts of commits that a branch loses and that its new history does not tell as they were."""
    lost = commits_between(lab.root, update.name, update.old, update.new, lab.base)
    kept = commits_between(lab.root, update.name, update.new, lab.base)
    told = list(ledgers(lab.root, update.name, [commit.oid for commit in kept]).values())
    reported: set[str] = set()
    for commit, attempts in reversed(ledgers(lab.root, update.name, [commit.oid for commit in lost]).items()):
        for token, attempt in attempts.items():
            again = [each[token] for each in told if token in each]
            if token not in reported and not any(_goes_on(attempt, each) for each in again):
                reported.add(token)
                yield _attempt_finding(update.name, token, commit, told=bool(again))


def _attempt_finding(name: str, token: str, commit: str, *, told: bool) -> Finding:
    how = "tells it otherwise" if told else "does not tell of it any more"
    return found("ledger", f"attempt {token} was committed, and the branch {how}", commit=commit, path=f"experiments/{name}/jobs.json")


def _deleted(lab: Lab, update: RefUpdate, updates: Sequence[RefUpdate]) -> Iterator[Finding]:
    """The attempts of a branch that is deleted must stay on the server."""
    name = update.name or update.closed
    if not update.old or is_kept(lab, update.old, updates, update.closed):
        return
    if attempts := _tokens(lab, name, update.old, lab.base):
        what = f"{update.ref} is deleted, and with it the record of {plural(len(attempts), 'attempt')}"
        where = lab.default_branch or "the default branch"
        advice = f"merge it into {where} first, or keep it: git push REMOTE {update.old[:12]}:refs/ckgit/closed/{name}"
        yield found("ledger", what, commit=update.old, advice=advice)


def _tokens(lab: Lab, name: str, tip: str, without: str) -> set[str]:
    """Attempts that the ledgers of some commits tell of."""
    commits = [tip, *(commit.oid for commit in commits_between(lab.root, name, tip, without))]
    return {token for each in ledgers(lab.root, name, commits).values() for token in each}


def _unmerged(lab: Lab, update: RefUpdate, updates: Sequence[RefUpdate]) -> Iterator[Finding]:
    """The attempts of experiments that were merged must stay on the server, too, when the default branch is rewritten or deleted."""
    if update.new and is_ancestor(lab.root, update.old, update.new):
        return
    how, without = ("rewritten", [f"^{update.new}"]) if update.new else ("deleted", [])
    for name in dict.fromkeys([*steps_in(lab.root, update.old, *without), *merged_experiments(lab, ())]):
        attempts = _tokens(lab, name, update.old, update.new) - (_tokens(lab, name, update.new, update.old) if update.new else set())
        step = last_merged(lab, name, update.old)[0] or update.old
        if attempts and not is_kept(lab, step, updates, name):
            what = f"{update.ref} is {how}, and with it the record of {plural(len(attempts), 'attempt')} of {name}"
            yield found("ledger", what, commit=update.old, advice=f"keep it: git push REMOTE {step[:12]}:{beside_ref(name, step)}")


def _closed(lab: Lab, update: RefUpdate, updates: Sequence[RefUpdate]) -> Iterator[Finding]:
    """What keeps a closed branch stays, with its reason, also where no job was ever submitted; unless its branch has it again."""
    if update.new and not last_merged(lab, update.closed, update.new)[0]:
        what = f"{update.ref} would keep a history in which there is no step of {update.closed}"
        yield found("name", what, commit=update.new, advice=f"ckgit close {update.closed} --because TEXT closes an experiment")
    if not update.old or (update.new and is_ancestor(lab.root, update.old, update.new)) or is_kept(lab, update.old, updates, update.closed):
        return
    lost = list(_deleted(lab, update, updates))
    yield from lost
    if not lost:
        what = f"{update.ref} keeps an experiment that was closed, and why; a push would {'move' if update.new else 'delete'} it"
        yield found("name", what, commit=update.old, advice=f"ckgit close {update.closed} --reopen brings its branch back")


def _kept_alone(lab: Lab, update: RefUpdate, updates: Sequence[RefUpdate]) -> Sequence[PushedCommit]:
    """Commits that come to be kept as closed and that the experiment's branch does not bring, or has not brought before."""
    name = update.closed
    moved = [each.new or each.old for each in updates if each.name == name]
    branch = moved or git_lines(lab.root, "for-each-ref", "--format=%(objectname)", f"{BRANCHES}{name}")
    return commits_between(lab.root, name, update.new, update.old, lab.base, *branch) if update.new else []
