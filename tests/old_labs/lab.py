"""A lab that an older ckgit made, unpacked where its ledgers say that it is; README.md beside this file says how it was made."""

from __future__ import annotations

import fcntl
import json
import lzma
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.command_line import as_the_reference_says

HERE = Path(__file__).parent
SLOTS = "2"


class OldLab(NamedTuple):
    """A lab of another version, and this ckgit on PATH."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of this ckgit, in a process of its own."""
        command = ["ckgit", "-C", str(self.folder), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return as_the_reference_says(done, words)

    def ckgit(self, *words: str, code: int = 0) -> str:
        """What a command says that ends with that exit code."""
        done = self.run(*words)
        assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def tips(self) -> dict[str, str]:
        """The commit of each experiment."""
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=3) %(objectname)", "refs/heads/exp/").splitlines()
        return dict(line.split(" ") for line in lines)

    def read(self, name: str, path: str, commit: str = "") -> str:
        """A file of an experiment's folder, of its tip or of another commit."""
        return self.git("show", f"{commit or f'exp/{name}'}:experiments/{name}/{path}")

    def ledger(self, name: str, commit: str = "") -> dict[str, Any]:
        """The ledger of an experiment; one without attempts where nothing was ever submitted."""
        listed = self.git("ls-tree", "--name-only", commit or f"exp/{name}", f"experiments/{name}/jobs.json")
        return json.loads(self.read(name, "jobs.json", commit)) if listed else {"attempts": []}

    def job_folder(self, name: str, job: str) -> Path:
        """Where the files of the newest attempt at a job are."""
        ledger = self.ledger(name)
        token = [attempt["token"] for attempt in ledger["attempts"] if attempt["job"] == job][-1]
        return Path(ledger["work_tree"]) / ".ckgit" / "jobs" / token

    def hand_over(self, name: str, job: str, script: str) -> None:
        """Start the process of a job by the launcher of the older ckgit, as that started it once it had committed the submission."""
        folder = self.job_folder(name, job)
        work = folder.parents[2]
        launcher = self.folder.parent / "launcher" / "local_job.py"
        command = ["python3", "-I", "-S", str(launcher), folder.name, script, str(folder.relative_to(work) / "output")]
        command += [str(work.parents[2] / ".slots"), SLOTS]
        done = subprocess.run(command, cwd=work, env=self.environment, capture_output=True, text=True, start_new_session=True, check=True)
        assert done.stdout.startswith("accepted"), done.stdout


@contextmanager
def unpacked(version: str) -> Iterator[Path]:
    """The folder that holds the lab which ckgit made at that commit.

    A ledger names its work tree by its full path, and a lab that was moved is not the same any more. So there is one place for it on
    each machine, and tests that are run at the same time use it one after the other.
    """
    top = Path(f"/tmp/ckgit-lab-of-{version}")  # noqa: S108 - see above
    with Path(f"{top}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(top, ignore_errors=True)
        top.mkdir()
        packed = lzma.decompress((HERE / f"{version}.tar.xz").read_bytes())
        subprocess.run(["tar", "-xf", "-", "-C", top], input=packed, check=True)
        yield top
        shutil.rmtree(top)
