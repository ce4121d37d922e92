"""Changed profiles, and another one, while an experiment is on SLURM."""

from __future__ import annotations

import subprocess

import pytest

from ckgit.experiment.design import State
from ckgit.experiment.errors import Exit
from ckgit.experiment.jobs import Detached
from ckgit.orchestrators import steps
from ckgit.orchestrators.advance import advance
from ckgit.orchestrators.attempts import new_token
from ckgit.orchestrators.logs import now
from ckgit.orchestrators.run import Wish, stagework
from ckgit.orchestrators.standing import stand, take
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.test_engine import bench  # noqa: F401 - a fixture

pytestmark = pytest.mark.parametrize("slurm", ["fake"], indirect=True)


def profile(bench: Bench, *lines: str, name: str = "site") -> None:  # noqa: F811 - the fixture
    """Lay lines over a profile; one that is not there begins as a copy of the tests' own."""
    config = bench.folder / "ckgit.toml"
    head, *blocks = config.read_text().split("\n[clusters.")
    found = {block.partition("]")[0]: block.partition("]")[2].strip().splitlines() for block in blocks}
    keys = {line.partition(" ")[0] for line in lines}
    found[name] = [line for line in found.get(name, found["site"]) if line.partition(" ")[0] not in keys] + list(lines)
    config.write_text("\n".join([head, *("\n".join([f"[clusters.{each}]", *body, ""]) for each, body in found.items())]))
    subprocess.run(["git", "commit", "-qam", "a profile"], cwd=bench.folder, check=True)


def test_the_job_that_was_to_go_on_ends_when_the_experiment_moves_away(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, 'partition = "main"', name="other")
    assert bench.advance(State.TRAINED, sequential=True).code is Exit.DONE
    standing = stand(bench.lab, "demo")
    left = Detached(token=new_token("demo", "advance", 1), to=State.ANALYZED, submitted=now())
    take(standing, steps.left(standing, stagework(standing).workers, steps.NOTHING, bench.ledger, left), bench.heard)
    number = slurm.submit(f"--job-name={left.token}", commands="sleep 300")
    advance(bench.lab, "demo", to=State.TRAINED, wish=Wish(), talk=bench.heard, cluster="other")
    assert bench.ledger.detached is None
    assert "nothing goes on by itself any more" in bench.message()
    assert slurm.state(number) == "CANCELLED"
