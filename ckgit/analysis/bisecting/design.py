"""The runs that are wanted between two others, as a design for review. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ckgit.experiment.outputs.across.bisected import WantedRun
from ckgit.formats.yaml.text import comment, write_yaml

_ORDERED = ("data",)  # which the canonical form has as pairs
_LEFT_OUT = ("variables", "runs", "models", "experiment")


def design_text(
    design: Mapping[str, Any], parameters: Mapping[str, Any], wanted: Sequence[WantedRun], about: Mapping[str, Any], said: Sequence[str]
) -> str:
    """The design, in YAML.

    Args:
        design: of A's experiment, in its canonical form.
        parameters: those of A's run that its runs may differ in, beside what the wanted runs have.
        wanted: runs to be made; each has its parameters, and a run for each seed.
        about: name, question and date of the new experiment.
        said: what a reviewer has to know, a line each.
    """
    kept = {key: dict(value) if key in _ORDERED else value for key, value in design.items() if key not in _LEFT_OUT}
    runs = [run for number, each in enumerate(wanted, start=1) for run in _runs(number, each, parameters)]
    models = list(dict.fromkeys(str(run["parameters"]["model"]) for run in runs if "model" in run["parameters"])) or design.get("models")
    document = {
        "schema_version": kept.pop("schema_version", 1),
        "experiment": dict(about),
        **{key: kept.pop(key) for key in ("tools",) if key in kept},
        "models": models,
        **{key: value for key, value in kept.items() if key != "evaluation"},
        "runs": runs,
    }
    if "evaluation" in kept:
        document["evaluation"] = _evaluation(kept["evaluation"])
    return "\n".join([*(f"# {comment(line)}" for line in said), write_yaml(document)])


def _runs(number: int, wanted: WantedRun, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = {**parameters, **wanted.parameters}
    name = f"between{number}"
    if not wanted.seeds:
        return [{"name": name, "parameters": values}]
    return [{"name": f"{name}_seed{seed}", "parameters": {**values, "seed": seed}} for seed in wanted.seeds]


def _evaluation(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """As A's; a row of the matrix that names runs has none of these to name."""
    matrix = [{key: value for key, value in row.items() if key != "runs"} for row in evaluation.get("matrix", ())]
    return {**evaluation, **({"matrix": matrix} if matrix else {})}
