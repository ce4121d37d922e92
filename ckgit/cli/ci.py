"""`ckgit ci`: what a lab's workflows on GitHub ask and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckgit.cli.output.streams import say
from ckgit.cli.shared.common import dry_run_option, emit, json_option, lab_from

if TYPE_CHECKING:
    from ckgit.experiment.outputs.review.ci import ApprovalsDocument, CommentDocument, MayStartDocument
    from ckgit.forges.github.approval import Approval, MayStart
    from ckgit.forges.github.comment import WrittenComment


@click.group("ci")
def command() -> None:
    """What the workflows of a lab ask on GitHub.

    `ckgit init --ci github` writes them. Each command reads the event that GITHUB_EVENT_PATH names and, all but `guard`, asks GitHub's API
    with GITHUB_TOKEN. They need ckgit[github].
    """


@command.command("approvals")
@json_option
def approvals_(*, as_json: bool) -> None:
    """Print who has approved the pull request, as LOGIN@COMMIT.

    Approvals that were taken back are left out. `ckgit review` takes the line as CKGIT_APPROVED_BY, and knows who may approve.
    """
    from ckgit.forges.github.approval import approvals
    from ckgit.forges.github.client import Client
    from ckgit.forges.github.payloads import pull_request_of, read_event

    event = read_event()
    pull = pull_request_of(event)
    found = approvals(Client.of_workflow(event.repository.full_name).reviews(pull.number))
    emit(lambda: _approvals(pull.number, found), as_json, " ".join(map(str, found)))


@command.command("may-start")
@json_option
@click.pass_context
def may_start_(ctx: click.Context, *, as_json: bool) -> None:
    """Say whether the pull request's experiment may start.

    It may where one of `[review] approvers` in the default branch's ckgit.toml has approved the very commit that its branch is at.
    Two lines, `experiment=NAME` and `commit=ID`, are printed then, as GITHUB_OUTPUT takes them; otherwise it ends with 12, and says
    what is lacking.
    """
    from ckgit.forges.github.approval import approvals, may_start
    from ckgit.forges.github.client import Client
    from ckgit.forges.github.payloads import pull_request_of, read_event

    lab = lab_from(ctx)
    event = read_event()
    client = Client.of_workflow(event.repository.full_name)
    pull = client.pull_request(pull_request_of(event).number)
    found = may_start(pull, approvals(client.reviews(pull.number)), lab.config.review.approvers, lab.default_branch)
    emit(lambda: _may_start(found), as_json, f"experiment={found.experiment}\ncommit={found.commit}")


@command.command("comment")
@dry_run_option
@json_option
def comment_(*, dry_run: bool, as_json: bool) -> None:
    """Write a review as the one comment on its pull request.

    For a workflow on: workflow_run. What the review's run has left is data: the pull request that it names must be the run's own, and the
    workflow that made it the default branch's. An earlier comment of the same kind is edited.
    """
    from ckgit.forges.github.client import Client
    from ckgit.forges.github.comment import write_comment
    from ckgit.forges.github.payloads import completed_run_of, read_event

    event = read_event()
    run = completed_run_of(event)
    client = Client.of_workflow(event.repository.full_name)
    done = write_comment(client, run, event.repository.default_branch, dry_run=dry_run)
    emit(lambda: _comment(done, dry_run=dry_run), as_json, _told(done, dry_run=dry_run))


@command.command("guard")
@click.pass_context
def guard_(ctx: click.Context) -> None:
    """Refuse a job that a self-hosted runner must not run.

    For a script that ACTIONS_RUNNER_HOOK_JOB_STARTED names. Only jobs of the lab's own repository are taken, and of workflows that are, to
    the byte, as the default branch has them: a pull request brings its own. It ends with 12 for others, and GitHub's runner stops.
    """
    from ckgit.forges.github.guard import guard

    lab = lab_from(ctx)
    say(f"{guard(lab)} is as {lab.default_branch} has it")


def _told(done: WrittenComment, *, dry_run: bool) -> str:
    words = {
        "posted": "would post the review:" if dry_run else "posted the review",
        "edited": "would edit the review's comment:" if dry_run else "edited the review's comment",
        "kept": "the comment says the same already; there is nothing to do",
        "outdated": "the branch has moved on since: the review of what it holds now follows",
    }
    shown = f"\n{done.body}" if dry_run and done.verb in ("posted", "edited") else ""
    return f"pull request {done.pull_request}: {words[done.verb]}{shown}"


def _approvals(number: int, found: tuple[Approval, ...]) -> ApprovalsDocument:
    from ckgit.experiment.outputs.review.ci import ApprovalsDocument, ListedApproval

    return ApprovalsDocument(pull_request=number, approvals=tuple(ListedApproval(login=each.login, commit=each.commit) for each in found))


def _may_start(found: MayStart) -> MayStartDocument:
    from ckgit.experiment.outputs.review.ci import MayStartDocument

    return MayStartDocument(experiment=found.experiment, commit=found.commit, by=found.by)


def _comment(done: WrittenComment, *, dry_run: bool) -> CommentDocument:
    from ckgit.experiment.outputs.review.ci import CommentDocument

    return CommentDocument(pull_request=done.pull_request, condition=done.verb, body=done.body, dry_run=dry_run)
