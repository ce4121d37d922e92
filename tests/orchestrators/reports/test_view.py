"""What `ckgit view` refuses. That it shows logs is in tests/test_quickstart.py, which has some."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.orchestrators.reports.viewer import viewing
from tests.orchestrators.bench import Bench


def test_without_inspect_the_command_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)  # as Python has it of what cannot be imported
    done = bench.ckgit("view", "demo", check=False)
    assert done.returncode == Exit.TOOL_MISSING
    assert 'pip install "ckgit[review]"' in done.stderr


def test_logs_of_another_tool_are_not_inspects(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    done = bench.ckgit("view", "demo", check=False)
    assert done.returncode == Exit.USAGE
    assert "demo is evaluated by tiny-evaluator" in done.stderr
    assert not (bench.folder / ".ckgit/logs").exists()


def test_a_port_that_is_taken_is_left_to_who_has_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CkgitError, match=f"port {port} cannot be used") as caught, viewing(tmp_path, port):
            pass
        assert caught.value.code is Exit.COMMAND_FAILED
