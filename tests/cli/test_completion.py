"""Completion in the shell, asked as click's scripts for bash, zsh and fish ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from ckgit.cli import COMMANDS, completion, group
from ckgit.experiment.state import State
from tests.command_line import ckgit
from tests.orchestrators.bench import Bench


def asked(words: list[str], shell: str = "bash") -> subprocess.CompletedProcess[str]:
    """The last of the words is what was typed of the one that is completed."""
    line = {"COMP_WORDS": " ".join(["ckgit", *words]), "COMP_CWORD": str(len(words))}
    if shell == "fish":
        line = {"COMP_WORDS": " ".join(["ckgit", *words[:-1]]), "COMP_CWORD": words[-1]}
    return ckgit(**line, _CKGIT_COMPLETE=f"{shell}_complete")


def words(bench: Bench, *typed: str) -> list[str]:
    done = asked(["-C", str(bench.folder), *typed])
    assert (done.returncode, done.stderr) == (0, "")
    return [line.removeprefix("plain,") for line in done.stdout.split()]


def test_commands_in_each_shell() -> None:
    assert asked(["st"]).stdout == "plain,status\n"
    assert asked(["st"], "zsh").stdout == "plain\nstatus\nShow where an experiment stands.\n"
    assert asked(["st"], "fish").stdout.startswith("plain,status\tShow where an experiment stands.")
    assert len(asked([""]).stdout.split()) == len(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell(shell: str) -> None:
    environment = {**os.environ, "_CKGIT_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-m", "ckgit"], capture_output=True, text=True, check=True, env=environment)
    assert f"_CKGIT_COMPLETE={shell}_complete" in done.stdout


def test_experiments_runs_and_jobs(bench: Bench, run) -> None:
    assert words(bench, "show", "demo", "") == ["rank4", "rank8", "base"]  # by the design
    bench.fail("rank4/finetune")
    bench.advance(State.TRAINED)
    run(bench.folder, "branch", "exp/other", "exp/demo")
    assert words(bench, "status", "") == ["demo", "other"]
    assert words(bench, "status", "o") == ["other"]
    assert words(bench, "status", "exp/d") == ["exp/demo"]
    assert words(bench, "advance", "demo", "") == ["other"]
    assert words(bench, "show", "demo", "ra") == ["rank4", "rank8"]
    assert words(bench, "retry", "demo", "--run", "") == ["base", "rank4", "rank8"]
    assert words(bench, "retry", "demo", "--job", "") == ["rank4/finetune"]
    assert words(bench, "cancel", "demo", "--job", "") == []
    assert words(bench, "worker", "run-tiny-trainer", "") == ["demo", "other"]
    assert words(bench, "worker", "run-tiny-trainer", "demo", "--run", "b") == ["base"]
    assert words(bench, "design", "new", "--like", "d") == ["demo"]
    assert words(bench, "design", "new", "--template", "l") == ["lora-sweep"]
    assert words(bench, "models", "show", "") == ["tiny"]
    assert words(bench, "advance", "--to", "tr") == ["trained"]
    assert words(bench, "advance", "--cluster", "") == ["local"]
    assert words(bench, "validate", "de") == ["demo"]
    assert asked(["-C", str(bench.folder), "validate", "x.ya"]).stdout == "file,x.ya\n"
    assert asked(["-C", str(bench.folder), "design", "new", "--from", "x.ya"]).stdout == "file,x.ya\n"


def test_the_experiment_that_is_checked_out_is_the_one_of_the_run(bench: Bench, run) -> None:
    run(bench.folder, "checkout", "--quiet", "exp/demo")
    assert words(bench, "cancel", "--run", "b") == ["base"]


def test_with_options_before_it_is_the_same(bench: Bench) -> None:
    for command in completion._ARGUMENTS:
        first = words(bench, command, "")
        assert words(bench, command, "--json", "") == first, command
        assert first, command


def test_a_stand_in_takes_what_its_command_takes() -> None:
    for name, arguments in completion._ARGUMENTS.items():
        command = group.get_command(None, name)  # type: ignore[arg-type]
        assert command
        real = [(param.name, param.nargs) for param in command.params if type(param).__name__ == "Argument"]
        assert real == [(argument, -1 if argument == "names" else 1) for argument in arguments], name


@pytest.mark.parametrize("typed", [["status", ""], ["show", "nope", ""], ["cancel", "--run", ""], ["retry", "nope", "--job", ""]])
def test_nothing_is_said_of_errors(typed: list[str], bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    for folder in (empty, empty / "absent", bench.folder):
        done = asked(["-C", str(folder), *typed])
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip() == ("plain,demo" if folder == bench.folder and typed[0] == "status" else "")


def test_files_are_left_to_the_shell_outside_of_a_lab_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert asked(["-C", str(tmp_path_factory.mktemp("empty")), "validate", "x.ya"]).stdout == "file,x.ya\n"


def test_a_folder_that_is_gone_is_no_error_either(tmp_path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = 'cd "$1"; rmdir "$1"; _CKGIT_COMPLETE=bash_complete COMP_WORDS="ckgit status " COMP_CWORD=2 "$2" -P -m ckgit'
    done = subprocess.run(["bash", "-c", line, "bash", str(gone), sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_names_are_completed_without_what_is_slow(bench: Bench) -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); from ckgit.cli import group;"
        "group.main(prog_name='ckgit')"
    )
    for typed in (["advance", ""], ["status", "d"], [""]):
        line = {"COMP_WORDS": " ".join(["ckgit", "-C", str(bench.folder), *typed]), "COMP_CWORD": str(2 + len(typed))}
        environment = {**os.environ, **line, "_CKGIT_COMPLETE": "bash_complete"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout
        assert {"pydantic", "ruamel", "rich", "ckgit.orchestrators.commands.advance"} & set(done.stderr.split()) == set()


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_itself_completes_by_the_script(bench: Bench) -> None:
    program = bench.steer / "ckgit"
    program.write_text(f'#!/bin/bash\nexec "{sys.executable}" -m ckgit "$@"\n')
    program.chmod(0o755)
    script = f"""
        PATH="{bench.steer}:$PATH"
        eval "$(_CKGIT_COMPLETE=bash_source ckgit)"
        COMP_WORDS=(ckgit -C "{bench.folder}" status d) COMP_CWORD=4; _ckgit_completion ckgit; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "demo\n", done.stderr
