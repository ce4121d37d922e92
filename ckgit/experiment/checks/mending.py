"""The `--set` options that mend a design which was changed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ckgit.experiment.checks.messages import allowed_keys, meant_key, not_supported, parameters_in


def mending_options(places: Iterable[str], model: type[BaseModel], document: Any) -> str:
    """The `--set` options that mend a document at dotted places; VALUE stands for what only its author knows."""
    return " ".join(option for place in places for option in _mending(place, model, document))


def _mending(place: str, model: type[BaseModel], document: Any) -> Iterator[str]:
    *around, key = place.split(".")
    path = tuple(int(part) if part.isdecimal() else part for part in around)
    allowed = list(parameters_in(model).names()) if around == ["variables"] else allowed_keys(model, path)
    owner = _found(document, around)
    if not allowed or key in allowed or not isinstance(owner, Mapping) or key not in owner:
        yield f"--set {place}=VALUE"
        return
    yield f"--set {place}=null"
    meant = None if not_supported(key, parameters_in(model)) else meant_key(key, allowed, parameters_in(model))
    if meant and meant not in owner:
        value = owner[key]
        plain = isinstance(value, int | float) or (isinstance(value, str) and value.isidentifier())
        yield f"--set {'.'.join([*around, meant])}={(str(value).lower() if isinstance(value, bool) else value) if plain else 'VALUE'}"


def _found(document: Any, path: Iterable[str]) -> Any:
    """What stands at a path; None where it leads nowhere."""
    for part in path:
        if isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        else:
            document = document.get(part) if isinstance(document, Mapping) else None
    return document
