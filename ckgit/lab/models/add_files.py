"""Commits files that a command brought into the lab, and nothing else, on the default branch that is checked out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from ckgit.lab.git.command import OWN_PROGRAMS, GitError, git, git_text
from ckgit.lab.git.objects import read_files
from ckgit.lab.git.waiting import NoAnswerError, TimeLimit
from ckgit.lab.lab import Lab

_AS_IT_IS = ("-c", "core.safecrlf=false")
_HOOKS = TimeLimit("a commit hook, or the program that signs", 600.0)  # the user's own commit: his hooks may build and test


def commit_files(lab: Lab, files: Mapping[str, bytes], message: str) -> tuple[str, str]:
    """Commit files as they lie in the checkout; the new commit, or what the user has to do instead. Neither where they are committed."""
    if read_files(lab.root, "HEAD", list(files)).contents == dict(files):
        return "", ""
    head = git_text(lab.root, "rev-parse", "--symbolic-full-name", "HEAD").strip()
    if head != f"refs/heads/{lab.default_branch}":
        return "", f"the default branch is not checked out; there: {by_hand(files, message)}"
    try:
        # By name and as they are: files that the user ignores, and line ends that he wants checked, do not concern it.
        git(lab.root, *_AS_IT_IS, "add", "--force", "--", *files, waiting=OWN_PROGRAMS)
        git(lab.root, *_AS_IT_IS, "commit", "--quiet", f"--message={message}", "--", *files, waiting=_HOOKS)
    except (GitError, NoAnswerError) as error:
        return "", f"git did not commit it ({error.what}): {by_hand(files, message)}"
    return git_text(lab.root, "rev-parse", "HEAD").strip(), ""


def by_hand(paths: Iterable[str], message: str) -> str:
    """The commands that do the same."""
    named = shlex.join(paths)
    return f"git add {named} && git commit -m {shlex.quote(message)} -- {named}"
