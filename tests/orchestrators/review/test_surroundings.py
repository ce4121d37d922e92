"""Verification and review start git alone, reach no network, import nothing of the lab, and write nothing but what they remember."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench

pytestmark = pytest.mark.slow
# In a process of its own: a hook cannot be taken away.
WATCHED = """\
import json, os, sys
seen = {"started": [], "reached": [], "written": []}
def watch(event, words):
    if event == "subprocess.Popen":
        seen["started"].append(os.path.basename(os.fsdecode(words[0])))
    elif event in ("os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty", "pty.spawn"):
        seen["started"].append(event)
    elif event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        seen["reached"].append(event)
    elif event == "open" and isinstance(words[0], (str, bytes)) and (
        set(words[1] or "") & set("wax+") or (words[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    ):
        seen["written"].append(os.fsdecode(words[0]))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link"):
        seen["written"] += [os.fsdecode(word) for word in words if isinstance(word, (str, bytes))]
sys.addaudithook(watch)
from ckgit.cli import main
try:
    main()
except SystemExit as end:
    seen["code"] = end.code
seen["imported"] = [str(getattr(module, "__file__", "") or "") for module in list(sys.modules.values())]
seen["there"] = [path for path in seen["written"] if os.path.exists(path)]
print(json.dumps(seen), file=sys.stderr)
"""


@pytest.mark.parametrize(("command", "to"), [("verify", State.ANALYZED), ("review", State.ANALYZED), ("review", State.SCAFFOLDED)])
def test_only_git_is_started_and_nothing_is_written(bench: Bench, tmp_path: Path, command: str, to: State) -> None:
    bench.advance(to)
    cache, scratch = Path(os.environ["XDG_CACHE_HOME"]), tmp_path / "scratch"
    scratch.mkdir()
    before = _files(bench.folder)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(scratch), "MPLCONFIGDIR": str(tmp_path / "mpl")}
    words = [sys.executable, "-c", WATCHED, command, "demo"]
    done = subprocess.run(words, cwd=bench.folder, env=environment, capture_output=True, text=True, check=False)
    seen = json.loads(done.stderr.splitlines()[-1])
    assert seen["code"] in (0, None), done.stderr
    assert set(seen["started"]) <= {"git", "fc-list"}  # by which matplotlib looks for fonts, where it has never done so
    assert seen["reached"] == []
    assert [path for path in seen["imported"] if path.startswith(str(bench.folder))] == []
    allowed = (str(cache), str(tmp_path / "mpl"), os.devnull)
    assert [path for path in seen["there"] if not path.startswith(allowed)] == []
    assert _files(bench.folder) == before
    assert list(scratch.iterdir()) == []


def _files(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in folder.rglob("*") if path.is_file()}
