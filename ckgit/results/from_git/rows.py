"""Results, plans and ledgers as rows of the tables."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

from ckgit.analysis.scores import as_number
from ckgit.experiment.claims.verdicts import Verdict
from ckgit.experiment.design.parameters import EVALUATION_PARAMETERS
from ckgit.experiment.design.plan import Plan, Run
from ckgit.experiment.jobs import Attempt, Ledger
from ckgit.experiment.results import CellResult, Results, RunRow, last_evaluated

Row = dict[str, Any]  # by column


def run_rows(experiment: str, plan: Plan | None, results: Results | None) -> list[Row]:
    """The runs of a plan, and those that only the results have."""
    planned = {run.name: run for run in plan.runs} if plan else {}
    found = {run.name: run for run in results.runs} if results else {}
    names = dict.fromkeys([*planned, *found])
    return [{"number": at, **_run(experiment, name, planned.get(name), found.get(name))} for at, name in enumerate(names, start=1)]


def _run(experiment: str, name: str, planned: Run | None, found: RunRow | None) -> Row:
    values = _values(planned) if planned else None
    varied = planned.varied if planned else found.varied if found else None
    training = found.training if found else None
    seed = (values or {}).get("seed")
    return {
        "experiment": experiment,
        "run": name,
        "type": str(planned.type if planned else found.type) if planned or found else None,  # type: ignore[union-attr]  # one of them is there
        "model": planned.model if planned else None,
        "varied": _json(varied),
        "parameters": _json(values),
        "seed": seed if isinstance(seed, int) else None,
        "steps": training.steps if training else None,
        "planned_steps": training.planned_steps if training else None,
        "final_loss": training.final_loss if training else None,
        "train_seconds": training.seconds if training else None,
        "missing": "; ".join(found.missing) or None if found else None,
        "remarks": "; ".join(found.remarks) or None if found else None,
    }


def _values(run: Run) -> dict[str, Any]:
    """Its parameters; one that is not trained has those of a training in name only."""
    return {name: each.value for name, each in run.settings.items() if run.trains or name in EVALUATION_PARAMETERS}


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


def result_rows(experiment: str, results: Results | None) -> dict[str, list[Row]]:
    """Cells, metrics, samples and claims."""
    found: dict[str, list[Row]] = {"cells": [], "metrics": [], "samples": [], "claims": []}
    for run in results.runs if results else ():
        last = [last_evaluated([cell for cell in run.cells if cell.task == task]) for task in {cell.task for cell in run.cells}]
        for cell in run.cells:
            place = {"experiment": experiment, "run": run.name, "task": cell.task, "epoch": cell.epoch, "checkpoint": cell.checkpoint}
            found["cells"].append({**place, **_cell(cell), "last": any(cell is each for each in last)})
            found["metrics"] += _metrics(place, cell)
            found["samples"] += _samples(place, cell)
    found["claims"] = [_claim(experiment, number, each) for number, each in enumerate(results.claims if results else (), start=1)]
    return found


def _cell(cell: CellResult) -> Row:
    log = {"log": cell.log, "log_sha256": cell.log_sha256, "weights": cell.weights, "token": cell.token}
    return {"samples": len(cell.samples), "seconds": cell.seconds or None, **log}


def _metrics(place: Row, cell: CellResult) -> Iterator[Row]:
    for metric in cell.metrics:
        numbers = {name: getattr(metric, name) for name in ("value", "stderr", "low", "high", "interval", "asked")}
        yield {**place, "scorer": metric.scorer, "metric": metric.name, **numbers, "scored": metric.samples}


def _samples(place: Row, cell: CellResult) -> Iterator[Row]:
    for sample in cell.samples:
        own = {"sample": str(sample.id), "repeat": sample.epoch, "answer": sample.answer, "target": sample.target}
        if not sample.scores:
            yield {**place, **own, "scorer": None, "score": None, "score_text": None}
        for scorer, score in sample.scores.items():
            yield {**place, **own, "scorer": scorer, "score": as_number(score), "score_text": None if score is None else str(score)}


def _claim(experiment: str, number: int, verdict: Verdict) -> Row:
    claim = verdict.claim.model_dump(mode="json", exclude_none=True)
    told = {name: getattr(verdict, name) for name in ("reason", "difference", "low", "high", "interval", "samples", "paired")}
    sides = {f"{side}_side": _side(claim.get(side)) for side in ("left", "right")}
    named = {"experiment": experiment, "number": number, "task": claim.get("task"), "metric": claim.get("metric"), **sides}
    kinds = {name: str(value) if (value := getattr(verdict, name)) else None for name in ("registered", "quantity", "about")}
    return {**named, "claim": _json(claim), "judgement": str(verdict.judgement), **kinds, **told}


def _side(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else _json(value)


_OF_ATTEMPT = ("job", "number", "token", "reason", "job_id", "host", "exit_code")
_OF_USAGE = ("queue_seconds", "elapsed_seconds", "cpu_seconds", "gpus", "gpu_hours", "gpu_utilization", "peak_memory_bytes")


def attempt_rows(experiment: str, ledger: Ledger | None) -> list[Row]:
    """Every attempt of a ledger."""
    return [_attempt(experiment, ledger, each) for each in ledger.attempts] if ledger else []


def _attempt(experiment: str, ledger: Ledger, attempt: Attempt) -> Row:
    return {
        "experiment": experiment,
        **{name: getattr(attempt, name) for name in _OF_ATTEMPT},
        "stage": str(attempt.stage),
        "phase": str(attempt.phase),
        "failure": str(attempt.failure) if attempt.failure else None,
        "cluster": ledger.cluster,
        "scheduler": ledger.scheduler,
        **{name: _moment(getattr(attempt, name)) for name in ("submitted", "started", "ended")},
        **{name: getattr(attempt.usage, name) if attempt.usage else None for name in _OF_USAGE},
    }


def _moment(text: str | None) -> datetime.datetime | None:
    """A time in UTC; None where there is none, or where it is no time."""
    try:
        found = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (found.astimezone(datetime.UTC) if found.tzinfo else found).replace(tzinfo=None)
