"""`models/NAME.yaml`, the file of a model card."""

from __future__ import annotations

import json

from pydantic import ValidationError

from ckgit.experiment.card import ModelCard
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.text import write_yaml

_HEADING = "# What ckgit must know of a model without its weights. Written by: ckgit models add {name} PATH\n"


def dump_card(card: ModelCard) -> bytes:
    """The bytes of `models/NAME.yaml`."""
    return (_HEADING.format(name=card.name) + write_yaml(card.model_dump(mode="json", exclude_none=True))).encode()


def parse_card(content: bytes) -> ModelCard:
    """Read `models/NAME.yaml`.

    Raises:
        ValueError: not a model card; the message says where.
    """
    document = read_yaml(content.decode("utf-8-sig"))
    if document.problems:
        raise ValueError(document.problems[0].at("model card"))
    try:
        return ModelCard.model_validate_json(json.dumps(document.value, default=str))
    except ValidationError as error:
        raise ValueError(f"not a model card: {first_problem(error)}") from error


def first_problem(error: Exception) -> str:
    """What is wrong with values that make no card: the first place and why; of another error, its text."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
