"""A transition that is killed, or meets a full disk, at any system call."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.errors import CkgitError, Exit
from tests.lab.helpers import design
from tests.lab.step import step as undisturbed

# Not everybody has strace; CI must.
pytestmark = pytest.mark.skipif(shutil.which("strace") is None and "CI" not in os.environ, reason="needs strace")
STEP = Path(__file__).with_name("step.py")
KILLED = 137


def step(folder, *tracing, note="note"):
    """A transition under strace; `tracing` says what goes wrong."""
    tracer = ["strace", "-o", str(folder / ".git" / "trace"), *tracing]
    return subprocess.run([*tracer, sys.executable, str(STEP), str(folder), "cap", note], capture_output=True, text=True, check=False)


def go_on(folder):
    """One more transition, with which nothing goes wrong; the locks that a killed git has left are removed as ckgit says."""
    while True:
        try:
            return undisturbed(folder, "cap", "again")
        except CkgitError as error:
            if not (lock := re.search(r"left (\S+\.lock)|(\S+\.lock) is held", str(error))):
                raise
            Path(lock[1] or lock[2]).unlink()  # ckgit names it, and leaves it to the user


def ids(lab, run):
    return run(lab.root, "rev-list", "exp/cap").split()


def check(lab, run, before):
    """The branch is where it was or one commit further, git is content, and the next command goes on."""
    after = ids(lab, run)
    assert after in (before, after[:1] + before)
    assert run(lab.root, "fsck", "--strict", "--full", "--no-dangling") == ""
    go_on(lab.root)
    assert len(ids(lab, run)) == len(after) + 1
    assert not list(lab.git_dir.rglob("*.lock"))
    assert list(lab.git_dir.glob("ckgit/*")) == []
    assert run(lab.root, "status", "--porcelain").splitlines() == ["MM tasks/capitalization.py", "?? data/mine.txt"]


@pytest.fixture
def checked_out(lab, run):
    """The lab with experiment cap and its branch checked out; the user has work that nothing may touch."""
    design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    (lab.root / "tasks/capitalization.py").write_text("staged")
    run(lab.root, "add", "tasks")
    (lab.root / "tasks/capitalization.py").write_text("edited")
    (lab.root / "data/mine.txt").write_text("untracked")
    return lab


def mine(lab):
    return {path: (lab.root / path).read_text() for path in ("tasks/capitalization.py", "data/mine.txt")}


def hit(lab):
    """Whether the fault of the last step happened at all."""
    trace = (lab.root / ".git" / "trace").read_text(errors="replace")
    return "killed by SIGKILL" in trace or "(INJECTED)" in trace


@pytest.mark.slow
def test_ckgit_killed_at_each_call_of_git(checked_out, run):
    """From the 8th on, which writes the objects, until a transition makes no more calls."""
    lab = checked_out
    work = mine(lab)
    for when in itertools.count(8):
        before = ids(lab, run)
        step(lab.root, "-e", "trace=vfork", "-e", f"inject=vfork:signal=KILL:when={when}", note=str(when))
        check(lab, run, before)
        assert mine(lab) == work
        if not hit(lab):
            break
    assert when > 15  # moving the branch and bringing the checkout along were among them


FAULTS = [
    *((call, "signal=KILL", when) for call in ("fsync", "link", "unlink", "mkdir") for when in (1, 2)),
    ("rename", "signal=KILL", 1),
    *((call, "error=ENOSPC", 1) for call in ("rename", "link", "mkdir")),
    ("fsync", "error=EIO", 1),
]


@pytest.mark.parametrize(("call", "fault", "when"), FAULTS)
def test_a_change_of_the_file_system_kills_or_fails(checked_out, run, call, fault, when):
    """Each process of the transition meets the fault at its own first, or second, call of that kind."""
    lab = checked_out
    before, work = ids(lab, run), mine(lab)

    done = step(lab.root, "-f", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}")

    assert hit(lab)
    if "error" in fault:
        assert done.returncode in (0, Exit.COMMAND_FAILED, Exit.BRANCH_MOVED), done.stderr
    check(lab, run, before)
    assert mine(lab) == work


FULL_DISK = """\
set -e
mount -t tmpfs -o size=4m none "$2"
cp -a "$1/." "$2"
cat /dev/zero > "$2/filler" 2>/dev/null || true
truncate -s "-$3" "$2/filler"
cd "$4"
set +e
"$5" "$6" "$2" cap; echo " first $?"
rm "$2/filler"
echo "fsck: $(git -C "$2" fsck --strict --full --no-dangling 2>&1)"
find "$2/.git" -name "*.lock" -o -name "tmp_*" -o -path "*/.git/ckgit/*"
"$5" "$6" "$2" cap; echo " second $?"
"""


@pytest.mark.parametrize("kilobytes", [0, 4, 16, 40, 140, 1000])
def test_a_full_disk(lab, tmp_path, run, kilobytes):
    if subprocess.run(["unshare", "--mount", "--map-root-user", "true"], check=False).returncode:
        pytest.skip("this machine does not allow a name space of its own")
    design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    (tmp_path / "disk").mkdir()
    where = [str(lab.root), str(tmp_path / "disk"), f"{kilobytes}K", str(Path.cwd()), sys.executable, str(STEP)]

    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", FULL_DISK, "sh", *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    first, fsck, *left, second = done.stdout.splitlines()
    assert int(first.rsplit(" ", 1)[1]) in (0, Exit.COMMAND_FAILED, Exit.BRANCH_MOVED), done.stderr
    assert fsck == "fsck: "
    assert not [file for file in left if file.endswith(".lock")]
    assert second.endswith(" second 0"), done.stderr
