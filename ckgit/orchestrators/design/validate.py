"""Checking a design wherever it is, without writing and without executing anything that it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.outputs.designs import ClaimPower
from ckgit.formats.listing import nearest
from ckgit.formats.yaml.edit import ValueChange
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git import tips
from ckgit.lab.git.objects import read_object
from ckgit.lab.lab import Lab
from ckgit.lab.summary.file import FILE, SummaryFile
from ckgit.lab.summary.text import FENCE
from ckgit.orchestrators.design.check import CheckedDesign, check
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit, default_branch
from ckgit.orchestrators.engine.experiment import open_snapshot


class DesignFile(NamedTuple):
    """A design to check."""

    content: bytes
    file: str  # how problems name it
    experiment: str | None = None  # whose summary it claims to be
    commit: str | None = None  # the experiment's tip, where its files are looked for; the default branch's when it has none


class ValidDesign(NamedTuple):
    """A design without problems."""

    file: str
    design: str  # its hash
    runs: int
    run_names: Sequence[str]
    cells: int
    unchecked: Sequence[str]  # what could not be checked here, one sentence each
    warnings: Sequence[str]  # what is probably not meant
    powers: Sequence[ClaimPower] = ()  # what each claim could show


def committed(lab: Lab, name: str) -> DesignFile:
    """The summary of an experiment as its branch has it, whatever else is wrong with the branch.

    Raises:
        CkgitError: there is no such experiment, or it has no summary.
    """
    tip = tip_of(lab, name)
    if tip is None and name_problem(name) is None and tips.left_at(lab.root, name):
        tip = open_snapshot(lab, name).tip  # which says what became of the branch
    if tip is None:
        near = nearest(name, [row.name for row in list_experiments(lab)])
        raise CkgitError(
            f"{name} is neither a file nor an experiment",
            code=Exit.USAGE,
            next=f"{f'did you mean {near}? ' if near else ''}ckgit list shows the experiments; - reads standard input",
        )
    path = f"experiments/{name}/{FILE}"
    content = read_object(lab.root, f"{tip}:{path}")
    if content is None:
        raise CkgitError(f"{path} is not there", code=Exit.EVIDENCE_MISSING, where=f"exp/{name}", next=f"git log exp/{name} -- {path}")
    return DesignFile(content, f"exp/{name}:{path}", name, tip)


def tip_of(lab: Lab, name: str) -> str | None:
    """The commit that an experiment's branch is at, here or on a remote, or was at where it is gone; None when there is none."""
    return next((row.tip for row in list_experiments(lab, kept=True) if row.name == name), None)


def validate(lab: Lab | None, subject: DesignFile) -> ValidDesign:
    """Check a summary, or a design alone; against the lab where there is one.

    Raises:
        DesignError: with every problem.
    """
    file = _read(subject)
    name = subject.experiment or file.summary.experiment.name
    if name != file.summary.experiment.name and not file.problems:
        wrong = file.problem("experiment.name", f"the summary of experiment {name} is called {file.summary.experiment.name}")
        raise DesignError([wrong], file=subject.file)
    if file.problems and not lab:
        raise DesignError(list(file.problems), file=subject.file)
    checked = CheckedDesign(["not inside a lab: models, data and tasks were not looked for"], [])
    if lab:
        checked = check(SourceCommit(lab, subject.commit, f"exp/{name}") if subject.commit else default_branch(lab), file)
    plan = build_plan(file.summary)
    names = [run.name for run in plan.runs]
    told = checked.unchecked, checked.warnings, checked.powers
    return ValidDesign(subject.file, file.summary.digest, len(names), names, len(plan.cells), *told)


def _read(subject: DesignFile) -> SummaryFile:
    """A file that is meant to be a summary must be one; a design alone may lack what `ckgit design` fills in."""
    is_summary = PurePath(subject.file).suffix == ".md" or subject.content.startswith(f"{FENCE}\n".encode())
    if is_summary and PurePath(subject.file).suffix not in (".yaml", ".yml"):
        return SummaryFile.parse(subject.content, subject.file, strict=False)
    defaults = [ValueChange("experiment.name", "unnamed"), ValueChange("experiment.date", "2000-01-01")]
    return SummaryFile.from_design(subject.content, subject.file, defaults=defaults, strict=False)
