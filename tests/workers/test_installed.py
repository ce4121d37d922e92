"""What a job's tools are is asked where they must be: in this Python, unless the profile brings another environment."""

import pytest

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.workers import inspect_ai, installed, torchtune
from tests.workers.inspect_ai.examples import make_context

BARE = Cluster(scheduler="local")


@pytest.fixture
def light(monkeypatch):
    monkeypatch.setattr(installed, "_is_there", lambda module: module not in ("torch", "torchtune"))


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("worker", [torchtune.worker, inspect_ai.worker], ids=["torchtune", "inspect-ai"])
def test_a_light_installation_submits_nothing_to_itself(worker, tmp_path):
    context = make_context()._replace(cluster=BARE)
    with pytest.raises(CkgitError, match="need torch") as caught:
        worker.ready(context, worker.jobs(context)[0], tmp_path)
    assert (caught.value.code, caught.value.state) == (Exit.TOOL_MISSING, "nothing was submitted")
    assert "ckgit[run]" in caught.value.next


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("changes", [{"scheduler": "slurm"}, {"setup": ("module load torch",)}, {"container": ("apptainer", "exec")}])
def test_a_job_that_has_an_environment_of_its_own_judges_it_itself(changes):
    installed.check_installed(BARE.model_copy(update=changes), ["torch"])


def test_a_whole_installation_is_no_obstacle():
    installed.check_installed(BARE, ["json", "pathlib"])
