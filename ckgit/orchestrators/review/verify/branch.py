"""A whole branch, commit by commit from its first one: what each check finds, and what was changed by hand between steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.claims.registered import shows_results
from ckgit.experiment.lifecycle import NO_STATE, Event
from ckgit.experiment.outputs.findings import Finding, VerifiedExperiment
from ckgit.experiment.state import State
from ckgit.lab.git.command import git_text, is_ancestor
from ckgit.lab.git.objects import read_objects
from ckgit.lab.git.trailers import Trailers, build
from ckgit.lab.history.commits import BranchCommit, PathChange, branch_commits, changes
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.snapshot.take import snapshot_at
from ckgit.lab.summary.file import FILE as SUMMARY
from ckgit.lab.summary.state import state_in
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks import evidence, kept, ledger, rendering, report, steps, times, told
from ckgit.orchestrators.review.verify.checks.step import Step, in_words
from ckgit.orchestrators.review.verify.checks.steps import Past

Check = Callable[[Step], Iterator[Finding]]
# In this order; what one cannot read, the later ones are not asked about.
_CHECKS: tuple[Check, ...] = (
    steps.design,
    steps.inputs,
    steps.files,
    steps.logs,
    steps.tables,
    kept.kept,
    rendering.rendering,
    ledger.ledger,
    evidence.evidence,
    report.report,
    told.told,
)
_EXACT = (rules.TABLES.name, rules.RENDERED.name, rules.REPORT.name)  # what this very ckgit would have written otherwise
_SHARED = ("data/", "models/", "tasks/")  # what an experiment may need, and the default branch may not have yet
_NAMED = 5
_MOST = 50  # findings that a check tells of one step
# Of what was made to do harm a reader may stumble over anything; a part that is not installed is no such thing.
_STUMBLES = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
_STATES = frozenset(map(str, State))


class Walk:
    """The branch as it grows, commit by commit."""

    def __init__(self, lab: Lab, name: str, *, lenient: bool = False) -> None:
        self.lab, self.name, self.folder = lab, name, f"experiments/{name}"
        self.lenient = lenient  # whether what is not installed here is noted, and the rest is checked
        self.past = Past()
        self.last: tuple[str, Trailers] | None = None  # the last step, and its commit
        self.owned: dict[str, PathChange] = {}  # files as ckgit wrote them last
        self.by_hand: dict[str, str] = {}  # those that are otherwise now, with the commit that changed them

    def commit(self, commit: BranchCommit) -> Iterator[Finding]:
        """What is wrong with the next commit."""
        yield from steps.plain(commit, self.folder)
        yield from steps.foreign(commit, self.name)
        if commit.recorded and commit.recorded.target in _STATES and commit.recorded.event in set(Event):
            yield from self._step(commit, commit.recorded)
        elif commit.recorded:
            yield rules.STEP.found(f"{commit.recorded.event} to {commit.recorded.target}: there is no such step", commit=commit.oid)
        else:
            yield from self._hand(commit)

    def end(self) -> Iterator[Finding]:
        """What was changed by hand since the last step, and is not as ckgit left it."""
        yield from self._edited()

    def _step(self, commit: BranchCommit, recorded: Trailers) -> Iterator[Finding]:
        yield from self._edited()
        before = self._before(commit)
        try:
            after = snapshot_at(self.lab, self.name, commit.oid, recorded, commit.oid)
        except CkgitError as error:
            yield rules.STATE.found(in_words(error), commit=commit.oid)
            return
        step = Step(self.lab, commit, recorded, before, after)
        yield from steps.legal(step, self.past)
        yield from self._state(commit, recorded.target)
        past = self.past
        others = (lambda step: steps.claims(step, past), lambda step: times.times(step, past.made))
        yield from _checked(step, *others, lenient=self.lenient)
        self._remember(step)

    def _before(self, commit: BranchCommit) -> Snapshot | None:
        if not self.last or not commit.parents:
            return None
        at, recorded = self.last
        try:
            return snapshot_at(self.lab, self.name, commit.parents[0], recorded, at)
        except CkgitError:
            return None  # what is missing there was said of the commit that removed it

    def _remember(self, step: Step) -> None:
        seen = self.past.seen
        with suppress(CkgitError):  # what cannot be read was said
            if not seen[1] and (found := step.ledger) and shows_results(found.attempts):
                seen = (steps.stated(step), step.commit.oid)
        self.past = Past(step.recorded.standing, seen, times.authored(step.commit))
        self.last = (step.commit.oid, step.recorded)
        for path, change in step.commit.files.items():
            self.owned.pop(path, None)
            if not change.gone and path != f"{self.folder}/{SUMMARY}":
                self.owned[path] = change

    def _hand(self, commit: BranchCommit) -> Iterator[Finding]:
        """A commit of the user's: notes and files of their own are theirs."""
        for path, change in commit.files.items():
            if path in self.owned:
                self.by_hand.pop(path, None)
                self.by_hand |= {path: commit.oid} if change.content != self.owned[path].content else {}
            elif not change.gone and path.startswith(self._result_folders()):
                yield rules.BESIDE.found("no job of this experiment has left it", commit=commit.oid, path=path)
        yield from self._outside(commit)
        if f"{self.folder}/{SUMMARY}" in commit.files:
            if not self.last:
                self.past = self.past._replace(standing=str(State.DESIGNED))  # a design by hand is one, too
            yield from self._state(commit, self.past.state if self.last else str(State.DESIGNED))
            yield from self._design(commit)
        yield from _unfit(self.lab, commit, self.folder)

    def _outside(self, commit: BranchCommit) -> Iterator[Finding]:
        """Files of others that it changes; what it brings from the default branch is none of its own."""
        others = [path for path in commit.files if not path.startswith((f"{self.folder}/", *_SHARED))]
        for parent in commit.parents[1:] if others else ():
            if is_ancestor(self.lab.root, parent, self.lab.base):
                differs = changes(self.lab.root, parent, commit.oid)
                others = [path for path in others if path in differs]
        for path in others[:_NAMED]:
            yield rules.OUTSIDE.found("it is no file of this experiment", commit=commit.oid, path=path)
        if len(others) > _NAMED:
            yield rules.OUTSIDE.found(f"and {len(others) - _NAMED} more that are no files of this experiment", commit=commit.oid)

    def _result_folders(self) -> tuple[str, ...]:
        inside = (path.removeprefix(f"{self.folder}/") for path in self.owned)
        return tuple({f"{self.folder}/{path.partition('/')[0]}/" for path in inside if "/" in path})

    def _state(self, commit: BranchCommit, expected: str) -> Iterator[Finding]:
        path = f"{self.folder}/{SUMMARY}"
        try:
            found = str(state_in(next(read_objects(self.lab.root, [f"{commit.oid}:{path}"])) or b"", path))
        except CkgitError as error:
            yield rules.STATE.found(f"the state cannot be read: {in_words(error)}", commit=commit.oid, path=path)
            return
        yield from steps.state(commit, self.folder, expected, found)

    def _design(self, commit: BranchCommit) -> Iterator[Finding]:
        """Before scaffolding a design may be changed by hand, and after it no more."""
        if not self.last or self.past.state == State.DESIGNED:
            return
        at, recorded = self.last
        try:
            digest = snapshot_at(self.lab, self.name, commit.oid, recorded, at).summary.summary.digest
        except CkgitError as error:
            yield rules.DESIGN.found(in_words(error), commit=commit.oid, path=f"{self.folder}/{SUMMARY}")
            return
        if digest != recorded.design:
            yield rules.DESIGN.found("the design was changed after it was scaffolded", commit=commit.oid, path=f"{self.folder}/{SUMMARY}")

    def _edited(self) -> Iterator[Finding]:
        for path, commit in self.by_hand.items():
            yield rules.EDITED.found("ckgit wrote it, and it was changed by hand", commit=commit, path=path)
            self.owned.pop(path, None)
        self.by_hand.clear()


def _checked(step: Step, *others: Check, lenient: bool) -> Iterator[Finding]:
    for check in (*_CHECKS, *others):
        try:
            found = list(check(step))
        except CkgitError as error:
            if lenient and error.code is Exit.TOOL_MISSING:
                yield _not_here(error, step.commit)
                continue
            yield rules.EVIDENCE.found(in_words(error), commit=step.commit.oid)
            return
        except _STUMBLES as error:
            what = f"something in it is as no job and no step leaves it ({type(error).__name__}: {error})"
            yield rules.EVIDENCE.found(what, commit=step.commit.oid)
            return
        yield from found[:_MOST]
        if len(found) > _MOST:
            yield rules.RULES[found[_MOST].rule].found(f"and {len(found) - _MOST} more of this step", commit=step.commit.oid)
        if any(each.rule == rules.INPUT.name for each in found):
            return  # nothing can be read that depends on them


def _not_here(error: CkgitError, commit: BranchCommit) -> Finding:
    return rules.UNCHECKED.found(error.what, commit=commit.oid, advice=error.next or "")


def _unfit(lab: Lab, commit: BranchCommit, folder: str) -> Iterator[Finding]:
    """What must not be in a repository, in the files of a commit by hand."""
    from ckgit.lab.secrets import MAX_FILE_BYTES, find_secrets

    wanted = {path: change.content for path, change in commit.files.items() if path.startswith(f"{folder}/") and not change.gone}
    plain = {path: oid for path, oid in wanted.items() if commit.files[path].mode != "160000"}
    contents: Mapping[str, bytes | None] = dict(zip(plain, read_objects(lab.root, list(plain.values())), strict=True))
    for path, content in contents.items():
        if content and len(content) > MAX_FILE_BYTES:
            yield rules.TOO_LARGE.found(f"it has {len(content) / 1e6:.0f} MB", commit=commit.oid, path=path)
    for path, content in contents.items():
        try:
            places = find_secrets({path: content})
        except CkgitError as error:  # an archive that is none, as a log that was cut
            yield rules.SECRET.found(error.what, commit=commit.oid, path=path, advice="make it whole, or take it out of the commit")
            continue
        for place in places:
            yield rules.SECRET.found(f"{place.rule}: {place.masked}", commit=commit.oid, path=place.path, line=place.line)


def _other_builds(commits: Sequence[BranchCommit], found: Sequence[Finding]) -> Iterator[Finding]:
    """That what does not follow byte for byte may come from another ckgit of the same version, as one from a checkout is."""
    wrong = {each.commit for each in found if each.is_error and each.rule in _EXACT}
    steps = [(each.oid, each.recorded) for each in commits if each.recorded and each.oid in wrong]
    for oid, step in steps:
        if step.version == __version__ and step.build not in ("", build()):
            what = f"made by another build of ckgit {step.version} ({step.build}) than this one ({build()}), which may be why it differs"
            yield rules.UNCHECKED.found(what, commit=oid, advice="verify with that build")


def _refuse_cut(lab: Lab, name: str, commits: Sequence[BranchCommit]) -> None:
    """A history of which this clone lacks the beginning says nothing."""
    whole = any(commit.recorded and commit.recorded.source == NO_STATE for commit in commits)
    if not whole and git_text(lab.root, "rev-parse", "--is-shallow-repository") == "true":
        raise CkgitError(
            f"this clone is shallow, and does not hold the whole history of {name}",
            code=Exit.EVIDENCE_MISSING,
            where=str(lab.root),
            state="nothing was verified",
            next="git fetch --unshallow",
        )


def verify_branch(lab: Lab, name: str, tip: str, *, lenient: bool = False) -> VerifiedExperiment:
    """Hold an experiment's history, up to a commit, against all rules. Only git objects are read; nothing of them is executed.

    Args:
        lenient: note what cannot be checked because something is not installed, and check the rest.

    Raises:
        CkgitError: TOOL_MISSING, what reads logs or draws is not installed; EVIDENCE_MISSING, the clone is shallow.
    """
    walk, found = Walk(lab, name, lenient=lenient), list[Finding]()
    beyond = "" if is_ancestor(lab.root, tip, lab.base) else lab.base
    commits = list(branch_commits(lab.root, name, tip, beyond=beyond))[::-1]
    _refuse_cut(lab, name, commits)
    for commit in commits:
        try:
            found += walk.commit(commit)
        except CkgitError as error:
            if not lenient or error.code is not Exit.TOOL_MISSING:
                raise
            found.append(_not_here(error, commit))
    found += walk.end()
    if not walk.last and not any(each.rule == rules.FOREIGN.name for each in found):
        found.append(rules.UNCHECKED.found("no commit of ckgit's is on it: a design by hand, of which nothing follows yet", commit=tip))
    found += _other_builds(commits, found)
    return VerifiedExperiment(experiment=name, commit=tip, commit_count=len(commits), findings=tuple(found))
