import hashlib
import json
import os
import signal
import subprocess
import time

import pytest

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design import Resources
from ckgit.experiment.jobs import Status
from ckgit.workers.script import INPUTS_CHANGED, PROGRAM_MISSING, directives, job_script


def write_script(work, commands, *, inputs=None, setup=(), programs=("bash",)):
    content = job_script(
        title="A job.",
        script="job.slurm",
        resources=Resources(cpus_per_task=2),
        cluster=Cluster(setup=tuple(setup)),
        inputs=inputs or {},
        programs=programs,
        commands=commands,
    )
    work.mkdir(exist_ok=True)
    (work / "job.slurm").write_bytes(content)


def run(work, name="job-1"):
    return subprocess.run(
        ["bash", "job.slurm"], cwd=work, env={"PATH": os.environ["PATH"], "CKGIT_TOKEN": name}, capture_output=True, text=True, check=False
    )


def status(work, name="job-1"):
    return Status.model_validate_json((work / ".ckgit/jobs" / name / "status.json").read_bytes())


def test_it_runs_its_commands_and_says_how_it_ended(weird_tmp_path):
    write_script(weird_tmp_path, [("printf", "%s\n", "$HOME `id` 'quoted' \"x\"\ttab"), ("bash", "-c", "echo $OMP_NUM_THREADS")])
    done = run(weird_tmp_path)
    assert done.stdout == "$HOME `id` 'quoted' \"x\"\ttab\n2\n"
    ended = status(weird_tmp_path)
    assert (done.returncode, ended.exit_code, ended.token) == (0, 0, "job-1")
    assert ended.started <= ended.ended


def test_a_second_copy_does_nothing(tmp_path):
    write_script(tmp_path, [("bash", "-c", "echo run >>ran")])
    assert run(tmp_path).returncode == 0
    first = status(tmp_path)
    assert "was started before" in run(tmp_path).stdout
    assert (tmp_path / "ran").read_text() == "run\n"
    assert status(tmp_path) == first


def test_the_first_command_that_fails_ends_it_with_its_code(tmp_path):
    write_script(tmp_path, [("bash", "-c", "exit 7"), ("touch", "never")])
    assert run(tmp_path).returncode == 7
    assert status(tmp_path).exit_code == 7
    assert not (tmp_path / "never").exists()


def test_a_changed_input_ends_it_before_its_commands(weird_tmp_path):
    digest = hashlib.sha256(b"data").hexdigest()
    (weird_tmp_path / "a file.json").write_bytes(b"data")
    write_script(weird_tmp_path, [("touch", "ran")], inputs={"a file.json": digest})
    assert run(weird_tmp_path, "one").returncode == 0
    (weird_tmp_path / "a file.json").write_bytes(b"tada")
    (weird_tmp_path / "ran").unlink()
    done = run(weird_tmp_path, "two")
    assert (done.returncode, status(weird_tmp_path, "two").exit_code) == (INPUTS_CHANGED, INPUTS_CHANGED)
    assert "a file.json: FAILED" in done.stdout
    (weird_tmp_path / "a file.json").unlink()
    assert run(weird_tmp_path, "three").returncode == INPUTS_CHANGED
    assert not (weird_tmp_path / "ran").exists()


def test_a_missing_program_is_named(tmp_path):
    write_script(tmp_path, [("touch", "ran")], programs=("bash", "no-such-program"))
    done = run(tmp_path)
    assert done.returncode == status(tmp_path).exit_code == PROGRAM_MISSING
    assert "no-such-program is not on PATH" in done.stdout


def test_setup_lines_may_use_unset_variables_as_module_systems_do(tmp_path):
    write_script(tmp_path, [("bash", "-c", "echo $LOADED")], setup=['export LOADED="yes$NOT_SET"'])
    assert run(tmp_path).stdout == "yes\n"


def test_setup_that_fails_ends_it(tmp_path):
    write_script(tmp_path, [("touch", "ran")], setup=["false"])
    assert run(tmp_path).returncode == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_reaches_the_command_and_is_recorded(tmp_path, number, code):
    write_script(tmp_path, [("bash", "-c", "trap 'echo heard >heard; exit 1' TERM; touch up; while :; do sleep 0.05; done")])
    with subprocess.Popen(["bash", "job.slurm"], cwd=tmp_path, env={"PATH": os.environ["PATH"], "CKGIT_TOKEN": "job-1"}) as job:
        while not (tmp_path / "up").exists():
            assert job.poll() is None
            time.sleep(0.01)
        job.send_signal(number)
        assert job.wait(10) == code
    assert (tmp_path / "heard").exists()
    assert status(tmp_path).exit_code == code


def test_where_nothing_can_be_written_it_does_not_claim_to_have_run(tmp_path):
    write_script(tmp_path, [("touch", "ran")])
    (tmp_path / ".ckgit").write_text("a file where a folder should be")
    assert run(tmp_path).returncode == 1
    assert not (tmp_path / "ran").exists()


def test_it_is_valid_bash_whatever_the_words(tmp_path):
    write_script(tmp_path, [("echo", "--option", "a'b", "-x", "$(touch pwned)", "long " * 40)])
    assert subprocess.run(["bash", "-n", "job.slurm"], cwd=tmp_path, check=False).returncode == 0
    assert run(tmp_path).stdout.startswith("--option a'b -x $(touch pwned) long long")
    assert not (tmp_path / "pwned").exists()


def test_resources_become_directives():
    lines = directives(Resources(time="1-02:00:00", mem="16G", gpus=2, cpus_per_task=8))
    assert lines[2:] == ["#SBATCH --cpus-per-task=8", "#SBATCH --time=1-02:00:00", "#SBATCH --mem=16G", "#SBATCH --gpus=2"]
    assert json.loads(json.dumps(directives(Resources())))[2:] == ["#SBATCH --cpus-per-task=1"]
