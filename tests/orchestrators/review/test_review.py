"""A review says what a design would cost and will not show, what results say, and lets nothing that others wrote become markup."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.review.reviewed import ReviewedExperiment, ReviewSubject
from ckgit.orchestrators.review.reviews.comment import MARKER, comment
from ckgit.orchestrators.review.reviews.page import page
from tests.by_hand import commit_by_hand
from tests.command_line import ckgit
from tests.conftest import run_git
from tests.orchestrators.bench import DESIGN, Bench, design_demo

pytestmark = pytest.mark.slow
CLAIM = {"metric": "accuracy", "task": "capitalization", "left": "rank4", "right": "base", "direction": "greater"}


def reviewed(bench: Bench, name: str = "demo", code: int = 0, **environment: str) -> dict[str, Any]:
    done = ckgit("-C", str(bench.folder), "review", name, "--json", **environment)
    assert done.returncode == code, done.stderr or done.stdout
    (found,) = json.loads(done.stdout)["experiments"]
    return dict(found)


def configure(bench: Bench, *lines: str) -> None:
    """Lines of the default branch's ckgit.toml."""
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + "\n".join(["", *lines, ""]))
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=The lab's own")


def test_a_design_is_told_before_it_costs_anything(bench: Bench) -> None:
    found = reviewed(bench)
    assert (found["subject"], found["lifecycle_state"]) == (ReviewSubject.DESIGN, "designed")
    assert [run["run"] for run in found["runs"]] == ["rank4", "rank8", "base"]
    assert found["cost"]["gpu_hours"] == pytest.approx(sum(run["gpu_hours"] for run in found["runs"]))
    assert found["smallest"] == [{"task": "capitalization", "rows": 2, "at_best": None, "disagreeing": None}]
    assert any("nothing is claimed about lora_rank" in each for each in found["remarks"])
    text = bench.ckgit("review", "demo").stdout.splitlines()
    assert text[0] == MARKER
    assert text[1] == "## demo: a design; no job was submitted yet"
    assert "Does training help?" in text[2]
    assert text[3].startswith("3 runs and ")
    assert f"`{bench.snapshot.tip[:12]}`" in text[4]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"runs": []}, "there is no control run"),
        ({}, "every run is trained with one seed"),
        ({"experiment": {**DESIGN["experiment"], "claims": [CLAIM]}, "variables": {"lora_rank": [4]}}, ""),
    ],
)
def test_what_a_design_will_not_show(bare_bench: Bench, changes: Mapping[str, Any], said: str) -> None:
    design_demo(bare_bench.lab, dict(changes))
    remarks = reviewed(bare_bench)["remarks"]
    assert any(said in each for each in remarks)
    if not said:
        assert not any("claimed" in each or "control" in each for each in remarks)


def test_gpus_are_those_that_a_job_asks_for(bare_bench: Bench) -> None:
    asked = {"training": {"gpus": 4}, "evaluation": {"gpus": 0}}
    design_demo(bare_bench.lab, {"compute": asked, "runs": []})
    (base, *_), four = reviewed(bare_bench)["runs"], reviewed(bare_bench)["cost"]["gpu_hours"]
    two = {"experiment": {**DESIGN["experiment"], "name": "two"}, "compute": {**asked, "training": {"gpus": 2}}}
    design_demo(bare_bench.lab, two, "two")
    assert reviewed(bare_bench, "two")["cost"]["gpu_hours"] == pytest.approx(four / 2)
    assert base["gpu_hours"] == pytest.approx(four / 2)  # of two runs


def gpus(bench: Bench) -> None:
    """The lab's jobs hold GPUs, as a design asks for them."""
    design_demo(bench.lab, {"compute": {"training": {"gpus": 4}}})


@pytest.mark.parametrize("budget", ["gpu_hours = 0.0001", "gpu_hours_per_month = 0.0001"])
def test_a_budget_takes_an_approver_of_the_default_branch_and_this_very_commit(bare_bench: Bench, budget: str) -> None:
    gpus(bare_bench)
    assert reviewed(bare_bench)["budgets"] == []
    configure(bare_bench, "[review]", 'approvers = ["ada"]', budget)
    found = reviewed(bare_bench, code=Exit.NOT_APPROVED)
    assert found["budgets"][0]["expected"] == found["cost"]["gpu_hours"] > 0
    tip = bare_bench.snapshot.tip
    main = run_git(bare_bench.folder, "rev-parse", "main")
    for approved in (f"bob@{tip}", f"ada@{main}", f"ada2@{tip}"):
        reviewed(bare_bench, code=Exit.NOT_APPROVED, CKGIT_APPROVED_BY=approved)
    assert reviewed(bare_bench, CKGIT_APPROVED_BY=f"bob@{tip} Ada@{tip}")["approved_by"] == ["Ada"]
    commit_by_hand(bare_bench.folder, "notes.md", "another commit")
    reviewed(bare_bench, code=Exit.NOT_APPROVED, CKGIT_APPROVED_BY=f"ada@{tip}")


def test_a_branch_names_no_approver_and_no_budget(bare_bench: Bench) -> None:
    gpus(bare_bench)
    configure(bare_bench, "[review]", "gpu_hours = 0.0001")
    config = (bare_bench.folder / "ckgit.toml").read_text()
    commit_by_hand(bare_bench.folder, "../../ckgit.toml", config.replace("gpu_hours = 0.0001", 'approvers = ["mallory"]'))
    found = reviewed(bare_bench, code=Exit.NOT_APPROVED, CKGIT_APPROVED_BY=f"mallory@{bare_bench.snapshot.tip}")
    assert (found["approved_by"], len(found["budgets"])) == ([], 1)
    assert [(each["rule"], each["path"]) for each in found["findings"]] == [("outside", "ckgit.toml")]


def test_what_was_used_in_a_month_counts_for_who_designed_it(bare_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    design_demo(bare_bench.lab, {"compute": {"training": {"gpus": 2}}})
    bare_bench.hold()
    bare_bench.advance(State.TRAINED, wait=False)
    time.sleep(1.5)  # times of a job are whole seconds
    bare_bench.go()
    bare_bench.advance(State.ANALYZED)
    design_demo(bare_bench.lab, {"experiment": {**DESIGN["experiment"], "name": "next"}, "compute": {"training": {"gpus": 2}}}, "next")
    configure(bare_bench, "[review]", "gpu_hours_per_month = 1000")
    (budget,) = reviewed(bare_bench, "next")["budgets"]
    taken = sum(attempt.usage.gpu_hours or 0 for attempt in bare_bench.ledger.attempts if attempt.usage)
    assert taken > 0
    assert budget["spent"] == pytest.approx(taken)
    configure(bare_bench, "gpu_hours = 0")
    assert any(each.startswith("it took 0.0") for each in reviewed(bare_bench)["remarks"])
    config = bare_bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace("gpu_hours = 0", "gpu_hours = 500"))
    configure(bare_bench)
    assert not any("GPU-hours" in each for each in reviewed(bare_bench)["remarks"])
    (_, budget) = reviewed(bare_bench, "next")["budgets"]
    bare_bench.ckgit("revise", "demo", "--set", "controls.seed=3")  # of which the jobs of its first design are no less
    assert reviewed(bare_bench, "next")["budgets"][1] == budget
    assert [each["spent"] for each in reviewed(bare_bench)["budgets"]] == pytest.approx([taken, taken])
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "somebody@else.example")
    other = {"experiment": {**DESIGN["experiment"], "name": "third"}, "compute": {"training": {"gpus": 2}}}
    design_demo(bare_bench.lab, other, "third")
    _, budget = reviewed(bare_bench, "third")["budgets"]
    assert (budget["spent"], "somebody@else.example" in budget["of"]) == (0, True)


def test_another_experiments_branch_does_not_say_who_designed_this_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(bench, "[review]", "gpu_hours_per_month = 1000")
    design_demo(bench.lab, {"experiment": {**DESIGN["experiment"], "name": "next"}}, "next")
    message = run_git(bench.folder, "log", "-1", "--format=%B", "exp/demo")
    run_git(bench.folder, "switch", "--quiet", "exp/next")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00:00Z")
    run_git(bench.folder, "commit", "--quiet", "--allow-empty", f"--message={message}", "--author=Eve <eve@else.example>")
    assert reviewed(bench)["budgets"][0]["of"].startswith("ada@example.org ")


def test_runs_that_the_lab_has_already_are_named(bench: Bench) -> None:
    assert (reviewed(bench)["like"], reviewed(bench)["duplicates"]) == (None, [])
    near = {"experiment": {**DESIGN["experiment"], "name": "near"}, "variables": {"lora_rank": [8, 16]}}
    design_demo(bench.lab, near, "near")
    found = reviewed(bench, "near")
    assert found["like"]["experiment"] == "demo"
    assert any(place.startswith("variables.lora_rank") for place in found["like"]["differences"])
    (other,) = found["duplicates"]
    assert other["same_runs"] == {"rank8": "rank8", "base": "base"}
    text = bench.ckgit("review", "near").stdout
    assert "has already" in text
    assert "**2 of its runs are in demo (designed) already.**" in text.splitlines()[3]


def test_what_was_closed_is_told_with_why_also_where_its_branch_is_gone(bench: Bench) -> None:
    configure(bench, "[review]", "gpu_hours = 0")
    bench.ckgit("close", "demo", "--because", "It was <asked> in spring")
    assert "## demo: closed, It was \\<asked\\> in spring" in bench.ckgit("review", "demo").stdout.splitlines()
    run_git(bench.folder, "branch", "--quiet", "-D", "exp/demo")
    again = {"experiment": {**DESIGN["experiment"], "name": "again"}}
    design_demo(bench.lab, again, "again")
    assert reviewed(bench, "again", code=Exit.NOT_APPROVED)["like"]["standing"] == "closed: It was <asked> in spring"


ASKED = {"tasks": [{"name": "capitalization"}]}


@pytest.mark.parametrize(
    ("evaluation", "same"),
    [
        ({**ASKED, "generation": {"temperature": 0.7}}, set()),
        ({**ASKED, "generation": {"temperature": 0.0}}, {"rank4", "rank8", "base"}),  # as it is without a word
        ({**ASKED, "scorers": [{"name": "includes"}]}, set()),
        ({"tasks": [{"name": "capitalization", "limit": 1}]}, set()),
        ({**ASKED, "matrix": [{"runs": ["base"]}, {"runs": ["rank4"], "epochs": "all"}]}, {"rank4", "rank8", "base"}),
        ({"tasks": [{"name": "capitalization", "split": "train"}]}, set()),
    ],
)
def test_runs_that_are_asked_otherwise_are_other_runs(bench: Bench, evaluation: Mapping[str, Any], same: set[str]) -> None:
    design_demo(bench.lab, {"experiment": {**DESIGN["experiment"], "name": "other"}, "evaluation": evaluation}, "other")
    assert {name for each in reviewed(bench, "other")["duplicates"] for name in each["same_runs"]} == same


def test_runs_of_another_task_file_are_other_runs(bench: Bench) -> None:
    task = bench.folder / "tasks/capitalization.py"
    task.write_text(f"{task.read_text()}\n# otherwise\n")
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=Another task")
    design_demo(bench.lab, {"experiment": {**DESIGN["experiment"], "name": "other"}}, "other")
    assert reviewed(bench, "other")["duplicates"] == []


def test_runs_on_other_rows_are_other_runs(bench: Bench) -> None:
    apart = {"experiment": {**DESIGN["experiment"], "name": "apart"}, "controls": {"seed": 7, "prompt": "Write {input} in capitals"}}
    design_demo(bench.lab, apart, "apart")
    assert reviewed(bench, "apart")["duplicates"] == []


def test_results_are_told_with_what_verification_finds(bare_bench: Bench) -> None:
    design_demo(bare_bench.lab, {"experiment": {**DESIGN["experiment"], "claims": [CLAIM]}})
    bare_bench.advance(State.TRAINED)
    assert reviewed(bare_bench)["subject"] == ReviewSubject.JOBS
    bare_bench.advance(State.ANALYZED)
    found = reviewed(bare_bench)
    assert (found["subject"], len(found["claims"])) == (ReviewSubject.RESULTS, 1)
    assert {cell["run"] for cell in found["cells"]} == {"rank4", "rank8", "base"}
    assert found["accounting"]["attempts"]
    commit_by_hand(bare_bench.folder, "analysis/report.md", "All is well.\n")
    found = reviewed(bare_bench, code=Exit.NOT_VERIFIED)
    assert [each["rule"] for each in found["findings"]] == ["edited"]
    assert "## demo: what is recorded does not follow from what is in git" in bare_bench.ckgit("review", "demo", check=False).stdout


def test_what_failed_is_told(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.ckgit("advance", "demo", "--accept-missing")
    bench.ckgit("advance", "demo", "--to", "analyzed", "--accept-missing")
    failed = reviewed(bench)["failed"]
    assert any(each.startswith("rank8/finetune, attempt 1") for each in failed)
    assert f"It took 4 attempts; failed or missing: {len(failed)}." in bench.ckgit("review", "demo").stdout


def test_jobs_that_are_out_have_taken_nothing_yet(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    assert bench.ckgit("review", "demo").stdout.splitlines()[3] == "No job of it has ended yet.  "


def test_a_design_that_cannot_be_read_is_told_with_its_place(bench: Bench) -> None:
    text = bench.snapshot.read("experiments/demo/experiment_summary.md") or b""
    commit_by_hand(bench.folder, "experiment_summary.md", text.decode().replace("lora_rank:", "lora_rnak:"))
    found = reviewed(bench, code=Exit.NOT_VERIFIED)
    assert re.search(r"experiment_summary.md:\d+:\d+: .*lora_rank", found["problems"][0])


def test_a_range_without_an_experiment(bench: Bench) -> None:
    assert bench.ckgit("review", "main..main").stdout == f"{MARKER}\nNo experiment is changed here.\n"


def test_what_the_default_branch_has_got_since_is_none_of_a_ranges_changes(bench: Bench) -> None:
    design_demo(bench.lab, {"experiment": {**DESIGN["experiment"], "name": "two"}}, "two")
    run_git(bench.folder, "merge", "--quiet", "--no-ff", "--message=Two", "exp/two")
    for branches in ("main..exp/demo", "main...exp/demo"):
        assert reviewed(bench, branches)["experiment"] == "demo"
    run_git(bench.folder, "checkout", "--quiet", "exp/demo")
    run_git(bench.folder, "merge", "--quiet", "--no-ff", "--message=Main", "main")
    run_git(bench.folder, "rm", "-r", "--quiet", "experiments/two")
    run_git(bench.folder, "commit", "--quiet", "--message=Away with it")
    found = json.loads(bench.ckgit("review", "main..exp/demo", "--json", check=False).stdout)["experiments"]
    assert [(each["experiment"], bool(each["problems"])) for each in found] == [("demo", False), ("two", True)]


def test_an_end_of_a_range_is_no_name(bench: Bench) -> None:
    done = bench.ckgit("review", "main..demo", check=False)
    assert (done.returncode, "did you mean exp/demo?" in done.stderr) == (Exit.USAGE, True), done.stderr


def test_what_is_no_approval(bench: Bench) -> None:
    done = ckgit("-C", str(bench.folder), "review", "demo", CKGIT_APPROVED_BY="ada@main")
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "LOGIN@COMMIT" in done.stderr


def test_findings_are_annotations_of_their_lines(bench: Bench, tmp_path: Path) -> None:
    bench.advance(State.SCAFFOLDED)
    commit_by_hand(bench.folder, "rank4/train,ed: 100%.sh", "x")
    commit_by_hand(bench.folder, "defaults.json", "{}")
    file = tmp_path / "annotations"
    bench.ckgit("review", "demo", "--annotations", str(file), check=False)
    lines = file.read_text().splitlines()
    assert len(lines) == len(reviewed(bench, code=Exit.NOT_VERIFIED)["findings"]) >= 2
    assert all(re.fullmatch(r"::(error|warning|notice) (\w+=[^,:\n]*)(,\w+=[^,:\n]*)*::[^\n]+", line) for line in lines)
    assert any("file=experiments/demo/rank4/train%2Ced%3A 100%25.sh" in line for line in lines)


HOSTILE = [
    '<img src=x onerror="alert(1)">',
    "<script>alert(1)</script>",
    "[sign in](https://evil.example/login)",
    "![x](https://evil.example/track.png)",
    "<!-- ckgit-review -->",
    "</details></summary><h1>Approved</h1>",
    "@everyone look, #1 fixes #2, https://evil.example and www.evil.example, ada@evil.example",
    "_www.evil.example/_ (www.evil.example *www.evil.example xwww.evil.example; GH-1 and gh-2",
    "a | b | c\n\n## Verified: nothing against it\n\n::error::x",
    "```\nnot closed",
    "**bold** _em_ ~~no~~ `code` $x$ &lt;b&gt; \\[x](y)",
    "\u202ereversed \x1b[31mred\x07",
    "x" * 5000,
]


class Tags(HTMLParser):
    """What a text is made of, as a browser sees it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_that_others_wrote_becomes_markup(text: str) -> None:
    found = ReviewedExperiment(
        experiment="demo",
        commit="0" * 40,
        subject=ReviewSubject.DESIGN,
        question=text,
        problems=(text,),
        remarks=(text,),
        unchecked=(text,),
    )
    written = comment([found])
    assert written.count(MARKER) == 1
    plain = comment([found.model_copy(update={"question": "x", "problems": ("x",), "remarks": ("x",), "unchecked": ("x",)})])
    shown, harmless = (Tags(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(each)) for each in (written, plain))
    assert shown.tags == harmless.tags  # no link, no picture, no heading, nothing but what stands around it
    assert not re.search(r"@\w|#\d|://|www\.|(?i:gh-\d)|\x1b|\u202e", shown.words)  # no mention, reference or address to be linked
    assert written.count("\n") == plain.count("\n")
    words = re.sub(r"\s+", " ", "".join(char for char in text if char.isprintable() or char.isspace()))[:100]
    assert words.strip() in shown.words.replace("\u200b", "").replace("\n", " ") or "\x1b" in text  # and it stands there as it was written
    browser = Tags(page([found], {}).decode())
    assert browser.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "p", "strong", "br", "ul", "li", "code"}


def test_a_comment_is_never_longer_than_a_forge_takes() -> None:
    many = tuple(f"{number}: {'word ' * 60}" for number in range(2000))
    found = ReviewedExperiment(experiment="demo", commit="0" * 40, subject=ReviewSubject.RESULTS, remarks=many, failed=many, unchecked=many)
    written = comment([found, found.model_copy(update={"experiment": "second"}), found])
    assert len(written) < 65_000
    assert "more sections are left out; `ckgit review` shows them" in written


def test_a_picture_is_shown_as_one_and_only_where_all_holds(bench: Bench, tmp_path: Path) -> None:
    bench.advance(State.ANALYZED)
    file = tmp_path / "review.html"
    bench.ckgit("review", "demo", "--html", str(file))
    text = file.read_text()
    assert "data:image/svg+xml;base64," in text
    assert "default-src 'none'" in text
    commit_by_hand(bench.folder, "analysis/scores.svg", "<svg onload='alert(1)'/>")
    bench.ckgit("review", "demo", "--html", str(file), check=False)
    assert "data:image" not in file.read_text()
