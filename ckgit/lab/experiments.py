"""The experiments of a lab, as its branches tell: one row each, without reading more than `ckgit list` needs."""

from __future__ import annotations

import datetime
from collections.abc import Container, Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.lifecycle import is_closed
from ckgit.experiment.state import Kept, State
from ckgit.formats.times import of_git
from ckgit.lab.git.command import GitError, git, git_lines, git_text
from ckgit.lab.git.objects import read_objects, tree_entries
from ckgit.lab.git.tips import CLOSED, is_lost
from ckgit.lab.git.trailers import LOG_ATOM, REF_ATOM, Trailers, parse_trailers
from ckgit.lab.lab import BRANCHES, Lab
from ckgit.lab.summary.state import state_in


class ExperimentRow(NamedTuple):
    """One line of `ckgit list`."""

    name: str
    tip: str
    date: datetime.datetime  # of the last commit
    state: State | None  # None when it cannot be told; `note` says why
    event: str | None  # what the last commit recorded; None when it is not ckgit's
    note: str
    design: str | None = None  # design hash that the last commit recorded, if it is ckgit's
    remote: str = ""  # the only one that has its branch; empty where it is here
    kept: Kept | None = None  # what has it, where its branch is gone
    closing: str = ""  # commit that closed it; empty where it is open
    lost: bool = False  # whether git cannot read its commit, which is missing or damaged: nothing else is known of it then


def list_experiments(lab: Lab, *, kept: bool = False) -> list[ExperimentRow]:
    """Every experiment with a branch here or on a remote, by name. The state is the tip's trailer, or its summary's.

    Args:
        kept: also those whose branch is gone: those that are closed, and those that the default branch holds.
    """
    found = _rows(lab, BRANCHES, CLOSED)
    rows, closed = {row.name: row for row in found if not row.kept}, {row.name: row for row in found if row.kept}
    remote = [ref for ref in git_lines(lab.root, "for-each-ref", "--format=%(refname)", "refs/remotes/*/exp/*") if _name(ref) not in rows]
    for row in _rows(lab, *remote) if remote else []:
        rows.setdefault(row.name, row)
    for name, row in closed.items():
        stands = _stands(lab, row, rows[name]) if name in rows else row
        rows[name] = stands if stands.closing or stands.event or stands.lost else stands._replace(closing=_closing(lab, name, stands.tip))
    if kept:
        rows |= {row.name: row for row in _merged_rows(lab, merged_experiments(lab, rows))}
    return _with_states(lab, sorted(row for row in rows.values() if kept or not row.kept))


def _stands(lab: Lab, closed: ExperimentRow, row: ExperimentRow) -> ExperimentRow:
    """What stands for an experiment of which a branch is there, and a commit that is kept as the closed one."""
    if closed.lost or row.lost:
        return closed if row.lost else row
    # a remote's branch is what was last fetched of one that may be gone
    return closed if row.remote and not is_lost(lab.root, row.tip, closed.tip) else row


def _closing(lab: Lab, name: str, tip: str) -> str:
    """The last step below a commit of the user's own, where it is the one that closed the experiment."""
    steps = ("rev-list", "--no-commit-header", "--first-parent", "--grep=^Ckgit-To: ", "--max-count=1")
    commit, _, trailers = git(lab.root, *steps, f"--format=%H%x00{LOG_ATOM}", tip, "--").decode(errors="replace").partition("\0")
    recorded = parse_trailers(trailers, name)
    return commit if recorded and is_closed(recorded.standing) else ""


def _merged_rows(lab: Lab, names: Sequence[str]) -> list[ExperimentRow]:
    """Experiments that the default branch holds, each at its last step there; where it holds none of its steps, at the tip."""
    if not names:
        return []
    form = f"--format=%H%x00%ct%x00{LOG_ATOM}%x00"
    steps = ("rev-list", "--no-commit-header", "--topo-order", "--grep=^Ckgit-To: ", form, lab.base, "--")
    fields = git(lab.root, *steps).decode(errors="replace").split("\0")
    note, rows, wanted = f"merged into {lab.default_branch}", dict[str, ExperimentRow](), set(names)
    for tip, date, trailers in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        name = next((line.removeprefix(_OF) for line in trailers.splitlines() if line.startswith(_OF)), "")
        if name in wanted and name not in rows and (recorded := parse_trailers(trailers, name)):
            rows[name] = _told(name, tip.strip(), date, recorded, note)._replace(kept=Kept.MERGED)
    date = git_text(lab.root, "log", "-1", "--no-show-signature", "--format=%ct", lab.base, "--") if len(rows) < len(names) else ""
    others = (_told(name, lab.base, date, None, note)._replace(kept=Kept.MERGED) for name in names if name not in rows)
    return [*rows.values(), *others]


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
    summaries = read_objects(lab.root, [f"{lab.base}:{folder}/experiment_summary.md" for folder in others], lenient=True)
    return [_name(folder) for folder, summary in zip(others, summaries, strict=True) if summary is not None]


def where_merged(lab: Lab, name: str) -> str:
    """The command that shows what the default branch holds of an experiment: its report, or its summary; empty where it holds neither."""
    paths = [f"{lab.default_branch}:experiments/{name}/{file}" for file in ("analysis/report.md", "experiment_summary.md")]
    contents = read_objects(lab.root, [path.replace(lab.default_branch, lab.base, 1) for path in paths], lenient=True)
    return next((f"git show {path}" for path, content in zip(paths, contents, strict=True) if content is not None), "")


def row_at(lab: Lab, name: str, ref: str) -> ExperimentRow:
    """An experiment whose branch was deleted, by a ref that has kept its commit."""
    row = _rows(lab, ref)[0]
    return row._replace(name=name, note="its branch was deleted")


_OF = "Ckgit-Experiment: "
_ROW = f"%(refname)%00%(objectname)%00%(committer)%00{REF_ATOM}%00"


def _name(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


def _rows(lab: Lab, *patterns: str) -> list[ExperimentRow]:
    try:
        return _read_rows(lab, *patterns)
    except GitError:  # for one ref whose commit is missing or damaged it tells of none
        refs = git_lines(lab.root, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
        return _by_halves(lab, [ref.split(" ") for ref in refs])


def _read_rows(lab: Lab, *patterns: str) -> list[ExperimentRow]:
    fields = git(lab.root, "for-each-ref", f"--format={_ROW}", *patterns).decode(errors="replace").split("\0")
    records = [fields[at : at + 4] for at in range(0, len(fields) - 4, 4)]
    return [_row(*record) for record in records if not _is_beside(record[0].strip())]


def _by_halves(lab: Lab, refs: Sequence[Sequence[str]]) -> list[ExperimentRow]:
    """The rows of some refs, each given with its commit; of those that cannot be read, that this is so."""
    try:
        return _read_rows(lab, *(ref for ref, _ in refs)) if refs else []
    except GitError:
        if len(refs) == 1:
            return [_lost_row(*refs[0])] if not _is_beside(refs[0][0]) else []
        half = len(refs) // 2
        return [*_by_halves(lab, refs[:half]), *_by_halves(lab, refs[half:])]


def _lost_row(ref: str, tip: str) -> ExperimentRow:
    note = f"its commit {tip[:12]} is missing or damaged: git fsck says which objects are, and a remote may have them"
    row = ExperimentRow(_name(ref), tip, of_git("0"), None, None, note, lost=True)
    return _placed(row, ref)


def _placed(row: ExperimentRow, ref: str) -> ExperimentRow:
    """With what has its commit."""
    remote = "" if ref.startswith((BRANCHES, CLOSED)) else ref.split("/")[2]
    return row._replace(remote=remote, kept=Kept.CLOSED if ref.startswith(CLOSED) else None)


def _is_beside(ref: str) -> bool:
    """Whether a ref keeps another experiment that had the name of one."""
    return ref.startswith(CLOSED) and any(mark in ref.removeprefix(CLOSED) for mark in "/@")


def _row(ref: str, tip: str, date: str, trailers: str) -> ExperimentRow:
    ref, name = ref.strip(), _name(ref)
    row = _placed(_told(name, tip, date, parse_trailers(trailers, name), ""), ref)
    return row._replace(note=f"only on {row.remote}" if row.remote else "")


def _told(name: str, tip: str, date: str, recorded: Trailers | None, note: str) -> ExperimentRow:
    """A row of what a commit has recorded."""
    state = State(recorded.target) if recorded and recorded.target in set(State) else None
    event, design = (recorded.event if state else None, recorded.design) if recorded else (None, None)
    closing = tip if recorded and is_closed(recorded.standing) else ""
    return ExperimentRow(name, tip, of_git(date), state, event, note, design, closing=closing)


def _with_states(lab: Lab, rows: list[ExperimentRow]) -> list[ExperimentRow]:
    """Rows whose tip is a commit of the user's own get the state of the summary in it."""
    missing = [row for row in rows if row.state is None and not row.lost]
    contents = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/experiment_summary.md" for row in missing], lenient=True)
    found = {row.name: _from_summary(row, content) for row, content in zip(missing, contents, strict=True)}
    return [found.get(row.name, row) for row in rows]


def _from_summary(row: ExperimentRow, content: bytes | None) -> ExperimentRow:
    if content is None:
        return row._replace(note="no experiment_summary.md")
    # whether that state is one that a step led to takes more than the tip
    by_hand = "" if row.kept else f"changed by hand: ckgit status {row.name}"
    try:
        state = state_in(content, "experiment_summary.md")
        return row._replace(state=state, note="; ".join(filter(None, (row.note, by_hand))))
    except CkgitError:
        return row._replace(note=f"the state in experiment_summary.md cannot be read; ckgit validate {row.name} says why")
