"""Histories that lie: each is caught by the rule that is named here. What follows from the lie was made to agree, as a liar would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.design.model import State
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.review.verify.branch import verify_branch
from tests.orchestrators.bench import Bench, design_demo
from tests.orchestrators.review.lies import Liar, Told

pytestmark = pytest.mark.slow
RESULTS, LEDGER, SUMMARY = "analysis/results.json", "jobs.json", "experiment_summary.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the honest lab is kept, once the first test has made it."""
    return tmp_path_factory.mktemp("honest") / "lab"


@pytest.fixture
def liar(bench: Bench, made: Path, tmp_path: Path) -> Liar:
    """An honest history, of which one training failed first, in the hands of somebody who is not."""
    if not made.exists():
        bench.fail("rank8/finetune")
        bench.advance(State.TRAINED)
        bench.mend("rank8/finetune")
        bench.ckgit("retry", "demo")
        bench.advance(State.ANALYZED)
        shutil.copytree(bench.folder, made, symlinks=True)
    return Liar(Path(shutil.copytree(made, tmp_path / "copy", symlinks=True)))


def rules(root: Path, name: str = "demo") -> set[str]:
    lab = open_lab(root)
    tip = subprocess.run(["git", "rev-parse", f"exp/{name}"], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
    return {each.rule for each in verify_branch(lab, name, tip).findings}


def ledger_edit(liar: Liar, change: Callable[[dict[str, Any]], None]) -> Callable[[str], dict[str, bytes | None]]:
    """Edits that change the ledger as a document."""

    def edits(commit: str) -> dict[str, bytes | None]:
        try:
            document = json.loads(liar.read(commit, LEDGER))
        except subprocess.CalledProcessError:
            return {}
        change(document)
        return {LEDGER: (json.dumps(document, indent=2) + "\n").encode()}

    return edits


def a_metric_by_hand(liar: Liar) -> None:
    old, new = b'"value": 0.9', b'"value": 0.95'
    liar.edit(liar.at("analyze"), liar.replaced(RESULTS, old, new))


def a_metric_in_a_commit_of_its_own(liar: Liar) -> None:
    tip = liar.commits()[-1]
    liar.by_hand({RESULTS: liar.read(tip, RESULTS).replace(b'"value": 0.9', b'"value": 0.95')})


def a_report_without_the_worst_run(liar: Liar) -> None:
    def edits(commit: str) -> dict[str, bytes | None]:
        report = liar.read(commit, "analysis/report.md").decode()
        return {"analysis/report.md": "\n".join(line for line in report.splitlines() if "base" not in line).encode()}

    liar.edit(liar.at("analyze"), edits)


def a_log_of_another_run(liar: Liar) -> None:
    path = "rank4/eval/logs/capitalization_epoch0.json"

    def edits(commit: str) -> dict[str, bytes | None]:
        return {path: liar.read(commit, "base/eval/logs/capitalization_base.json")}

    liar.edit(liar.at("evaluate"), edits)


def the_state_by_hand(liar: Liar) -> None:
    tip = liar.commits()[-1]
    liar.by_hand({SUMMARY: liar.read(tip, SUMMARY).replace(b"state: analyzed", b"state: trained")})


def a_design_changed_after_scaffolding(liar: Liar) -> None:
    liar.edit(liar.at("submit"), liar.replaced(SUMMARY, b"lora_rank", b"lora_alpha"))


def a_design_changed_and_its_hash(liar: Liar) -> None:
    """The hash in each trailer and in the ledger is made to agree from the scaffold commit on."""
    since = liar.at("submit")
    asked, now = b"question: Does training help?", b"question: Is it better?"
    changed = {commit: liar.read(commit, SUMMARY).replace(asked, now) for commit in liar.commits()}

    def digest(content: bytes) -> str:
        from ckgit.lab.summary.file import SummaryFile

        return SummaryFile.parse(content, "x").summary.digest

    def change(index: int, commit: str, told: Told) -> Told:
        if index < since:
            return told
        old, new = digest(liar.read(commit, SUMMARY)), digest(changed[commit])
        ledger = liar.read(commit, LEDGER).replace(old.encode(), new.encode())
        edits = {f"{liar.folder}/{SUMMARY}": changed[commit], f"{liar.folder}/{LEDGER}": ledger}
        return told._replace(tree=liar.tree(commit, edits), message=told.message.replace(old, new))

    liar.tell(change)


def another_configuration(liar: Liar) -> None:
    def edits(commit: str) -> dict[str, bytes | None]:
        return {"rank4/setup.txt": b"lr 0.5\n"}

    liar.edit(liar.at("scaffold"), edits)


def another_script_with_its_digests(liar: Liar) -> None:
    """The script trains twice as long; its digest in the ledger and in the scaffolding log agree."""
    import hashlib

    path = "rank4/finetune.slurm"
    old = liar.read(liar.commits()[-1], path)
    new = old.replace(b"1 2 3", b"1 2 3 4 5 6")
    before, after = hashlib.sha256(old).hexdigest().encode(), hashlib.sha256(new).hexdigest().encode()

    def edits(commit: str) -> dict[str, bytes | None]:
        written = liar.read(commit, "scaffold-tiny-trainer.log")
        log = re.sub(rb"finetune.slurm \d+ bytes", f"finetune.slurm {len(new)} bytes".encode(), written)
        found: dict[str, bytes | None] = {path: new, "scaffold-tiny-trainer.log": log.replace(before, after)}
        if b"jobs.json" in liar.git("ls-tree", "-r", "--name-only", commit):
            found[LEDGER] = liar.read(commit, LEDGER).replace(before, after)
        return found

    liar.edit(liar.at("scaffold"), edits)


def commits_in_another_order(liar: Liar) -> None:
    order = list(range(len(liar.commits())))
    order[-1], order[-2] = order[-2], order[-1]
    liar.tell(lambda index, commit, told: told, order)


def commits_squashed(liar: Liar) -> None:
    liar.tell(lambda index, commit, told: None if told.event in ("submit", "fail", "retry") else told)


def a_failed_attempt_removed(liar: Liar) -> None:
    def change(document: dict[str, Any]) -> None:
        document["attempts"] = [each for each in document["attempts"] if each["phase"] != "failed"]

    liar.edit(liar.at("retry"), ledger_edit(liar, change))


def a_failed_attempt_removed_everywhere(liar: Liar) -> None:
    """The commits of failure and retry are left out, and the ledger never had it: the number of the second one tells."""

    def attempts(document: dict[str, Any]) -> None:
        document["attempts"] = [each for each in document["attempts"] if not (each["job"] == "rank8/finetune" and each["number"] == 1)]

    edits = ledger_edit(liar, attempts)

    def change(index: int, commit: str, told: Told) -> Told | None:
        if told.event == "fail":
            return None
        wanted = {f"{liar.folder}/{path}": content for path, content in edits(commit).items()}
        return told._replace(tree=liar.tree(commit, wanted)) if wanted else told

    liar.tell(change)


def an_attempt_that_is_done_twice(liar: Liar) -> None:
    """A second evaluation of which the better one was kept: the first is in the ledger, done, and another was made all the same."""

    def change(document: dict[str, Any]) -> None:
        first = next(each for each in document["attempts"] if each["job"] == "base/eval/capitalization_base")
        document["attempts"].append({**first, "number": 2, "token": first["token"][:-8] + "01234567"})

    liar.edit(liar.at("evaluate"), ledger_edit(liar, change))


def another_exit_code(liar: Liar) -> None:
    def change(document: dict[str, Any]) -> None:
        for each in document["attempts"]:
            if each["phase"] == "failed":
                each["reason"] = "the node went down"

    liar.edit(liar.at("retry"), ledger_edit(liar, change))


def another_log_than_the_job_left(liar: Liar) -> None:
    liar.edit(liar.at("fail"), lambda commit: {"rank4/training.log": b"Step 1 | loss:0.1\nStep 2 | loss:0.01\nStep 3 | loss:0.001\n"})


def a_line_of_the_log_removed(liar: Liar) -> None:
    def edits(commit: str) -> dict[str, bytes | None]:
        lines = liar.read(commit, "run-tiny-trainer.log").splitlines(keepends=True)
        return {"run-tiny-trainer.log": b"".join(line for line in lines if b"FAILED" not in line)}

    liar.edit(liar.at("retry"), edits)


def a_version_that_never_was(liar: Liar) -> None:
    liar.tell(lambda index, commit, told: told._replace(message=told.message.replace("Ckgit-Version: 0", "Ckgit-Version: latest")))


def a_step_that_leaps(liar: Liar) -> None:
    def change(index: int, commit: str, told: Told) -> Told | None:
        return None if told.event in ("train", "evaluate") else told

    liar.tell(change)


def a_table_of_the_summary(liar: Liar) -> None:
    liar.edit(liar.at("fail"), liar.replaced(SUMMARY, b"failed", b"done"))


def a_link(liar: Liar) -> None:
    tip = liar.text("rev-parse", liar.branch)
    blob = liar.git("hash-object", "-w", "--stdin", stdin=b"/etc/passwd").decode().strip()
    index = {"GIT_INDEX_FILE": str(liar.root / ".git" / "liar-index")}
    liar.git("read-tree", tip, **index)
    liar.git("update-index", "--index-info", stdin=f"120000 {blob}\t{liar.folder}/rank4/link\n".encode(), **index)
    tree = liar.git("write-tree", **index).decode().strip()
    commit = liar.git("commit-tree", tree, "-p", tip, stdin=b"a link").decode().strip()
    liar.git("update-ref", f"refs/heads/{liar.branch}", commit)


def another_task(liar: Liar) -> None:
    """The task file of the branch scores otherwise than the one that was designed with."""

    def change(index: int, commit: str, told: Told) -> Told:
        content = liar.git("show", f"{commit}:tasks/capitalization.py").replace(b"ignore_case=False", b"ignore_case=True")
        return told._replace(tree=liar.tree(commit, {"tasks/capitalization.py": content}))

    liar.tell(change)


def another_loss_in_a_log(liar: Liar) -> None:
    liar.edit(liar.at("fail"), liar.replaced("run-tiny-trainer.log", b"final loss 0.2", b"final loss 0.1"))


def another_count_in_a_message(liar: Liar) -> None:
    liar.tell(lambda index, commit, told: told._replace(message=told.message.replace("1 of 2 training jobs", "2 of 2 training jobs")))


def another_subject(liar: Liar) -> None:
    liar.tell(lambda index, commit, told: told._replace(message=told.message.replace("fail demo:", "train demo:")))


def times_of_another_month(liar: Liar) -> None:
    """The evaluations' times and their logs' lines agree, and the commits do not."""

    def edits(commit: str) -> dict[str, bytes | None]:
        ledger = json.loads(liar.read(commit, LEDGER))
        for each in ledger["attempts"]:
            each |= {name: each[name].replace("20", "19", 1) for name in ("submitted", "started", "ended") if each.get(name)}
        found: dict[str, bytes | None] = {LEDGER: (json.dumps(ledger, indent=2) + "\n").encode()}
        for log in ("run-experiment.log", "run-tiny-trainer.log"):
            found[log] = re.sub(rb"^20", b"19", liar.read(commit, log), flags=re.MULTILINE)
        return found

    liar.edit(liar.at("submit"), edits)


def a_usage_that_nobody_measured(liar: Liar) -> None:
    def change(document: dict[str, Any]) -> None:
        for each in document["attempts"]:
            if each.get("usage"):
                each["usage"]["elapsed_seconds"] = 3600.0

    liar.edit(liar.at("fail"), ledger_edit(liar, change))


def other_rows_than_were_asked(liar: Liar) -> None:
    """As if nobody had scored these rows before."""

    def change(document: dict[str, Any]) -> None:
        for each in document["attempts"]:
            if each.get("rows"):
                each["rows"] = {"capitalization": "00000000 11111111"}

    liar.edit(liar.at("evaluate"), ledger_edit(liar, change))


def rows_that_are_not_told(liar: Liar) -> None:
    def change(document: dict[str, Any]) -> None:
        for each in document["attempts"]:
            each.pop("rows", None)

    liar.edit(liar.at("evaluate"), ledger_edit(liar, change))


def the_settings_of_the_lab(liar: Liar) -> None:
    tip = liar.text("rev-parse", liar.branch)
    tree = liar.tree(tip, {"ckgit.toml": b"schema_version = 1\nname = 'other'\n"})
    commit = liar.git("commit-tree", tree, "-p", tip, stdin=b"settings").decode().strip()
    liar.git("update-ref", f"refs/heads/{liar.branch}", commit)


LIES: dict[Callable[[Liar], None], str] = {
    a_metric_by_hand: "report",
    a_metric_in_a_commit_of_its_own: "edited",
    a_report_without_the_worst_run: "report",
    a_log_of_another_run: "evidence",
    the_state_by_hand: "state",
    a_design_changed_after_scaffolding: "design",
    a_design_changed_and_its_hash: "design",
    another_configuration: "rendered",
    another_script_with_its_digests: "rendered",
    commits_in_another_order: "step",
    commits_squashed: "ledger",
    a_failed_attempt_removed: "ledger",
    a_failed_attempt_removed_everywhere: "ledger",
    an_attempt_that_is_done_twice: "ledger",
    another_exit_code: "ledger",
    another_log_than_the_job_left: "evidence",
    a_line_of_the_log_removed: "log",
    a_version_that_never_was: "version",
    a_step_that_leaps: "step",
    a_table_of_the_summary: "tables",
    a_link: "not-a-file",
    another_task: "input",
    another_loss_in_a_log: "log",
    another_count_in_a_message: "message",
    another_subject: "message",
    times_of_another_month: "time",
    a_usage_that_nobody_measured: "ledger",
    other_rows_than_were_asked: "evidence",
    rows_that_are_not_told: "evidence",
    the_settings_of_the_lab: "outside",
}


@pytest.mark.parametrize(("lie", "rule"), LIES.items(), ids=[lie.__name__ for lie in LIES])
def test_it_is_caught(liar: Liar, lie: Callable[[Liar], None], rule: str) -> None:
    before = liar.text("rev-parse", liar.branch)
    lie(liar)
    assert liar.text("rev-parse", liar.branch) != before
    assert rule in rules(liar.root)


def test_a_step_that_was_picked_from_another_experiment(bench: Bench) -> None:
    design_demo(bench.lab, {"experiment": {"name": "other", "question": "What?", "date": "2026-11-23"}}, name="other")
    bench.ckgit("advance", "other")
    bench.ckgit("advance", "demo")
    message = subprocess.run(["git", "log", "-1", "--format=%B", "exp/other"], cwd=bench.folder, check=True, capture_output=True, text=True)
    Liar(bench.folder).by_hand({"notes.md": b"as if it were a step"}, message.stdout)
    assert "foreign-step" in rules(bench.folder)


def without(event: str) -> Callable[[Liar], None]:
    return lambda liar: liar.tell(lambda _, __, told: None if told.event == event else told)


def a_file_beside_a_close(liar: Liar) -> None:
    liar.edit(liar.at("close"), lambda _: {"notes.md": b"as if it were part of it"})


def a_close_without_a_reason(liar: Liar) -> None:
    liar.tell(lambda _, __, told: told._replace(message=told.message.replace("No better.\n\n", "")))


def a_state_that_a_close_leads_to(liar: Liar) -> None:
    def change(_: int, __: str, told: Told) -> Told:
        forged = told.message.replace("Ckgit-To: evaluated", "Ckgit-To: analyzed").replace("-> evaluated", "-> analyzed")
        return told._replace(message=forged) if told.event == "close" else told

    liar.tell(change)


CLOSINGS = {
    without("reopen"): "step",  # a step after a close
    without("close"): "step",  # reopened, and never closed
    a_file_beside_a_close: "file",
    a_close_without_a_reason: "message",
    a_state_that_a_close_leads_to: "step",
}


@pytest.mark.parametrize(("lie", "rule"), CLOSINGS.items())
def test_a_lie_about_closing_is_caught(bench: Bench, lie: Callable[[Liar], None], rule: str) -> None:
    bench.advance(State.EVALUATED)
    bench.ckgit("close", "demo", "--because", "No better.")
    bench.ckgit("close", "demo", "--reopen")
    bench.advance(State.ANALYZED)
    assert rules(bench.folder) == set()
    lie(Liar(bench.folder))
    assert rule in rules(bench.folder)
    shown = bench.ckgit("log", "demo").stdout
    assert ("NOT LEGAL" in shown) == (rule == "step")


def a_file_beside_a_removal(liar: Liar) -> None:
    liar.edit(liar.at("clean"), lambda _: {"notes.md": b"mine"})


def a_removal_of_nothing(liar: Liar) -> None:
    def change(_: int, __: str, told: Told) -> Told:
        return told._replace(message=re.sub(r"(?m)^- .*\n", "", told.message)) if told.event == "clean" else told

    liar.tell(change)


@pytest.mark.parametrize(("lie", "rule"), [(a_file_beside_a_removal, "file"), (a_removal_of_nothing, "message")])
def test_a_lie_about_what_was_removed_is_caught(bench: Bench, lie: Callable[[Liar], None], rule: str) -> None:
    bench.advance(State.EVALUATED)
    bench.ckgit("clean", "demo", "--checkpoints", "--yes")
    bench.advance(State.ANALYZED)
    assert rules(bench.folder) == set()
    lie(Liar(bench.folder))
    assert rule in rules(bench.folder)


def test_claims_that_were_changed_when_results_could_be_seen(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    claim = "{metric: accuracy, task: capitalization, left: rank8, right: base, direction: greater}"
    bench.ckgit("revise", "demo", "--set", f"experiment.claims=[{claim}]")
    assert rules(bench.folder) == {"claims"}
