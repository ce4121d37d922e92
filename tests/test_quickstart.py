"""`make quickstart`, and what README.md says of it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ckgit.lab.lab import open_lab
from ckgit.orchestrators.review.verify.branch import verify_branch
from docs.files import FILES
from tests.docs.console import blocks, missing, problems, run, steps
from tests.orchestrators.review.lies import Liar
from tests.whole import MODELS, ROOT, shell, tiny_llama
from tests.workers.inspect_ai.logs.test_audit import rewritten

pytestmark = pytest.mark.slow
LAB = "quickstart-lab"
COMMAND = ("ckgit", "quickstart", "--cache", str(MODELS), LAB)


class Done(NamedTuple):
    """A quickstart that ran to its end."""

    folder: Path  # where it was started
    environment: dict[str, str]
    output: str

    def git(self, *words: str) -> str:
        """What a git command in its lab prints."""
        return subprocess.run(["git", *words], cwd=self.folder / LAB, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The quickstart of a user who never told git a name."""
    tiny_llama()
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "home").mkdir()
    return start(folder, shell(folder / "home"))


def start(folder: Path, environment: dict[str, str]) -> Done:
    ended = subprocess.run(COMMAND, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Done(folder, environment, ended.stdout + ended.stderr)


def test_it_prints_what_the_readme_shows(done: Done) -> None:
    first, second = blocks((ROOT / "README.md").read_text())
    shown = [line for line in first.splitlines()[1:] if line != "..." and "finetune:" not in line]
    assert missing(shown, done.output) == []
    shown = steps(f"```console\n{second}```\n")
    assert list(problems(shown, run(shown, done.folder, limit=60))) == []


def test_it_names_an_author_for_its_lab_alone(done: Done) -> None:
    assert "in this lab alone" in done.output
    assert done.git("log", "--all", "--format=%an").split("\n")[0] == "ckgit quickstart"
    assert done.git("config", "--local", "user.name").strip() == "ckgit quickstart"


def test_fine_tuned_runs_are_clearly_above_the_control(done: Done) -> None:
    results = json.loads(done.git("show", "exp/quickstart:experiments/quickstart/analysis/results.json"))
    scores = {run["name"]: run["cells"][0]["metrics"][0] for run in results["runs"]}
    for name in ("rank4", "rank16"):
        assert scores[name]["low"] > scores["base"]["high"] + 0.1


def test_the_report_is_a_file_too(done: Done) -> None:
    exported = done.folder / LAB / ".ckgit/reports/quickstart"
    assert (exported / "report.md").read_text() == done.git("show", "exp/quickstart:experiments/quickstart/analysis/report.md")
    assert {path.name for path in exported.iterdir()} == {"report.md", "results.json", "loss.svg", "scores.svg"}


def test_the_checkout_is_untouched_and_the_repository_sound(done: Done) -> None:
    assert done.git("branch", "--show-current").strip() == "main"
    assert done.git("status", "--porcelain") == ""
    assert done.git("fsck", "--strict") == ""


def test_each_commit_holds_the_files_of_its_step(done: Done) -> None:
    always = {"experiment_summary.md", "jobs.json", "run-experiment.log", "run-torchtune.log", "run-inspect.log"}
    patterns = {file.pattern: re.compile(as_regex(file.pattern)) for file in FILES}
    found = set()
    for commit in done.git("rev-list", "--reverse", "main..exp/quickstart").split():
        event = done.git("show", "--no-patch", "--format=%(trailers:key=Ckgit-Event,valueonly)", commit).strip()
        for path in done.git("diff-tree", "-r", "--name-only", "--no-commit-id", commit).split():
            name = path.removeprefix("experiments/quickstart/")
            (file,) = [file for file in FILES if patterns[file.pattern].fullmatch(name)]
            found.add(file.pattern)
            assert event == file.step or name in always, f"{name} in the commit of {event}"
    assert found == {file.pattern for file in FILES}, "docs/files.py lists a file that no commit has"


def test_all_that_is_recorded_follows_from_what_is_in_git(done: Done) -> None:
    command = ("ckgit", "-C", LAB, "verify", "quickstart", "--deep")
    ended = subprocess.run(command, cwd=done.folder, env=done.environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "7 commits: what could be checked follows from what is in git" in ended.stdout
    assert ended.stdout.count("\n") == 2  # and that the local scheduler keeps no accounts


def better(name: str, document: Any) -> Any:
    """A log's header with a higher accuracy."""
    if name == "header.json":
        for metric in document["results"]["scores"][0]["metrics"].values():
            metric["value"] = 0.999 if metric["name"] == "accuracy" else metric["value"]
    return document


@pytest.mark.parametrize(
    ("path", "other", "rule"),
    [
        ("rank4/eval/logs/capitalization_epoch1.eval", "", "metric"),
        ("rank4/eval/logs/capitalization_epoch1.eval", "rank16/eval/logs/capitalization_epoch1.eval", "evidence"),
        ("rank4/training.log", "rank16/training.log", "report"),
        ("rank4/tokens.json", "rank16/versions.json", "evidence"),
    ],
    ids=["a metric", "another run's log", "another run's losses", "no tokens"],
)
def test_a_lie_about_what_a_job_left_is_found(done: Done, tmp_path: Path, path: str, other: str, rule: str) -> None:
    """The digests in the ledger were made to agree."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(done.folder / LAB), str(tmp_path / "lab")], check=True)
    subprocess.run(["git", "branch", "--quiet", "exp/quickstart", "origin/exp/quickstart"], cwd=tmp_path / "lab", check=True)
    liar = Liar(tmp_path / "lab", "quickstart")
    tip = liar.commits()[-1]
    honest, last = liar.read(tip, path), json.loads(liar.read(tip, "jobs.json"))
    lie = liar.read(tip, other) if other else rewritten(honest, better)
    old, new = (hashlib.sha256(each).hexdigest() for each in (honest, lie))
    since = next(index for index, commit in enumerate(liar.commits()) if path in liar.git("ls-tree", "-r", "--name-only", commit).decode())
    assert old in json.dumps(last)

    def edits(commit: str) -> dict[str, bytes | None]:
        return {path: lie, "jobs.json": liar.read(commit, "jobs.json").replace(old.encode(), new.encode())}

    liar.edit(since, edits)
    found = verify_branch(open_lab(liar.root), "quickstart", liar.text("rev-parse", liar.branch)).findings
    assert rule in {each.rule for each in found}, found


def as_regex(pattern: str) -> str:
    return re.escape(pattern).replace("RUN", "[^/]+").replace("CELL", "[^/]+").replace(r"slurm\-N", r"slurm-\d+")


def test_a_second_start_says_that_nothing_was_run(done: Done) -> None:
    tips = done.git("for-each-ref")
    again = start(done.folder, done.environment)
    assert "analyzed already; nothing was run" in again.output
    assert f"The report: {LAB}/.ckgit/reports/quickstart/report.md" in again.output
    assert done.git("for-each-ref") == tips


def test_a_folder_that_is_something_else_is_left_alone(done: Done) -> None:
    (done.folder / "mine").mkdir()
    (done.folder / "mine" / "file").touch()
    command = ["ckgit", "quickstart", "mine"]
    ended = subprocess.run(command, cwd=done.folder, env=done.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "mine" in ended.stderr
    assert [path.name for path in (done.folder / "mine").iterdir()] == ["file"]
