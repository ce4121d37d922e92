"""What a job's tools are is asked where they must be: in this Python, unless the profile brings another environment."""

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster
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
    theirs = BARE.model_copy(update=changes)
    installed.check_installed(theirs, ["torch"])
    installed.check_installed(theirs.with_own_apart(BARE, "config.toml"), ["torch"])


def with_version(folder, package, version):
    """A package's metadata, as an installer leaves them, found before the real ones."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    return folder


def test_an_installation_with_other_versions_than_were_tried_submits_nothing_to_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "_is_there", lambda _: True)
    installed._excluded.cache_clear()
    monkeypatch.syspath_prepend(with_version(with_version(tmp_path, "torchtune", "0.5.0"), "torch", "2.14.1+cu130"))
    with pytest.raises(CkgitError) as caught:
        installed.check_installed(BARE, ["json", "torch", "torchtune", "transformers"])
    said = "jobs on this machine would run with other versions than were tried: "
    assert str(caught.value.what) == (
        said + "torch is 2.14.1+cu130, and ckgit[run] wants torch<2.14,>=2.13; torchtune is 0.5.0, and ckgit[run] wants torchtune==0.6.1"
    )
    assert (caught.value.code, caught.value.state) == (Exit.TOOL_MISSING, "nothing was submitted")
    installed.check_installed(BARE.model_copy(update={"setup": ("source env",)}), ["torchtune"])
    installed._excluded.cache_clear()


def test_a_whole_installation_is_no_problem():
    installed.check_installed(BARE, ["json", "pathlib"])
