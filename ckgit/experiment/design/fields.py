"""What all models have in common: strictness, and the kinds of text and number that several of them hold."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ckgit.formats.rows import PLACEHOLDER


class Frozen(BaseModel):
    """Base of all models: unknown keys are errors, values cannot change, and text is never taken for a number.

    Documents are validated with `model_validate_json`, whose strict mode knows lists, enums and dates as JSON writes them.
    Validators are built at first use: most commands need few of the models, and all of them cost 0.15 s. What is absent
    is made by `model_construct`, which needs none: a model's own defaults need no check. For the same reason no module of models
    imports `annotations` from `__future__`: pydantic would read each annotation from its text, a quarter of what a class costs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


F = TypeVar("F", bound=Frozen)


def laid_over(top: F, *below: F) -> F:
    """One model of several, each of which lies over the next: a field has the first value that is not None.

    All were checked when they were read, so this one is not checked again: a large experiment makes ten thousand of them.
    """
    for layer in below:
        lacking = {name: value for name, value in layer if value is not None and getattr(top, name) is None}
        top = top.model_copy(update=lacking) if lacking else top
    return top


def _relative_path(text: str) -> str:
    parts = text.split("/")
    if text.startswith("/") or "" in parts or "." in parts or ".." in parts or "\\" in text or not text.isprintable():
        raise ValueError(f"{text!r} must be a path inside the lab, written with '/', without '..'")
    if any(part.startswith("-") or part.lower() == ".git" for part in parts):
        raise ValueError(f"{text!r}: no part of a path may begin with '-' or be '.git'")
    if re.search(r"[^A-Za-z0-9._+/ -]", text):
        raise ValueError(f"{text!r}: a path has letters, digits, spaces and . _ - + only")
    return text


def _has_placeholder(text: str) -> str:
    if PLACEHOLDER not in text:
        raise ValueError(f"a prompt must contain {PLACEHOLDER}, the place where the row's input goes")
    return text


def _scorer_name(text: str) -> str:
    file, at, _ = text.rpartition("@")
    if at:
        _relative_path(file)
    return text


def _time(text: str) -> str:
    if not re.fullmatch(r"([0-9]{1,3}-)?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]", text):
        raise ValueError(f'{text!r} is not a time; write "HH:MM:SS" or "D-HH:MM:SS"')
    return text


def _memory(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,9}[KMGT]", text):
        raise ValueError(f"{text!r} is not an amount of memory; write a number and K, M, G or T, e.g. 16G")
    return text


RelativePath = Annotated[str, AfterValidator(_relative_path)]
# A scorer of the evaluator's by its name, or one of a file of the lab as PATH.py@FUNCTION.
ScorerName = Annotated[
    str, Field(pattern=r"^([a-z_][a-z0-9_]*|[^@]+\.py@[A-Za-z_][A-Za-z0-9_]*)$"), AfterValidator(_scorer_name)
]
Prompt = Annotated[str, AfterValidator(_has_placeholder)]
Duration = Annotated[str, AfterValidator(_time)]
Memory = Annotated[str, AfterValidator(_memory)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PositiveInt = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]
NonNegative = Annotated[float, Field(allow_inf_nan=False, ge=0)]
