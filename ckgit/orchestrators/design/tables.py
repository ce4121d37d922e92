"""What design writes for people: the blocks `runs` and `resources` of the summary, and the lines of its log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ckgit.experiment.card import ModelCard
from ckgit.experiment.design.model import Recorded, Summary
from ckgit.experiment.estimates.guess import Steps
from ckgit.formats.markdown import NOTHING, size, table
from ckgit.formats.numbers import rough_duration
from ckgit.orchestrators.design.forecast import Forecast, RunForecast
from ckgit.orchestrators.design.inputs.lookup import LabInputs

_LONGEST_VALUE = 40


def runs_block(forecast: Forecast) -> str:
    """The table of runs, as the summary has it."""
    header, rows = run_rows(forecast)
    return f"## Runs\n\n{table(header, rows)}"


def run_rows(forecast: Forecast) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of runs: what varies, how long each trains, what is evaluated."""
    varied = list(dict.fromkeys(name for one in forecast.runs for name in one.run.varied))
    header = ["run", "type", *varied, "model", "data", "steps per epoch", "steps", "evaluated"]
    return header, [_run_row(one, varied) for one in forecast.runs]


def _run_row(one: RunForecast, varied: Sequence[str]) -> list[str]:
    run, steps = one.run, one.steps
    per_epoch = f"{_about(steps)}{steps.per_epoch:,}" if steps and steps.per_epoch is not None else NOTHING
    counts = [per_epoch, f"{_at_most(steps)}{_about(steps)}{steps.total:,}" if steps else NOTHING]
    values = [_short(run.varied.get(name, NOTHING)) for name in varied]
    cells = ", ".join(cell.name for cell in one.cells)
    return [run.name, run.type, *values, run.model, run["data"] or NOTHING, *counts, cells or NOTHING]


def resources_block(summary: Summary, recorded: Recorded, cards: Mapping[str, ModelCard], forecast: Forecast) -> str:
    """Data, models, tasks, tools, and the estimate."""
    parts = [
        "## Resources",
        _data_table(summary, recorded),
        _models_table(summary, cards),
        *_pinned_dates(cards, forecast),
        _tasks_table(summary),
        _tools_table(summary, forecast),
        _estimate_table(forecast),
    ]
    if forecast.warnings:
        parts.append("Worth a second look:\n\n" + "\n".join(f"- {text}" for text in forecast.warnings))
    return "\n\n".join(part for part in parts if part)


def _data_table(summary: Summary, recorded: Recorded) -> str:
    rows = [
        [name, summary.data[name].named, split, f"{count:,}", f"{measured.mean.get(split, 0):g}", f"{measured.longest.get(split, 0):,}"]
        for name, measured in recorded.data.items()
        for split, count in measured.splits.items()
    ]
    if not rows:
        return ""
    files = "\n".join(f"- {summary.data[name].named}: {size(one.bytes)}, SHA-256 `{one.sha256}`" for name, one in recorded.data.items())
    return table(["data", "file", "split", "rows", "mean characters", "longest"], rows) + f"\n\n{files}"


def _models_table(summary: Summary, cards: Mapping[str, ModelCard]) -> str:
    rows = [[name, cards[name].family, f"{cards[name].parameters:,}", cards[name].dtype] for name in summary.models]
    return table(["model", "family", "weights", "stored as"], rows)


def _pinned_dates(cards: Mapping[str, ModelCard], forecast: Forecast) -> Iterator[str]:
    """A sentence for each model whose prompts would change from day to day, if the day were not fixed."""
    for name, card in cards.items():
        dates = {str(one.run["template_date"]) for one in forecast.runs if one.run.model == name and one.run["dataset_type"] == "chat"}
        if card.template and card.template.uses_date and dates:
            yield f"The chat template of {name} depends on the date; in training and evaluation it sees {' or '.join(sorted(dates))}."


def _tasks_table(summary: Summary) -> str:
    rows = [[task.name, task.source, task.entry, task.split, task.data or "the run's"] for task in summary.evaluation.tasks]
    return table(["task", "file", "function", "split", "data"], rows) if rows else ""


def _tools_table(summary: Summary, forecast: Forecast) -> str:
    stages = (("preparation", summary.tools.preparation), ("evaluation", summary.tools.evaluation))
    return table(["stage", "tool", "version"], [[stage, tool, forecast.tools.get(tool, NOTHING)] for stage, tool in stages])


def _estimate_table(forecast: Forecast) -> str:
    rows = [_estimate_row(one) for one in forecast.runs]
    text = (
        f"An estimate: {rough_duration(forecast.seconds)} in all when jobs run one after the other, {size(forecast.disk)} of checkpoints. "
        "Where speeds are assumed it may be wrong by a factor of three, and evaluation is counted with every answer as long as it may be."
    )
    sources = "\n".join(f"- {source}" for source in forecast.estimate.sources())
    header = ["run", "training", "memory", "checkpoints", "evaluation", "memory of evaluation"]
    return f"{text}\n\n{table(header, rows)}\n\n{sources}"


def _estimate_row(one: RunForecast) -> list[str]:
    trained, evaluated = one.training, one.evaluation
    training = [rough_duration(trained.seconds), size(trained.memory), size(trained.disk)] if trained else [NOTHING] * 3
    evaluation = [rough_duration(evaluated.seconds), size(evaluated.memory)] if evaluated else [NOTHING] * 2
    return [one.run.name, *training, *evaluation]


def log_lines(summary: Summary, measured: LabInputs, forecast: Forecast) -> Iterator[tuple[str, str]]:
    """What was found and decided, as (event, text)."""
    recorded, cards, tasks = measured.recorded, measured.cards, measured.tasks
    for tool, found in forecast.tools.items():
        yield "tool", f"{tool} {found}"
    for name, digest in recorded.models.items():
        yield "model", f"{name} {cards[name].family} {cards[name].parameters} weights, card {digest}"
    yield from (("template", sentence) for sentence in _pinned_dates(cards, forecast))
    for name, data in recorded.data.items():
        splits = ", ".join(f"{split} {rows} rows" for split, rows in data.splits.items())
        yield "data", f"{name} {summary.data[name].named}: {splits}, {data.bytes} bytes, sha256 {data.sha256}"
    for task in summary.evaluation.tasks:
        signature = f"{task.entry}({', '.join(tasks[task.name].parameters)})"
        yield "task", f"{task.name} {task.source} {signature}, sha256 {recorded.tasks[task.source]}"
    for recipe, values in recorded.recipes.items():
        given = ", ".join(f"{name} {value}" for name, value in values.items())
        yield "recipe", f"{recipe}: {given}"
    for one in forecast.runs:
        yield "run", f"{one.run.name} ({one.run.type}): {_training_text(one)}; evaluations: {len(one.cells)}"
    yield from (("estimate", source) for source in forecast.estimate.sources())
    for text in forecast.warnings:
        yield "warning", " ".join(text.split())


def _training_text(one: RunForecast) -> str:
    if not one.training:
        return "not trained"
    count = one.steps
    total = f"{_at_most(count)}{_about(count)}{count.total}" if count else ""
    per_epoch = f"{_about(count)}{count.per_epoch} steps per epoch, {total} in all" if count and count.per_epoch is not None else None
    steps = f"{count.rows} rows, {per_epoch or f'{total} steps'}" if count else "steps not known"
    return f"{steps}, about {rough_duration(one.training.seconds)}, {size(one.training.memory)} of memory, {size(one.training.disk)}"


def _at_most(steps: Steps) -> str:
    return "at most " if steps.at_most else ""


def _about(steps: Steps) -> str:
    return "about " if steps.about else ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
