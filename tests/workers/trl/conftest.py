"""Jobs that train with TRL, without the eight seconds that its imports take."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

from tests.warm import warm_python
from tests.workers.conftest import run_job

IMPORTED = ("ckgit.workers.environment", "ckgit.workers.trl.trainer", "ckgit.workers.trl.merge", "ckgit.workers.trl.prepare")
LLAMA = ("transformers.models.llama.modeling_llama", "transformers.models.llama.configuration_llama")


@pytest.fixture(scope="session")
def run_warm(tmp_path_factory):
    """`run_warm(work, script, token)`: as `run_script`, but each job is a fork of one process that has imported TRL."""
    with warm_python(tmp_path_factory.mktemp("warm"), [*IMPORTED, *LLAMA], hidden="torchao") as folder:
        yield functools.partial(run_job, programs=(folder, Path(sys.executable).parent))
