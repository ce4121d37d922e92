"""Trainings on preferences, with a design that is measured as `ckgit design` measures it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ckgit.experiment.design.data import DataSet
from ckgit.experiment.design.row_files import source_path
from ckgit.experiment.worker import Context
from ckgit.lab.models.folder import read_card
from ckgit.orchestrators.data.find import FoundFiles, measure
from ckgit.workers.trl import worker
from tests.workers.designs import context, write_tree

DATA = "data/pairs.json"
LETTERS = ("apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house", "inlet")
PAIRS = {
    "train": [{"prompt": word, "chosen": word.upper(), "rejected": word} for word in LETTERS],
    "test": [{"prompt": word, "chosen": word.upper(), "rejected": word[::-1]} for word in ("knife", "lemon", "mango")],
}
DPO = {"objective": "dpo", "batch_size": 4, "lr": 0.003}


def preferences(
    pairs: Mapping[str, Sequence[Mapping[str, Any]]] = PAIRS, *, data: Mapping[str, Any] | None = None, **design: Any
) -> Context:
    """A context of a design with these pairs; one run `run` where none are given."""
    content = json.dumps(pairs).encode()
    named = {"path": DATA, **(data or {})}
    made = measure(FoundFiles({DATA: content}), DataSet.model_validate_json(json.dumps(named)), "capital", "pairs")
    recorded = {"data": {"pairs": made.recorded.model_dump(mode="json", exclude_none=True)}}
    given = {**DPO, **design.pop("controls", {})}
    controls = {name: value for name, value in given.items() if value is not None}
    found = context(tools={"preparation": "trl"}, data={"pairs": named}, recorded=recorded, controls=controls, **design)
    rows = {source_path("capital", "pairs"): made.source} if made.source else {}
    return found._replace(sources={DATA: content, **rows})


def make_tree(work: Path, model: Path, **design: Any) -> Context:
    """A work tree in which its run was scaffolded."""
    card, _ = read_card("tiny", model)
    ctx = preferences(cards=(card,), **design)
    assert [problem.message for problem in worker.check(ctx) if not problem.warning] == []
    write_tree(ctx, dict(worker.scaffold(ctx)), work, {"tiny": model})
    return ctx
