"""What makes any training impossible: a model without a card or a template, rows that are not there, or not those that were measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ckgit.experiment.card import card_path
from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.checks.remarks import of_runs
from ckgit.experiment.design.plan import Run
from ckgit.experiment.design.row_files import data_files, read_from
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.workers.training.design.counted import train_rows
from ckgit.workers.training.setup import evaluated

LengthProblems = Callable[[Context, Run, int], Iterator[tuple[str, str]]]  # of a run with so many rows: a place, and a sentence


def about(context: Context, run: Run, parameter: str, sentence: str) -> Problem:
    """A problem with a run's value of a parameter."""
    return Problem(f"{sentence}{run.from_recipe(parameter)}", place_of(context.summary, run, parameter))


def card_problems(context: Context, run: Run) -> Iterator[Problem]:
    """A run's model has no card, or no template where one is needed."""
    card = context.cards.get(run.model)
    if card is None:
        sentence = f"run {run.name}: there is no model card {card_path(run.model)}; make it with: ckgit models add {run.model} PATH"
        yield Problem(sentence, "models")
    elif run["dataset_type"] == "chat" and card.template is None:
        sentence = f"run {run.name}: model {card.name} has no chat template; a base model is trained with dataset_type: text_completion"
        yield about(context, run, "dataset_type", sentence)


def data_problems(context: Context, too_short: LengthProblems, paired: Callable[[Run], bool] = lambda _: False) -> Iterator[Problem]:
    """What makes a training on its rows impossible, once for all runs that it is alike for.

    Args:
        paired: whether a run trains pairs of answers, of a tool that can.
    """
    concerned: dict[tuple[str, str], list[str]] = {}
    for run in context.plan.training:
        for place, text in (*_row_problems(context, run, too_short), *_answer_problems(context, run, paired=paired(run))):
            concerned.setdefault((place, text), []).append(run.name)
    yield from (Problem(f"{of_runs(names)}: {text}", place) for (place, text), names in concerned.items())


def _row_problems(context: Context, run: Run, too_short: LengthProblems) -> Iterator[tuple[str, str]]:
    name, data, measured = run["data"], context.summary.data, context.summary.recorded
    paths = {read_from(context.summary, other): other for other in data}
    used = {read_from(context.summary, name), *(entry.path for entry in evaluated(context, run))} if name in data else set()
    for path in sorted(used - {read_from(context.summary, other) for other in measured.data if other in data}):
        yield f"data.{paths[path]}", f"{path} was not measured by design"
    if name not in measured.data:
        return
    rows, split, place = train_rows(context, run), run["train_split"], f"data.{name}"
    if rows is None:
        yield place, f"there is no split {split} to train on (splits: {', '.join(measured.data[name].splits)})"
    elif run["max_samples"] and run["max_samples"] > measured.data[name].splits[split]:
        text = f"max_samples {run['max_samples']:,} is more than the {measured.data[name].splits[split]:,} rows of split {split}"
        yield place_of(context.summary, run, "max_samples"), text
    else:
        yield from too_short(context, run, rows)


def _answer_problems(context: Context, run: Run, *, paired: bool) -> Iterator[tuple[str, str]]:
    """Rows with two answers of which one is trained, or with one where a better and a worse one are."""
    name, summary = run["data"], context.summary
    if name not in summary.data or name not in summary.recorded.data:
        return
    data = summary.data[name]
    if paired and not data.has_preferences(summary.recorded.data[name]):
        have = f"dpo trains an answer against a worse one, and rows of data {name} have one answer"
        yield f"data.{name}", f"{have}; name the column of the worse one: rejected_column, beside input_column and output_column"
    if not paired and data.has_preferences(summary.recorded.data[name]):
        one = "leave rejected_column out" if data.rejected_column else "name its column: output_column: chosen, with input_column: prompt"
        have = f"rows of data {name} have a chosen and a rejected answer, and one is trained"
        yield f"data.{name}", f"{have}; for that, {one}; objective: dpo, of a trainer that has it, trains both"


def source_problems(context: Context) -> Iterator[Problem]:
    """Data files that are not what design measured."""
    for name in context.summary.recorded.data.keys() & context.summary.data.keys():
        for path, digest in data_files(context.summary, name).items():
            content = context.sources.get(path)
            if content is not None and hashlib.sha256(content).hexdigest() != digest:
                sentence = f"{path} has changed since the design was made"
                yield Problem(f"{sentence}; run: ckgit revise {context.summary.experiment.name}", f"data.{name}")
