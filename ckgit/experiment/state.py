"""The five states. Apart from the models, so that reading a state needs no pydantic."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an experiment stands."""

    DESIGNED = "designed"
    SCAFFOLDED = "scaffolded"
    TRAINED = "trained"
    EVALUATED = "evaluated"
    ANALYZED = "analyzed"
