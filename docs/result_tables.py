"""The tables of a lab's results, from the models that make them."""

from __future__ import annotations

from ckgit.experiment.design.fields import Frozen
from ckgit.results.tables import TABLES, VIEWS, columns


def result_tables() -> str:
    """A section for each table, with its columns."""
    return "\n".join(_section(name, model) for name, model in {**TABLES, **VIEWS}.items())


def _section(name: str, model: type[Frozen]) -> str:
    kinds = columns(model)
    rows = [f"| `{column}` | {kinds[column]} | {_description(model, column)} |" for column in kinds]
    return "\n".join([f"### {name}", "", str(model.__doc__), "", "| column | type | what it is |", "| --- | --- | --- |", *rows, ""])


def _description(model: type[Frozen], column: str) -> str:
    return (model.model_fields[column].description or "").replace("|", "\\|")
