"""The interview of `ckgit design`: every question has a default, and nothing is written before the answers were seen as a plan.

Where something is wrong, or the plan is not what was meant, it is gone through again with the answers as defaults.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import click

from ckgit.cli.designing import answers as answer
from ckgit.cli.designing.answers import Answers
from ckgit.cli.designing.editing import edit_design, free_file
from ckgit.cli.output.powers import power_lines
from ckgit.cli.output.streams import say
from ckgit.cli.output.tables import printable, room_of_terminal, table, wrapped
from ckgit.cli.shared.common import note, warn
from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.design.model import TaskSpec
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.tools.by_tool import parameters_of
from ckgit.formats.listing import in_words
from ckgit.formats.yaml.edit import ValueChange
from ckgit.formats.yaml.text import write_yaml
from ckgit.lab.lab import Lab
from ckgit.orchestrators.design.beginnings.choices import DPO, OBJECTIVE, DataChoice, LabChoices, look_at, needed_offers
from ckgit.orchestrators.design.draft import Draft, draft_new, to_edit, totals
from ckgit.orchestrators.design.names import refuse_existing
from ckgit.orchestrators.design.tables import run_rows

T = TypeVar("T")
_ERROR = "Error: "  # what click puts before what is wrong with an answer
_SHOWN = 60  # characters of a value in a row that is shown
_NEW = "new"  # in place of a task
_THESE = "these"  # in place of names that are listed
_AGAIN = "Let us go through it again: Enter keeps an answer, Ctrl-C ends it.\n"


def interview(lab: Lab, name: str, changes: Sequence[ValueChange]) -> Draft:
    """Ask for a design until it has no problems and its plan is agreed to.

    Raises:
        CkgitError: the lab has nothing to design with, the experiment exists, or a task is to be written first; then the design is kept.
        click.Abort: the user ended it.
    """
    refuse_existing(lab, name)
    found = needed_offers(lab)
    answers = Answers(model=found.models[0], device=found.device, tasks=found.tasks[:1])
    note(wrapped("Enter takes what stands in brackets, Ctrl-C ends it. Nothing is written before you agree to the plan.") + "\n")
    while True:
        answers = _ask(lab, found, answers)
        design = write_yaml(answer.design_of(answers, bare=answers.model in found.bare)).encode()
        if new := [task.name for task in answers.tasks if task not in found.tasks]:
            raise _first_a_task(lab, name, to_edit(name, design, "your answers", changes, anew=False), answers, new[0])
        try:
            draft = draft_new(lab, name, design, "your answers", changes)
        except DesignError as error:
            for problem in error.problems:
                note(wrapped(f"{problem.path}: {problem.message}", 2))
            note(_AGAIN)
            continue
        if agreed := _agreed(lab, name, draft, design, changes):
            return agreed
        note(_AGAIN)


def _first_a_task(lab: Lab, name: str, design: bytes, answers: Answers, task: str) -> CkgitError:
    """The design is kept in a file until its task is there."""
    file = free_file(lab, name)
    file.write_bytes(design)
    options = {"--data": answers.data.path, "--split": answers.evaluated, "--prompt": answers.prompt}
    options |= {"--input-column": answers.input, "--output-column": answers.output}
    written = shlex.join(["ckgit", "task", "new", task, *(word for option in options.items() for word in option)])
    return CkgitError(
        f"the task {task} is to be written first",
        code=Exit.USAGE,
        state=f"nothing was designed; your answers are kept as a design in {file}",
        next=f"{written}; and when it is committed, ckgit design {name} --from {shlex.quote(str(file))}",
    )


def _agreed(lab: Lab, name: str, draft: Draft, design: bytes, changes: Sequence[ValueChange]) -> Draft | None:
    """The draft, as it is or as it was edited; None where the questions are to be asked again."""
    say(f"\n{table(*run_rows(draft.forecast), less=_LESS)}\n\n{wrapped(totals(draft), 2)}")
    say("\n".join(power_lines(draft.powers)))
    warn(draft.warnings)
    while True:
        wish = _choose(f"Commit this as exp/{name}?", ["yes", "edit", "again"], "yes")
        if wish == "again":
            return None
        if wish == "yes":
            return draft
        text = to_edit(name, design, "your answers", changes, anew=False)
        try:
            return edit_design(lab, name, text, lambda content, file: draft_new(lab, name, content, file))
        except CkgitError as error:
            note(f"{error}\n")


_LESS = ("data", "model", "steps per epoch", "type")  # columns that a narrow terminal does without


def _ask(lab: Lab, found: LabChoices, before: Answers) -> Answers:
    question = click.prompt("What is the question?", default=before.question)
    model = _choose("Which model?", found.models, before.model)
    if model in found.bare:
        note(f"{model} has no chat template, so rows are plain text: dataset_type is text_completion.")
    answers = _about_training(_about_data(lab, found, before._replace(question=question, model=model)))
    return _about_evaluation(found, answers)


def _about_data(lab: Lab, found: LabChoices, before: Answers) -> Answers:
    data = _data(lab, found.data, before.data.path or found.data[0])
    note(wrapped(f"  {data.path}: {in_words(f'{rows:,} {split}' for split, rows in data.splits.items())}", 4))
    if data.pairs:
        note(wrapped(f"  its rows have a better and a worse answer: {data.tool} trains on both ({OBJECTIVE}: {DPO})", 4))
    given, answered = data.input, data.output
    if sorted(data.columns) != sorted({given, answered}) or (given, answered) != ("input", "output"):
        given = _choose("Which column is the model given?", data.columns, _kept(before.input, data.columns, given))
        answered = _choose("Which column should it answer?", data.columns, _kept(before.output, data.columns, answered))
    note(wrapped(f"  {data.path} begins with: {_shown(data, given)} -> {_shown(data, answered)}", 4))
    trained, evaluated, share = data.trained, data.evaluated, before.share
    if not data.whole:
        trained = _choose("Which split is trained on?", [*data.splits], _kept(before.trained, data.splits, trained))
        evaluated = _choose("Which split is evaluated?", [*data.splits], _kept(before.evaluated, data.splits, evaluated))
    else:
        share = _prompt("All rows are in one split. Which share of them is evaluated, and not trained on?", share, answer.share)
        trained, evaluated = (trained, evaluated) if float(share) else (data.whole, data.whole)
    return before._replace(data=data, input=given, output=answered, trained=trained, evaluated=evaluated, share=share)


def _about_training(before: Answers) -> Answers:
    prompt = _prompt("What is the model asked? {input} is a row's input", before.prompt, answer.prompt)
    known = parameters_of(before.tool).model_fields  # which are others where other rows were chosen
    varied = _prompt("Which parameter varies?", _kept(before.varied, known, answer.VARIED), partial(answer.parameter, before.tool))
    usual = before.values if varied == before.varied else answer.usual_values(before, varied)
    values = _checked("Over which values?", usual, partial(answer.values, before.tool, varied))
    seeds = before.seeds
    if varied != "seed":
        seeds = _checked("Which seeds? Several show how much of a difference is chance", seeds, partial(answer.values, before.tool, "seed"))
    epochs = before.epochs
    if varied != "epochs":
        epochs = click.prompt("How many epochs?", type=click.IntRange(min=1), default=before.epochs)
    device = before.device if varied == "device" else _choose("On which device?", ["cpu", "cuda"], before.device)
    return before._replace(prompt=prompt, varied=varied, values=values, seeds=seeds, epochs=epochs, device=device)


def _about_evaluation(found: LabChoices, before: Answers) -> Answers:
    tasks = _tasks(found.tasks, before.tasks)
    control = bool(tasks) and click.confirm("Evaluate the base model, too?", default=before.control)
    answers = before._replace(tasks=tasks, control=control)
    usual = answer.own_names(answers)
    names = before.names if before.usual_names == usual else usual
    answers = answers._replace(names=_names(names), usual_names=usual)
    return _about_claims(answers) if tasks and len(usual) > 1 else answers._replace(claims="")


def _names(before: Sequence[str]) -> Sequence[str]:
    """Names of the runs, in place of those of before, which are listed where they are too many for the question's line."""
    question, usual = "What are the runs called?", ", ".join(before)
    if len(question) + len(usual) + len(" []: ") > (room_of_terminal() or len(usual)):
        note(wrapped(f"  {usual}", 2))
        usual = _THESE
    return _prompt(question, usual, lambda text: before if text == _THESE else answer.run_names(text, len(before)))


def _about_claims(before: Answers) -> Answers:
    known = answer.sides(before)
    settings = [name for name, side in known.items() if not isinstance(side, str)]
    other = before.names[-1] if before.control or len(settings) < 2 else settings[0]  # noqa: PLR2004 - two to compare
    example = f"{settings[-1] if settings else before.names[0]} > {other} by 0.1"
    if settings:
        note(wrapped(f"  {in_words(settings)}: each over all of its seeds, so that a verdict is about the setting", 4))
    said = before.claims or "none"
    text = _checked(f"What do you expect? E.g. {example}", said, lambda text: text == "none" or answer.claims(text, known, before.tool))
    if text == "none":
        return before._replace(claims="")
    metric = click.prompt("By which metric of the task?", default=before.metric)
    return before._replace(claims=text, metric=metric)


def _data(lab: Lab, paths: Sequence[str], usual: str) -> DataChoice:
    """A data file whose rows can be read."""
    while True:
        path = _choose("Which data?", paths, usual)
        try:
            return look_at(lab, path)
        except CkgitError as error:
            note(f"{error}\n")


def _shown(data: DataChoice, column: str) -> str:
    text = printable(data.first.get(column, ""))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _kept(before: str, known: Sequence[str] | Any, usual: str) -> str:
    """The answer of before, where it is still one."""
    return before if before in known else usual


def _prompt(question: str, usual: Any, read: Callable[[str], T]) -> T:
    """An answer, once it can be read; until then the question is asked again, with what is wrong."""

    def checked(text: str) -> T:
        try:
            return read(text)
        except click.UsageError as error:
            told = wrapped(f"{_ERROR}{printable(error.message)}", 2)
            raise click.UsageError(told.removeprefix(_ERROR)) from None

    found: T = click.prompt(question, default=usual, value_proc=checked)
    return found


def _checked(question: str, usual: str, check: Callable[[str], Any]) -> str:
    """An answer as it was typed, once it holds."""
    return _prompt(question, usual, lambda text: (check(text), text)[1])


def _choose(question: str, names: Sequence[str], usual: str) -> str:
    """One of the names; where they do not fit on the line, they are listed above it with numbers, which may be given instead."""
    inline = f"{question} ({', '.join(names)})"
    numbers = {str(number): name for number, name in enumerate(names, start=1) if str(number) not in names}
    listed = len(inline) + len(usual) + len(" []: ") > (room_of_terminal() or len(inline))
    if listed:
        say("\n".join(f"  {number:>2}  {printable(name)}" for number, name in numbers.items()))

    def chosen(text: str) -> str:
        begins = [name for name in names if name.startswith(text)]
        if text in names or len(begins) == 1:
            return text if text in names else begins[0]
        if listed and text in numbers:
            return numbers[text]
        raise click.UsageError(f"{text} is none of {in_words(names)}")

    return _prompt(question if listed else inline, usual, chosen)


def _tasks(offered: Sequence[TaskSpec], before: Sequence[TaskSpec]) -> Sequence[TaskSpec]:
    known = {task.name: task for task in [*offered, *before]}

    def chosen(text: str) -> Sequence[str]:
        names = [part.strip() for part in text.split(",") if part.strip() not in ("", "none")]
        if missing := [part for part in names if part not in (*known, _NEW)]:
            raise click.UsageError(f"there is no task {missing[0]} (tasks: {', '.join(known) or 'none'}); {_NEW} for one of your own")
        return names

    usual = ", ".join(task.name for task in before) or "none"
    names = _prompt(f"Which tasks? ({', '.join([*known, _NEW, 'none'])})", usual, chosen)
    return [known[name] if name in known else _new_task() for name in names]


def _new_task() -> TaskSpec:
    def named(text: str) -> str:
        if problem := name_problem(text):
            raise click.UsageError(f"{text!r}: {problem}")
        return text

    return TaskSpec(name=_prompt("What is the new task called?", None, named))
