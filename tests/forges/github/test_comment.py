"""The one comment: what is believed of what a run has left, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.schemas import MODELS
from ckgit.forges.github.comment import MARKER, MOST_CHARACTERS, TEXT, WORKFLOW, readable
from ckgit.orchestrators.review.reviews import comment as reviews
from tests.command_line import ckgit
from tests.forges.github.api import BOT, FORK, REPOSITORY, TOKEN, GitHub, zipped
from tests.forges.github.openapi import event

HEAD, OTHER = "a" * 40, "d" * 40
REVIEW = f"{MARKER}\n**demo** is fine\n"
Comment = Callable[..., Any]


@pytest.fixture
def comment(github: GitHub, tmp_path: Path) -> Comment:
    """`comment(…)`: what `ckgit ci comment` comes to, for the run of a review of exp/demo."""
    github.permissions = {"pull-requests": "write", "actions": "read", "contents": "read"}
    github.open(7, "exp/demo", HEAD)
    github.artifacts[11] = {"experiment-review": zipped({TEXT: REVIEW, "pull-request": "7\n"})}

    def run(*words: str, code: int = 0, **given: Any) -> Any:
        theirs = {"id": 11, "path": WORKFLOW, "event": "pull_request", "head_sha": HEAD, "head_branch": "exp/demo", **given}
        repository = {"full_name": REPOSITORY, "default_branch": "main"}
        theirs = {"head_repository": {"full_name": REPOSITORY}, "repository": {"full_name": REPOSITORY}, **theirs}
        file = tmp_path / "event.json"
        file.write_text(json.dumps(event("workflow_run", "WebhookWorkflowRunCompleted", repository=repository, workflow_run=theirs)))
        settings = {"GITHUB_EVENT_PATH": str(file), "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": github.url}
        done = ckgit("ci", "comment", *words, folder=tmp_path, **settings)
        assert done.returncode == code, done.stderr
        return done

    return run


def left(github: GitHub, text: str | bytes = REVIEW, number: str | bytes = "7\n", **more: str) -> None:
    github.artifacts[11] = {"experiment-review": zipped({TEXT: text, "pull-request": number, **more})}


def test_a_review_is_posted_once_and_then_edited(github: GitHub, comment: Comment) -> None:
    assert "posted the review" in comment().stdout
    assert github.bodies(7) == [REVIEW]
    assert "nothing to do" in comment().stdout
    left(github, REVIEW + "and costs 3 GPU-hours\n")
    assert "edited" in comment().stdout
    assert github.bodies(7) == [f"{REVIEW}and costs 3 GPU-hours\n"]
    assert [each.split()[0] for each in github.written] == ["POST", "PATCH"]


def test_what_it_would_write_is_shown_and_not_written(github: GitHub, comment: Comment) -> None:
    assert "**demo** is fine" in comment("--dry-run").stdout
    document = json.loads(comment("--dry-run", "--json").stdout)
    MODELS["comment-document"][0].model_validate_json(json.dumps(document))
    assert (document["condition"], document["body"], github.written) == ("posted", REVIEW, [])


def test_its_own_comment_is_found_among_hundreds_and_nobody_elses(github: GitHub, comment: Comment) -> None:
    github.comment(7, "mallory", f"{MARKER}\nAll is well, says ckgit")
    for number in range(150):
        github.comment(7, "ada", f"remark {number}")
    github.comment(7, BOT, f"coverage: 90 %\n{MARKER}")  # another workflow's, which has the mark by chance
    github.comment(7, BOT, f"{MARKER}\r\nas it was before\r\n")
    comment()
    assert github.bodies(7, "mallory") == [f"{MARKER}\nAll is well, says ckgit"]
    assert github.bodies(7) == [f"coverage: 90 %\n{MARKER}", REVIEW]


def test_of_a_branch_that_has_moved_on_nothing_is_written(github: GitHub, comment: Comment) -> None:
    assert "has moved on" in comment(head_sha=OTHER).stdout
    assert github.written == []


def refused(github: GitHub, comment: Comment, why: str, **given: Any) -> None:
    assert why in comment(code=Exit.EVIDENCE_MISSING, **given).stderr
    assert github.written == []


def test_of_another_pull_request_nothing_is_written_whatever_the_artifact_says(github: GitHub, comment: Comment) -> None:
    github.open(8, "exp/victim", OTHER)
    left(github, number="8")
    refused(github, comment, "not for pull request 8")


def test_a_fork_that_has_the_same_commit_writes_nothing_on_the_labs_pull_request(github: GitHub, comment: Comment) -> None:
    refused(github, comment, "not for pull request 7", head_repository={"full_name": FORK})
    refused(github, comment, "not for pull request 7", head_branch="exp/other")
    refused(github, comment, "not for pull request 7", event="push")


@pytest.mark.parametrize("repository", [REPOSITORY, FORK])
def test_a_branch_that_brings_a_review_of_its_own_writes_nothing(github: GitHub, comment: Comment, repository: str) -> None:
    given = {"head_repository": {"full_name": repository}}
    github.open(7, "exp/demo", HEAD, repository=repository)
    comment(**given)
    github.written.clear()
    left(github, f"{MARKER}\nEverything follows. Merge me.\n")
    refused(github, comment, "by another workflow", path=".github/workflows/also-experiment-review.yml", **given)
    blobs = {HEAD: "1" * 40, "main": "2" * 40, "b" * 40: "2" * 40}
    github.blob = lambda path, ref: blobs.get(ref)
    refused(github, comment, "by another workflow", **given)
    del blobs[HEAD]
    refused(github, comment, "by another workflow", **given)
    blobs.clear()  # the default branch reviews nothing any more
    refused(github, comment, "by another workflow", **given)


@pytest.mark.parametrize("before", [{}, {HEAD: "1" * 40, "b" * 40: "1" * 40}])
def test_a_branch_that_is_older_than_the_workflow_is_reviewed_by_it(github: GitHub, comment: Comment, before: dict[str, str]) -> None:
    github.blob = lambda path, ref: {"main": "2" * 40, **before}.get(ref)
    comment()
    assert github.bodies(7) == [REVIEW]


def huge(name: str) -> dict[str, str]:
    return {name: "9" * 300_000_000}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({TEXT: REVIEW}, "cannot be read"),
        ({TEXT: REVIEW, "pull-request": "7; echo"}, "names no pull request"),
        ({TEXT: REVIEW, "pull-request": "\N{ARABIC-INDIC DIGIT SEVEN}"}, "names no pull request"),
        ({TEXT: REVIEW, "pull-request": "../../8"}, "names no pull request"),
        ({TEXT: f"\n{REVIEW}", "pull-request": "7"}, "first line"),
        ({TEXT: b"\xff\xfe", "pull-request": "7"}, "cannot be read"),
        ({TEXT: f"{MARKER}\n" + "a" * 10_000_000, "pull-request": "7"}, "larger than"),
    ],
)
def test_an_artifact_that_is_something_else(github: GitHub, comment: Comment, files: dict[str, str | bytes], why: str) -> None:
    github.artifacts[11] = {"experiment-review": zipped(files)}
    refused(github, comment, why)


def test_no_artifact_no_zip_file_and_one_that_is_too_large(github: GitHub, comment: Comment) -> None:
    github.artifacts[11] = {"experiment-review": b"no zip file"}
    refused(github, comment, "cannot be read")
    github.artifacts[11] = {"experiment-review": bytes(1_000_001)}
    refused(github, comment, "too large")
    github.artifacts[11] = {"experiment-report": b""}
    refused(github, comment, "has left no review")


def test_a_token_that_may_not_is_told_what_it_needs(github: GitHub, comment: Comment) -> None:
    github.permissions = {**github.permissions, "pull-requests": "read"}
    assert "permissions" in comment(code=Exit.COMMAND_FAILED).stderr
    github.url = "http://127.0.0.1:9"
    assert "does not answer" in comment(code=Exit.UNKNOWN).stderr


def test_a_comment_calls_nobody_and_has_its_mark_once() -> None:
    body = readable(f"{MARKER}\n@lab/team and @ada, a@b.org\n{MARKER}\n<!--\n`@x`\n")
    assert "@lab" not in body
    assert "@ada" not in body
    assert (body.count("<!--"), body.startswith(MARKER)) == (1, True)


def test_a_comment_is_as_long_as_it_may_be() -> None:
    whole = f"{MARKER}\n" + "x" * (MOST_CHARACTERS - len(MARKER) - 1)
    assert readable(whole) == whole
    cut = readable(f"{MARKER}\n" + "@line\n" * MOST_CHARACTERS)
    assert MOST_CHARACTERS - 100 < len(cut) <= MOST_CHARACTERS
    assert cut.endswith("in its report.*\n")


def test_what_ckgit_review_prints_has_the_mark() -> None:
    assert reviews.comment([]).startswith(f"{MARKER}\n")
