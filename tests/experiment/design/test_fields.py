"""What all models have in common."""

from __future__ import annotations

from ckgit.experiment import schemas  # noqa: F401 - imports all models of files
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.fields import Frozen, laid_over


def models(base: type[Frozen]) -> set[type[Frozen]]:
    return {found for each in base.__subclasses__() for found in (each, *models(each))}


def test_no_model_has_annotations_that_are_read_from_text() -> None:
    ours = {model for model in models(Frozen) if model.__module__.startswith("ckgit.")}
    assert len(ours) > 50
    assert {model for model in ours if any(isinstance(each, str) for each in model.__annotations__.values())} == set()


def test_the_nearest_value_counts_and_zero_is_one() -> None:
    own, shared, profile = Resources(gpus=0), Resources(gpus=2, mem="4G"), Resources(gpus=4, mem="8G", time="01:00:00")
    assert laid_over(own, shared, profile) == Resources(gpus=0, mem="4G", time="01:00:00")
    assert own == Resources(gpus=0)
    assert laid_over(profile, shared) is profile
