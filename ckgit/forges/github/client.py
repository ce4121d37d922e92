"""What ckgit asks of GitHub's REST API, by githubkit, and what it writes there: one comment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ckgit.errors import CkgitError, Exit
from ckgit.forges.github.payloads import Artifact, ComparedCommits, Payload, PostedComment, PullRequest, SubmittedReview, told, variable

if TYPE_CHECKING:
    from githubkit.response import Response

P = TypeVar("P", bound=Payload)
_PAGE, _MOST_PAGES = 100, 300  # GitHub itself ends lists at 30,000
_SECONDS = 60.0
_SERVER_ERROR = 500


class Client:
    """The API of one repository. Answers are read by models of our own: a field that GitHub adds or widens is nobody's failure."""

    def __init__(self, repository: str, token: str, url: str) -> None:
        try:
            from githubkit import GitHub
        except ImportError as error:
            what = f"githubkit, which talks to GitHub, cannot be imported: {error}"
            raise CkgitError(what, code=Exit.TOOL_MISSING, state="nothing was done", next="pip install 'ckgit[github]'") from None
        self._place = dict(zip(("owner", "repo"), repository.split("/", 1), strict=True))
        self._github = GitHub(token, base_url=url, http_cache=False, timeout=_SECONDS)

    @classmethod
    def of_workflow(cls, repository: str) -> Client:
        """The API as a step of a workflow reaches it.

        Raises:
            CkgitError: USAGE, this is no such step, or it has no GITHUB_TOKEN; TOOL_MISSING, githubkit is not installed.
        """
        return cls(repository, variable("GITHUB_TOKEN"), os.environ.get("GITHUB_API_URL") or "https://api.github.com")

    def pull_request(self, number: int) -> PullRequest:
        """A pull request as it is now."""
        return _read(PullRequest, _asked(lambda: self._github.rest.pulls.get(**self._place, pull_number=number)).json())

    def reviews(self, number: int) -> list[SubmittedReview]:
        """Its reviews, in the order in which they were given."""
        return [*self._listed(SubmittedReview, self._github.rest.pulls.list_reviews, pull_number=number)]

    def comments(self, number: int) -> list[PostedComment]:
        """The comments on it, the oldest first."""
        return [*self._listed(PostedComment, self._github.rest.issues.list_comments, issue_number=number)]

    def post(self, number: int, body: str) -> None:
        """Write a new comment."""
        _asked(lambda: self._github.rest.issues.create_comment(**self._place, issue_number=number, body=body))

    def edit(self, comment: int, body: str) -> None:
        """Write a comment anew."""
        _asked(lambda: self._github.rest.issues.update_comment(**self._place, comment_id=comment, body=body))

    def artifacts(self, run: int, name: str) -> list[Artifact]:
        """What a run has left under a name."""
        answer = _asked(lambda: self._github.rest.actions.list_workflow_run_artifacts(**self._place, run_id=run, name=name, per_page=_PAGE))
        return [_read(Artifact, each) for each in answer.json()["artifacts"]]

    def download(self, artifact: int) -> bytes:
        """The zip file of an artifact."""
        answer = _asked(lambda: self._github.rest.actions.download_artifact(**self._place, artifact_id=artifact, archive_format="zip"))
        return bytes(answer.content)

    def blob(self, path: str, ref: str) -> str | None:
        """Git's id of a file at a commit or branch; None where there is none."""
        from githubkit.exception import RequestFailed

        try:
            found = self._github.rest.repos.get_content(**self._place, path=path, ref=ref).json()
        except RequestFailed as error:
            if error.response.status_code == 404:  # noqa: PLR2004 - not found
                return None
            raise _failed(error) from None
        return str(found.get("sha")) if isinstance(found, dict) and found.get("type") == "file" else None

    def merge_base(self, base: str, head: str) -> str:
        """The commit of `base` from which `head` goes on."""
        answer = _asked(lambda: self._github.rest.repos.compare_commits(**self._place, basehead=f"{base}...{head}", per_page=1))
        return _read(ComparedCommits, answer.json()).merge_base_commit.sha

    def _listed(self, model: type[P], ask: Callable[..., Response[Any, Any]], **which: int) -> Iterator[P]:
        for page in range(1, _MOST_PAGES + 1):
            found = _asked(partial(ask, **self._place, **which, per_page=_PAGE, page=page)).json()
            yield from (_read(model, each) for each in found)
            if len(found) < _PAGE:
                return


def _read(model: type[P], answer: object) -> P:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise CkgitError(
            f"GitHub's answer is not as its API says: {told(error)}",
            code=Exit.UNKNOWN,
            state="nothing was written",
            next="run the job again; if that does not help, upgrade ckgit",
        ) from None


def _asked(ask: Callable[[], Response[Any, Any]]) -> Response[Any, Any]:
    from githubkit.exception import RequestError, RequestFailed

    try:
        return ask()
    except (RequestFailed, RequestError) as error:
        raise _failed(error) from None


def _failed(error: Exception) -> CkgitError:
    """A request that was refused, or that nobody answered."""
    response = getattr(error, "response", None)
    if response is None or response.status_code >= _SERVER_ERROR:
        what = f"GitHub does not answer: {error if response is None else response.status_code}"
        return CkgitError(what, code=Exit.UNKNOWN, state="nothing was written", next="run the job again later")
    asked = response.raw_request
    return CkgitError(
        f"GitHub refused {asked.method} {asked.url.path}: {response.status_code}",
        code=Exit.COMMAND_FAILED,
        state="nothing was written",
        next="look at the permissions that the workflow gives to its token: docs/ci-github.md of ckgit has those that are needed",
    )
