"""What explains a gap between two runs: runs of all experiments that lie between them, found in the results' tables and read from git."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ckgit.analysis.bisecting.attribute import attribute
from ckgit.analysis.bisecting.corners import REST, Cube, cube_of
from ckgit.analysis.bisecting.design import design_text
from ckgit.analysis.bisecting.gaps import ScoredRun
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import RunType
from ckgit.experiment.outputs.across.bisected import BisectDocument, WantedRun
from ckgit.experiment.results import CellResult, Metric, Results, last_evaluated
from ckgit.formats.listing import in_words, plural
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import Lab
from ckgit.results.bisecting.stored import (
    DATE,
    SEED,
    StoredLab,
    StoredRun,
    common_metric,
    common_task,
    following,
    meaningless,
    placed,
    refused,
)

_TRAINING = "training and its settings"


class Wish(NamedTuple):
    """What is asked."""

    left: str
    right: str
    task: str | None = None
    metric: str | None = None
    design: str | None = None  # the name of the experiment that would decide


def bisect(lab: Lab, known: StoredLab, wish: Wish) -> BisectDocument:
    """What explains the gap, as far as the runs tell.

    Raises:
        CkgitError: USAGE, there is no such run, task or metric, or they differ in too much; EVIDENCE_MISSING, it has no results.
    """
    left = known.chosen(wish.left, "")
    right = known.chosen(wish.right, left.experiment)
    if left.name == right.name:
        raise refused("A and B are the same run", "name two runs: ckgit results lists them")
    read, like = _Reader(lab), left.type == right.type
    task = common_task(read.tasks(left), read.tasks(right), wish.task)
    scorer, metric = common_metric(read.metrics(left, task), read.metrics(right, task), wish.metric)
    cube = _between(known, left, right, task, like=like)
    stored = {each.name: each for each in known.runs}
    scored = {corner: [*_scored((stored[run.name] for run in there), read, task, (scorer, metric))] for corner, there in cube.runs.items()}
    found = attribute(cube, scored, metric)
    wanted = [_with_seeds(each, cube, like=like) for each in found.wanted]
    elsewhere = len([each for each in wanted if not each.designed])
    apart = f"{plural(elsewhere, 'wanted setting')} cannot be in one design with A's: data, evaluation or kind of run differ"
    return BisectDocument(
        run_a=left.name,
        run_b=right.name,
        task=task,
        scorer=scorer,
        metric=metric,
        rows=found.rows,
        gap=found.gap,
        factors=tuple(found.factors),
        steps=tuple(found.steps),
        interactions=tuple(found.interactions),
        wanted=tuple(wanted),
        answer=found.answer,
        remarks=(*found.remarks, *_again(cube), *([apart] if elsewhere else []), *_dates(stored, scored, read, task)),
        design=_design(left, right, [each for each in wanted if each.designed], metric, wish.design, cube),
    )


def _between(known: StoredLab, left: StoredRun, right: StoredRun, task: str, *, like: bool) -> Cube:
    """The runs between two.

    Args:
        like: whether both are of one type; otherwise all of training is one step between them.
    """
    names = {*left.parameters, *right.parameters} if like else set[str]()
    without = following(left) & following(right)
    places = {each.name: placed(each, task, without, alone=not like) for each in known.runs if without <= following(each)}
    along = {**meaningless(left), **meaningless(right)} if like else {}
    rest = REST if like else _TRAINING
    return cube_of(places[left.name], places[right.name], places.values(), names.__contains__, rest, along)


class _Reader:
    """Results of experiments, each read once."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._known = lab, dict[str, Results]()

    def cells(self, run: StoredRun) -> list[CellResult]:
        if run.experiment not in self._known:
            [content] = read_objects(self._lab.root, [f"{run.commit}:experiments/{run.folder}/analysis/results.json"], lenient=True)
            self._known[run.experiment] = self._parsed(run, content)
        return [cell for each in self._known[run.experiment].runs if each.name == run.run for cell in each.cells]

    def _parsed(self, run: StoredRun, content: bytes | None) -> Results:
        try:
            return Results.model_validate_json(content or b"")
        except ValidationError:
            what = f"{run.experiment} has no results that can be read"
            raise CkgitError(what, code=Exit.EVIDENCE_MISSING, state="nothing was compared", next=f"ckgit status {run.folder}") from None

    def tasks(self, run: StoredRun) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in self.cells(run)))

    def cell(self, run: StoredRun, task: str) -> CellResult | None:
        """Of its last evaluated checkpoint."""
        own = [cell for cell in self.cells(run) if cell.task == task]
        return last_evaluated(own) if own else None

    def metrics(self, run: StoredRun, task: str) -> dict[tuple[str, str], Metric]:
        cell = self.cell(run, task)
        return {(metric.scorer, metric.name): metric for metric in cell.metrics} if cell else {}


def _scored(runs: Iterable[StoredRun], read: _Reader, task: str, metric: tuple[str, str]) -> Iterator[ScoredRun]:
    for run in runs:
        cell = read.cell(run, task)
        found = read.metrics(run, task).get(metric)
        if cell and found:
            together = any(each["name"] == task and each.get("clusters") for each in run.design["evaluation"]["tasks"])
            yield ScoredRun(run.name, cell, found, run.type == RunType.FINE_TUNED, together)


def _dates(stored: Mapping[str, StoredRun], scored: Mapping[Any, Sequence[ScoredRun]], read: _Reader, task: str) -> Iterator[str]:
    """A remark where templates had the date of the design, and so another one, unless the prompts are seen to be the same."""
    runs = [stored[run.name] for there in scored.values() for run in there]
    tokens = {cell.tokens.sha256 if cell and cell.tokens else each.name for each in runs for cell in [read.cell(each, task)]}
    dates = sorted({str(run.parameters[DATE]) for run in runs if DATE in run.parameters})
    if len(dates) > 1 and len(tokens) > 1:
        yield f"{DATE} differs ({in_words(dates)}): that makes a difference where a model's template has the date in it"


def _again(cube: Cube) -> Iterator[str]:
    if cube.again:
        yield f"{in_words(cube.again, 5)}: left out, as the same setting with the same seed says nothing of other seeds"


def _with_seeds(wanted: WantedRun, cube: Cube, *, like: bool) -> WantedRun:
    """With the seeds that A's and B's settings were trained with, both of them where there are such."""
    ends = [{run.seed for run in cube.runs.get(corner, ()) if run.trained and run.seed is not None} for corner in (frozenset(), cube.full)]
    seeds = (ends[0] & ends[1]) or ends[0]
    in_parameters = not any(place.startswith("design.") for place in wanted.parameters)
    return wanted.model_copy(update={"seeds": tuple(sorted(seeds)), "designed": like and in_parameters})


def _taken_away(wanted: WantedRun, cube: Cube) -> set[str]:
    """Places that A has, and a wanted run has not."""
    return {place for each in cube.factors for place in each.left if wanted.held[each.name] == "B" and place not in each.right}


def _design(left: StoredRun, right: StoredRun, wanted: Sequence[WantedRun], metric: str, name: str | None, cube: Cube) -> str | None:
    if not wanted:
        return None
    written_out: Mapping[str, Any] = next((run for run in left.design.get("runs", ()) if run.get("name") == left.run), {})
    varied = {key for key, _ in left.design.get("variables", ())} | {*written_out.get("parameters", {})}
    differ = {place for factor in cube.factors for place in factor.left if place in left.parameters}
    gone = set[str]().union(*(_taken_away(each, cube) for each in wanted))
    parameters = {key: left.parameters[key] for key in left.parameters if key in (varied | differ) - gone and key != SEED}
    question = f"What explains the gap in {metric} between {left.name} and {right.name}?"
    about = {"name": name or "between", "question": question, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    said = [
        f"The fewest runs with which ckgit bisect {left.name} {right.name} tells each parameter's step apart from the others.",
        "Made for review: nothing was committed. ckgit design NAME --from THIS-FILE checks it and makes the experiment.",
    ]
    return design_text(left.design, parameters, wanted, about, said)
