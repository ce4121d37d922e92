"""`ckgit task`: write a task of one's own, and try it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ckgit.cli.completion import experiments, tasks
from ckgit.cli.output.tables import printable, table
from ckgit.cli.shared.common import dry_run_option, emit, json_option, lab_from, note
from ckgit.errors import CkgitError, Exit
from ckgit.formats.advice import commands
from ckgit.lab.tasks.new import FOLDER, LABELLED, TEMPLATES, NewTask, TaskFacts, plan_task, refuse_existing, write_task

if TYPE_CHECKING:
    from ckgit.experiment.outputs.own.tasks import NewTaskDocument, TaskCheckDocument, TasksDocument, TaskTrial
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.design.beginnings.choices import DataChoice
    from ckgit.orchestrators.tasks.listing import LabTask
    from ckgit.orchestrators.tasks.trial import TrialOptions

_LONGEST = 60  # characters of a text in the table


def _path_in_lab(_ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
    from ckgit.experiment.design.fields import RelativePath

    return None if path is None else _checked(RelativePath, path)


def _prompt(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    from ckgit.experiment.design.fields import Prompt

    return None if text is None else _checked(Prompt, text)


def _checked(kind: Any, text: str) -> str:
    """A text of an option, as a design would take it."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return str(TypeAdapter(kind).validate_python(text))
    except ValidationError as error:
        raise click.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


@click.group("task")
def command() -> None:
    """Write a task of one's own, try it on a few rows, and list what there is.

    A task is a Python file of the lab that says what a model is asked and how its answers are scored.
    """


@command.command("new")
@click.argument("name")
@click.option("--template", type=click.Choice(list(TEMPLATES)), help="What it measures; on a terminal, it is asked for.")
@click.option("--experiment", metavar="NAME", shell_complete=experiments, help="Take data, columns, prompts and labels from this one.")
@click.option("--data", metavar="PATH", callback=_path_in_lab, help="Data file of the lab that it asks by default.")
@click.option("--split", help="Split of the data.")
@click.option("--prompt", metavar="TEXT", callback=_prompt, help="What the model is asked; {input} is the row's input.")
@click.option("--system-prompt", metavar="TEXT", help="What it is told first.")
@click.option("--input-column", metavar="COLUMN", help="Column with what the model is given.")
@click.option("--output-column", metavar="COLUMN", help="Column with what it should answer.")
@click.option("--label", "labels", metavar="TEXT", multiple=True, help="A label of a multiple choice. Is repeated.")
@dry_run_option
@json_option
@click.pass_context
def new(ctx: click.Context, /, name: str, *, template: str | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Write tasks/NAME.py from a template, with a test of it and a page.

    The test runs the task on a mock model: pytest tasks/test_NAME.py. The page says what it measures. Nothing is committed.
    """
    lab = lab_from(ctx)
    plan_task(name, template or next(iter(TEMPLATES)), TaskFacts())  # a name that cannot be is no reason to ask
    if template is None:
        template, given = _asked(lab, name, given, as_json=as_json)
    planned = plan_task(name, template, _facts(lab, given))
    if dry_run:
        refuse_existing(lab, planned)
        text = "\n".join(f"# {path}\n\n{content.decode()}" for path, content in planned.files.items())
    else:
        write_task(lab, planned)
        text = "\n".join([*(f"{path} written" for path in planned.files), f"in a design: tasks: [{planned.in_design}]"])
    options = (f" --experiment {given['experiment']}" if given["experiment"] else "") + planned.to_try
    onward = f"ckgit task check {name}{options}; when it does what you want, git add {FOLDER}, and commit it"
    emit(lambda: _new_document(planned, template, onward, dry_run=dry_run), as_json, text)
    if not as_json and not dry_run:
        note(f"next: {onward}")


def _facts(lab: Lab, given: Mapping[str, Any]) -> TaskFacts:
    """What the options say, over what an experiment or the data tells."""
    from ckgit.experiment.design.model import DataSet
    from ckgit.orchestrators.tasks.facts import facts_of_data, facts_of_experiment

    said = {key: value for key, value in given.items() if key != "experiment" and value not in (None, ())}
    found = TaskFacts()
    if given["experiment"]:
        found = facts_of_experiment(lab, given["experiment"].removeprefix("exp/"))
    elif given["data"]:
        columns = {key: value for key, value in said.items() if key.endswith("_column")}
        found = facts_of_data(lab, DataSet(path=given["data"], **columns))
    return found._replace(**said)


def _asked(lab: Lab, name: str, given: Mapping[str, Any], *, as_json: bool) -> tuple[str, dict[str, Any]]:
    """The template and the rest, asked for on a terminal; each question has a default.

    Raises:
        CkgitError: there is nobody to ask.
    """
    from ckgit.orchestrators.design.beginnings.choices import offers

    if as_json or not sys.stdin.isatty():
        raise CkgitError(
            f"which template? There are {', '.join(TEMPLATES)}",
            code=Exit.USAGE,
            state="nothing was written",
            next=f"ckgit task new {name} --template match, or another one; on a terminal, `ckgit task new {name}` asks",
        )
    for each, what in TEMPLATES.items():
        note(f"{each}: {what}")
    answers = dict(given)
    template: str = click.prompt("Which template?", type=click.Choice(list(TEMPLATES)), default=next(iter(TEMPLATES)))
    if not answers["experiment"]:
        found = offers(lab).data
        if found and not answers["data"]:
            answers["data"] = click.prompt("Which data?", type=click.Choice(found), default=found[0])
        answers |= _asked_columns(lab, answers)
        answers["prompt"] = answers["prompt"] or click.prompt("What is the model asked? {input} is a row's input", default="{input}")
    if template == LABELLED and not answers["labels"]:
        known = ", ".join(_facts(lab, answers).labels) or "A, B"
        answers["labels"] = tuple(each.strip() for each in click.prompt("Which labels?", default=known).split(","))
    return template, answers


def _column(key: str, data: DataChoice) -> str:
    """One of the data's columns."""
    meant = key.removesuffix("_column")
    chosen: str = click.prompt(f"Which column is the {meant}?", type=click.Choice(data.columns), default=getattr(data, meant))
    return chosen


def _asked_columns(lab: Lab, answers: Mapping[str, Any]) -> dict[str, str]:
    """Columns that the data has: asked for until the rows can be read."""
    from ckgit.orchestrators.design.beginnings.choices import look_at

    data = look_at(lab, answers["data"])
    while True:
        columns = {key: answers[key] or _column(key, data) for key in ("input_column", "output_column")}
        try:
            _facts(lab, {**answers, **columns})
        except CkgitError as error:
            if answers["input_column"] and answers["output_column"]:
                raise  # there is nothing left to ask
            note(error.what)
        else:
            return columns


def _new_document(planned: NewTask, template: str, onward: str, *, dry_run: bool) -> NewTaskDocument:
    from ckgit.experiment.outputs.own.tasks import NewTaskDocument

    return NewTaskDocument(
        task=planned.name,
        template=template,
        files=tuple(planned.files),
        in_design=planned.in_design,
        dry_run=dry_run,
        advice=onward,
        next=tuple(commands(onward)),
    )


@command.command("check")
@click.argument("name", shell_complete=tasks)
@click.option("--experiment", metavar="NAME", shell_complete=experiments, help="Call it as this one would: its data, prompts, scorers.")
@click.option("--rows", type=click.IntRange(min=1), default=3, show_default=True, help="How many rows are asked.")
@click.option("--model", metavar="CARD", help="Ask the model of this card in place of a mock; on the CPU that takes a while.")
@click.option("--data", metavar="PATH", callback=_path_in_lab, help="Data file of the lab, where no experiment says.")
@click.option("--arg", "args", metavar="NAME=VALUE", multiple=True, help="An argument of the task, as JSON or text. May be repeated.")
@json_option
@click.pass_context
def check(
    ctx: click.Context, /, name: str, *, experiment: str | None, data: str | None, args: Sequence[str], as_json: bool, **options: Any
) -> int:
    """Run task NAME of the checkout on a few rows, and show input, answer and score of each.

    It runs in a process of its own, committed or not. Without --model a mock answers: the first row rightly, the second one wrongly, and so
    on, so that its scores show whether the scorer tells right from wrong.
    """
    from ckgit.orchestrators.tasks.trial import TrialOptions, try_task

    of = experiment.removeprefix("exp/") if experiment else None
    given = TrialOptions(experiment=of, data=data, args=dict(map(_argument, args)), **options)
    found = try_task(lab_from(ctx), name, given)
    onward = "" if found.error is None else f"mend it, then ckgit task check {name}"
    emit(lambda: _check_document(name, given, found, onward), as_json, _trial_text(name, found))
    if onward and not as_json:
        note(f"next: {onward}")
    return Exit.USAGE if found.error else Exit.DONE


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--arg {text!r}: write NAME=VALUE, e.g. --arg sandbox=local")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _trial_text(name: str, found: TaskTrial) -> str:
    if found.error:
        places = [f"  {printable(place)}" for place in found.error.places]
        return "\n".join([f"task {name} failed: {printable(found.error.message)}", *places])
    header = ["row", "input", "right", "answer", "score"]
    rows = [[*map(_short, (str(row.id), row.input, row.target, row.answer)), _scores(row.scores)] for row in found.rows]
    numbers = [f"{each.scorer} {each.metric} {'undefined' if each.value is None else format(each.value, '.4g')}" for each in found.metrics]
    return f"{table(header, rows)}\n\n{len(found.rows)} of {found.samples} rows: {', '.join(map(printable, numbers))}"


def _scores(scores: Mapping[str, Any]) -> str:
    return _short(", ".join(f"{scorer} {'none' if value is None else value}" for scorer, value in scores.items()))


def _short(text: str) -> str:
    plain = printable(text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 3]}..."


def _check_document(name: str, given: TrialOptions, found: TaskTrial, onward: str) -> TaskCheckDocument:
    from ckgit.experiment.outputs.own.tasks import TaskCheckDocument

    return TaskCheckDocument(
        task=name, experiment=given.experiment, model=given.model, trial=found, advice=onward, next=tuple(commands(onward))
    )


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, *, as_json: bool) -> None:
    """List the tasks of the checkout, with what their functions take."""
    from ckgit.orchestrators.tasks.listing import tasks_of

    found = tasks_of(lab_from(ctx))
    rows = [[each.name, each.spec.source, ", ".join(each.signature.parameters), "yes" if each.committed else "no"] for each in found]
    text = table(["task", "file", "takes", "committed"], rows) if rows else "no tasks; ckgit task new NAME writes one"
    emit(lambda: _listed(found), as_json, text)


def _listed(found: Sequence[LabTask]) -> TasksDocument:
    from ckgit.experiment.outputs.own.tasks import ListedTask, TasksDocument

    rows = (
        ListedTask(task=each.name, file=each.spec.source, parameters=each.signature.parameters, committed=each.committed) for each in found
    )
    return TasksDocument(tasks=tuple(rows))
