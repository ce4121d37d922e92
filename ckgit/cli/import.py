"""`ckgit import`: designs of other projects."""  # noqa: N999 - a command's module has its name

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.cli.output.writing import write_new
from ckgit.cli.shared.common import emit, json_option, note
from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.formats.advice import commands
from ckgit.formats.listing import plural
from ckgit.formats.problem import Problem
from ckgit.formats.yaml.text import comment, write_yaml

if TYPE_CHECKING:
    from ckgit.experiment.foreign.cruijff import Imported
    from ckgit.experiment.outputs.designs import ImportDocument


@click.group("import")
def command() -> None:
    """Turn an experiment of another project into a design."""


@command.command("cruijff")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write the design to FILE, a new one.")
@json_option
@click.pass_obj
def cruijff(here: Path, folder: Path, output: Path | None, *, as_json: bool) -> None:
    """Turn an experiment of cruijff_kit into a design.

    DIR has its experiment_summary.yaml, or is that file. What a design has nothing for is listed on standard error, each with its
    place and why; nothing is made up in its stead, nothing of the file is executed, and no file that it names is opened.
    """
    from ckgit.experiment.foreign.cruijff import FILE

    source = here / folder
    source = source / FILE if source.is_dir() else source
    found = _read(source)
    design = write_yaml(found.design)
    if output is not None:
        write_new(here / output, design.encode())
    onward = f"next: ckgit validate {output}" if output else ""
    if not as_json:
        for problem in found.left:
            note(comment(problem.at(str(source))))
        note(f"{plural(len(found.left), 'key')} of {source} not taken over as it is" if found.left else f"all of {source} was taken over")
    text = f"{output} written\n{onward}" if output else design.rstrip("\n")
    emit(lambda: _document(found, str(source), output, design, onward), as_json, text)


def _read(source: Path) -> Imported:
    """The design of a summary.

    Raises:
        CkgitError: USAGE, the file cannot be read; INVALID_DESIGN, it is no summary, with each problem and its place.
    """
    from ckgit.experiment.foreign.cruijff import from_cruijff
    from ckgit.experiment.tools.by_tool import DEFAULT_TOOL, parameters_of
    from ckgit.formats.yaml.document import read_yaml
    from ckgit.lab.summary.text import decode

    try:
        content = source.read_bytes()
    except OSError as error:
        what, onward = f"the summary cannot be read: {error.strerror}", "name the folder that has it"
        raise CkgitError(what, code=Exit.USAGE, where=str(source), state="nothing was written", next=onward) from None
    text, problems = decode(content)
    document = read_yaml(text)
    problems = problems or document.problems
    if not problems and not isinstance(document.value, dict):
        problems = [Problem("expected a mapping (key: value)", line=1, column=1)]
    if problems:
        raise DesignError(problems, file=str(source))
    return from_cruijff(document, parameters_of(DEFAULT_TOOL))


def _document(found: Imported, source: str, output: Path | None, design: str, onward: str) -> ImportDocument:
    from ckgit.experiment.outputs.designs import ImportDocument
    from ckgit.experiment.outputs.refusals import DesignProblem

    return ImportDocument(
        file=str(output) if output else None,
        design=design,
        not_taken=tuple(DesignProblem.of(source, problem) for problem in found.left),
        advice=onward,
        next=tuple(commands(onward)),
    )
