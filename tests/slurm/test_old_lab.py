"""An experiment that an older ckgit left to its cluster goes on with this one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.old_labs.lab import OldLab, unpacked
from tests.slurm.clusters import FakeSlurm
from tests.whole import ROOT, shell

pytestmark = pytest.mark.slow
PATIENCE = 200.0


class OldSlurm(FakeSlurm):
    """The fake SLURM as the older ckgit left it: others have its two nodes, and three jobs wait."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make_room(self) -> None:
        """Let the jobs of whoever made the lab be those of this user, and start: those of others have ended."""
        with self._site().cluster("alpha") as jobs:
            for job in jobs.jobs:
                job.user = self._site().user
        self.knob(manual=False)
        for number in (1, 2):
            self.end(number, "COMPLETED")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[OldLab, OldSlurm]]:
    with unpacked("cb9ae22") as top:
        (top / "venv").symlink_to(sys.prefix)  # the installation is this ckgit's now
        (top / "tests").symlink_to(ROOT / "tests")
        slurm = OldSlurm(top / "slurm")
        settings = {name: value for name, value in slurm.environment.items() if name.startswith("FAKE_SLURM")}
        home = shell(tmp_path)
        yield OldLab(top / "lab", {**home, **settings, "PATH": f"{ROOT / 'tests/slurm/fake'}{os.pathsep}{home['PATH']}"}), slurm
        slurm.close()


def test_the_job_that_the_older_one_left_behind_goes_on_to_the_report(lab: tuple[OldLab, OldSlurm]) -> None:
    opened, slurm = lab
    before = opened.ledger("detached")
    tip = opened.tips()["detached"]
    assert f"left to job {before['detached']['token']} (queued)" in opened.ckgit("status", "detached")
    slurm.make_room()
    assert "detached" in opened.ckgit("status", "detached")
    end = time.monotonic() + PATIENCE
    while "detached: analyzed" not in (said := opened.ckgit("status", "detached")):
        assert time.monotonic() < end, said
        time.sleep(1)
    opened.git("merge-base", "--is-ancestor", tip, "exp/detached")
    (attempt,) = opened.ledger("detached")["attempts"]
    (recorded,) = before["attempts"]
    assert attempt | {"phase": "submitted"} == attempt | recorded
    assert attempt["phase"] == "done"
    assert slurm.names().count(attempt["token"]) == 1
