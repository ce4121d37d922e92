"""The runs with their training: steps, loss, how fast it went, and what of it looks wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckgit.analysis.plots.curves import divergence
from ckgit.analysis.sections.scores import IN_RESULTS
from ckgit.experiment.results import RunRow, TrainingResult
from ckgit.formats.listing import plural
from ckgit.formats.markdown import NOTHING, cell, foreign, number, table
from ckgit.formats.numbers import duration

MOST_ROWS = 120
LOSS_PLOT = "loss.svg"


def runs_section(trainer: str, runs: Sequence[RunRow], pictures: Mapping[str, str]) -> str:
    """The section.

    Args:
        trainer: tool that the design names.
        pictures: what each picture shows in words, by file name.
    """
    varied = list(dict.fromkeys(name for run in runs for name in run.varied))
    validated = any(run.training and run.training.validation for run in runs)
    counted = any(run.training and run.training.tokens_seen for run in runs)
    held_out, tokens = ["validation loss", "lowest (step)"] if validated else [], ["tokens seen"] if counted else []
    header = ["run", "type", *varied, "steps", "final loss", *held_out, "duration", "speed", *tokens, "missing"]
    rows = [_row(run, varied, validated=validated, counted=counted) for run in runs[:MOST_ROWS]]
    parts = ["## Runs", table(header, rows)]
    parts += [f"{plural(len(runs) - MOST_ROWS, 'further run')} are left out here; {IN_RESULTS}."] if len(runs) > MOST_ROWS else []
    parts += [_trained_with(trainer, [run.training for run in runs if run.training])] if any(run.training for run in runs) else []
    gone = [f"- **{cell(run.name)} diverged:** {why}" for run in runs if run.training and (why := divergence(run.training))]
    early = [f"- **{cell(run.name)} stopped early:** {cell(run.training.ended)}" for run in runs if run.training and run.training.ended]
    parts += ["\n".join([*gone, *early])] if gone or early else []
    parts += [f"![{foreign(pictures[LOSS_PLOT], 2000)}]({LOSS_PLOT})"] if LOSS_PLOT in pictures else []
    return "\n\n".join(parts)


def _trained_with(trainer: str, trainings: Sequence[TrainingResult]) -> str:
    """Which tool trained, with its version and those of what it needs, where these are one."""
    first = trainings[0].versions
    if any(each.versions != first for each in trainings):
        return f"Trained with {cell(trainer)}, in versions that are not the same for all runs; they stand at the end."
    others = ", ".join(f"{name} {version}" for name, version in sorted(first.items()) if name != trainer)
    return f"Trained with {cell(' '.join([trainer, *filter(None, [first.get(trainer)])]))}{f' ({cell(others)})' if others else ''}."


def _row(run: RunRow, varied: Sequence[str], *, validated: bool, counted: bool) -> list[str]:
    trained = run.training
    held_out = _held_out(trained) if validated else []
    steps, loss, took = (_steps(trained), number(trained.final_loss), duration(trained.seconds)) if trained else [NOTHING] * 3
    tokens = [f"{trained.tokens_seen:,}" if trained and trained.tokens_seen is not None else NOTHING] if counted else []
    return [
        run.name,
        run.type,
        *(run.varied.get(name, NOTHING) for name in varied),
        *(steps, loss, *held_out, took, _speed(trained), *tokens),
        str(len(run.missing)) if run.missing else NOTHING,
    ]


def _held_out(trained: TrainingResult | None) -> list[str]:
    """The last loss on rows that were held out, and the lowest, which is what is kept as the best."""
    low = trained.lowest_validation if trained else None
    return [number(trained.validation[-1].loss), f"{number(low.loss)} ({low.step:,})"] if trained and low else [NOTHING, NOTHING]


def _steps(trained: TrainingResult) -> str:
    """With those that were planned, where they were more."""
    return f"{trained.steps:,} of {trained.planned_steps:,}" if trained.planned_steps else f"{trained.steps:,}"


def _speed(trained: TrainingResult | None) -> str:
    """Steps a second over the whole job, its start too; tokens where they are counted."""
    if not trained or not trained.seconds or not trained.steps:
        return NOTHING
    if trained.tokens_seen:
        return f"{trained.tokens_seen / trained.seconds:.3g} tokens/s"
    return f"{trained.steps / trained.seconds:.3g} steps/s"
