"""Runs as the results' tables have them, and what makes a difference to their scores. Pure, but for the question to the tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ckgit.analysis.bisecting.corners import PlacedRun
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import RunType
from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.tools.by_tool import parameters_of, tool_of
from ckgit.formats.listing import choose, in_words

SEED, DATE, _USUAL = "seed", "template_date", "accuracy"
_NOTHING = object()  # what no parameter has
_OF_RUNS = ("controls", "variables", "runs", "models")  # which are in a run's parameters
_SAYS_NOTHING = ("experiment", "compute", "schema_version")  # of a run's scores
_OTHERS = "SELECT experiment, name, state, closed, problem FROM experiments WHERE current ORDER BY committed DESC"
_QUERY = """
    SELECT e.experiment, e.name, e.commit, e.design, r.run, r.type, r.model, r.parameters, r.seed
    FROM runs r JOIN experiments e ON e.experiment = r.experiment
    WHERE e.state = 'analyzed' AND e.design IS NOT NULL AND r.parameters IS NOT NULL ORDER BY e.committed, e.experiment, r.number
"""


class StoredRun(NamedTuple):
    """A run of an analyzed experiment, as the tables have it."""

    experiment: str
    folder: str  # name of the experiment
    commit: str
    design: Mapping[str, Any]
    run: str
    type: str
    parameters: Mapping[str, Any]
    seed: int | None

    @property
    def name(self) -> str:
        """As commands take it."""
        return f"{self.experiment}/{self.run}"


class StoredLab(NamedTuple):
    """Every run of every analyzed experiment, and what the others lack."""

    runs: Sequence[StoredRun]
    others: Mapping[str, CkgitError]  # by experiment: why it has no run here

    def chosen(self, name: str, of: str) -> StoredRun:
        """The run that a name means: EXPERIMENT/RUN, a run of another one's experiment, or an experiment's only one.

        Raises:
            CkgitError: USAGE, there is no such run; EVIDENCE_MISSING, its experiment cannot be read.
        """
        wanted = name.removeprefix("exp/")
        if found := [each for each in self.runs if each.name in (wanted, f"{of}/{wanted}")]:
            return found[0]
        experiment, _, run = wanted.partition("/")
        own = [each for each in self.runs if each.experiment == experiment]
        if len(own) == 1 and "/" not in wanted:
            return own[0]
        if own:
            what = f"{experiment} has no run {run!r}" if run else f"{experiment} has {len(own)} runs, and one run is compared with another"
            raise refused(what, choose(wanted, [each.name for each in own]))
        if experiment in self.others:
            raise self.others[experiment]
        known = choose(wanted, list(dict.fromkeys(run.experiment for run in self.runs)))
        raise refused(f"there is no experiment {experiment!r}", known or _first_step(self.others))


def _first_step(others: Mapping[str, CkgitError]) -> str:
    """What to do in a lab of which nothing is analyzed."""
    return next((each.next for each in others.values() if each.next), "ckgit design NAME makes the first one")


def stored_lab(connection: Any) -> StoredLab:
    """What can be compared, and why the rest cannot."""
    runs = _runs(connection)
    having = {run.experiment for run in runs}
    rows = connection.execute(_OTHERS).fetchall()
    return StoredLab(runs, {experiment: _lacking(experiment, *rest) for experiment, *rest in rows if experiment not in having})


def _lacking(experiment: str, name: str, state: str | None, closed: bool, problem: str | None) -> CkgitError:
    """Why an experiment has no run that could be compared."""
    if problem or state in (None, "analyzed"):
        what = f"{experiment} cannot be read whole: {problem or 'its runs are not known'}"
        return CkgitError(what, code=Exit.EVIDENCE_MISSING, state="nothing was compared", next=f"ckgit status {name}")
    reopened = f"ckgit close {name} --reopen, then " if closed else ""
    what = f"{experiment} is {state}, and only what is analyzed can be compared"
    return refused(what, f"{reopened}ckgit advance {name} --to analyzed")


def _runs(connection: Any) -> list[StoredRun]:
    rows = connection.execute(_QUERY).fetchall()
    return [
        StoredRun(experiment, folder, commit, json.loads(design), run, kind, {**json.loads(parameters), "model": model}, seed)
        for experiment, folder, commit, design, run, kind, model, parameters, seed in rows
    ]


def refused(what: str, onward: str) -> CkgitError:
    """Why nothing is compared."""
    return CkgitError(what, code=Exit.USAGE, state="nothing was compared", next=onward)


def common_task(left: Sequence[str], right: Sequence[str], wanted: str | None) -> str:
    """The task that is meant, of those that both were evaluated on.

    Raises:
        CkgitError: USAGE, there is none, or not one.
    """
    both = [task for task in left if task in right]
    if not both:
        raise refused("A and B have no evaluated task in common", "ckgit results lists what was evaluated")
    if wanted is None and len(both) > 1:
        raise refused(f"A and B have {len(both)} tasks in common", f"name one: --task {both[0]}, or {in_words(both[1:])}")
    if wanted is not None and wanted not in both:
        raise refused(f"A and B have no task {wanted!r} in common", choose(wanted, both))
    return wanted or both[0]


def common_metric(left: Iterable[tuple[str, str]], right: Iterable[tuple[str, str]], wanted: str | None) -> tuple[str, str]:
    """Scorer and name of the metric that is meant, of those that both have.

    Raises:
        CkgitError: USAGE, there is none, or not one.
    """
    there = {*right}
    both = [key for key in left if key in there]
    chosen = [key for key in both if wanted in (key[1], "/".join(key))] if wanted else both
    usual = [key for key in chosen if key[1] == _USUAL] if not wanted else []
    if len(chosen) == 1 or len(usual) == 1:
        return (usual or chosen)[0]
    if not both:
        raise refused("A and B have no metric in common", "ckgit results lists what was measured")
    names = ["/".join(key) for key in chosen or both]
    what = f"A and B have no metric {wanted!r} in common" if wanted and not chosen else "A and B have several metrics in common"
    raise refused(what, f"name one: --metric {in_words(names)}")


def following(run: StoredRun) -> frozenset[str]:
    """Parameters whose value is the one that follows from the others where nobody gives it, as LoRA's scale does from its rank."""
    return frozenset(
        name for name, value in run.parameters.items() if _derived(run, {**run.parameters, name: None}).get(name, _NOTHING) == value
    )


def meaningless(run: StoredRun) -> Mapping[str, str]:
    """Parameters that mean nothing beside this run's values, each with the one by which that is so."""
    tool = _parameters(run)
    try:
        return tool.unused(run.parameters) if tool else {}
    except LookupError:
        return {}


def _derived(run: StoredRun, values: Mapping[str, Any]) -> Mapping[str, Any]:
    tool = _parameters(run)
    try:
        return tool.derived({name: value for name, value in values.items() if value is not None}) if tool else {}
    except (LookupError, TypeError):  # it lacks what that would follow from
        return {}


def _parameters(run: StoredRun) -> type[Parameters] | None:
    """Of its tool; None where that is not installed here."""
    try:
        return parameters_of(tool_of(run.design))
    except CkgitError:
        return None


def placed(run: StoredRun, task: str, without: Collection[str], *, alone: bool) -> PlacedRun:
    """A run with what makes a difference to its scores.

    Args:
        without: parameters that are left out.
        alone: whether types differ, so that a run that trains is told from one that does not.
    """
    trained = run.type == RunType.FINE_TUNED
    own = {key: value for key, value in run.parameters.items() if key not in (SEED, DATE, *without) and (trained or key == "model")}
    design = {key: value for key, value in run.design.items() if key not in (*_OF_RUNS, *_SAYS_NOTHING)}
    evaluation = dict(design.pop("evaluation", {}))
    tasks = [each for each in evaluation.pop("tasks", ()) if each.get("name") == task]
    evaluation.pop("matrix", None)
    elsewhere = {**design, "evaluation": evaluation, "task": tasks[0] if tasks else {}}
    setting = {**own, **({"type": run.type} if alone else {}), **dict(_flat(elsewhere, "design"))}
    return PlacedRun(run.experiment, run.run, setting, run.seed, trained)


def _flat(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}")
    else:
        yield place, value
