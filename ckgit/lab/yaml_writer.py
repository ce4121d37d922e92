"""YAML as a person would write it, in which every value reads back the same in every reader."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, ScalarString

from ckgit.experiment.plan import short_value
from ckgit.lab.yaml_scalars import AmbiguousError, plain

_NEVER_FOLDED = 2**31


class _Representer(RoundTripRepresenter):
    """Floats as run names show them (1e-5), and null written out."""


def _represent_float(representer: _Representer, value: float) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:float", float_text(value))


def _represent_null(representer: _Representer, _: None) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(float, _represent_float)
_Representer.add_representer(type(None), _represent_null)


def float_text(value: float) -> str:
    """A finite float as text that `plain` reads as the same float."""
    text = short_value(value)
    return text if "." in text or "e" in text else f"{text}.0"


def round_trip() -> YAML:
    """ruamel's round trip, set so that lists keep the usual indentation and long lines are not folded."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    yaml.width = _NEVER_FOLDED
    yaml.allow_unicode = True
    return yaml


def write_yaml(value: Any) -> str:
    """A mapping as text. The order of its keys is kept."""
    stream = io.StringIO()
    round_trip().dump(quoted(value), stream)
    return stream.getvalue()


def quoted(value: Any) -> Any:
    """The value, with text in quotes wherever a reader might take it for something else."""
    if isinstance(value, Mapping):
        return {quoted(str(key)): quoted(item) for key, item in value.items()}
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Sequence):
        return [quoted(item) for item in value]
    return value


def _text(text: str) -> str:
    if isinstance(text, ScalarString):
        return text
    try:
        is_text = plain(text) == text
    except AmbiguousError:
        is_text = False
    return text if is_text and "\n" not in text else DoubleQuotedScalarString(text)
