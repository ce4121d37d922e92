import errno
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import click
import pytest
from click.testing import CliRunner

import ckgit as ckgit_package
from ckgit.cli import COMMANDS, group
from ckgit.cli.errors import guarded
from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.waiting import TOLD

Capture = pytest.CaptureFixture[Any]


def ckgit(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ckgit", *args], capture_output=True, text=True, check=False)


def raising(error: BaseException) -> Callable[[], Never]:
    def run() -> Never:
        raise error

    return run


def test_help_has_a_line_for_every_command_and_imports_none():
    code = "import sys, ckgit.cli as c; c.group.main(['--help'], standalone_mode=False); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    *page, modules = shown.splitlines()
    assert {name for name in modules.split() if name.startswith("ckgit")} == {"ckgit", "ckgit.cli"}
    words = " ".join(" ".join(page).split())
    for name, text in COMMANDS.items():
        assert f" {name} {text}" in words


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_is_its_own(name: str):
    command = group.get_command(click.Context(group), name)
    assert name.startswith(command.name)  # design-experiment is design
    assert (command.short_help or command.help).partition("\n\n")[0] == COMMANDS[name]


def test_no_command_has_a_module_without_a_line():
    folder = importlib.import_module("ckgit.cli").__path__[0]
    modules = {file.stem for file in Path(folder).glob("*.py")} - {"__init__"}
    commands = {name.replace("_", "-") for name in modules if hasattr(importlib.import_module(f"ckgit.cli.{name}"), "command")}
    assert commands == set(COMMANDS)


def test_an_unknown_command_is_a_usage_error_with_a_suggestion():
    done = ckgit("stauts")
    assert done.returncode == Exit.USAGE
    assert "There is no command 'stauts'. Did you mean status" in done.stderr
    assert done.stdout == ""


def test_version_and_python_dash_m():
    assert ckgit("--version").stdout.startswith("ckgit 0.")


def test_an_error_is_text_and_its_code(capsys: Capture):
    error = CkgitError("it went wrong", code=Exit.BRANCH_MOVED, where="exp/a", state="nothing was written", next="ckgit status a")
    assert guarded(raising(error), []) == Exit.BRANCH_MOVED
    assert capsys.readouterr().err == "ckgit: exp/a: it went wrong\n  state: nothing was written\n  next:  ckgit status a\n"


def test_an_error_is_a_document_when_json_was_asked_for(capsys: Capture):
    error = CkgitError("it went wrong", code=Exit.EVIDENCE_MISSING, where="exp/a")
    assert guarded(raising(error), ["status", "--json"]) == Exit.EVIDENCE_MISSING
    document = json.loads(capsys.readouterr().err)["error"]
    told = {"what": "it went wrong", "code": 8, "code_name": "evidence_missing", "where": "exp/a", "state": ""}
    assert document == told | {"advice": "", "next": [], "problems": []}


def test_the_number_that_a_command_returns_is_the_exit_code():
    assert guarded(lambda: Exit.IN_FLIGHT, []) == 10
    assert guarded(lambda: None, []) == 0


def test_interrupted(capsys: Capture):
    assert guarded(raising(KeyboardInterrupt()), []) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"
    assert guarded(raising(KeyboardInterrupt()), ["list", "--json"]) == Exit.INTERRUPTED
    assert json.loads(capsys.readouterr().err)["error"]["what"] == "interrupted"


def test_a_missing_package_of_the_run_extra_says_which_extra(capsys: Capture):
    assert guarded(raising(ModuleNotFoundError("No module", name="inspect_ai.log")), []) == Exit.TOOL_MISSING
    assert 'pip install "ckgit[run]"' in capsys.readouterr().err


def test_a_full_disk_is_one_clear_line(capfd: Capture):
    assert guarded(raising(OSError(errno.ENOSPC, "No space left on device", "/lab/x")), []) == Exit.COMMAND_FAILED
    assert capfd.readouterr().err.startswith("ckgit: /lab/x: No space left on device while writing\n")


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EROFS, errno.ESTALE])
def test_what_the_machine_lacks_is_no_bug(number: int, capsys: Capture):
    assert guarded(raising(OSError(number, "words of the system")), []) == Exit.COMMAND_FAILED
    assert "words of the system" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "code"), [(["init", "/lab/x"], Exit.USAGE), (["status"], Exit.COMMAND_FAILED)])
@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG])
def test_a_path_that_cannot_be_used_is_named(number: int, argv: list[str], code: Exit, capsys: Capture):
    assert guarded(raising(OSError(number, "words of the system", "/lab/x")), argv) == code
    said = capsys.readouterr().err
    assert said.startswith("ckgit: /lab/x: it cannot be read or written: words of the system\n")
    assert "another" in said or "shorter" in said


def of_a_bug() -> list[OSError]:
    ours = str(Path(ckgit_package.__file__).parent / "lab" / "templates" / "gone")
    descriptor, child = OSError(errno.EBADF, "Bad file descriptor"), ChildProcessError(errno.ECHILD, "No child processes")
    return [
        descriptor,
        child,
        OSError(errno.ENOENT, "No such file"),
        OSError(errno.ENOENT, "No such file", ours),
        OSError("without a number"),
    ]


@pytest.mark.parametrize("error", of_a_bug(), ids=str)
def test_what_ckgit_should_not_have_asked_of_the_system_is_a_bug(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    assert guarded(raising(error), []) == Exit.BUG
    [report] = (tmp_path / ".git" / "ckgit").iterdir()
    assert type(error).__name__ in report.read_text()
    assert str(report) in capsys.readouterr().err


def test_a_bug_leaves_a_report_without_secrets_in_the_git_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("MY_TOKEN", "canary-1234567890")
    assert guarded(raising(ZeroDivisionError("with canary-1234567890 inside")), ["status", "hf_abcdefghijklmnop"]) == Exit.BUG
    [report] = (tmp_path / ".git" / "ckgit").iterdir()
    text = report.read_text()
    assert "ZeroDivisionError" in text
    assert "hf_a… (19 characters)" in text
    said = capsys.readouterr().err
    assert str(report) in said
    assert "canary" not in text + said
    assert "cana… (17 characters)" in said
    assert "hf_abc" not in text


@pytest.mark.parametrize("secret", ["ghp_0123456789abcdef", "https://me:hunter2@host/x", "sk-aaaaaaaaaaaaaaaaaaaa"])
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_what_looks_like_a_secret_is_masked_in_every_error(secret: str, words: list[str], capsys: Capture):
    error = CkgitError(f"git push failed: {secret}", code=Exit.COMMAND_FAILED, where=f"remote {secret}", next=f"git fetch {secret}")
    assert guarded(raising(error), words) == Exit.COMMAND_FAILED
    said = capsys.readouterr().err
    assert secret not in said
    assert not words or json.loads(said)["error"]["next"] == []  # nobody can type that
    assert said.count(" characters)") == 3


def test_a_closed_pipe_ends_quietly():
    process = subprocess.Popen([sys.executable, "-m", "ckgit", "schema", "summary"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # before the interpreter has even started
    assert process.wait() == 141
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_an_error():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ckgit", "schema", "summary"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == Exit.COMMAND_FAILED
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_printed_a_document_leaves_the_next_one_of_the_process_its_own_voice(lab_folder):
    before = TOLD.by
    done = CliRunner().invoke(group, ["-C", str(lab_folder), "list", "--json"])
    assert (done.exit_code, TOLD.by) == (0, before)
