"""The experiments of a lab, with a note where jobs run that nobody would look for, and those for which a command has anything to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ckgit.experiment.classify import JobCondition, LedgerOutline, classify, newest, read_outline
from ckgit.experiment.stage import STAGES
from ckgit.experiment.state import Kept, State
from ckgit.lab.experiments import ExperimentRow, row_at
from ckgit.lab.git import tips
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import Lab

if TYPE_CHECKING:
    from ckgit.orchestrators.engine.orphans import Orphan


def to_advance(_: Lab, rows: Sequence[ExperimentRow]) -> set[str]:
    """Names of the experiments that are not at their end; where that cannot be told, advancing them says why."""
    return {row.name for row in rows if row.state is not State.ANALYZED and not row.closing}


def to_retry(lab: Lab, rows: Sequence[ExperimentRow]) -> set[str]:
    """Names of the experiments with jobs that ended badly and are not passed over."""
    ledgers = _ledgers(lab, [row for row in rows if not row.closing and (row.state is None or row.state in STAGES)])
    return {name for name, ledger in ledgers.items() if ledger is None or any(each.is_bad for each in _conditions(ledger))}


def to_cancel(lab: Lab, rows: Sequence[ExperimentRow]) -> set[str]:
    """Names of the experiments with jobs that are not known to have ended."""
    ledgers = _ledgers(lab, rows)
    beside_them = set(beside(lab, rows)) & {row.name for row in rows}
    return beside_them | {name for name, ledger in ledgers.items() if ledger is None or ledger.detached or _is_out(ledger)}


def left_to_cluster(lab: Lab, rows: Sequence[ExperimentRow]) -> dict[str, LedgerOutline]:
    """Ledgers of the experiments that are left to their cluster, by name.

    Read where jobs were submitted and the report is not made, and only those looked into that name a job: a lab may have many.
    """
    running = [row for row in rows if row.state in (*STAGES, State.EVALUATED) and row.event != "scaffold" and not row.lost]
    contents = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/jobs.json" for row in running])
    named = {row.name: content for row, content in zip(running, contents, strict=True) if content and b'"detached"' in content}
    return {name: ledger for name, content in named.items() if (ledger := _outline(content)) and ledger.detached}


def _is_out(ledger: LedgerOutline) -> bool:
    return any(condition.is_open for condition in _conditions(ledger))


def _conditions(ledger: LedgerOutline) -> list[JobCondition]:
    return [classify(attempt, accepted=job in ledger.accepted_missing) for job, attempt in newest(ledger.attempts).items()]


def _ledgers(lab: Lab, rows: Sequence[ExperimentRow]) -> dict[str, LedgerOutline | None]:
    """The ledgers of those experiments that have one, by name; None where it cannot be read."""
    there = [row for row in rows if not row.lost]
    contents = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/jobs.json" for row in there])
    return {row.name: _outline(content) for row, content in zip(there, contents, strict=True) if content is not None}


def _outline(content: bytes) -> LedgerOutline | None:
    try:
        return read_outline(content)
    except ValueError:
        return None


def beside(lab: Lab, rows: Sequence[ExperimentRow]) -> dict[str, list[Orphan]]:
    """Jobs that may still run and that no branch knows, by experiment; also those of branches that are deleted or cannot be read.

    Only experiments are looked at whose branch is not where ckgit left it, or was rewritten before, or cannot be read.
    """
    # of one that was merged when its jobs ran, and whose branch is gone, nobody goes on with them
    there = [row for row in rows if row.kept is not Kept.MERGED or row.state is State.ANALYZED]
    at, left = {row.name: row.tip for row in there}, tips.all_left(lab.root)
    moved = {name for name, commit in left.items() if at.get(name) != commit}
    unread = {row.name for row in there if row.state is None}
    from ckgit.orchestrators.engine.orphans import find_orphans, known_in

    names = sorted(moved | unread | (tips.rewritten(lab.root) & {*at, *left}))
    ledgers = read_objects(lab.root, [f"{at.get(name) or left[name]}:experiments/{name}/jobs.json" for name in names], lenient=True)
    known = {name: known_in(ledger, gone=name not in at) for name, ledger in zip(names, ledgers, strict=True)}
    # what cannot be read tells of no job
    looked = {name: find_orphans(lab, name, frozenset() if name in unread else known[name]) for name in names}
    return {name: found for name, found in looked.items() if found}


def with_unknown_jobs(lab: Lab, rows: Sequence[ExperimentRow], found: Mapping[str, Sequence[Orphan]]) -> list[ExperimentRow]:
    """The experiments of a lab, each with a note on jobs that are not in its ledger, and those whose branch is gone while jobs run."""
    gone = [row_at(lab, name, f"{tips.TIPS}{name}") for name in found if name not in {row.name for row in rows}]
    return sorted([*(_noted(lab, row, found.get(row.name, ())) for row in rows), *(_noted(lab, row, found[row.name]) for row in gone)])


_MOST_COMPARED = 50  # branches that differ from a remote's, each of which costs a look into the history


def with_remotes(lab: Lab, rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
    """The experiments, each with a note where a remote's branch, as it was last fetched, is ahead of the local one."""
    lines = git_lines(lab.root, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/remotes/*/exp/*")
    theirs: dict[str, dict[str, str]] = {}
    for line in lines:
        ref, tip = line.rsplit(" ", 1)
        theirs.setdefault(ref.rsplit("/", 1)[-1], {})[ref.partition("/")[0]] = tip
    at = {row.name: row.tip for row in rows if not row.remote and not row.kept}
    differ = [name for name in at if set(theirs.get(name, {}).values()) - {at[name]}][:_MOST_COMPARED]
    if not differ:
        return list(rows)
    from ckgit.lab.remotes.upstream import ahead

    notes = {name: "; ".join(map(str, ahead(lab, f"exp/{name}", at[name], theirs[name]))) for name in differ}
    return [row._replace(note="; ".join(filter(None, [row.note, notes.get(row.name, "")]))) for row in rows]


def _noted(lab: Lab, row: ExperimentRow, found: Sequence[Orphan]) -> ExperimentRow:
    gone = row.state is None or row.kept or (found and _is_ledger_unread(lab, row))
    jobs = f"{len(found)} job{'s' if len(found) > 1 else ''}"
    what = f"{jobs} of it may still run" if gone else f"{len(found)} running jobs are not in the ledger of its branch"
    note = f"{what}: ckgit status {row.name}" if found else ""
    return row._replace(note="; ".join(filter(None, (row.note, note))))


def _is_ledger_unread(lab: Lab, row: ExperimentRow) -> bool:
    from ckgit.orchestrators.engine.orphans import is_unread

    [ledger] = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/jobs.json"], lenient=True)
    return is_unread(lab, row.name, row.tip, ledger)
