"""SLURM's command lines and the environment they are called in."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.jobs import task_of
from ckgit.schedulers.slurm import commands

HERE, THERE = Cluster(scheduler="slurm"), Cluster(scheduler="slurm", command_prefix=("ssh", "login1"))
WORK = Path("/work root/lab/cap/0123")
READ = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}


def test_the_command_that_hands_a_job_over() -> None:
    assert commands.sbatch(HERE, WORK, commands.BatchOptions("tok", "a/job.slurm", ".ckgit/jobs/tok/output")) == [
        "sbatch",
        "--parsable",
        "--job-name=tok",
        "--dependency=singleton",
        "--export=PATH,HOME,USER,LC_ALL=C.UTF-8",
        "--chdir=/work root/lab/cap/0123",
        "--output=.ckgit/jobs/tok/output",
        "--open-mode=append",
        "--requeue",
        "/work root/lab/cap/0123/a/job.slurm",
    ]


OWN = {"account": "mine", "gpu_type": "h200", "mail_user": "me@example.org"}


def test_own_options_win_over_those_of_the_script() -> None:
    lab = Cluster(scheduler="slurm", account="lab", partition="gpu", gpu_option="gres", gpu_type="a100")
    mine = lab.model_copy(update=OWN).with_own_apart(lab, "config.toml")
    assert (mine.account, mine.gpu_type, mine.mail_user) == ("lab", "a100", None)
    batch = commands.BatchOptions("tok", "s", "o", asked=Resources(gpus=2))
    own = ["--account=mine", "--mail-user=me@example.org", "--mail-type=END,FAIL", "--gres=gpu:h200:2"]
    assert commands.sbatch(mine, WORK, batch)[-5:-1] == own
    assert commands.sbatch(lab, WORK, batch)[-2] == "--requeue"
    retried = commands.sbatch(mine, WORK, batch._replace(resources=Resources(gpus=4), asked=Resources(gpus=4)))
    assert [word for word in retried if "gpu" in word] == ["--gres=gpu:h200:4"]
    assert not [word for word in commands.sbatch(mine, WORK, batch._replace(asked=None)) if "gpu" in word]


@pytest.mark.parametrize(
    ("lab", "own", "expected"),
    [
        ({"mail_user": "all@lab.org"}, {"mail_type": "FAIL"}, ["--mail-user=all@lab.org", "--mail-type=FAIL"]),
        ({"mail_user": "all@lab.org", "mail_type": "ALL"}, {"mail_user": "me"}, ["--mail-user=me", "--mail-type=ALL"]),
        ({}, {"mail_type": "FAIL"}, []),
    ],
)
def test_mail_is_asked_for_whole(lab: dict[str, str], own: dict[str, str], expected: list[str]) -> None:
    mine = Cluster(**lab, **{key: value for key, value in own.items() if key not in lab}).model_copy(update=own)
    command = commands.sbatch(mine.with_own_apart(Cluster(**lab), ""), WORK, commands.BatchOptions("tok", "s", "o"))
    assert [word for word in command if "mail" in word] == expected


def test_an_array_a_dependency_and_another_cluster() -> None:
    batch = commands.BatchOptions("x.array", "s", "o", indices=(0, 2, 3), after=("12", "13_1"))
    words = commands.sbatch(Cluster(slurm_cluster="beta"), WORK, batch)
    assert words[1] == "--clusters=beta"
    assert "--dependency=afterany:12,afterany:13_1" in words
    assert "--dependency=afterany:12?afterany:13_1" in commands.sbatch(Cluster(), WORK, batch._replace(after_any=True))
    assert "--array=0,2,3" in words


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({}, "--gpus=2"),
        ({"gpu_type": "a100"}, "--gpus=a100:2"),
        ({"gpu_option": "gres"}, "--gres=gpu:2"),
        ({"gpu_option": "gres", "gpu_type": "a100"}, "--gres=gpu:a100:2"),
    ],
)
def test_resources_that_a_retry_asks_for(profile: dict[str, str], expected: str) -> None:
    options = commands.resource_options(Resources(time="01:00:00", mem="16G", gpus=2, cpus_per_task=4), Cluster(**profile))
    assert options == ["--time=01:00:00", "--mem=16G", "--cpus-per-task=4", expected]
    assert commands.resource_options(Resources(), Cluster(**profile)) == []


@pytest.mark.parametrize("value", ["[rack1|rack2]", "(a100|h100)&ib", "gpu,long", "rack*4"])
def test_what_a_profile_may_say_to_slurm(value: str) -> None:
    assert Cluster(constraint=value).constraint == value


@pytest.mark.parametrize("value", ["", "-x", "a b", "a\tb", "a\n", "a\nb", "'a'", 'a"', "a#b", "$(a)", "`a`", "a;b", "a\\b"])
def test_what_a_profile_may_not_say_to_slurm(value: str) -> None:
    with pytest.raises(ValidationError):
        Cluster(constraint=value)


def test_a_dry_run_is_the_same_command() -> None:
    command = commands.sbatch(HERE, WORK, commands.BatchOptions("tok", "s", "o"))
    assert commands.sbatch_test_only(command) == [*command[:-1], "--test-only"]


def test_queries() -> None:
    assert commands.squeue(Cluster(slurm_cluster="beta"))[:3] == ["squeue", "--clusters=beta", "--me"]
    assert "--noheader" not in commands.squeue(HERE)  # a header is the proof of an answer
    assert "--jobs=1,2" in commands.sacct(HERE, commands.ACCOUNT_FIELDS, 60, ids=["1", "2"])
    assert "--name=a,b" in commands.sacct(HERE, commands.ACCOUNT_FIELDS, 60, names=["a", "b"])
    assert "--starttime=now-60" in commands.sacct(HERE, commands.ACCOUNT_FIELDS, 60, ids=["1"])
    assert "--allocations" in commands.sacct(HERE, commands.ACCOUNT_FIELDS, 60, ids=["1"])
    assert "--duplicates" not in commands.sacct(HERE, commands.ACCOUNT_FIELDS, 60, ids=["1"])  # the last incarnation tells the state
    whole = commands.sacct(HERE, commands.USAGE_FIELDS, 60, ids=["1"], whole=True)
    assert "--allocations" not in whole
    assert "--duplicates" in whole
    assert commands.scancel(HERE, ["1", "2_3"]) == ["scancel", "1", "2_3"]
    assert commands.scancel(HERE, ["1"], name="tok") == ["scancel", "--name=tok", "1"]


@pytest.mark.parametrize(
    ("token", "array"),
    [
        ("a.array_3", ("a.array", 3)),
        ("a.array_", None),
        ("a.array", None),
        ("a_3", None),
        ("a.array_²", None),
        ("ckgit.x.1.00aa00bb", None),
    ],
)
def test_tasks_of_arrays_are_known_by_their_tokens(token: str, array: tuple[str, int] | None) -> None:
    assert task_of(token) == array


def test_an_array_script_runs_the_script_of_its_task(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(here)"
    folder.mkdir()
    for index in (0, 2):
        (folder / f"job {index}").write_text(f"#!/bin/bash\necho {index} $CKGIT_JOB\nexit {index}\n")
    first = "#!/bin/bash\n#SBATCH --time=00:05:00\n#SBATCH --mem=1G\n# SBATCH is spoken of here\necho first\n"
    text = commands.array_script(first, {index: f"it's $(here)/job {index}" for index in (0, 2)})
    assert [line for line in text.splitlines() if line.startswith("#")] == ["#!/bin/bash", "#SBATCH --time=00:05:00", "#SBATCH --mem=1G"]
    settings = {"PATH": os.environ["PATH"], "SLURM_JOB_NAME": "x.array", "SLURM_ARRAY_TASK_ID": "2"}
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "2 x.array_2\n")


def test_the_environment_of_a_command() -> None:
    ours = {"PATH": "/bin", "SLURM_CONF": "/etc/x", "HOME": "/home/ada", "TZ": "x"}
    ours |= {"SLURM_JOB_ID": "1", "SBATCH_ACCOUNT": "x", "SQUEUE_FORMAT": "x"}
    kept = {"HOME": "/home/ada", "TZ": "x", "SLURM_CONF": "/etc/x", "LC_ALL": "C"}
    assert commands.environment(HERE, "sbatch", ours, "/venv/bin") == {**kept, "PATH": "/venv/bin:/bin"}
    assert commands.environment(HERE, "squeue", ours, "/venv/bin") == {**kept, "PATH": "/venv/bin:/bin", **READ}
    assert commands.environment(THERE, "sbatch", ours, "/venv/bin") == {**kept, "PATH": "/bin"}


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=1))
def test_words_reach_the_other_side_of_ssh_as_they_are(words: list[str]) -> None:
    joined = commands.prefixed(THERE, words)
    assert joined[:2] == ["ssh", "login1"]
    assert shlex.split(joined[2]) == words
    assert commands.prefixed(Cluster(command_prefix=("sudo", "-u", "ada")), words) == ["sudo", "-u", "ada", *words]


def test_a_shell_elsewhere_is_pinned() -> None:
    bad = {"SQUEUE_FORMAT": "x", "SBATCH_ACCOUNT": "x", "SLURM_JOB_ID": "1", "SLURM_CONF": "/etc/x", "LC_ALL": "POSIX"}
    bad["PATH"] = os.environ["PATH"]
    command = commands.whole(Cluster(command_prefix=("env",)), ["env"])
    done = subprocess.run(command, env=bad, capture_output=True, text=True, check=True)
    found = {line.partition("=")[0]: line.partition("=")[2] for line in done.stdout.splitlines()}
    assert (found["SLURM_CONF"], found["LC_ALL"]) == ("/etc/x", "C")
    assert not set(found) & {"SQUEUE_FORMAT", "SBATCH_ACCOUNT", "SLURM_JOB_ID"}
