"""`ckgit review`: what a careful colleague would write of an experiment."""

from __future__ import annotations

import datetime
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments
from ckgit.cli.output.tables import printable
from ckgit.cli.output.writing import refuse_others, write_file
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, markdown_text, note
from ckgit.errors import CkgitError, Exit

if TYPE_CHECKING:
    from ckgit.experiment.outputs.review.reviewed import ReviewDocument, ReviewedExperiment
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.review.named import History

APPROVED_BY = "CKGIT_APPROVED_BY"
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("review")
@click.argument("targets", metavar="[NAME|BRANCH|RANGE]...", nargs=-1, shell_complete=experiments)
@click.option("--html", "html", type=_FILE, help="Write it as a page of HTML, too, with the pictures.", metavar="FILE")
@click.option("--annotations", type=_FILE, help="Write findings as GitHub's workflow commands, too.", metavar="FILE")
@json_option
@click.pass_context
def command(ctx: click.Context, targets: Sequence[str], html: Path | None, annotations: Path | None, *, as_json: bool) -> None:
    """Say of an experiment what a careful colleague would.

    Of a design: what it compares, what it would cost, what is like it in the lab, and what it will not show. Of results: what became of
    the claims, the scores, what it took, and all that `ckgit verify` finds. RANGE is BASE..HEAD, as a pull request has it. It is Markdown
    where it is not read on a terminal.
    It ends with 9 where what is recorded does not follow, and with 12 where a budget of ckgit.toml takes somebody's approval.
    CKGIT_APPROVED_BY names who has approved which commit: LOGIN@COMMIT, several with spaces between.
    """
    lab = lab_from(ctx)
    refuse_others(lab, filter(None, [html, annotations]))
    found = _reviewed(lab, _subjects(lab, targets), _approvals(os.environ.get(APPROVED_BY, "")))
    if html:
        from ckgit.orchestrators.review.reviews.page import page

        write_file(lab, html, page(found, {each.experiment: _pictures(lab, each) for each in found}))
        note(f"the page is written to {printable(str(html))}")
    if annotations:
        from ckgit.orchestrators.review.reviews.annotated import annotated

        write_file(lab, annotations, "".join(f"{line}\n" for line in annotated(found)).encode())
        note(f"annotations written to {printable(str(annotations))}")
    emit(lambda: _document(found), as_json, "" if as_json else _text(found))
    ctx.exit(_code(found))


def _subjects(lab: Lab, targets: Sequence[str]) -> list[History]:
    from ckgit.orchestrators.review.named import subjects

    return subjects(lab, targets or [experiment_name(lab, None)], every=False)


def _approvals(text: str) -> list[tuple[str, str]]:
    """Who has approved, and which commit.

    Raises:
        CkgitError: USAGE, it is written otherwise.
    """
    wrong = [word for word in text.split() if not re.fullmatch(r"[^@\s]+@(?:[0-9a-f]{40}|[0-9a-f]{64})", word)]
    if wrong:
        what = f"{APPROVED_BY} has {wrong[0]!r}, which is not LOGIN@COMMIT"
        raise CkgitError(what, code=Exit.USAGE, next=f"write whole commit ids, or leave {APPROVED_BY} empty")
    return [(who, what) for who, _, what in (word.partition("@") for word in text.split())]


def _reviewed(lab: Lab, wanted: Sequence[History], approvals: Sequence[tuple[str, str]]) -> list[ReviewedExperiment]:
    from ckgit.orchestrators.review.reviews.review import review

    found = []
    for number, subject in enumerate(wanted, start=1):
        if len(wanted) > 1:
            note(f"reviewing {subject.experiment} ({number} of {len(wanted)})")
        found.append(review(lab, subject, approvals, datetime.datetime.now(datetime.UTC)))
    return found


def _pictures(lab: Lab, found: ReviewedExperiment) -> Mapping[str, bytes]:
    from ckgit.orchestrators.review.reviews.review import pictures

    return pictures(lab, found)


def _text(found: Sequence[ReviewedExperiment]) -> str:
    from ckgit.orchestrators.review.reviews.comment import comment, unfolded

    return markdown_text(unfolded(found)) if sys.stdout.isatty() else comment(found).rstrip("\n")


def _document(found: Sequence[ReviewedExperiment]) -> ReviewDocument:
    from ckgit.experiment.outputs.review.reviewed import ReviewDocument

    return ReviewDocument(experiments=tuple(found))


def _code(found: Sequence[ReviewedExperiment]) -> Exit:
    if not all(each.holds for each in found):
        return Exit.NOT_VERIFIED
    return Exit.NOT_APPROVED if any(each.needs_approval for each in found) else Exit.DONE
