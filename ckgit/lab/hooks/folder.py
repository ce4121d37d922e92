"""Where git looks for hooks in a repository, and whether that place is the repository's own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.command import GitError, git_lines

IN_CLONES = ("pre-commit", "prepare-commit-msg", "commit-msg", "pre-push")
ON_SERVERS = ("pre-receive", "post-receive")  # a bare repository is pushed to, and nobody commits in it
NAMES = (*IN_CLONES, *ON_SERVERS)


class HooksFolder(NamedTuple):
    """A repository's hooks."""

    common: Path  # the repository's own folder, shared by all its worktrees
    used: Path  # where git looks, which `core.hooksPath` may have put elsewhere
    bare: bool

    @property
    def own(self) -> bool:
        """Whether git looks in the repository itself; what lies elsewhere belongs to others, or is tracked."""
        return self.used.resolve().is_relative_to(self.common.parent.resolve())

    @property
    def names(self) -> tuple[str, ...]:
        """Hooks of ckgit's that a repository of this kind runs."""
        return ON_SERVERS if self.bare else IN_CLONES

    def by_hand(self, name: str) -> Path:
        """The file that people write, where the folder is not the repository's own."""
        husky = self.used.name == "_" and self.used.parent.name == ".husky"
        return (self.used.parent if husky else self.used) / name


def hooks_folder(start: Path) -> HooksFolder:
    """The hooks of the repository that holds the folder `start`.

    Raises:
        CkgitError: USAGE, it is in none.
    """
    asked = ("--git-common-dir", "--git-path", "hooks", "--is-bare-repository")
    try:
        common, used, bare = git_lines(start, "rev-parse", "--path-format=absolute", *asked)
    except GitError as error:
        if "not a git repository" not in error.stderr:
            raise
        what = "not inside a git repository"
        raise CkgitError(what, code=Exit.USAGE, where=str(start), next="ckgit -C DIR works in another folder") from None
    return HooksFolder(Path(common) / "hooks", Path(used), bare == "true")
