"""The experiments of a lab, as its branches tell: one row each, without reading more than `ckgit list` needs."""

from __future__ import annotations

import datetime
from collections.abc import Container
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.state import State
from ckgit.lab.git.command import git, git_lines
from ckgit.lab.git.objects import read_objects, tree_entries
from ckgit.lab.git.trailers import REF_ATOM, parse_trailers
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.summary.state import state_in


class ExperimentRow(NamedTuple):
    """One line of `ckgit list`."""

    name: str
    tip: str
    date: datetime.datetime  # of the last commit, in the committer's time zone
    state: State | None  # None when it cannot be told; `note` says why
    event: str | None  # what the last commit recorded; None when it is not ckgit's
    note: str
    design: str | None = None  # design hash that the last commit recorded, if it is ckgit's
    remote: str = ""  # the only one that has its branch; empty where it is here


def list_experiments(lab: Lab) -> list[ExperimentRow]:
    """Every experiment with a branch here or on a remote, by name. The state is the tip's trailer, or its summary's."""
    rows = {row.name: row for row in _rows(lab, BRANCHES)}
    remote = [ref for ref in git_lines(lab.root, "for-each-ref", "--format=%(refname)", "refs/remotes/*/exp/*") if _name(ref) not in rows]
    for row in _rows(lab, *remote) if remote else []:
        rows.setdefault(row.name, row)
    return _with_states(lab, sorted(rows.values()))


def newest_experiments(lab: Lab, count: int) -> list[ExperimentRow]:
    """The experiments with the newest commits, here or on a remote, newest first."""
    options = ("--sort=-committerdate", f"--count={2 * count}")  # most are here and on a remote
    rows = {row.name: row for row in reversed(_rows(lab, *options, BRANCHES, "refs/remotes/*/exp/*"))}
    return sorted(rows.values(), key=lambda row: row.date, reverse=True)[:count]


def merged_experiments(lab: Lab, known: Container[str]) -> list[str]:
    """Experiments without a branch that the default branch holds, by name.

    Args:
        known: names of those that have a branch.
    """
    folders = [entry.path for entry in tree_entries(lab.root, lab.base, "experiments/") if entry.kind == "tree"]
    others = [folder for folder in folders if _name(folder) not in known]
    summaries = read_objects(lab.root, [f"{lab.base}:{folder}/experiment_summary.md" for folder in others])
    return [_name(folder) for folder, summary in zip(others, summaries, strict=True) if summary is not None]


def where_merged(lab: Lab, name: str) -> str:
    """The command that shows what the default branch holds of an experiment: its report, or its summary; empty where it holds neither."""
    paths = [f"{lab.default_branch}:experiments/{name}/{file}" for file in ("analysis/report.md", "experiment_summary.md")]
    contents = read_objects(lab.root, [path.replace(lab.default_branch, lab.base, 1) for path in paths])
    return next((f"git show {path}" for path, content in zip(paths, contents, strict=True) if content is not None), "")


def row_at(lab: Lab, name: str, ref: str) -> ExperimentRow:
    """An experiment whose branch was deleted, by a ref that has kept its commit."""
    row = _rows(lab, ref)[0]
    return row._replace(name=name, note="its branch was deleted")


_ROW = f"%(refname)%00%(objectname)%00%(committerdate:iso-strict)%00{REF_ATOM}%00"


def _name(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


def _rows(lab: Lab, *patterns: str) -> list[ExperimentRow]:
    fields = git(lab.root, "for-each-ref", f"--format={_ROW}", *patterns).decode(errors="replace").split("\0")
    return [_row(*fields[at : at + 4]) for at in range(0, len(fields) - 4, 4)]


def _row(ref: str, tip: str, date: str, trailers: str) -> ExperimentRow:
    ref, name = ref.strip(), _name(ref)
    recorded = parse_trailers(trailers, name)
    state = State(recorded.target) if recorded and recorded.target in set(State) else None
    remote = "" if ref.startswith(BRANCHES) else ref.split("/")[2]
    note = f"only on {remote}" if remote else ""
    event, design = (recorded.event if state else None, recorded.design) if recorded else (None, None)
    return ExperimentRow(name, tip, datetime.datetime.fromisoformat(date), state, event, note, design, remote)


def _with_states(lab: Lab, rows: list[ExperimentRow]) -> list[ExperimentRow]:
    """Rows whose tip is a commit of the user's own get the state of the summary in it."""
    missing = [row for row in rows if row.state is None]
    contents = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/experiment_summary.md" for row in missing])
    found = {row.name: _from_summary(row, content) for row, content in zip(missing, contents, strict=True)}
    return [found.get(row.name, row) for row in rows]


def _from_summary(row: ExperimentRow, content: bytes | None) -> ExperimentRow:
    if content is None:
        return row._replace(note="no experiment_summary.md")
    by_hand = f"changed by hand: ckgit status {row.name}"  # whether that state is one that a step led to takes more than the tip
    try:
        state = state_in(content, "experiment_summary.md")
        return row._replace(state=state, note="; ".join(filter(None, (row.note, by_hand))))
    except CkgitError:
        return row._replace(note=f"the state in experiment_summary.md cannot be read; ckgit validate {row.name} says why")
