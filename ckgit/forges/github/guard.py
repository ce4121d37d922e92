"""What a self-hosted runner takes on: jobs of the lab's own workflows, as its default branch has them.

GitHub takes the workflow of a pull request from the pull request: whoever may push a branch, or open a pull request from a fork, could
write one that runs anything on the runner. The runner asks here before each job (ACTIONS_RUNNER_HOOK_JOB_STARTED), whatever it says.
"""

from __future__ import annotations

import re

from ckgit.errors import CkgitError, Exit
from ckgit.forges.github.payloads import variable
from ckgit.formats.listing import escaped
from ckgit.lab.git.command import git_ok, git_text
from ckgit.lab.lab import Lab
from ckgit.lab.remotes.query import fetch_refs, remote_tips

REMOTE = "origin"
_SEEN = "refs/ckgit/ci/seen"
_REPOSITORY = re.compile(r"[/:]([^/:]+/[^/:]+?)(?:\.git)?/?$")
_WORKFLOW = re.compile(r"(?P<repository>[^/]+/[^/]+)/(?P<path>\.github/workflows/[A-Za-z0-9_.-]+\.ya?ml)@\S+")


def guard(lab: Lab) -> str:
    """The workflow's file, where this runner may run its job; asks git's remote, and nobody else.

    Args:
        lab: a clone of the lab, whose remote `origin` is its repository on GitHub.

    Raises:
        CkgitError: NOT_APPROVED, it may not; UNKNOWN, the remote does not answer.
    """
    asking, job = variable("GITHUB_REPOSITORY"), _WORKFLOW.fullmatch(variable("GITHUB_WORKFLOW_REF"))
    ours = _REPOSITORY.search(git_text(lab.root, "remote", "get-url", REMOTE))
    if not ours or ours[1].casefold() != asking.casefold() or not job or job["repository"].casefold() != asking.casefold():
        raise _not_ours(f"{escaped(asking)} is not the repository of this lab")
    path = job["path"]
    ran = _blob(lab, _commit(variable("GITHUB_WORKFLOW_SHA")), path)
    branch = f"refs/heads/{lab.default_branch}"
    if ran is None or ran != _blob(lab, remote_tips(lab, REMOTE, branch).get(branch), path):
        raise _not_ours(f"{path} is not as {lab.default_branch} has it")
    return path


def _blob(lab: Lab, commit: str | None, path: str) -> str | None:
    """Git's id of a file at a commit of the remote."""
    if commit is None:
        return None
    fetch_refs(lab, REMOTE, {commit: _SEEN})
    found = f"{commit}:{path}"  # other runners of the same lab fetch, too
    return git_text(lab.root, "rev-parse", found) if git_ok(lab.root, "rev-parse", "--quiet", "--verify", found) else None


def _commit(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise _not_ours(f"{escaped(text)[:80]} is no commit")
    return text


def _not_ours(why: str) -> CkgitError:
    advice = "merge the workflow into the default branch first, or bring the branch up to it"
    return CkgitError(f"this runner does not take the job: {why}", code=Exit.NOT_APPROVED, state="nothing was run", next=advice)
