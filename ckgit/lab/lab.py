"""A lab: its repository, default branch, configuration and experiments."""

from __future__ import annotations

import datetime
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.listing import choose
from ckgit.lab.git.command import GitError, git, git_lines, git_ok, git_text, settings
from ckgit.lab.git.objects import first_with, read_object, read_objects, tree_entries
from ckgit.lab.git.trailers import REF_ATOM, parse_trailers
from ckgit.lab.git.worktrees import Branch
from ckgit.lab.summary.state import state_in
from ckgit.lab.user_folders import expanded

if TYPE_CHECKING:
    from ckgit.experiment.cluster import Cluster, LabConfig
    from ckgit.lab.config import Roots

CONFIG = "ckgit.toml"
BRANCHES = "refs/heads/exp/"


@dataclass(frozen=True)
class Lab:
    """An opened lab. Its configuration is that of the default branch's tip at the time of opening."""

    root: Path  # top of the checkout in which it was opened
    home: Path  # top of the main checkout: relative folders of ckgit.toml lie here, whatever worktree one works in
    git_dir: Path  # the repository itself, shared by all its worktrees
    default_branch: str
    base: str  # commit at the tip of the default branch
    toml: bytes  # ckgit.toml as committed there
    # When a remote last did not answer, by its name: of many experiments that a command advances, one waits for it.
    silent_remotes: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def config(self) -> LabConfig:
        """The lab's configuration with the user's own over it.

        Raises:
            CkgitError: USAGE, naming file and key.
        """
        from ckgit.lab.config import read_config

        return read_config(self.toml, f"{self.default_branch}:{CONFIG}")

    def branch(self, name: str) -> Branch:
        """An experiment's branch, whether it exists or not."""
        return Branch(self.root, self.git_dir, f"exp/{name}")

    def cluster(self, name: str | None = None) -> Cluster:
        """A cluster profile; the default one without a name.

        Raises:
            CkgitError: there is none of that name; lists those that exist.
        """
        wanted = name or self.config.default_cluster
        if wanted not in self.config.clusters:
            known = choose(wanted, sorted(self.config.clusters))
            raise CkgitError(f"there is no cluster profile {wanted!r}", code=Exit.USAGE, where=CONFIG, next=known)
        return self.config.clusters[wanted]

    def cluster_of(self, ledger: Mapping[str, Any]) -> Cluster:
        """The profile by which the jobs of a ledger (as a document) were handed over, whatever became of that profile since.

        The ledger itself tells all by which jobs are found and ended, so they are where ckgit.toml cannot be read, too.
        """
        from ckgit.experiment.cluster import Cluster, as_handed_over

        try:
            profile = self.config.clusters.get(ledger["cluster"], Cluster())
        except CkgitError:
            profile = Cluster()
        return as_handed_over(profile, ledger)

    def work_root(self, cluster_name: str | None = None) -> Path:
        """Absolute folder of a cluster's work trees."""
        return self.folder(self.cluster(cluster_name).work_root)

    def experiment_folders(self, name: str) -> dict[str, Path]:
        """Folder of an experiment's work trees, by cluster profile; they need not exist.

        Raises:
            CkgitError: USAGE, a configuration file is not TOML.
        """
        return {cluster: self.folder(root) / self._roots.lab / name for cluster, root in self._roots.work_roots.items()}

    @cached_property
    def _roots(self) -> Roots:
        from ckgit.lab.config import read_roots

        return read_roots(self.toml, f"{self.default_branch}:{CONFIG}")

    def folder(self, text: str) -> Path:
        """A folder that ckgit.toml names: `~` is the user's home, and a relative one lies in the lab."""
        return self.home / expanded(text)

    def config_warning(self) -> str | None:
        """What to tell a user whose edits of ckgit.toml are not in force yet, or None."""
        try:
            edited = (self.root / CONFIG).read_bytes()
        except FileNotFoundError:
            return None
        if edited.splitlines() == self.toml.splitlines():
            return None
        if edited.splitlines() == (read_object(self.root, f"HEAD:{CONFIG}") or b"").splitlines():
            return None  # another branch's file, as it is there
        return f"{CONFIG} has edits that are not in force: commit them on branch {self.default_branch}"


def open_lab(start: Path) -> Lab:
    """The lab that holds the folder `start`.

    Raises:
        CkgitError: USAGE, when it is not inside a lab.
    """
    return open_at(*repository(start))


def open_at(root: Path, git_dir: Path) -> Lab:
    """The lab of a repository, which may be bare.

    Raises:
        CkgitError: USAGE, it is none.
    """
    branch, base, toml = _default_branch(root)
    if toml is None:
        raise CkgitError(
            f"not inside a lab: branch {branch} has no {CONFIG}",
            code=Exit.USAGE,
            where=str(root),
            next=f"ckgit init {root}, or change to the lab's folder (ckgit -C DIR)",
        )
    home = git_dir.parent if git_dir.name == ".git" else root
    return Lab(root=root, home=home, git_dir=git_dir, default_branch=branch, base=base, toml=toml)


def repository(start: Path) -> tuple[Path, Path]:
    """Top of the checkout and the shared repository folder."""
    try:
        lines = git_lines(start, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir")
    except GitError as error:
        if "not a git repository" not in error.stderr and "must be run in a work tree" not in error.stderr:
            raise
        raise CkgitError(
            "not inside a lab", code=Exit.USAGE, where=str(start), next="ckgit init DIR makes one; ckgit -C DIR works in another folder"
        ) from None
    if not lines[0].isascii() and any("\udc80" <= char <= "\udcff" for char in lines[0]):
        raise CkgitError(
            "the lab's path is not UTF-8, and the files that name it are", code=Exit.USAGE, where=lines[0], next="rename that folder"
        )
    return Path(lines[0]), Path(lines[1])


def default_branch(root: Path) -> tuple[str, str]:
    """The default branch's name and tip: the user's setting, the remote's, main, master, or the only one that is no experiment.

    Raises:
        CkgitError: there is no commit yet, or no way to tell which branch it is.
    """
    return _default_branch(root)[:2]


_HEAD = "refs/remotes/origin/HEAD"


def _default_branch(root: Path) -> tuple[str, str, bytes | None]:
    """The default branch's name and tip, and its ckgit.toml."""
    setting = settings(root, "ckgit.defaultbranch").get("ckgit.defaultbranch")
    found = first_with(root, _candidates(setting) if setting else (_HEAD, *_candidates("main", "master")), CONFIG)
    if found and found[0] == _HEAD:
        setting = git_text(root, "symbolic-ref", _HEAD).removeprefix("refs/remotes/origin/")
        found = first_with(root, _candidates(setting), CONFIG)
    if found:
        return found[0].removeprefix("refs/heads/").removeprefix("refs/remotes/origin/"), *found[1:]
    if setting:
        what = f"the default branch {setting} does not exist"
        raise CkgitError(what, code=Exit.USAGE, where=str(root), next="git branch --all lists those that do")
    name, tip = _only_branch(root)
    return name, tip, read_object(root, f"{tip}:{CONFIG}")


def _candidates(*names: str) -> tuple[str, ...]:
    """Where branches of these names may be: here, or on the remote."""
    return tuple(f"{place}{name}" for name in names for place in ("refs/heads/", "refs/remotes/origin/"))


def _only_branch(root: Path) -> tuple[str, str]:
    lines = git_lines(root, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
    others = [line.rsplit(" ", 1) for line in lines if not line.startswith("exp/")]
    remotes = git_lines(root, "remote")
    if not others and remotes and (lines or git_ok(root, "rev-parse", "--quiet", "--verify", "HEAD")):
        remote = "origin" if "origin" in remotes else remotes[0]
        raise CkgitError(
            "this clone does not have the lab's default branch, which holds ckgit.toml",
            code=Exit.USAGE,
            where=str(root),
            state="nothing was read",
            next=f"git fetch --depth=1 {remote} +refs/heads/main:refs/remotes/{remote}/main, where it is called main, and once more",
        )
    if not lines:
        raise CkgitError(
            "the repository has no commit yet", code=Exit.USAGE, where=str(root), next=f"ckgit init {root} makes the first one"
        )
    if len(others) != 1:
        raise CkgitError(
            f"which branch is the default one? ({', '.join(name for name, _ in others) or 'all are experiments'})",
            code=Exit.USAGE,
            where=str(root),
            next="git config ckgit.defaultBranch NAME",
        )
    return others[0][0], others[0][1]


def checked_out_experiment(lab: Lab) -> str | None:
    """The experiment whose branch is checked out in this worktree, or None."""
    ref = git_text(lab.root, "symbolic-ref", "HEAD") if git_ok(lab.root, "symbolic-ref", "-q", "HEAD") else ""
    return ref.removeprefix(BRANCHES) if ref.startswith(BRANCHES) else None


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
