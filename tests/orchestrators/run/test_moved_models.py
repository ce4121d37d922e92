"""A model is moved while a work tree has a link to it: the next command leads the link there, and a dry run says so and leaves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.lab.models.find import register
from ckgit.orchestrators.commands.dry_run import dry_run
from ckgit.orchestrators.engine.options import AdvanceOptions, RetryOptions
from tests.orchestrators.bench import Bench
from tests.orchestrators.commands.test_dry_run import traces


def moved_to(bench: Bench, folder: Path) -> Path:
    """Where the model's folder is then."""
    folder.parent.mkdir(exist_ok=True)
    return (bench.folder / "models/tiny").rename(folder)


def notes(home: Path) -> dict[str, Path]:
    """Where this user's models are, as it was remembered."""
    return {link.name: link.readlink() for link in (home / "data").rglob("models/*")}


def leave_no_trace(bench: Bench, home: Path, options: AdvanceOptions) -> None:
    before = traces(bench.folder), notes(home)
    assert dry_run(bench.lab, "demo", options).commits
    assert (traces(bench.folder), notes(home)) == before


def test_it_is_evaluated_where_the_model_was_added_from_its_new_place(bench: Bench, isolated: Path, tmp_path: Path) -> None:
    bench.advance(State.TRAINED)
    moved = moved_to(bench, tmp_path / "far/away")
    with pytest.raises(CkgitError, match="the files of model tiny are not on this machine") as caught:
        bench.advance(State.ANALYZED)
    assert (caught.value.code, caught.value.next.partition(" says")[0]) == (Exit.EVIDENCE_MISSING, "ckgit models add tiny PATH")
    register((bench.folder / "models/tiny.yaml").read_bytes(), moved)
    leave_no_trace(bench, isolated, AdvanceOptions())
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    assert (bench.work / "models/tiny").readlink() == moved


def test_what_is_found_beside_its_old_place_is_remembered_by_the_command_that_uses_it(bench: Bench, isolated: Path) -> None:
    bench.advance(State.TRAINED)
    bench.fail("base/eval/capitalization_base")
    assert bench.advance(State.ANALYZED).code is Exit.JOBS_FAILED
    moved = moved_to(bench, bench.folder / "models/renamed")
    bench.mend("base/eval/capitalization_base")
    leave_no_trace(bench, isolated, AdvanceOptions(retry=RetryOptions()))
    assert not notes(isolated)
    assert bench.retry().code is Exit.DONE
    assert (bench.work / "models/tiny").readlink() == moved
    assert list(notes(isolated).values()) == [moved]


def test_jobs_that_run_are_followed_though_their_model_is_nowhere(bench: Bench, tmp_path: Path) -> None:
    bench.advance(State.TRAINED)
    bench.hold()
    assert bench.advance(wait=False).code is Exit.IN_FLIGHT
    moved_to(bench, tmp_path / "far/away")
    bench.go()
    assert bench.advance(State.ANALYZED).code is Exit.DONE
