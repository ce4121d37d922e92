"""A lab: its repository, default branch and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckgit.errors import CkgitError, Exit
from ckgit.formats.listing import choose
from ckgit.lab.git.command import GitError, git_lines, git_ok, git_text, has_commit, settings
from ckgit.lab.git.objects import first_with, read_object
from ckgit.lab.git.worktrees import Branch
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

    def lab_folders(self) -> list[Path]:
        """Folders of all experiments' work trees, one for each work root; they need not exist.

        Raises:
            CkgitError: USAGE, a configuration file is not TOML.
        """
        return list(dict.fromkeys(self.folder(root) / self._roots.lab for root in self._roots.work_roots.values()))

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
    if not has_commit(root, tip):
        raise CkgitError(
            f"the default branch {name} is at {tip[:12]}, which is missing or damaged",
            code=Exit.COMMAND_FAILED,
            where=str(root),
            state="nothing was read",
            next="git fsck says which objects are missing or damaged; git fetch --refetch REMOTE brings back what a remote has",
        )
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
