"""A design is read with the parameters of its tool: these are the models of a document, by what it names under `tools`."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from ckgit.experiment.design.model import NONE, Design, RunSpec, Summary, Tools
from ckgit.experiment.design.parameters import Parameters
from ckgit.experiment.tools.workers import find_preparation

DEFAULT_TOOL = str(Tools.model_fields["preparation"].default)


def tool_of(document: Any) -> str:
    """The preparation tool whose parameters a document has.

    One without a preparation may hold the default tool's, which mean nothing there.
    """
    tools = document.get("tools") if isinstance(document, Mapping) else None
    named = tools.get("preparation") if isinstance(tools, Mapping) else None
    return named if isinstance(named, str) and named != NONE else DEFAULT_TOOL


def parameters_of(tool: str) -> type[Parameters]:
    """The parameters of a tool's runs.

    Raises:
        CkgitError: TOOL_MISSING.
    """
    return find_preparation(tool).parameters


def read_summary(document: Mapping[str, Any]) -> Summary:
    """A front matter as plain values.

    Raises:
        ValidationError: it is not one.
        CkgitError: TOOL_MISSING, the tool that it names is not installed.
    """
    return summary_type(parameters_of(tool_of(document))).model_validate_json(json.dumps(document))


@functools.cache
def summary_type(parameters: type[Parameters]) -> type[Summary]:
    """The front matter of an experiment whose runs have these parameters."""
    parameters.model_rebuild()  # they are read alone, too; built before the front matter, they are a part of it and not built twice
    return create_model("Summary", __base__=Summary, **_parts(parameters))


@functools.cache
def design_type(parameters: type[Parameters]) -> type[Design]:
    """A design whose runs have these parameters."""
    return create_model("Design", __base__=Design, **_parts(parameters))


def _parts(parameters: type[Parameters]) -> dict[str, Any]:
    run = create_model("RunSpec", __base__=RunSpec, parameters=_field(RunSpec, "parameters", parameters))
    return {"controls": _field(Design, "controls", parameters), "runs": _field(Design, "runs", tuple[run, ...])}  # type: ignore[valid-type]


def _field(model: Any, name: str, annotation: Any) -> Any:
    """A field of a model with another type, and otherwise as it is."""
    known = model.model_fields[name]
    made = getattr(annotation, "model_construct", None)
    default = {"default_factory": made} if made else {"default": known.default}
    return annotation, Field(description=known.description, **default)
