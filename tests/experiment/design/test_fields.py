"""What all models have in common."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import ckgit
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.fields import Frozen, laid_over


def models_in(files: list[Path]) -> Iterator[tuple[Path, str]]:
    """Each class that is derived from `Frozen`, by the file that defines it; also in files that only a job imports."""
    found = [(path, each) for path in files for each in ast.walk(ast.parse(path.read_bytes())) if isinstance(each, ast.ClassDef)]
    known = {Frozen.__name__}
    while new := {each.name for _, each in found if {ast.unparse(base) for base in each.bases} & known} - known:
        known |= new
    yield from ((path, each.name) for path, each in found if each.name in known - {Frozen.__name__})


def test_no_model_has_annotations_that_are_read_from_text() -> None:
    ours = list(models_in(sorted(Path(ckgit.__file__).parent.rglob("*.py"))))
    assert len(ours) > 50
    assert [(path.name, name) for path, name in ours if b"from __future__ import annotations" in path.read_bytes()] == []


def test_the_nearest_value_counts_and_zero_is_one() -> None:
    own, shared, profile = Resources(gpus=0), Resources(gpus=2, mem="4G"), Resources(gpus=4, mem="8G", time="01:00:00")
    assert laid_over(own, shared, profile) == Resources(gpus=0, mem="4G", time="01:00:00")
    assert own == Resources(gpus=0)
    assert laid_over(profile, shared) is profile
