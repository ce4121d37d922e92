"""Each commit is a legal step: by its trailers, by the state in the summary, by its design, and by the files that it touches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.cluster import PROFILE
from ckgit.experiment.design.kept import FILE as KEPT
from ckgit.experiment.design.row_files import made_path, source_path
from ckgit.experiment.estimates.file import FILE as ESTIMATE
from ckgit.experiment.lifecycle import NO_STATE, Event, state_of, step_problem
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.state import State
from ckgit.formats.listing import in_words
from ckgit.lab.git.objects import REGULAR
from ckgit.lab.git.trailers import newer_version
from ckgit.lab.history.commits import BranchCommit
from ckgit.lab.summary.file import FILE as SUMMARY
from ckgit.orchestrators.design.inputs.source_commit import named_paths
from ckgit.orchestrators.engine.experiment import summary_of
from ckgit.orchestrators.engine.logs import DESIGN_LOG
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.verify.checks import step as steps
from ckgit.orchestrators.review.verify.checks.step import Step

_RUN_LOGS = re.compile(r"run-[\w.+-]+\.log")
_SCAFFOLD_LOGS = re.compile(r"scaffold-[\w.+-]+\.log")
_VERSION = re.compile(r"[0-9]{1,9}[A-Za-z0-9.+-]{0,90}")
_BUILD = re.compile(r"[0-9a-f]{16}")
_NAMED = 5


class Past(NamedTuple):
    """What was found out of the commits before."""

    standing: str = NO_STATE  # where the last step led, as the lifecycle calls it
    seen: tuple[str, str] = ("", "")  # the claims when the first evaluation was submitted, and that commit
    made: float = 0.0  # when the last step was made, in seconds since 1970

    @property
    def state(self) -> str:
        """The state to which the last step led."""
        return state_of(self.standing)


def legal(step: Step, past: Past) -> Iterator[Finding]:
    """The trailers are a step from where the one before led to, by a version that there may be."""
    recorded, commit = step.recorded, step.commit.oid
    if why := step_problem(recorded.event, recorded.source, recorded.target, past.standing):
        yield rules.STEP.found(why, commit=commit)
    if recorded.source == NO_STATE and past.standing != NO_STATE:
        yield rules.STEP.found("the branch begins anew in its midst", commit=commit)
    if recorded.version and not _VERSION.fullmatch(recorded.version):
        yield rules.VERSION.found(f"there is no ckgit {recorded.version[:40]!r}", commit=commit)
    elif recorded.build and not _BUILD.fullmatch(recorded.build):
        yield rules.VERSION.found(f"there is no build {recorded.build[:40]!r} of ckgit", commit=commit)
    elif newer_version(step.after.name, recorded.version):
        what = f"made by ckgit {recorded.version}, which is newer than this one"
        yield rules.UNCHECKED.found(what, commit=commit, advice="upgrade ckgit")


def state(commit: BranchCommit, folder: str, expected: str, found: str) -> Iterator[Finding]:
    """The state in the summary is the one that the last step led to."""
    if found != expected:
        path = f"{folder}/{SUMMARY}"
        yield rules.STATE.found(f"the summary says {found}, and the last step led to {expected}", commit=commit.oid, path=path)


def design(step: Step) -> Iterator[Finding]:
    """The design has the hash that the step names, and what it names is as it was designed."""
    digest, named, path = step.after.summary.summary.digest, step.recorded.design, f"{step.folder}/{SUMMARY}"
    if digest != named:
        yield rules.DESIGN.found(f"its design has hash {digest[:12]}, and the step names {named[:12]}", commit=step.commit.oid, path=path)
    elif _is_of_the_design_before(step) and step.before and step.before.design_digest not in (None, named):
        yield rules.DESIGN.found(f"the step before was of another design ({str(step.before.design_digest)[:12]})", commit=step.commit.oid)


def _is_of_the_design_before(step: Step) -> bool:
    """A design may change as long as it is only designed, also by hand."""
    return step.event not in (Event.DESIGN, Event.REVISE) and step.before is not None and step.before.state is not State.DESIGNED


def inputs(step: Step) -> Iterator[Finding]:
    """Cards, tasks and data are those that were designed with."""
    try:
        _ = step.view
    except CkgitError as error:
        yield rules.INPUT.found(steps.in_words(error), commit=step.commit.oid)


def tables(step: Step) -> Iterator[Finding]:
    """The summary is the one before with the new state and tables; whoever reads it reads what is in the ledger."""
    if not step.before or step.after.state is State.DESIGNED or not step.is_ours:
        return
    expected = summary_of(step.view._replace(snapshot=step.before), step.after.state, step.ledger)
    if expected != step.after.summary_bytes():
        path = f"{step.folder}/{SUMMARY}"
        yield rules.TABLES.found("its tables are not those of the ledger, or its text was changed", commit=step.commit.oid, path=path)


def claims(step: Step, past: Past) -> Iterator[Finding]:
    """What was to be shown was not changed once an evaluation could be seen."""
    before, since = past.seen
    changes = step.before is None or step.event in (Event.DESIGN, Event.REVISE)  # later steps have the same ones
    if since and changes and (now := stated(step)) != before:
        what = f"since evaluations were submitted ({since[:12]}) its claims were changed, from {before or 'none'} to {now or 'none'}"
        yield rules.CLAIMS.found(what, commit=step.commit.oid, path=f"{step.folder}/{SUMMARY}")


def stated(step: Step) -> str:
    """The claims of a design, as text."""
    return "; ".join(claim.model_dump_json(exclude_none=True) for claim in step.after.summary.summary.experiment.claims)


def files(step: Step) -> Iterator[Finding]:
    """A step touches no file that a step of its kind does not write."""
    updated = frozenset(named_paths(step.after.summary.summary)) if step.event is Event.REVISE else frozenset()
    outside = [path for path in step.commit.files if not path.startswith(f"{step.folder}/") and path not in updated]
    known = _written_by(step)
    others = [*outside, *(f"{step.folder}/{path}" for path in step.changed if path not in step.commit.files and not known(path))]
    for path in others[:_NAMED]:
        yield rules.FILE.found(f"{step.event} writes no such file", commit=step.commit.oid, path=path)
    if len(others) > _NAMED:
        yield rules.FILE.found(f"and {len(others) - _NAMED} more that {step.event} does not write", commit=step.commit.oid)


def _written_by(step: Step) -> Callable[[str], bool]:
    """Whether a step of this kind may change a path of the experiment's folder."""
    gone = {path for path, content in step.changed.items() if not content.strip("0")}
    if step.event in (Event.DESIGN, Event.REVISE):
        found = step.after.kept_jobs()
        rows = {path(step.after.name, name) for name in step.after.summary.summary.data for path in (source_path, made_path)}
        told = (path.removeprefix(f"{step.folder}/") for path in rows)
        own = (SUMMARY, DESIGN_LOG, ESTIMATE, *([KEPT] if found else []), *told)
        taken = found.jobs if found and step.event is Event.DESIGN else ()  # what they hold is held against the other experiment
        runs = {job.partition("/")[0] for job in taken}
        return lambda path: path in own or path in gone or ("/" in path and path.partition("/")[0] in runs)
    if step.event is Event.ANALYZE:
        # of the ledger this fills in what accounting has come to know; what else is in it is held against the one before
        return lambda path: path in (SUMMARY, "jobs.json", "analyze-experiment.log") or path.startswith("analysis/")
    if step.event is Event.SCAFFOLD:
        settings = (SUMMARY, "defaults.json", PROFILE, *(["jobs.json"] if step.view.context.kept else []))
        planned = _rendered(step)
        return lambda path: path in settings or planned(path) or path in gone or bool(_SCAFFOLD_LOGS.fullmatch(path))
    if step.event in (Event.CLOSE, Event.REOPEN, Event.CLEAN):
        return lambda _: False
    common: set[str] = {SUMMARY, "jobs.json"}
    if step.event is Event.CANCEL:
        return lambda path: path in common or bool(_RUN_LOGS.fullmatch(path))
    renders = step.event in (Event.RETRY, Event.SUBMIT)
    rendered, left = _rendered(step) if renders else None, _left(step)
    return lambda path: (
        path in common
        or path in left
        or bool(_RUN_LOGS.fullmatch(path))
        or bool(rendered and (path == PROFILE or rendered(path) or _SCAFFOLD_LOGS.fullmatch(path)))
    )


def _rendered(step: Step) -> Callable[[str], bool]:
    """Whether a path is one of a file that is rendered; where that cannot be told, any in the folder of a run is."""
    from ckgit.orchestrators.review.verify.checks.rendering import rendered_again

    prefix = f"{step.folder}/"
    found, why = rendered_again(step) if step.is_ours else ({}, None)
    if found or (why and why.is_error):
        return frozenset(path.removeprefix(prefix) for path in found).__contains__
    runs = {run.name for run in step.view.context.plan.runs}
    return lambda path: "/" in path and path.partition("/")[0] in runs


def _left(step: Step) -> frozenset[str]:
    """What attempts left that ended with this step; of an older ledger, which does not say, any file of their runs."""
    from ckgit.orchestrators.review.verify.checks.ledger import ended

    paths: set[str] = set()
    for attempt in ended(step.ledger_before, step.ledger):
        run = attempt.job.partition("/")[0]
        paths |= set(attempt.files) or {path for path in step.changed if path.startswith(f"{run}/")}
    return frozenset(paths)


def plain(commit: BranchCommit, folder: str) -> Iterator[Finding]:
    """Only files: nothing that points elsewhere, in the experiment's folder."""
    for path, change in commit.files.items():
        if path.startswith(f"{folder}/") and not change.gone and change.mode not in REGULAR:
            kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(change.mode, f"an entry of mode {change.mode}")
            yield rules.NOT_A_FILE.found(f"it is {kind}", commit=commit.oid, path=path)


def foreign(commit: BranchCommit, name: str) -> Iterator[Finding]:
    """A commit that says it is a step, and is not one of this experiment."""
    if commit.recorded is None and re.search(r"^Ckgit-(Event|Experiment|To): ", commit.trailers, re.MULTILINE):
        of = re.findall(r"^Ckgit-Experiment: (.*)$", commit.trailers, re.MULTILINE)
        others = f"of experiment {in_words([repr(each[:60]) for each in of])}"
        whose = others if of and of != [name] else "with trailers that ckgit does not write"
        yield rules.FOREIGN.found(f"it calls itself a step {whose}", commit=commit.oid)


def logs(step: Step) -> Iterator[Finding]:
    """What orchestrators and workers have logged is added to, never rewritten."""
    grown = [path for path in step.changed if path == DESIGN_LOG or _RUN_LOGS.fullmatch(path)]
    if not step.before or step.after.state is State.DESIGNED:
        return
    for path in (f"{step.folder}/{log}" for log in grown):
        old, new = step.before.read(path) or b"", step.after.read(path) or b""
        if not new.startswith(old):
            yield rules.LOG.found("lines that were there before are not there any more", commit=step.commit.oid, path=path)
