"""Any encoding, no home, no folder, no stream: each a clear answer, and no bug report."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ckgit.cli import COMMANDS
from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.command_line import ckgit
from tests.orchestrators.bench import Bench, design_demo

NARROW = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "utf-16": {"PYTHONIOENCODING": "utf-16"},
}
CODEC = {"latin-1": "latin-1", "ascii": "ascii", "cp437": "cp437", "C locale": "ascii", "utf-16": "utf-16"}
QUESTION = "Größe über 10 → hilft 训练 or 🙂?"


def analyzed(bench: Bench) -> None:
    bench.advance(State.ANALYZED)


@pytest.fixture
def told(kept: Callable[..., Bench]) -> Bench:
    """An analyzed experiment with a question that no narrow encoding has."""
    return kept(analyzed, question=QUESTION)


def run(bench: Bench, *words: str, **environment: str | None) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run(bench.command(*words), capture_output=True, check=False, env=kept)


@pytest.mark.parametrize("kind", NARROW)
def test_what_an_encoding_lacks_is_written_out(told: Bench, kind: str) -> None:
    done = run(told, "show", "demo", **NARROW[kind])
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(CODEC[kind])
    value = text.partition("accuracy ")[2].split("\n")[0].rstrip()
    assert value.startswith("0.900 [")
    question = text.partition("question:    ")[2].partition("\n")[0]
    expected = {
        "latin-1": r"Größe über 10 -> hilft \u8bad\u7ec3 or \U0001f642?",
        "cp437": r"Größe über 10 -> hilft \u8bad\u7ec3 or \U0001f642?",
        "utf-16": QUESTION,
    }
    assert question == expected.get(kind, r"Gr\xf6\xdfe \xfcber 10 -> hilft \u8bad\u7ec3 or \U0001f642?")


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("words", [("show",), ("log",), ("status",), ("why",), ("list",), ("show", "demo", "rank4")], ids=" ".join)
def test_every_json_document_is_json_in_every_encoding(told: Bench, kind: str, words: tuple[str, ...]) -> None:
    full = words if len(words) > 1 or words == ("list",) else (*words, "demo")
    done = run(told, *full, "--json", **NARROW[kind])
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode(CODEC[kind])) == json.loads(told.ckgit(*full, "--json").stdout)


@pytest.mark.parametrize("kind", NARROW)
def test_errors_keep_their_code_and_their_words(told: Bench, kind: str) -> None:
    done = run(told, "show", "größe", **NARROW[kind])
    assert done.returncode == Exit.USAGE
    assert b"bug" not in done.stderr
    assert "is not a name of an experiment" in done.stderr.decode(CODEC[kind])
    document = json.loads(run(told, "show", "demo", "→", "--json", **NARROW[kind]).stderr.decode(CODEC[kind]))
    assert document["error"]["code"] == Exit.USAGE


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_into_ascii(name: str) -> None:
    done = ckgit(name, "--help")
    assert (done.returncode, done.stdout.isascii()) == (0, True), done.stdout


# What is done to a command's streams, and whether its answer is seen all the same.
CLOSED = {">&-": False, "2>&-": True, "<&-": True, "<&- >&- 2>&-": False, "</dev/null 2>/dev/full": True}


@pytest.mark.parametrize("words", [("show", "demo"), ("status", "demo"), ("list",), ("schema", "summary"), ("--help",)], ids=" ".join)
@pytest.mark.parametrize(("closed", "shown"), CLOSED.items())
def test_streams_that_are_closed(told: Bench, words: tuple[str, ...], closed: str, shown: bool) -> None:
    script = f'"$@" {closed}'
    done = subprocess.run(["bash", "-c", script, "bash", *told.command(*words)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (told.ckgit(*words).stdout if shown else "")


def test_output_that_cannot_be_written_is_named(bench: Bench) -> None:
    done = subprocess.run(["bash", "-c", '"$@" 1</dev/null', "bash", *bench.command("list")], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.COMMAND_FAILED
    assert "Bad file descriptor" in done.stderr
    assert "bug" not in done.stderr


def test_a_commit_is_made_with_every_stream_closed(bench: Bench) -> None:
    subprocess.run(["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *bench.command("advance", "demo", "--to", "trained")], check=True)
    assert bench.history()[-1] == "train"


NO_HOME = "import pwd, sys\ndef none(uid): raise KeyError(uid)\npwd.getpwuid = none\nfrom ckgit.cli import main\nmain()"


LOOKS = [("list",), ("status", "demo"), ("show", "demo"), ("models", "list")]


@pytest.mark.parametrize("words", [*LOOKS, ("advance", "demo", "--to", "trained")], ids=" ".join)
def test_a_user_without_a_home(bench: Bench, words: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG_")}
    command = [sys.executable, "-c", NO_HOME, "-C", str(bench.folder), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "bug" in done.stderr) == (0, False), done.stderr


def test_what_needs_a_home_says_so(bench: Bench) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG_")}
    command = [sys.executable, "-c", NO_HOME, "-C", str(bench.folder), "quickstart", "new"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.USAGE
    assert "the user has no home folder" in done.stderr
    assert "next:  set HOME or XDG_CACHE_HOME" in done.stderr


@pytest.mark.parametrize("home", ["/nonexistent", "/dev/null", "relative", ""])
def test_a_home_that_is_not_there(bench: Bench, home: str) -> None:
    for words in (("list",), ("status", "demo"), ("models", "list")):
        assert run(bench, *words, HOME=home, XDG_CONFIG_HOME=None, XDG_DATA_HOME=None).returncode == 0


@pytest.mark.parametrize("content", [None, b"\xff", b"a = " + b"[" * 5000, b"a = " + b"9" * 5000, b"clusters = 3", b"x = \x00"])
def test_a_configuration_of_the_user_that_cannot_be_read_is_named(bench: Bench, content: bytes | None) -> None:
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "ckgit" / "config.toml"
    file.parent.mkdir(parents=True)
    file.mkdir() if content is None else file.write_bytes(content)
    done = run(bench, "models", "list")
    assert done.returncode == Exit.USAGE, done.stderr
    assert str(file) in done.stderr.decode()
    assert f"next:  mend {file}\n" in done.stderr.decode()


ODD = [
    {"TERM": "dumb"},
    {"TERM": None},
    {"COLUMNS": "0"},
    {"COLUMNS": "1"},
    {"COLUMNS": "-3", "LINES": "x"},
    {"TZ": "No/Such:Zone"},
    {"TZ": ""},
    {"PYTHONOPTIMIZE": "2"},
    {"LANG": "xx_YY.ISO-2022", "LC_ALL": "xx"},
    {"PYTHONWARNINGS": "error"},
]


@pytest.mark.parametrize("environment", ODD, ids=str)
def test_odd_variables_change_nothing(bench: Bench, environment: dict[str, str | None]) -> None:
    assert run(bench, "advance", "demo", "--to", "trained", **environment).returncode == 0
    for words in (("status", "demo"), ("show", "demo"), ("log", "demo"), ("--help",)):
        done = run(bench, *words, **environment)
        assert (done.returncode, done.stderr) == (0, b"")
        if words != ("--help",):
            assert done.stdout.decode() == bench.ckgit(*words).stdout


def test_a_deleted_folder(bench: Bench, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$0" && rmdir "$0" && "$@"'
    command = [sys.executable, "-m", "ckgit"]
    done = subprocess.run(["bash", "-c", script, str(gone), *command, "list"], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.USAGE
    assert "ckgit: the current folder has been deleted" in done.stderr
    gone.mkdir()
    done = subprocess.run(["bash", "-c", script, str(gone), *bench.command("list")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_whose_name_is_not_utf_8(bench: Bench, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    os.rename(bench.folder, odd)  # noqa: PTH104 - bytes
    for words in ([b"list"], [b"advance", b"demo"], [b"list", b"--json"]):
        done = subprocess.run([sys.executable.encode(), b"-m", b"ckgit", b"-C", odd, *words], capture_output=True, check=False)
        assert done.returncode == Exit.USAGE
        assert rb"caf\udce9" in done.stderr
        assert b"is not UTF-8" in done.stderr
    made = subprocess.run([sys.executable.encode(), b"-m", b"ckgit", b"init", odd + b"2"], capture_output=True, check=False)
    assert made.returncode == Exit.USAGE, made.stderr


def test_a_file_name_that_the_locale_lacks(bare_bench: Bench, run) -> None:
    folder = bare_bench.folder
    (folder / "tasks/größe.txt").write_text("beside the tasks", encoding="utf-8")
    run(folder, "add", "--all")
    run(folder, "commit", "--quiet", "--message=Words")
    design_demo(bare_bench.lab)
    bare_bench.hold()
    command = bare_bench.command("advance", "demo", "--to", "trained", "--no-wait")
    done = subprocess.run(command, env={**os.environ, **NARROW["C locale"]}, capture_output=True, check=False)
    assert (done.returncode, b"bug" in done.stderr) == (Exit.USAGE, False), done.stderr
    assert b"next:  export LC_ALL=C.UTF-8 PYTHONUTF8=1" in done.stderr
    bare_bench.go()
    assert bare_bench.ckgit("advance", "demo", "--to", "trained").returncode == 0


def test_ctrl_c_at_a_terminal_leaves_whole_lines(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.SCAFFOLDED)
    code, lines = interrupted(bench.command("advance", "demo"), lambda shown: shown.count(b"rank8/finetune") > 1)  # drawn as progress
    assert code == Exit.INTERRUPTED
    [line] = [line for line in lines if "detached" in line]
    assert line.startswith("ckgit: detached from demo; its jobs go on without ckgit")
    assert not any("^C" in line for line in lines)


SLEEPS = """
import sys, time
from ckgit.cli.errors import guarded
def wait():
    print("ready", flush=True)
    time.sleep(60)
sys.exit(guarded(wait, []))
"""


def test_ctrl_c_before_anything_was_drawn() -> None:
    code, lines = interrupted([sys.executable, "-c", SLEEPS], lambda shown: b"ready" in shown)
    assert (code, lines) == (Exit.INTERRUPTED, ["ready", "interrupted"])


def interrupted(command: list[str], when: Callable[[bytes], bool]) -> tuple[int, list[str]]:
    """Press Ctrl-C once a terminal has seen enough of a command; its exit code, and the terminal's lines at its end."""
    pid, terminal = pty.fork()
    if not pid:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, command)  # noqa: S606 - an argument list
    shown, pressed, end = b"", False, time.monotonic() + 60
    try:
        while more := _read(terminal, end):
            shown += more
            if not pressed and when(shown) and shown.endswith(b"\n"):  # Ctrl-C drops what is still in the terminal
                pressed = os.write(terminal, b"\x03") == 1
    finally:
        os.close(terminal)
        os.kill(pid, signal.SIGKILL)  # which has ended, unless the test fails
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert pressed, shown
    return code, screen(shown.decode())


def _read(terminal: int, end: float) -> bytes:
    """What comes next; nothing once the command has ended."""
    seen, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
    assert seen, "nothing came"
    try:
        return os.read(terminal, 1024)
    except OSError:  # Linux's word for it
        return b""


def screen(text: str) -> list[str]:
    """What a terminal of enough lines shows after these characters."""
    lines, row, column, at = [""], 0, 0, 0
    while at < len(text):
        char, at = text[at], at + 1
        if char == "\r":
            column = 0
        elif char == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif char == "\x1b":
            end = next(n for n in range(at, len(text)) if text[n].isalpha())
            number, what, at = text[at + 1 : end] or "1", text[end], end + 1
            if what == "A":
                row -= int(number)
            elif what == "J":
                lines = [*lines[:row], lines[row][:column]]
            elif what == "K":
                lines[row] = lines[row][:column]
        else:
            lines[row] = lines[row].ljust(column)[:column] + char + lines[row][column + 1 :]
            column += 1
    return [line for line in lines if line]
