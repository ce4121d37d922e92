"""The JSON schemas of ckgit's files and of what it prints, exported from the models. `schemas/*.json` is held equal by a test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import LabConfig
from ckgit.experiment.design.kept import KeptJobs
from ckgit.experiment.design.model import Design, Summary
from ckgit.experiment.estimates.file import Estimate
from ckgit.experiment.jobs import Ledger, Status
from ckgit.experiment.measured.answers import AnswerRow
from ckgit.experiment.outputs import designs, findings, labs, listings, outcomes, reasons, refusals, shown, standing
from ckgit.experiment.outputs.across import answers, bisected
from ckgit.experiment.outputs.events import EngineEvent
from ckgit.experiment.outputs.fields import PrintedDocument
from ckgit.experiment.outputs.own import tasks
from ckgit.experiment.outputs.planned import PlannedStep
from ckgit.experiment.outputs.review import ci, reviewed
from ckgit.experiment.outputs.upkeep import branches, disk, health
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
    "kept": (KeptJobs, "kept.json, which `ckgit revise` writes"),
    "status": (Status, "status.json, which a job writes as its last act"),
    "results": (Results, "analysis/results.json"),
    "samples": (AnswerRow, "a row of analysis/samples.parquet"),
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
    "bisect-document": (bisected.BisectDocument, "what explains a gap between two runs"),
    "dashboard-document": (shown.DashboardDocument, "a dashboard that was written"),
    "report-document": (shown.ReportDocument, "a report that was written where it can be read"),
    "why-document": (reasons.WhyDocument, "why jobs failed or wait"),
    "design-document": (designs.DesignDocument, "a design that was committed, or with `--dry-run` would be"),
    "import-document": (designs.ImportDocument, "a design that was made from another project's file"),
    "validate-document": (designs.ValidateDocument, "what a check of a design found"),
    "init-document": (labs.InitDocument, "a lab that was made, or with `--dry-run` would be"),
    "approvals-document": (ci.ApprovalsDocument, "who has approved a pull request"),
    "may-start-document": (ci.MayStartDocument, "an experiment that may start"),
    "comment-document": (ci.CommentDocument, "what became of a review's comment"),
    "model-document": (labs.ModelDocument, "a model card that was added, or with `--dry-run` would be"),
    "models-document": (labs.ModelsDocument, "the model cards of a lab"),
    "new-task-document": (tasks.NewTaskDocument, "a task that was written, or with `--dry-run` would be"),
    "task-check-document": (tasks.TaskCheckDocument, "what a task came to on a few rows"),
    "tasks-document": (tasks.TasksDocument, "the tasks of a lab"),
    "show-model-document": (labs.ShowModelDocument, "one model card of a lab"),
    "data-document": (labs.DataDocument, "a data set as it is read"),
    "added-data-document": (labs.AddedDataDocument, "a data set that was brought in, or with `--dry-run` would be"),
    "hooks-document": (labs.HooksDocument, "which of ckgit's hooks a repository has"),
    "workers-document": (labs.WorkersDocument, "the workers that are installed"),
    "rows-document": (answers.RowsDocument, "rows of a lab's results"),
    "compare-document": (answers.CompareDocument, "experiments or runs side by side"),
    "verify-document": (findings.VerifyDocument, "what verification found"),
    "review-document": (reviewed.ReviewDocument, "what a review says"),
    "rules-document": (findings.RulesDocument, "the rules that histories are held against"),
    "reproduce-document": (findings.ReproduceDocument, "what running jobs again came to"),
    "doctor-document": (health.DoctorDocument, "how a lab and a machine are"),
    "clean-document": (disk.CleanDocument, "what experiments hold on disk, and what was removed"),
    "archive-document": (branches.ArchiveDocument, "an experiment that was archived, or restored"),
    "delete-document": (branches.DeleteDocument, "a branch that was deleted, or brought back"),
    "preview-document": (labs.PreviewDocument, "what a scaffolding worker rendered"),
    "schemas-document": (labs.SchemasDocument, "the list of schemas"),
}

_MOVES = ("outcome-document", "plan-document")
_MOVE_SEVERAL = (*_MOVES, "outcomes-document")
_DESIGNS = ("design-document",)
# Command with `--json` to the schemas of what it prints; of an error, any prints error-document.
PRINTED: Mapping[str, Sequence[str]] = {
    "init": ("init-document",),
    "ci approvals": ("approvals-document",),
    "ci may-start": ("may-start-document",),
    "ci comment": ("comment-document",),
    "models add": ("model-document",),
    "models list": ("models-document",),
    "models show": ("show-model-document",),
    "data show": ("data-document",),
    "data add": ("added-data-document",),
    "hooks status": ("hooks-document",),
    "task new": ("new-task-document",),
    "task check": ("task-check-document",),
    "task list": ("tasks-document",),
    "design": _DESIGNS,
    "import cruijff": ("import-document",),
    "validate": ("validate-document",),
    "revise": _DESIGNS,
    "schema": ("schemas-document",),
    "advance": _MOVE_SEVERAL,
    "retry": _MOVE_SEVERAL,
    "cancel": _MOVE_SEVERAL,
    "close": _MOVES,
    "doctor": ("doctor-document",),
    "clean": ("clean-document",),
    "archive": ("archive-document",),
    "delete": ("delete-document",),
    "worker": ("workers-document", "preview-document", *_MOVES),
    "status": ("status-document",),
    "list": ("list-document",),
    "log": ("log-document",),
    "show": ("show-document", "show-run-document"),
    "report": ("report-document",),
    "dashboard": ("dashboard-document",),
    "bisect": ("bisect-document",),
    "why": ("why-document",),
    "results": ("rows-document",),
    "compare": ("compare-document",),
    "sql": ("rows-document",),
    "verify": ("verify-document", "rules-document"),
    "review": ("review-document",),
    "reproduce": ("reproduce-document", "plan-document"),
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
