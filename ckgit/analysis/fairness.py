"""Whether runs that are compared had the same chance: what differs between them though the design does not vary it on purpose. Pure.

What nobody recorded is said to be unknown, never to be equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ckgit.analysis.score_text import stated
from ckgit.experiment.claims.settings import runs_of
from ckgit.experiment.design.plan import Run
from ckgit.experiment.estimates.guess import Fact
from ckgit.experiment.measured.compared import UnequalTrait
from ckgit.experiment.results import CellResult, RunRow, TrainingResult, last_evaluated
from ckgit.experiment.worker import Context
from ckgit.formats.markdown import number

UNKNOWN = "not recorded"
_BATCH = frozenset({"batch_size", "gradient_accumulation_steps", "base_recipe"})
_LENGTH = frozenset({"epochs", "max_steps_per_epoch", "base_recipe"})
_STOPPING = frozenset({"early_stopping_patience", "early_stopping_threshold"})
_ROWS = frozenset({"data", "train_split", "max_samples"})
_TEXT = frozenset({"prompt", "system_prompt", "dataset_type", "model", "checkpoint", "max_seq_len"})
Facts = Mapping[str, Sequence[Fact]]  # by name of the run: what its preparation tool says that follows from its settings


class Trait(NamedTuple):
    """Something that is to be equal between runs, and the parameters from which it may follow on purpose."""

    name: str
    values: Mapping[str, Hashable]  # by run; None where it is not known
    causes: frozenset[str] = frozenset()
    near: float = 0.0  # share by which numbers may differ and still count as equal


class Fairness(NamedTuple):
    """What is not equal, or not known to be, and the names of all traits that were looked at."""

    unequal: tuple[UnequalTrait, ...]
    looked_at: tuple[str, ...]


def fairness(context: Context, runs: Sequence[RunRow], facts: Facts) -> Fairness:
    """Hold together the runs that each claim compares; and all of a task, where no claim compares them all.

    Args:
        facts: of the runs that are trained.
    """
    found: dict[tuple[str, bool, str], UnequalTrait] = {}
    looked: dict[str, None] = {}
    rows = {run.name: run for run in runs}
    for compared, task, names in _groups(context, runs):
        of_group = [rows[name] for name in names if name in rows]
        planned = [context.plan.run(run.name) for run in of_group]
        meant = {name for name in _parameters(planned) if len({repr(run[name]) for run in planned}) > 1}
        for trait in (*_training(planned, of_group, facts, task), *_evaluation(of_group, task)):
            looked[trait.name] = None
            unequal = _unequal(trait, compared, meant)
            if unequal:
                found.setdefault((trait.name, unequal.known, repr(unequal.values)), unequal)
    return Fairness(tuple(found.values()), tuple(looked))


def _groups(context: Context, runs: Sequence[RunRow]) -> Iterator[tuple[str, str, list[str]]]:
    claimed: dict[str, set[str]] = {}
    for claim in context.summary.experiment.claims:
        names = [run.name for run in runs_of(claim, context.plan.runs)]
        claimed.setdefault(claim.task, set()).update(names)
        yield stated(claim), claim.task, names
    for task in dict.fromkeys(cell.task for run in runs for cell in run.cells):
        names = [run.name for run in runs if any(cell.task == task for cell in run.cells)]
        if not {*names} <= claimed.get(task, set()):  # the report compares all of them
            yield f"all runs of {task}", task, names


def _parameters(runs: Sequence[Run]) -> set[str]:
    """Parameters that the design varies between runs on purpose: variables, and what runs that are written out say of themselves."""
    return {name for run in runs for name in run.varied}


def _unequal(trait: Trait, compared: str, meant: set[str]) -> UnequalTrait | None:
    if len(trait.values) < 2 or trait.causes & meant:  # noqa: PLR2004 - one run is equal to itself
        return None
    by_value: dict[str, list[str]] = {}
    for run, value in trait.values.items():
        by_value.setdefault(_text(value), []).append(run)
    unknown = UNKNOWN in by_value
    known = [value for value in trait.values.values() if value is not None]
    differ = not _alike(known, trait.near)
    if not differ and not unknown:
        return None
    values = {value: tuple(names) for value, names in by_value.items()}
    return UnequalTrait(trait=trait.name, compared=compared, known=differ, values=values)


def _alike(values: Sequence[Hashable], near: float) -> bool:
    numbers = [value for value in values if isinstance(value, int | float)]
    if near and len(numbers) == len(values) and numbers:
        return max(numbers) - min(numbers) <= near * max(map(abs, numbers))
    return len(set(values)) < 2  # noqa: PLR2004 - one value


def _text(value: Hashable) -> str:
    if value is None:
        return UNKNOWN
    return number(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _training(planned: Sequence[Run], rows: Sequence[RunRow], facts: Facts, task: str) -> Iterator[Trait]:
    """Of the runs that were trained, as far as what is evaluated was; of one alone there is nothing to compare."""
    trained = [(run, row.training) for run, row in zip(planned, rows, strict=True) if row.training]
    if len(trained) < 2:  # noqa: PLR2004 - likewise
        return
    made = {run.name: training for run, training in trained}
    parts = {run.name: _part(run, row, row.training, task) for run, row in zip(planned, rows, strict=True) if row.training}
    told = {
        name: {fact.name: _of_part(_made(fact, training), parts[name]) for fact in facts.get(name, ())} for name, training in made.items()
    }
    for name in dict.fromkeys(name for of_run in told.values() for name in of_run):
        known = [of_run[name] for of_run in told.values() if name in of_run]
        causes = known[0].causes | known[0].instead_of
        if causes and all(isinstance(each.value, int | float | str) for each in known):
            values = {run: of_run[name].value if name in of_run else None for run, of_run in told.items()}
            yield Trait(name, values, causes, known[0].near)
    yield Trait("epochs", {run.name: _times(run["epochs"], parts[run.name]) for run, _ in trained}, _LENGTH | _STOPPING)
    yield Trait("tokens seen in training", _tokens_seen(trained, told, parts), _ROWS | _LENGTH | _TEXT | _STOPPING)
    yield Trait("went on after an interruption", {name: _yes(each.resumed or each.resumed_steps) for name, each in made.items()})
    yield Trait("stopped early", {name: _yes(each.ended) for name, each in made.items()}, _STOPPING)
    yield Trait("versions in training", {name: _versions(each.versions) for name, each in made.items()})


def _part(run: Run, row: RunRow, training: TrainingResult, task: str) -> Fraction:
    """Which part of its planned steps made the weights that are evaluated: not all where it stopped early, or `best` is evaluated."""
    planned = training.planned_steps or training.steps
    if not planned:
        return Fraction(1)
    cells = [cell for cell in row.cells if cell.task == task]
    saved = training.saved(last_evaluated(cells)) if cells else None
    if saved and saved.step is None and saved.epoch is not None:
        return Fraction(saved.epoch + 1, run["epochs"])
    return Fraction(training.steps if saved is None or saved.step is None else saved.step, planned)


def _made(fact: Fact, training: TrainingResult) -> Fact:
    """What was a guess before is known by now: the steps of the whole training."""
    return fact._replace(value=training.planned_steps or training.steps) if fact.steps_about else fact


def _of_part(fact: Fact, part: Fraction) -> Fact:
    """What a tool says of a whole training, of that part of it; of a number that does not grow with the epochs, as it is."""
    grows = "epochs" in fact.causes and isinstance(fact.value, int | float)
    return fact._replace(value=_times(fact.value, part), causes=fact.causes | _STOPPING) if grows else fact


def _times(value: float, part: Fraction) -> float:
    """A whole number where it is one."""
    found = Fraction(value) * part
    return int(found) if found.denominator == 1 else float(found)


def _tokens_seen(
    trained: Sequence[tuple[Run, TrainingResult]], told: Mapping[str, Mapping[str, Fact]], parts: Mapping[str, Fraction]
) -> dict[str, Hashable]:
    """Counted by the tool; otherwise runs that read the same rows with the same texts as often are known to be equal, not by how much."""
    counted: dict[str, Hashable] = {run.name: _tokens_of_part(training, parts[run.name]) for run, training in trained}
    if all(value is not None for value in counted.values()):
        return counted
    same = {(parts[run.name], _reading(run, told[run.name])) for run, _ in trained}
    if len(same) == 1 and all(reading for _, reading in same):
        return dict.fromkeys(counted, "the same rows, texts and epochs")
    return counted


def _tokens_of_part(training: TrainingResult, part: Fraction) -> int | None:
    """It counts those of the steps that were made, of which the evaluated weights may have seen a part only."""
    made = Fraction(training.steps, training.planned_steps or training.steps) if training.steps else part
    return None if training.tokens_seen is None else round(training.tokens_seen * part / made)


def _reading(run: Run, told: Mapping[str, Fact]) -> tuple[str, ...] | None:
    """All that the tokens of a training follow from; None where its tool does not say how many rows it saw."""
    seen = [fact.value for fact in told.values() if fact.causes & {"max_samples", "train_split"}]
    return (*map(repr, seen), *(repr(run[name]) for name in sorted(_ROWS | _LENGTH | _TEXT)), run.model) if seen else None


def _evaluation(rows: Sequence[RunRow], task: str) -> Iterator[Trait]:
    """Of the last evaluation of each run on the task."""
    cells = {run.name: last_evaluated(own) for run in rows if (own := [cell for cell in run.cells if cell.task == task])}
    if len(cells) < 2:  # noqa: PLR2004 - likewise
        return
    text = frozenset({"model", "checkpoint", "dataset_type", "prompt", "system_prompt"})
    yield Trait(f"rows of {task}", _rows(cells), frozenset({"data"}))
    yield Trait("rows without a score", {run: _unscored(cell) for run, cell in cells.items()})
    checked = {run: cell.tokens for run, cell in cells.items()}
    yield Trait("chat template", {run: None if each is None else each.template_sha256 or "none" for run, each in checked.items()}, text)
    dated = {run: None if each is None else each.template_date or "none" for run, each in checked.items()}
    yield Trait("date in the chat template", dated, frozenset({"template_date", "model", "checkpoint"}))
    trained = [run for run in rows if run.name in cells and run.training]  # of others there is nothing to hold it against
    yield Trait("tokens as in training", {run.name: _as_trained(run, task, cells[run.name]) for run in trained})
    yield Trait("versions in evaluation", {run: _versions(cell.versions) for run, cell in cells.items()})


def _rows(cells: Mapping[str, CellResult]) -> dict[str, Hashable]:
    """How many rows each run answered, and which of several sets they are: there may be others of the same number."""
    answered = {run: tuple((sample.id, sample.target) for sample in cell.samples) for run, cell in cells.items()}
    sets = {rows: number_ for number_, rows in enumerate(dict.fromkeys(answered.values()), start=1)}
    return {run: f"{len(rows):,}" + (f" (set {sets[rows]})" if len(sets) > 1 else "") for run, rows in answered.items()}


def _unscored(cell: CellResult) -> int:
    return sum(all(score is None for score in sample.scores.values()) for sample in cell.samples)


def _as_trained(run: RunRow, task: str, cell: CellResult) -> str | None:
    """Whether evaluation sent what training saw."""
    return "checked" if cell.tokens and run.training and task in run.training.tokens else None


def _versions(versions: Mapping[str, str]) -> str | None:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or None


def _yes(value: object) -> str:
    return "yes" if value else "no"
