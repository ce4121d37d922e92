"""What a person's own configuration adds to a profile is handed over to SLURM with their jobs, by options that win over #SBATCH lines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.orchestrators.test_own_configuration import another_person, committed, mark, own, who
from tests.slurm.test_engine import bench  # noqa: F401 - a fixture
from tests.slurm.test_profiles import profile

pytestmark = pytest.mark.parametrize("slurm", ["fake"], indirect=True)


def options(slurm, name: str) -> list[set[str]]:
    """Values of an option in each sbatch."""
    return [{word.partition("=")[2] for word in call if word.startswith(f"--{name}=")} for call in slurm.calls("sbatch")]


def test_the_job_has_the_account_and_the_lines_of_who_hands_it_over(bench: Bench, slurm, monkeypatch, tmp_path: Path) -> None:  # noqa: F811
    profile(bench, 'account = "lab"')
    own(mark(bench, "ada"), name="site", account="other", mail_user="ada@ada-mail.org")
    assert bench.advance(State.SCAFFOLDED).state is State.SCAFFOLDED
    shown = bench.ckgit("advance", "demo", "--dry-run").stdout
    assert "--account=other --mail-user=ada@ada-mail.org --mail-type=END,FAIL" in shown
    script = bench.snapshot.read("experiments/demo/rank4/finetune.slurm") or b""
    assert b"#SBATCH --account=lab\n" in script
    assert b"mail" not in script
    bench.advance(State.TRAINED, sequential=True)
    assert [job.account for job in slurm.jobs()] == ["other", "other"]
    assert who(bench) == ["ada", "ada"]
    another_person(monkeypatch, tmp_path / "bob")
    own(mark(bench, "bob"), name="site", account="root")
    bench.advance(State.EVALUATED)
    assert [job.account for job in slurm.jobs()[2:]] == ["root"] * 3
    assert who(bench)[2:] == ["bob"] * 3
    assert options(slurm, "mail-user")[-1] == set()
    assert committed(bench, "ada-mail") == {"run-experiment.log"}
    assert committed(bench, "echo bob") == set()


def test_the_tasks_of_an_array_have_them(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "arrays = true")
    own(mark(bench, "ada"), name="site", account="other")
    bench.advance(State.TRAINED, sequential=True)
    assert len(slurm.calls("sbatch")) == 1
    assert {job.account for job in slurm.jobs()} == {"other"}
    assert who(bench) == ["ada", "ada"]


def test_the_job_that_goes_on_by_itself_has_them_and_hands_them_on(bench: Bench, slurm) -> None:  # noqa: F811
    own(mark(bench, "ada"), name="site", account="other")
    result = bench.advance(State.ANALYZED, wait=False, detach=True)
    assert result.state is State.SCAFFOLDED
    bench.until(lambda: bench.snapshot.state is State.ANALYZED, seconds=120)
    jobs = slurm.jobs()
    assert {job.account for job in jobs} == {"other"}
    goes_on = {job.name for job in jobs if ".advance." in job.name and not job.name.endswith(".again")}
    assert len(who(bench)) == 5 + len(goes_on)
    assert committed(bench, "echo ada") == set()


def test_a_hand_over_that_came_to_nothing_leaves_no_lines_of_its_person(bench: Bench, slurm, monkeypatch, tmp_path: Path) -> None:  # noqa: F811
    bench.advance(State.SCAFFOLDED)
    own(mark(bench, "ada"), name="site", account="other")
    slurm.knob(sbatch=["connect"])
    bench.advance(State.TRAINED, wait=False, sequential=True)
    assert list(bench.work.glob(".ckgit/jobs/*/setup"))
    another_person(monkeypatch, tmp_path / "bob")
    bench.advance(State.TRAINED, sequential=True)
    assert who(bench) == []
    assert {job.account for job in slurm.jobs()} == {"lab"}


def test_lines_in_scripts_of_an_older_ckgit_are_run_once(bench: Bench, slurm) -> None:  # noqa: F811
    """Its scripts have what was in the own configuration of who scaffolded them, and are used as they are."""
    line = mark(bench, "ada")
    bench.advance(State.SCAFFOLDED)
    subprocess.run(["git", "switch", "--quiet", "exp/demo"], cwd=bench.folder, check=True)
    for script in (bench.folder / "experiments/demo").glob("rank*/finetune.slurm"):
        text = script.read_text()
        head, _, rest = text.partition('if [ -e "$job/setup" ]')
        script.write_text(f"{head}{line}\n{rest.partition('fi' + os.linesep)[2]}")
    subprocess.run(["git", "commit", "-qam", "as an older ckgit had it"], cwd=bench.folder, check=True)
    subprocess.run(["git", "switch", "--quiet", "main"], cwd=bench.folder, check=True)
    own(line, name="site", account="other")
    bench.advance(State.TRAINED, sequential=True)
    assert who(bench) == ["ada", "ada"]
    log = (bench.snapshot.read("experiments/demo/run-experiment.log") or b"").decode()
    assert "from the own configuration of who submits: account other\n" in log
