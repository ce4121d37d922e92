"""The JSON schemas of ckgit's files, exported from the models. `schemas/*.json` is held equal to them by a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import LabConfig
from ckgit.experiment.design.model import Design, Summary
from ckgit.experiment.estimates.file import Estimate
from ckgit.experiment.jobs import Ledger, Status
from ckgit.experiment.outputs.events import EngineEvent
from ckgit.experiment.outputs.planned import PlannedStep
from ckgit.experiment.results import Results
from ckgit.experiment.tools.by_tool import design_type, summary_type
from ckgit.experiment.tools.schemas import by_tool, with_own_results

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class EventLine(RootModel[Any]):
    """One line of `ckgit advance --events`."""

    model_config = ConfigDict(defer_build=True)  # most who read a schema want another one; a parameter of RootModel is built at once
    root: Annotated[EngineEvent, Field(discriminator="event")]


# Schema name to the model and the file that it describes.
MODELS: Mapping[str, tuple[type[BaseModel], str]] = {
    "design": (Design, "what `ckgit design --from` reads"),
    "summary": (Summary, "front matter of experiment_summary.md"),
    "lab": (LabConfig, "ckgit.toml"),
    "model_card": (ModelCard, "models/NAME.yaml"),
    "estimate": (Estimate, "estimate.json, which `ckgit design` writes"),
    "jobs": (Ledger, "jobs.json"),
    "status": (Status, "status.json, which a job writes as its last act"),
    "results": (Results, "analysis/results.json"),
    "plan": (PlannedStep, "what `--dry-run --json` writes of a command that moves an experiment on"),
    "event": (EventLine, "a line of `ckgit advance --events`"),
}


def schema(name: str) -> bytes:
    """The JSON schema of that name, as it stands in `schemas/NAME.json`.

    Raises:
        KeyError: there is none.
    """
    model, file = MODELS[name]
    document = {"$schema": DIALECT, **_document(name, model), "title": file}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _document(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model, with what the installed tools bring to it."""
    if name == "design":
        return by_tool(design_type)
    if name == "summary":
        return by_tool(summary_type)
    found = model.model_json_schema()
    return with_own_results(found) if name == "results" else found
