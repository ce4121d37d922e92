"""The five states, and what has an experiment that is over. Apart from the models, so that reading a state needs no pydantic."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an experiment stands."""

    DESIGNED = "designed"
    SCAFFOLDED = "scaffolded"
    TRAINED = "trained"
    EVALUATED = "evaluated"
    ANALYZED = "analyzed"


class Kept(StrEnum):
    """What has an experiment whose branch is gone."""

    CLOSED = "closed"  # `refs/ckgit/closed/NAME`
    MERGED = "merged"  # the default branch
