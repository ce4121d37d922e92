"""`make quickstart`, and what README.md says of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest

from ckgit.analysis.plots.drawing import FORMATS
from ckgit.errors import CkgitError
from ckgit.experiment.results import Results
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.reports.logs import logs
from ckgit.orchestrators.review.verify.branch import verify_branch
from docs.files import FILES
from tests.docs.console import missing, problems, run, steps
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


def test_its_history_is_what_the_readme_shows(done: Done) -> None:
    shown = steps((ROOT / "README.md").read_text())
    assert len(shown) == 1
    assert list(problems(shown, run(shown, done.folder, limit=60))) == []


def picture_lines(picture: Path) -> list[str]:
    """The lines of text in a picture of a terminal."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for text in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 - a picture of ours
        if "clip-path" in text.attrib:
            lines.setdefault(float(text.attrib["y"]), []).append((float(text.attrib["x"]), text.text or ""))
    return ["".join(part for _, part in sorted(lines[y])).replace("\xa0", " ").replace("…", "...") for y in sorted(lines)]


def test_the_terminal_in_the_picture_shows_what_it_prints(done: Done) -> None:
    shown = [line for line in picture_lines(ROOT / "docs/pictures/terminal.svg") if line.strip() and not line.startswith("$ ")]
    assert len(shown) > 20
    assert [line for line in shown if missing([line], done.output)] == []  # one by one: jobs end in any order


@pytest.mark.parametrize("name", ["scores", "loss"])
def test_the_pictures_of_the_report_are_those_that_it_draws(done: Done, name: str) -> None:
    """But for numbers, which differ from machine to machine, and what lies between them."""
    drawn = (done.folder / LAB / f".ckgit/reports/quickstart/{name}.svg").read_text()
    kept = (ROOT / f"docs/pictures/{name}.svg").read_text()
    assert labels(kept) == labels(drawn) != []


def labels(picture: str) -> list[str]:
    """The words that are drawn; matplotlib tells each text in a comment."""
    return [text for text in re.findall(r"<!-- (.*?) -->", picture) if re.match("[a-z]{4}", text)]


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
    assert {path.name for path in exported.iterdir()} == {
        *("report.md", "report.html", "results.json", "samples.parquet"),
        *(f"{name}.{form}" for name in ("design", "loss", "scores") for form in FORMATS),
    }


def test_the_answer_and_rows_worth_reading_are_in_it(done: Done) -> None:
    report = (done.folder / LAB / ".ckgit/reports/quickstart/report.md").read_text()
    assert "capitalization: **rank16, epoch 1** has the highest accuracy (match) of 3 evaluations" in report
    results = json.loads((done.folder / LAB / ".ckgit/reports/quickstart/results.json").read_text())
    assert all("texts" not in cell for run in results["runs"] for cell in run["cells"])
    rows = results["rows"]
    assert {row["kind"] for row in rows} >= {"runs differ", "all wrong"}
    for row in rows:
        assert row["target"] == row["input"].upper()
        assert [answer["score"] == 1 for answer in row["answers"]] == [answer["output"] == row["target"] for answer in row["answers"]]
        assert f"- asked: {row['input']}\n- expected: {row['target']}\n" in report


def test_the_page_on_reports_shows_what_is_printed(done: Done) -> None:
    shown = steps((ROOT / "docs/reading-a-report.md").read_text())
    assert len(shown) == 1
    assert list(problems(shown, run(shown, done.folder / LAB, limit=60, environment=done.environment))) == []


def test_a_run_is_shown_with_its_answers_and_where_its_weights_are(done: Done) -> None:
    command = ("ckgit", "-C", LAB, "show", "quickstart", "rank4", "--json")
    [run] = json.loads(subprocess.run(command, cwd=done.folder, env=done.environment, capture_output=True, check=True).stdout)["runs"]
    assert [(each["checkpoint"], each["there"], Path(each["path"]).is_dir()) for each in run["weights"]] == [
        ("epoch 0", True, True),
        ("epoch 1", True, True),
    ]
    assert {row["input"].upper() == row["target"] for row in run["examples"]} == {True}


@contextmanager
def viewed(done: Done, lab: Path, *words: str) -> Iterator[tuple[str, str]]:
    """Address of the viewer, and what was told beside it; it is ended afterwards, with what it has started."""
    command = ["ckgit", "-C", str(lab), "view", "quickstart", "--no-open", *words]
    with subprocess.Popen(command, env=done.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        try:
            yield line.rpartition(" ")[2].strip(), line
        finally:
            process.terminate()
        assert process.wait() == 128 + signal.SIGTERM, process.stderr.read()
    assert not any((lab / ".ckgit/logs/quickstart").iterdir())


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - of a viewer that this test has started
        return str(answer.read().decode())


def test_the_logs_are_shown_by_inspects_viewer(done: Done) -> None:
    with viewed(done, done.folder / LAB) as (address, line):
        assert line.startswith("Logs of quickstart: http://127.0.0.1:")
        assert "<title>Inspect View</title>" in fetched(address)
        shown = {each["name"].rpartition("/shown-")[2].partition("/")[2] for each in json.loads(fetched(f"{address}api/logs"))["files"]}
        names = ("rank4/capitalization_epoch1", "rank16/capitalization_epoch1", "base/capitalization_base")
        assert shown == {f"{name}.eval" for name in names}
    with pytest.raises(OSError, match="refused"):
        fetched(address)


def test_a_log_that_was_too_large_is_shown_from_the_work_tree_while_it_is_the_same(done: Done, tmp_path: Path) -> None:
    lab = Path(shutil.copytree(done.folder / LAB, tmp_path / "lab", symlinks=True))
    liar, path = Liar(lab, "quickstart"), "rank4/eval/logs/capitalization_epoch1.eval"
    view = open_experiment(open_lab(lab), "quickstart")
    [cell] = next(run.cells for run in Results.model_validate_json(liar.read(view.snapshot.tip, "analysis/results.json")).runs)
    liar.edit(liar.at("analyze"), lambda _: {path: None, path.replace(".eval", ".json"): cell.model_dump_json().encode()})
    view = open_experiment(open_lab(lab), "quickstart")
    assert view.ledger
    [log] = logs(view, "rank4")
    assert (log.name, log.content, log.large) == ("rank4/capitalization_epoch1", None, Path(view.ledger.work_tree) / cell.log)
    other = cell.model_copy(update={"log_sha256": "0" * 64})
    liar.edit(liar.at("analyze"), lambda _: {path.replace(".eval", ".json"): other.model_dump_json().encode()})
    [log] = logs(open_experiment(open_lab(lab), "quickstart"), "rank4/capitalization_epoch1")
    assert "is not what was judged" in log.why_not


def test_what_is_not_there_cannot_be_viewed(done: Done) -> None:
    view = open_experiment(open_lab(done.folder / LAB), "quickstart")
    with pytest.raises(CkgitError, match="no evaluation 'rank5'") as caught:
        logs(view, "rank5")
    assert "rank4/capitalization_epoch1" in caught.value.next
    assert [log.name for log in logs(view, "capitalization_base")] == ["base/capitalization_base"]


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
    elsewhere = {file.pattern for file in FILES if file.step == "revise" or "probabilities" in file.text or "preferences" in file.text}
    assert found == {file.pattern for file in FILES} - elsewhere, "docs/files.py lists a file that no commit has"


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


def other_answer(name: str, document: Any) -> Any:
    """A log in which one row is answered otherwise, with the same score."""
    if name.startswith("samples/42_"):
        for score in document["scores"].values():
            score["answer"] = "Nobody said this"
    return document


def test_a_second_execution_leaves_the_same_bytes_and_shows_what_was_made_up(done: Done, tmp_path: Path) -> None:
    """Digests and metrics agree with the lie."""
    lab = Path(shutil.copytree(done.folder / LAB, tmp_path / "lab", symlinks=True))
    liar = Liar(lab, "quickstart")
    tip, lies = liar.commits()[-1], dict[str, tuple[bytes, bytes]]()
    for path in ("rank4/training.log", "rank4/eval/logs/capitalization_epoch1.eval"):
        honest = liar.read(tip, path)
        loss = re.sub(rb"(?m)(^Step 7 \| loss:).\.", rb"\g<1>0.", honest)
        lies[path] = (honest, rewritten(honest, other_answer) if path.endswith(".eval") else loss)

    def edits(commit: str) -> dict[str, bytes | None]:
        there = liar.git("ls-tree", "-r", "--name-only", commit).decode()
        told: dict[str, bytes | None] = {path: lie for path, (_, lie) in lies.items() if f"/{path}\n" in there}
        ledger = liar.read(commit, "jobs.json")
        for honest, lie in lies.values():
            old, new = (hashlib.sha256(each).hexdigest().encode() for each in (honest, lie))
            ledger = ledger.replace(old, new)
        return {**told, "jobs.json": ledger}

    liar.edit(liar.at("train"), edits)
    command = ("ckgit", "-C", str(lab), "reproduce", "quickstart", "rank4", "base")
    warm = done.environment | {"PATH": shell(done.folder, warm=True)["PATH"]}
    ended = subprocess.run(command, cwd=done.folder, env=warm, capture_output=True, text=True, check=False)
    assert ended.returncode == 9, ended.stderr
    assert re.search(r"rank4/finetune: different, first here: step 7: loss [1-9]\S+, and 0\S+ is recorded \(74 losses, ", ended.stdout)
    assert "capitalization: row 42: it answers '" in ended.stdout
    assert "', and 'Nobody said this' is recorded (100 rows of capitalization)" in ended.stdout
    assert "base/eval/capitalization_base: same bytes (100 rows of capitalization)" in ended.stdout
    assert ended.stdout.count("and 0") == ended.stdout.count("is recorded") - 1 == 1  # nothing else differs: weights have the same bytes


def as_regex(pattern: str) -> str:
    return re.escape(pattern).replace("RUN", "[^/]+").replace("CELL", "[^/]+").replace(r"slurm\-N", r"slurm-\d+")


def test_a_second_start_says_that_nothing_was_run(done: Done) -> None:
    tips = done.git("for-each-ref")
    again = start(done.folder, done.environment)
    assert "analyzed already; nothing was run" in again.output
    assert f"The report: {LAB}/.ckgit/reports/quickstart/report.md" in again.output
    assert done.git("for-each-ref") == tips


def test_another_trainer_takes_the_same_way_and_the_report_names_it(done: Done, tmp_path: Path) -> None:
    def by(trainer: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = ("ckgit", "quickstart", "--cache", str(MODELS), "--trainer", trainer, *words)
        return subprocess.run(command, cwd=tmp_path, env=done.environment, capture_output=True, text=True, check=False)

    ended = by("trl")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = (tmp_path / "quickstart-lab-trl/.ckgit/reports/quickstart/report.md").read_text()
    assert "Trained with trl 1.16.0 (accelerate " in report
    assert "- **Supported**: accuracy on capitalization: rank4 greater than base by at least 0.2." in report
    other = by("torchtune", "quickstart-lab-trl")
    assert (other.returncode, other.stdout) == (2, "Going on with the lab in quickstart-lab-trl.\n")
    assert "the experiment quickstart is trained with trl" in other.stderr
    assert "name one of torchtune, trl" in by("nobody").stderr


def test_a_folder_that_is_something_else_is_left_alone(done: Done) -> None:
    (done.folder / "mine").mkdir()
    (done.folder / "mine" / "file").touch()
    command = ["ckgit", "quickstart", "mine"]
    ended = subprocess.run(command, cwd=done.folder, env=done.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "mine" in ended.stderr
    assert [path.name for path in (done.folder / "mine").iterdir()] == ["file"]
