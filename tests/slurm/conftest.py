"""`slurm` is a fake and a real SLURM in turn; `fake_slurm` and `real_slurm` are the one and the other."""

import os
import subprocess

import pytest

from tests.slurm.clusters import CLUSTER, FakeSlurm, RealSlurm, bring_up, missing

# Before tests take CKGIT_… and SLURM_… away.
ENVIRONMENT = dict(os.environ)


@pytest.fixture(scope="session")
def real_cluster():
    """Settings of the environment with which SLURM's commands reach the cluster. It is left as it was found: up or down."""
    reason = missing()
    if reason and "CKGIT_REQUIRE_SLURM" in ENVIRONMENT:
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    settings, was_down = bring_up(ENVIRONMENT)
    yield settings
    if was_down:
        subprocess.run([CLUSTER, "down"], env=ENVIRONMENT, capture_output=True, check=True)


@pytest.fixture
def real_slurm(real_cluster, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    slurm = RealSlurm(folder, real_cluster)
    yield slurm
    slurm.close()


@pytest.fixture
def fake_slurm(tmp_path):
    slurm = FakeSlurm(tmp_path)
    yield slurm
    slurm.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slurm)])
def slurm(request: pytest.FixtureRequest):
    return request.getfixturevalue(f"{request.param}_slurm")
