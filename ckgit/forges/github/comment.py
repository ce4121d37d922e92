"""The one comment that a review is on its pull request.

It is written by a second workflow, whose token may write comments, from what the first one left, whose token may not. The first one may be
a fork's own: the branch of a pull request brings the workflows that run for it. So what it left is data, and is held against what GitHub
itself knows before any of it is posted.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Literal, NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.forges.github.client import Client
from ckgit.forges.github.payloads import Artifact, CompletedRun, PostedComment, PullRequest
from ckgit.formats.listing import escaped

MARKER = "<!-- ckgit-review -->"  # the first line of what `ckgit review` prints
MOST_CHARACTERS = 65_536  # of a comment, as GitHub has it
ARTIFACT = "experiment-review"
WORKFLOW = ".github/workflows/experiment-review.yml"
TEXT, NUMBER = "review.md", "pull-request"  # files of the artifact
_AUTHOR = "github-actions[bot]"  # whom a workflow's own token writes as
_MOST_BYTES = 4 * MOST_CHARACTERS
_MOST_ZIPPED = 1_000_000
_MENTION = re.compile(r"@(?=[A-Za-z0-9])")
_CUT = "\n\n*The rest is in the summary of the review's run, and in its report.*\n"

Verb = Literal["posted", "edited", "kept", "outdated"]


class WrittenComment(NamedTuple):
    """What became of a review."""

    pull_request: int
    verb: Verb  # kept: it says the same already; outdated: the branch has moved on, and its newer review is about to come
    body: str


def write_comment(client: Client, run: CompletedRun, default_branch: str, *, dry_run: bool = False) -> WrittenComment:
    """Post what a run of the review has left, or edit the comment that an earlier run posted.

    Raises:
        CkgitError: EVIDENCE_MISSING, it left nothing, or something that cannot be believed; COMMAND_FAILED or UNKNOWN, GitHub refuses or
            does not answer.
    """
    number, text = unpacked(_downloaded(client, run))
    pull = client.pull_request(number)
    _refuse_foreign(pull, run)
    body = readable(text)
    if pull.head.sha != run.head_sha:
        return WrittenComment(number, "outdated", body)
    _refuse_other_workflow(client, pull, run, default_branch)
    mine = next((each for each in client.comments(number) if _is_ours(each)), None)
    if mine and _lines(mine.body) == _lines(body):
        return WrittenComment(number, "kept", body)
    if not dry_run and mine:
        client.edit(mine.id, body)
    elif not dry_run:
        client.post(number, body)
    return WrittenComment(number, "edited" if mine else "posted", body)


def unpacked(zipped: bytes) -> tuple[int, str]:
    """The pull request's number and the review, as an artifact has them. No file is written, and no more is read than a comment takes.

    Raises:
        CkgitError: EVIDENCE_MISSING, it is no such artifact.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(zipped)) as artifact:
            number, text = (_member(artifact, name) for name in (NUMBER, TEXT))
    except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError) as error:
        raise _unfit(f"the artifact cannot be read: {escaped(str(error))[:200]}") from None
    if not re.fullmatch(r"[1-9][0-9]{0,9}\n?", number):
        raise _unfit("the artifact names no pull request")
    if text.split("\n", 1)[0].rstrip("\r") != MARKER:
        raise _unfit("its first line is not that of a review of ckgit's")
    return int(number), text


def readable(text: str) -> str:
    """A review as a comment: it calls nobody, has its mark once, and is as long as a comment may be."""
    rest = text.partition("\n")[2].replace("<!--", "&lt;!--").replace("\0", "\N{REPLACEMENT CHARACTER}")
    body = f"{MARKER}\n" + _MENTION.sub("@\N{ZERO WIDTH SPACE}", rest)
    if len(body) <= MOST_CHARACTERS:
        return body
    return body[: MOST_CHARACTERS - len(_CUT)].rpartition("\n")[0] + _CUT


def _downloaded(client: Client, run: CompletedRun) -> bytes:
    found = [each for each in client.artifacts(run.id, ARTIFACT) if each.name == ARTIFACT and not each.expired]
    if not found:
        raise _unfit("the run has left no review: its log says why")
    newest: Artifact = max(found, key=lambda each: each.id)
    if newest.size_in_bytes > _MOST_ZIPPED:
        raise _unfit(f"what it has left is too large for a comment: {newest.size_in_bytes:,} bytes")
    return client.download(newest.id)


def _member(artifact: zipfile.ZipFile, name: str) -> str:
    with artifact.open(name) as opened:
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise _unfit(f"{name} is larger than {_MOST_BYTES:,} bytes")
    return content.decode()


def _refuse_foreign(pull: PullRequest, run: CompletedRun) -> None:
    """The number is what the run says. That the pull request is the run's own, GitHub says."""
    theirs = (pull.head.repo.full_name if pull.head.repo else "", pull.head.ref)
    if theirs != (run.head_repository.full_name, run.head_branch) or run.event != "pull_request":
        raise _unfit(f"the run was not for pull request {pull.number}, which it names")


def _refuse_other_workflow(client: Client, pull: PullRequest, run: CompletedRun, default_branch: str) -> None:
    """A branch that brings a review of its own could have it say anything, under ckgit's name.

    A run has the file of the two branches merged: the default branch's, where the head has the same, or has not changed what it began with.
    """
    if run.path.partition("@")[0] == WORKFLOW:
        theirs, ours = (client.blob(WORKFLOW, ref) for ref in (pull.head.sha, default_branch))
        if ours and (theirs == ours or theirs == client.blob(WORKFLOW, client.merge_base(default_branch, pull.head.sha))):
            return
    advice = "look at what its branch changes in .github/"
    raise _unfit(f"it was made by another workflow than {WORKFLOW} of {default_branch}", advice)


def _is_ours(comment: PostedComment) -> bool:
    return comment.user is not None and comment.user.login == _AUTHOR and _lines(comment.body)[:1] == [MARKER]


def _lines(body: str | None) -> list[str]:
    """GitHub may give back a body with other ends of lines."""
    return (body or "").strip().splitlines()


def _unfit(why: str, advice: str = "look at the log of the review's run") -> CkgitError:
    return CkgitError(why, code=Exit.EVIDENCE_MISSING, state="no comment was written", next=advice)
