"""Jobs that train with TRL, without the eight seconds that its imports take."""

from __future__ import annotations

import functools

import pytest

from tests.warm import programs
from tests.workers.conftest import run_job


@pytest.fixture(scope="session")
def run_warm():
    """`run_warm(work, script, token)`: as `run_script`, but each job is a fork of one process that has imported TRL."""
    return functools.partial(run_job, programs=(programs(),))
