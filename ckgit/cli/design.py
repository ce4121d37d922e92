"""`ckgit design`: an experiment on a branch of its own, from a file, another experiment, a template or an interview."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments, files, templates
from ckgit.cli.output.powers import power_lines
from ckgit.cli.output.streams import NOTES
from ckgit.cli.output.tables import table, wrapped
from ckgit.cli.shared.common import dry_run_option, emit, json_option, lab_from, note, warn
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.state import State
from ckgit.formats.advice import commands
from ckgit.formats.listing import in_words

if TYPE_CHECKING:
    from ckgit.experiment.outputs.designs import DesignCost, DesignDocument, TouchedJob
    from ckgit.experiment.outputs.planned import PlannedCommit
    from ckgit.formats.yaml.edit import ValueChange
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.design.draft import Draft
    from ckgit.orchestrators.design.forecast import Forecast

set_option = click.option(
    "--set", "changes", multiple=True, metavar="PLACE=VALUE", help="Replace or add a value, e.g. controls.lr=1e-4. May be repeated."
)


@click.command("design")
@click.argument("name")
@click.option("--from", "source", metavar="FILE", shell_complete=files, help="A summary, or the design alone as YAML; - is standard input.")
@click.option("--like", metavar="OTHER", shell_complete=experiments, help="Begin with the design of experiment OTHER.")
@click.option(
    "--template",
    metavar="TEMPLATE",
    shell_complete=templates,
    help="Begin with a design that ckgit has, filled with the lab's model, data and task: lora-sweep, full-vs-lora, prompt-comparison, "
    "data-size or eval-only; or survey, an example with rows of its own.",
)
@click.option("--edit", is_flag=True, help="Open the design in $VISUAL or $EDITOR first; without another beginning, lora-sweep.")
@set_option
@click.option("--reuse/--no-reuse", default=None, help="Take over what trainings of the lab left that were made from the same, or do not.")
@dry_run_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    source: str | None,
    like: str | None,
    template: str | None,
    changes: Sequence[str],
    *,
    edit: bool,
    reuse: bool | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Design experiment NAME on a branch of its own.

    Checks that models, data and tasks exist, measures the data, estimates what the runs cost, and commits all of it.
    On a terminal, without --from, --like, --template and --edit, it asks. Where a training of the lab was made from the same as one of the
    design, it asks whether its results are taken over (`reuse` in ckgit.toml: ask, always or never).
    """
    from ckgit.orchestrators.design.changes import changes_from

    begins = [option for option, given in (("--from", source), ("--like", like), ("--template", template)) if given]
    if len(begins) > 1:
        raise click.UsageError(f"{' and '.join(begins)} exclude each other")
    lab = lab_from(ctx)
    wanted = changes_from(changes)
    if edit or begins:
        draft = _begun(lab, name, source, like, template, wanted, edit=edit)
        warn(draft.warnings)
    elif sys.stdin.isatty() and not as_json:
        from ckgit.cli.designing.interview import interview

        draft = interview(lab, name, wanted)
    else:
        raise _nothing_to_begin_with(lab, name)
    finish(_reused(draft, reuse), dry_run=dry_run, as_json=as_json)


def _begun(
    lab: Lab, name: str, source: str | None, like: str | None, template: str | None, wanted: Sequence[ValueChange], *, edit: bool
) -> Draft:
    """The draft that begins with a file, another experiment or a template, as it is or edited."""
    from ckgit.orchestrators.design.draft import draft_like, draft_new

    if edit:
        return _edited(lab, name, _beginning(lab, source, like, template), wanted, anew=like is not None)
    if like:
        return draft_like(lab, name, like.removeprefix("exp/"), wanted)
    return draft_new(lab, name, *_beginning(lab, source, like, template), wanted)


def _nothing_to_begin_with(lab: Lab, name: str) -> CkgitError:
    from ckgit.orchestrators.design.names import refuse_existing

    refuse_existing(lab, name)
    return CkgitError(
        "there is nothing to design from",
        code=Exit.USAGE,
        state="nothing was written",
        next=f"ckgit design {name} --from FILE, --like OTHER or --template TEMPLATE; on a terminal, `ckgit design {name}` asks",
    )


def _reused(draft: Draft, asked: bool | None) -> Draft:
    """The draft with trainings of the lab taken over, where that is wanted. Never silently: it is said whose they are."""
    if not draft.reusable or asked is False:
        return draft
    from ckgit.orchestrators.design.draft import reusing

    same = [f"{each.job.run} ({each.kept.run} of {each.kept.experiment})" for each in draft.reusable]
    what = f"{in_words(same)} {'was' if len(same) == 1 else 'were'} trained from the same"
    if asked or draft.lab.config.reuse == "always":
        note(f"{what}: taken over")
        return reusing(draft)
    if sys.stdin.isatty() and NOTES.kept is None:
        return reusing(draft) if click.confirm(f"{what}. Take over, and not train again?", err=True) else draft
    note(f"{what}: --reuse takes over what is there, --no-reuse says that it is trained again")
    return draft


def _beginning(lab: Lab, source: str | None, like: str | None, template: str | None) -> tuple[bytes, str]:
    """The design to begin with, and what messages call it."""
    from ckgit.orchestrators.design.beginnings.templates import FIRST, from_template
    from ckgit.orchestrators.design.draft import read_like

    if source:
        return read_file(source)
    if like:
        return read_like(lab, like.removeprefix("exp/"))
    filled = from_template(lab, template or FIRST)
    note(f"{template or FIRST} with {filled.used}")
    return filled.content, f"the template {template or FIRST}"


def _edited(lab: Lab, name: str, begin: tuple[bytes, str], changes: Sequence[ValueChange], *, anew: bool) -> Draft:
    from ckgit.cli.designing.editing import edit_design
    from ckgit.orchestrators.design.draft import draft_new, to_edit
    from ckgit.orchestrators.design.names import refuse_existing

    refuse_existing(lab, name)
    text = to_edit(name, *begin, changes, anew=anew)
    return edit_design(lab, name, text, lambda content, file: draft_new(lab, name, content, file))


def finish(draft: Draft, *, dry_run: bool, as_json: bool) -> None:
    """Commit a draft, or show what would be committed."""
    from ckgit.orchestrators.design import draft as design

    if draft.changes_nothing:
        told = f"nothing changes: the design is as it was, and all of it would be kept; {draft.name} stays {draft.parent_state}"
        onward = f"ckgit revise {draft.name} --anew runs all of it again"
        emit(lambda: _document(draft, advice=onward), as_json, f"{told}\n{onward}")
        return
    if dry_run:
        shown = design.show(draft)
        text = "\n".join([*_table(draft), *power_lines(draft.powers), *shown.lines(), "", "", draft.summary.text])
        emit(lambda: _document(draft, would_commit=shown), as_json, text)
        return
    commit, onward = design.commit(draft), f"ckgit advance {draft.name}"
    text = f"{wrapped(f'{draft.name} is designed: {design.totals(draft)}', 2)}\nexp/{draft.name} is at {commit[:12]}; next: {onward}"
    text = "\n".join([*_table(draft), *power_lines(draft.powers), text])
    emit(lambda: _document(draft, commit=commit, advice=onward), as_json, text)


def _table(draft: Draft) -> list[str]:
    """What becomes of the results that there are, and an empty line."""
    rows = draft.touched.rows if draft.touched else []
    return [table(["run", "training", "evaluations", "why again"], rows), ""] if rows else []


def _document(draft: Draft, *, commit: str | None = None, would_commit: PlannedCommit | None = None, advice: str = "") -> DesignDocument:
    from ckgit.experiment.outputs.designs import DesignDocument

    return DesignDocument(
        experiment=draft.name,
        lifecycle_state=draft.parent_state if draft.changes_nothing else State.DESIGNED,
        records=draft.event,
        design_hash=draft.summary.summary.digest,
        run_count=len(draft.plan.runs),
        cell_count=len(draft.plan.cells),
        estimate=_cost(draft.forecast),
        claims=tuple(draft.powers),
        touched=_touched(draft),
        warnings=tuple(draft.warnings),
        commit=commit,
        would_commit=would_commit,
        summary=draft.summary.text if would_commit else None,
        advice=advice,
        next=tuple(commands(advice)),
    )


def _touched(draft: Draft) -> tuple[TouchedJob, ...]:
    from ckgit.experiment.outputs.designs import TouchedJob

    return tuple(
        TouchedJob(
            job=fate.job.name,
            stage=fate.job.stage,
            kept=fate.kept is not None,
            why=fate.why,
            commit=fate.kept.commit if fate.kept else None,
            token=fate.kept.token if fate.kept else None,
            made_from_sha256=fate.kept.made_from_sha256 if fate.kept else None,
        )
        for fate in (draft.touched.fates if draft.touched else ())
    )


def _cost(found: Forecast) -> DesignCost:
    from ckgit.experiment.outputs.designs import DesignCost, RunCost

    runs = (
        RunCost(
            run=one.run.name,
            steps=one.steps.total if one.steps else None,
            steps_about=bool(one.steps and one.steps.about),
            training_seconds=one.training.seconds if one.training else None,
            training_memory_bytes=one.training.memory if one.training else None,
            checkpoint_bytes=one.training.disk if one.training else None,
            evaluation_seconds=one.evaluation.seconds if one.evaluation else None,
            evaluation_memory_bytes=one.evaluation.memory if one.evaluation else None,
        )
        for one in found.runs
    )
    return DesignCost(seconds=found.seconds, checkpoint_bytes=found.disk, runs=tuple(runs), sources=tuple(found.estimate.sources()))


def read_file(source: str) -> tuple[bytes, str]:
    """Content of a file, and what messages call it; `-` is standard input.

    Raises:
        CkgitError: it cannot be read.
    """
    if source == "-":
        return sys.stdin.buffer.read(), "<stdin>"
    path = Path(source)
    try:
        return path.read_bytes(), source
    except OSError as error:
        raise CkgitError(
            f"cannot read the design: {error.strerror}",
            code=Exit.USAGE,
            where=source,
            state="nothing was written",
            next="run the same command again with a file that can be read, or with - for standard input",
        ) from None
