"""The JSON schemas of ckgit's files and of what it prints, exported from the models. `schemas/*.json` is held equal by a test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import LabConfig
from ckgit.experiment.design.model import Design, Summary
from ckgit.experiment.estimates.file import Estimate
from ckgit.experiment.jobs import Ledger, Status
from ckgit.experiment.outputs import designs, findings, labs, listings, outcomes, reasons, refusals, shown, standing
from ckgit.experiment.outputs.events import EngineEvent
from ckgit.experiment.outputs.fields import PrintedDocument
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
    "event": (EventLine, "a line of `ckgit advance --events`"),
    "error-document": (refusals.ErrorDocument, "the error that ended any command with `--json`, on standard error"),
    "outcome-document": (outcomes.OutcomeDocument, "what a command came to that moves an experiment on"),
    "outcomes-document": (outcomes.OutcomesDocument, "what a command came to that moves several experiments on"),
    "plan-document": (PlannedStep, "what `--dry-run` shows of a command that moves an experiment on"),
    "status-document": (standing.StatusDocument, "where an experiment stands"),
    "list-document": (listings.ListDocument, "the experiments of a lab"),
    "log-document": (listings.LogDocument, "the history of an experiment"),
    "show-document": (shown.ShowDocument, "an experiment's design, runs and results"),
    "show-run-document": (shown.ShowRunDocument, "one run of an experiment"),
    "why-document": (reasons.WhyDocument, "why jobs failed or wait"),
    "design-document": (designs.DesignDocument, "a design that was committed, or with `--dry-run` would be"),
    "validate-document": (designs.ValidateDocument, "what a check of a design found"),
    "init-document": (labs.InitDocument, "a lab that was made, or with `--dry-run` would be"),
    "model-document": (labs.ModelDocument, "a model card that was added, or with `--dry-run` would be"),
    "models-document": (labs.ModelsDocument, "the model cards of a lab"),
    "hooks-document": (labs.HooksDocument, "which of ckgit's hooks a repository has"),
    "workers-document": (labs.WorkersDocument, "the workers that are installed"),
    "verify-document": (findings.VerifyDocument, "what verification found"),
    "rules-document": (findings.RulesDocument, "the rules that histories are held against"),
    "preview-document": (labs.PreviewDocument, "what a scaffolding worker rendered"),
    "schemas-document": (labs.SchemasDocument, "the list of schemas"),
}

_MOVES = ("outcome-document", "plan-document")
_MOVE_SEVERAL = (*_MOVES, "outcomes-document")
_DESIGNS = ("design-document",)
# Command with `--json` to the schemas of what it prints; of an error, any prints error-document.
PRINTED: Mapping[str, Sequence[str]] = {
    "init": ("init-document",),
    "models add": ("model-document",),
    "models list": ("models-document",),
    "hooks status": ("hooks-document",),
    "design": _DESIGNS,
    "validate": ("validate-document",),
    "revise": _DESIGNS,
    "schema": ("schemas-document",),
    "advance": _MOVE_SEVERAL,
    "retry": _MOVE_SEVERAL,
    "cancel": _MOVE_SEVERAL,
    "worker": ("workers-document", "preview-document", *_MOVES),
    "status": ("status-document",),
    "list": ("list-document",),
    "log": ("log-document",),
    "show": ("show-document", "show-run-document"),
    "why": ("why-document",),
    "verify": ("verify-document", "rules-document"),
    "design-experiment": _DESIGNS,
    "scaffold-experiment": _MOVES,
    "run-experiment": _MOVES,
    "analyze-experiment": _MOVES,
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
    if issubclass(model, PrintedDocument):
        return model.model_json_schema(mode="serialization")  # what is printed has every key
    found = model.model_json_schema()
    return with_own_results(found) if name == "results" else found
