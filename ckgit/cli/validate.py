"""`ckgit validate`: every problem of a design at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.completion import experiments_or_files
from ckgit.cli.design import read_file
from ckgit.cli.output.powers import power_lines
from ckgit.cli.shared.common import emit, experiment_name, json_option, lab_from, note
from ckgit.errors import MORE_PROBLEMS, MOST_PROBLEMS, CkgitError, DesignError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.formats.listing import first_of, in_words, plural

if TYPE_CHECKING:
    from ckgit.experiment.outputs.designs import ValidateDocument
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.design.validate import DesignFile, ValidDesign


@click.command("validate")
@click.argument("target", required=False, shell_complete=experiments_or_files)
@json_option
@click.pass_context
def command(ctx: click.Context, target: str | None, *, as_json: bool) -> None:
    """Check a design: report every problem at once, and warn of likely mistakes.

    TARGET is a file, an experiment's name, or - for standard input; without it, the checked-out experiment's summary.
    Nothing that the design names is executed. Inside a lab, models, data and tasks are looked for, too.
    """
    from ckgit.orchestrators.design import validate

    lab = None
    try:
        lab = lab_from(ctx)
    except CkgitError as error:
        if error.code is not Exit.USAGE or (target and name_problem(target.removeprefix("exp/")) is None and not Path(target).exists()):
            raise  # an experiment is meant, and there is no lab that has it
    try:
        found = validate.validate(lab, _subject(lab, target))
    except DesignError as error:
        wrong = error
        listed = first_of((problem.at(error.file) for problem in error.problems), MOST_PROBLEMS, more=MORE_PROBLEMS)
        emit(lambda: _refused(wrong), as_json, "\n".join(listed))
        note(f"{plural(len(error.problems), 'problem')} in the design")
        ctx.exit(Exit.INVALID_DESIGN)
    if not as_json:
        for text in (*found.unchecked, *(f"warning: {text}" for text in found.warnings)):
            note(text)
    counts = f"{plural(found.runs, 'run')}, {plural(found.cells, 'evaluation')}"
    lines = [f"{found.file} is valid: {counts}", f"runs: {in_words(found.run_names)}", *power_lines(found.powers)]
    emit(lambda: _valid(found), as_json, "\n".join(lines))


def _refused(error: DesignError) -> ValidateDocument:
    from ckgit.experiment.outputs.designs import ValidateDocument
    from ckgit.experiment.outputs.refusals import DesignProblem

    return ValidateDocument(
        valid=False,
        file=error.file,
        design_hash=None,
        run_count=None,
        run_names=(),
        cell_count=None,
        problems=tuple(DesignProblem.of(error.file, problem) for problem in error.problems),
        warnings=(),
        claims=(),
        unchecked=(),
    )


def _valid(found: ValidDesign) -> ValidateDocument:
    from ckgit.experiment.outputs.designs import ValidateDocument

    return ValidateDocument(
        valid=True,
        file=found.file,
        design_hash=found.design,
        run_count=found.runs,
        run_names=tuple(found.run_names),
        cell_count=found.cells,
        problems=(),
        warnings=tuple(found.warnings),
        claims=tuple(found.powers),
        unchecked=tuple(found.unchecked),
    )


def _subject(lab: Lab | None, target: str | None) -> DesignFile:
    """What is to be checked: a file goes before an experiment of that name."""
    from ckgit.lab.summary.file import FILE
    from ckgit.orchestrators.design.validate import DesignFile, committed, tip_of

    if target is None:
        if lab is None:
            raise click.UsageError("name a file, or - for standard input")
        name = experiment_name(lab, None)
        path = lab.root / "experiments" / name / FILE
        return DesignFile(read_file(str(path))[0], f"experiments/{name}/{FILE}", name, tip_of(lab, name))
    path = Path(target) / FILE if (Path(target) / FILE).is_file() else Path(target)
    if target == "-" or path.is_file() or lab is None:
        content, file = read_file(target if target == "-" else str(path))
        experiment = path.resolve().parent.name if path.name == FILE else None
        return DesignFile(content, file, experiment, tip_of(lab, experiment) if lab and experiment else None)
    return committed(lab, target.removeprefix("exp/"))
