import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import click
import pytest

from ckgit.experiment.card import FileDigest
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Resources
from ckgit.experiment.jobs import Status
from ckgit.jobs import script
from ckgit.jobs.directives import directives
from ckgit.jobs.folder import user_name
from ckgit.jobs.own_setup import write_own_setup
from ckgit.jobs.script import INPUTS_CHANGED, PROGRAM_MISSING, Needs, job_script

NOTHING = ("python", "-m", "this")  # a module that does as good as nothing


def write_script(work, commands, *, inputs=None, setup=(), programs=("bash",), container=(), needs=None):
    content = job_script(
        title="A job.",
        script="job.slurm",
        resources=Resources(cpus_per_task=2),
        cluster=Cluster(setup=tuple(setup), container=tuple(container)),
        inputs=inputs or {},
        programs=programs,
        commands=commands,
        needs=needs,
    )
    work.mkdir(exist_ok=True)
    (work / "job.slurm").write_bytes(content)


def environment(name, **more):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120 - where this Python's programs are
    return {"PATH": path, "CKGIT_JOB": name, **more}


def run(work, name="job-1", **more):
    return subprocess.run(["bash", "job.slurm"], cwd=work, env=environment(name, **more), capture_output=True, text=True, check=False)


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


OF_TOOLS = ("INSPECT_EVAL_EPOCHS", "HF_HOME", "HF_DATASETS_CACHE", "TORCH_HOME", "PYTHONPATH", "OMP_NUM_THREADS", "LD_PRELOAD")
OF_THE_SCRIPT = ("sampler", "changed", "child", "setup_line")
BY_HAND = {**dict.fromkeys(OF_TOOLS, "canary"), **dict.fromkeys(OF_THE_SCRIPT, "1"), "BASH_FUNC_date%%": "() { echo canary; }"}


def test_whoever_starts_it_no_more_of_their_environment_has_a_say_than_is_listed(tmp_path):
    write_script(tmp_path, [("env",)], setup=["export ASKED=$HOME NOT=$HF_HOME"])
    shell = {**BY_HAND, "HOME": "/h", "SLURM_JOB_ID": "7", "LC_ALL": "de_DE", "SHELLOPTS": "braceexpand:errexit", "not-a-name": "1"}
    done = run(tmp_path, **shell)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert (done.returncode, "canary" in done.stdout, "SHELLOPTS" in found) == (0, False, False)
    assert (found["ASKED"], found["NOT"], found["HOME"], found["SLURM_JOB_ID"], found["LC_ALL"]) == ("/h", "", "/h", "7", "C.UTF-8")
    assert (found["OMP_NUM_THREADS"], found["PYTHONSAFEPATH"], "PYTHONPATH" in found) == ("2", "1", False)
    assert status(tmp_path).started.startswith("20")  # by the real `date`


def test_a_file_of_the_work_tree_is_not_taken_for_a_module(tmp_path):
    write_script(tmp_path, [("python", "-m", "json.tool", "document")], needs=Needs(("json",)))
    (tmp_path / "document").write_text("1")
    for name in ("json", "click", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("print('canary')\nraise SystemExit(3)")
    done = run(tmp_path)
    assert (done.returncode, "canary" in done.stdout) == (0, False)


@pytest.mark.parametrize("with_ckgit", [False, True])
def test_the_users_own_packages_take_part_only_where_ckgit_is_one_of_them(tmp_path, with_ckgit):
    libraries = [script.__file__.rpartition("/ckgit/")[0], click.__file__.rpartition("/click/")[0]]
    python = tmp_path / "bin" / "python"  # that of a virtual environment would not look for them
    site = tmp_path / f"home/.local/lib/python3.{sys.version_info.minor}/site-packages"
    (tmp_path / "bin").mkdir()
    site.mkdir(parents=True)
    python.symlink_to(os.path.realpath(f"{sys.base_prefix}/bin/python3"))
    (site / "mine.py").write_text("")
    setup = [f"export PATH='{python.parent}':$PATH HOME='{tmp_path / 'home'}'"]
    if with_ckgit:
        (site / "libraries.pth").write_text("\n".join(libraries))
    else:
        setup.append(f"export PYTHONPATH='{os.pathsep.join(libraries)}'")
    look = ("python", "-c", "import importlib.util as u; print(bool(u.find_spec('mine')))")
    write_script(tmp_path, [NOTHING, look], setup=setup, needs=Needs(("json",)))
    done = run(tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, str(with_ckgit)), done.stderr


def test_setup_lines_may_use_unset_variables_as_module_systems_do(tmp_path):
    write_script(tmp_path, [("bash", "-c", "echo $LOADED")], setup=['export LOADED="yes$NOT_SET"'])
    assert run(tmp_path).stdout == "yes\n"


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        (["true", "false", "touch ran"], "(exit code 1): false"),
        (["source no-such-file"], "(exit code 1): source no-such-file"),
        (["module() { eval 'test 1 = 0'; }", "module load nosuch"], "(exit code 1): module load nosuch"),
        (["if true; then", "  no-such-program 'a", "b'", "fi"], "(exit code 127): no-such-program 'a b'"),
        (["exit 3"], "(exit code 3): exit 3"),
    ],
)
def test_a_set_up_line_that_fails_is_an_unfit_environment_and_is_named(tmp_path, setup, said):
    write_script(tmp_path, [("touch", "ran")], setup=setup)
    assert unfit(tmp_path).splitlines()[-1] == f"ckgit: a set-up line of the cluster profile failed {said}"


def hand_over(work, cluster, name="job-1"):
    (work / ".ckgit/jobs" / name).mkdir(parents=True, exist_ok=True)
    write_own_setup(work / ".ckgit/jobs" / name, cluster)


def own(lab, *lines):
    """A profile whose set-up lines are the lab's, with a person's own."""
    return Cluster(setup=lines).with_own_apart(Cluster(setup=tuple(lab)), "/home/ada/config.toml")


def test_own_lines_follow_those_of_the_profile_and_are_not_in_the_script(tmp_path):
    write_script(tmp_path, [("bash", "-c", "echo $WHO")], setup=["export WHO=lab"])
    hand_over(tmp_path, own(["export WHO=lab"], "if true; then", '  export WHO="$WHO and', 'ada"', "fi", "test -e no && false"))
    assert run(tmp_path).stdout == "lab and ada\n"
    hand_over(tmp_path, Cluster(), "job-2")
    assert run(tmp_path, "job-2").stdout == "lab\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["true", "false", "touch ran"], "(exit code 1): false"),
        (["module() { eval 'test 1 = 0'; }", "module load nosuch"], "(exit code 1): module load nosuch"),
        (["if true; then", "  no-such-program 'a", "b'", "fi"], "(exit code 127): no-such-program 'a b'"),
        (["exit 3"], "(exit code 3): exit 3"),
        (["if true"], "(exit code 2): bash cannot read them"),
    ],
)
def test_an_own_line_that_fails_is_named_with_whose_it_is(tmp_path, lines, said):
    write_script(tmp_path, [("touch", "ran")], setup=["true"])
    hand_over(tmp_path, own(["true"], *lines))
    whose = f"{user_name(os.getuid())}'s own configuration (/home/ada/config.toml)"
    assert unfit(tmp_path).splitlines()[-1] == f"ckgit: a set-up line of {whose} failed {said}"


def test_a_line_of_the_profile_that_fails_is_not_said_to_be_of_anybody(tmp_path):
    write_script(tmp_path, [("touch", "ran")], setup=["false"])
    hand_over(tmp_path, own(["false"], "true"))
    assert unfit(tmp_path).splitlines()[-1] == "ckgit: a set-up line of the cluster profile failed (exit code 1): false"


def test_set_up_lines_over_several_lines_and_those_whose_failure_is_no_matter_are_bash_as_ever(tmp_path):
    setup = ["for name in a b; do", "  test -e $name && source $name", "done", "cat <<END >text", "one", "END", "test -e nothing && false"]
    (tmp_path / "b").write_text("export B=yes")
    write_script(tmp_path, [("bash", "-c", "cat text; echo $B; exit 7")], setup=setup)
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (7, "one\nyes\n")


@pytest.mark.parametrize("mine", [False, True])
def test_a_signal_during_set_up_is_no_unfit_environment(tmp_path, mine):
    line = "kill -TERM $$; sleep 1"
    write_script(tmp_path, [("touch", "ran")], setup=[] if mine else [line])
    hand_over(tmp_path, own([], line) if mine else Cluster())
    assert run(tmp_path).returncode == status(tmp_path).exit_code == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_reaches_the_command_and_is_recorded(tmp_path, number, code):
    write_script(tmp_path, [("bash", "-c", "trap 'echo heard >heard; exit 1' TERM; touch up; while :; do sleep 0.05; done")])
    with subprocess.Popen(["bash", "job.slurm"], cwd=tmp_path, env={"PATH": os.environ["PATH"], "CKGIT_JOB": "job-1"}) as job:
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
    lines = directives(Resources(time="1-02:00:00", mem="16G", gpus=2, cpus_per_task=8), Cluster())
    assert lines[2:] == ["#SBATCH --cpus-per-task=8", "#SBATCH --time=1-02:00:00", "#SBATCH --mem=16G", "#SBATCH --gpus=2"]
    assert json.loads(json.dumps(directives(Resources(), Cluster())))[2:] == ["#SBATCH --cpus-per-task=1"]


def test_gpus_of_several_nodes_are_asked_for_by_node():
    two = Resources(gpus=8, nodes=2)
    assert directives(two, Cluster()) == [
        *("#SBATCH --nodes=2", "#SBATCH --ntasks=2", "#SBATCH --cpus-per-task=1", "#SBATCH --gpus-per-node=4")
    ]
    assert directives(two, Cluster(gpu_option="gres", gpu_type="a100"))[-1] == "#SBATCH --gres=gpu:a100:4"


def test_of_many_bytes_the_smallest_files_are_hashed_and_the_others_measured(weird_tmp_path, monkeypatch):
    monkeypatch.setattr(script, "MOST_HASHED", 10)
    contents = {"small": b"12345", "two words": b"67890", "large weights": b"x" * 11}
    for name, content in contents.items():
        (weird_tmp_path / name).write_bytes(content)
    inputs = {name: FileDigest(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)) for name, content in contents.items()}
    write_script(weird_tmp_path, [("touch", "ran")], inputs=inputs)
    assert run(weird_tmp_path, "one").returncode == 0
    (weird_tmp_path / "ran").unlink()
    for number, (name, damaged) in enumerate([("small", b"54321"), ("large weights", b"x" * 10), ("large weights", None)]):
        (weird_tmp_path / name).unlink()
        if damaged is not None:
            (weird_tmp_path / name).write_bytes(damaged)
        done = run(weird_tmp_path, f"damaged-{number}")
        assert done.returncode == INPUTS_CHANGED
        assert f"{name}: FAILED" in done.stdout
        (weird_tmp_path / name).write_bytes(contents[name])
    assert not (weird_tmp_path / "ran").exists()


def unfit(work, name="job-1", **more):
    """What a job says that ends before its first command."""
    done = run(work, name, **more)
    assert done.returncode == status(work, name).exit_code == PROGRAM_MISSING, done.stdout + done.stderr
    assert not (work / "ran").exists()
    return done.stderr + done.stdout


def test_a_missing_module_is_named_with_the_version_that_is_wanted(tmp_path):
    (tmp_path / "torchtune.py").write_text("import no_such_module\n")
    needs = Needs(["json", "never_heard_of", "torchtune"])
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=needs, setup=[f"export PYTHONPATH='{tmp_path}'"])
    said = unfit(tmp_path)
    assert "never_heard_of is not installed; torchtune cannot be imported: No module named 'no_such_module'" in said
    assert "ckgit[run] wants torchtune==0.6.1 (found: 0.6.1)" in said


def test_what_a_job_lacks_of_an_extra_is_named_with_what_installs_it(tmp_path):
    """Of a long list of modules that are broken, too."""
    lacking = Needs(["json", "peft", "bitsandbytes"], hidden=("peft", "bitsandbytes"), extra="trl,qlora")
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=lacking)
    said = unfit(tmp_path)
    lacks = "peft is not installed; bitsandbytes is not installed; ckgit[trl,qlora] wants peft==0.21.2 (found: 0.21.2), bitsandbytes=="
    assert f'is not fit (pip install "ckgit[trl,qlora]" there): {lacks}' in said


@pytest.mark.parametrize(
    ("package", "version", "said"),
    [
        ("torchtune", "0.5.0", "torchtune is 0.5.0, and ckgit[run] wants torchtune==0.6.1"),
        ("inspect-ai", "0.3.286", "inspect_ai is 0.3.286, and ckgit[run] wants inspect_ai==0.3.285"),
        ("torch", "2.13.0a0+nv25", "torch is 2.13.0a0+nv25, and ckgit[run] wants torch<2.14,>=2.13"),
        ("torch", "2.13.9+cu130", ""),
        ("peft", "0.20.0", "peft is 0.20.0, and ckgit[trl] wants peft==0.21.2"),
    ],
)
def test_a_version_that_the_pins_exclude_ends_it_before_its_first_command(tmp_path, package, version, said):
    site, module = tmp_path / "site", package.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (site / f"{module}.py").write_text("")
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=Needs([module]), setup=[f"export PYTHONPATH='{site}'"])
    if said:
        extra = "trl" if package == "peft" else "run"
        assert f'is not fit (pip install "ckgit[{extra}]" there): {said}\n' in unfit(tmp_path)
    else:
        assert run(tmp_path).returncode == 0


def test_where_all_is_there_the_versions_are_said_and_the_job_goes_on(tmp_path):
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=Needs(["pydantic", "json"]))
    done = run(tmp_path)
    assert done.returncode == 0
    assert f"ckgit: Python {sys.version.split()[0]}, pydantic " in done.stdout
    assert (tmp_path / "ran").exists()


def test_a_job_that_needs_a_gpu_and_sees_none_ends_before_its_first_command(tmp_path):
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=Needs(["torch"], gpus=2))
    said = unfit(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert "device: cuda needs 2 GPUs, and 0 can be seen (torch " in said


def test_what_another_job_was_to_leave_is_looked_for(tmp_path):
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=Needs(["json"], paths=["a run/epoch_0"]))
    assert "a run/epoch_0 is not there" in unfit(tmp_path)
    (tmp_path / "a run/epoch_0").mkdir(parents=True)
    assert run(tmp_path, "job-2").returncode == 0


def test_a_python_that_does_not_even_have_ckgit_is_an_unfit_environment(tmp_path):
    (tmp_path / "python").write_text("#!/bin/bash\necho 'No module named ckgit' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=Needs(["json"]), setup=[f"PATH={tmp_path}:$PATH"])
    assert "No module named ckgit" in unfit(tmp_path)


def test_a_container_is_looked_into_and_must_pass_the_environment_on(tmp_path):
    inner = f"PATH={os.path.dirname(sys.executable)}"  # noqa: PTH120 - as above; there is no bash in it
    write_script(tmp_path, [NOTHING, ("touch", "ran")], needs=Needs(["json"]), programs=["bash", "python"], container=["env", "-i", inner])
    said = unfit(tmp_path)
    assert "bash is not on PATH" in said
    assert "python is not" not in said
    assert "HF_HUB_OFFLINE is not 1: a container, or a launcher, does not pass the job's environment on" in said
    write_script(tmp_path, [("touch", "ran")], programs=["python"], container=["no-such-runtime", "exec"])
    assert "no-such-runtime is not on PATH" in unfit(tmp_path, "job-2")


CACHED = """
import json, os, pathlib, sys, time, datasets
pathlib.Path(sys.argv[1]).touch()
while not all(map(os.path.exists, ("one", "two"))):
    time.sleep(0.01)
found = datasets.load_dataset("json", data_files="rows.json", split="train")
assert len(found) == 500
print(*{os.path.relpath(file["filename"]).split("/datasets/")[0] for file in found.cache_files})
"""


def test_jobs_that_start_together_build_no_cache_of_datasets_in_common(tmp_path):
    (tmp_path / "rows.json").write_text("\n".join(json.dumps({"input": str(number)}) for number in range(500)))
    write_script(tmp_path, [("bash", "-c", 'python -c "$0" "$CKGIT_JOB"', CACHED)])
    (tmp_path / "home").mkdir()
    jobs = [
        subprocess.Popen(["bash", "job.slurm"], cwd=tmp_path, env=environment(name, HOME=str(tmp_path / "home")), stdout=subprocess.PIPE)
        for name in ("one", "two")
    ]
    assert [job.communicate(timeout=60)[0].decode().strip() for job in jobs] == [".ckgit/jobs/one", ".ckgit/jobs/two"]
    assert [job.returncode for job in jobs] == [0, 0]
    assert not list((tmp_path / "home").rglob("*.arrow"))
    assert not (tmp_path / ".ckgit/jobs/one/datasets").exists()


def test_a_cache_that_the_set_up_lines_name_is_used(tmp_path):
    write_script(tmp_path, [("bash", "-c", "echo $HF_DATASETS_CACHE")], setup=["export HF_DATASETS_CACHE=/shared/datasets"])
    assert run(tmp_path).stdout == "/shared/datasets\n"
