import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ckgit.cli import group
from ckgit.experiment.state import State
from ckgit.lab.lab import Lab
from ckgit.orchestrators.queries import design_values
from tests.orchestrators.bench import Bench


def listed(lab: Lab, *words: str) -> str:
    done = CliRunner().invoke(group, ["-C", str(lab.root), "list", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def git(lab: Lab, *words: str) -> None:
    subprocess.run(["git", *words], cwd=lab.root, check=True, capture_output=True)


def test_a_lab_without_experiments(lab: Lab) -> None:
    assert listed(lab) == "no experiments yet; `ckgit design NAME` makes the first one\n"
    assert json.loads(listed(lab, "--json")) == {"notes": [], "experiments": [], "more": 0}


@pytest.mark.usefixtures("bench")
def test_each_with_its_state(lab: Lab) -> None:
    header, row = listed(lab).splitlines()
    assert header.split() == ["experiment", "state", "last", "event", "when", "note"]
    assert row.split()[:3] == ["demo", "designed", "design"]


def test_as_one_document(lab: Lab, bench: Bench) -> None:
    [row] = json.loads(listed(lab, "--json"))["experiments"]
    assert row["experiment"] == "demo"
    assert row["commit"] == bench.snapshot.tip
    assert (row["lifecycle_state"], row["records"], row["note"]) == ("designed", "design", "")
    assert row["time"].endswith("Z")
    assert row["design_hash"] == bench.snapshot.summary.summary.digest


def test_one_that_was_merged_is_named_when_its_branch_is_gone(lab: Lab, bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    tip = bench.snapshot.tip
    git(lab, "merge", "--no-ff", "--quiet", "--message=Merge", "exp/demo")
    git(lab, "branch", "--delete", "--force", "exp/demo")
    report = "git show main:experiments/demo/analysis/report.md"
    for words in ((), ("--state", "analyzed"), ("--where", "lora_rank=8")):
        [row] = json.loads(listed(lab, "--json", *words))["experiments"]
        assert (row["experiment"], row["commit"], row["lifecycle_state"], row["kept"]) == ("demo", tip, "analyzed", "merged")
    assert listed(lab).splitlines()[1].endswith("its branch is gone; merged into main")
    done = bench.ckgit("advance", "demo", check=False)
    assert f"next:  {report} shows what main holds; git branch exp/demo " in done.stderr
    git(lab, "update-ref", "-d", "refs/ckgit/tips/demo")  # as in another clone
    told = bench.ckgit("advance", "demo", check=False).stderr
    assert "experiment demo has no branch here; main holds its files" in told
    assert f"next:  {report} shows them" in told


@pytest.mark.usefixtures("bench")
def test_an_experiment_whose_state_cannot_be_told_is_listed_with_the_reason(lab: Lab) -> None:
    git(lab, "branch", "exp/empty", "main")
    lines = listed(lab).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["demo", "designed"], ["empty", "unknown"]]
    assert lines[2].endswith("no experiment_summary.md")


def by_hand(bench: Bench, old: str, new: str) -> None:
    """A commit of the user's own, which changes the summary."""
    lab = bench.lab
    summary = lab.root / "experiments/demo/experiment_summary.md"
    git(lab, "switch", "exp/demo")
    text = summary.read_text()
    assert old in text
    summary.write_text(text.replace(old, new, 1))
    git(lab, "commit", "--all", "--message=By hand")
    git(lab, "switch", "main")


def test_a_state_that_was_written_by_hand_is_said_to_be(bench: Bench) -> None:
    by_hand(bench, "state: designed", "state: analyzed")
    [row] = json.loads(listed(bench.lab, "--json"))["experiments"]
    assert (row["lifecycle_state"], row["records"], row["note"]) == ("analyzed", None, "changed by hand: ckgit status demo")


def test_status_recommends_what_works_on_a_design_that_was_changed_by_hand(bench: Bench) -> None:
    bench.advance()
    by_hand(bench, "[4, 8]", "[4, 16]")
    found = json.loads(bench.ckgit("status", "demo", "--json").stdout)
    assert found["advice"] == "revert the change, or go back to designed with it: ckgit revise demo"
    assert found["next"] == ["ckgit revise demo"]
    change = "the design was changed after it was scaffolded (variables.lora_rank.1: 8, now 16)"
    assert found["problem"] == change
    shown = bench.ckgit("status", "demo").stdout
    assert f"\n  the last commit was made by hand; the other files that ckgit wrote are as it left them\n  {change}\n" in shown
    assert change in bench.ckgit("advance", "demo", check=False).stderr
    assert bench.ckgit("revise", "demo").returncode == 0
    by_hand(bench, "## Notes", "## My notes")
    assert json.loads(bench.ckgit("status", "demo", "--json").stdout)["next"] == ["ckgit advance demo"]


def test_status_shows_what_is_wrong_with_a_design_that_was_changed_by_hand(bench: Bench) -> None:
    by_hand(bench, "[4, 8]", "[4, 8.5]")
    shown = bench.ckgit("status", "demo").stdout
    assert "expected a whole number; found 8.5\n  1 problem in the design\n" in shown
    assert "next: ckgit revise demo --set variables.lora_rank.1=VALUE" in shown


@pytest.fixture
def three(lab: Lab, bench: Bench) -> Lab:
    """`demo` of 2026 and two more with other designs, in other states and of other years."""
    tree = bench.snapshot.summary_bytes().decode()
    for name, state, rank, date in (("older", "trained", 2, "2024-01-01T00:00:00"), ("newer", "scaffolded", 32, "2099-01-01T00:00:00")):
        git(lab, "switch", "--quiet", "--create", f"exp/{name}", "main")
        summary = lab.root / f"experiments/{name}/experiment_summary.md"
        summary.parent.mkdir(parents=True)
        summary.write_text(
            tree.replace("[4, 8]", f"[{rank}]").replace("state: designed", f"state: {state}").replace("name: demo", f"name: {name}")
        )
        git(lab, "add", "--all")
        commit = ["git", "commit", "--quiet", "--message=By hand", f"--date={date}"]
        subprocess.run(commit, cwd=lab.root, check=True, env={**os.environ, "GIT_COMMITTER_DATE": date})
    git(lab, "switch", "--quiet", "main")
    return lab


def names(lab: Lab, *words: str) -> list[str]:
    return [row["experiment"] for row in json.loads(listed(lab, "--json", *words))["experiments"]]


def test_the_order_the_states_and_how_many(three: Lab) -> None:
    assert names(three) == ["newer", "demo", "older"]
    assert names(three, "--sort", "oldest") == ["older", "demo", "newer"]
    assert names(three, "--sort", "name") == ["demo", "newer", "older"]
    assert names(three, "--sort", "state") == ["demo", "newer", "older"]
    assert names(three, "--state", "trained", "--state", "designed") == ["demo", "older"]
    assert names(three, "--limit", "2") == ["newer", "demo"]
    assert names(three, "--limit", "0") == names(three)
    assert json.loads(listed(three, "--json", "--limit", "1"))["more"] == 2
    lines = listed(three, "--limit", "1", "--sort", "name", "--where", "lora_rank>1").splitlines()
    assert [line.split()[0] for line in lines] == ["experiment", "demo", "and"]
    assert lines[-1] == "and 2 more: ckgit list --where 'lora_rank>1' --sort name --limit 0"
    assert listed(three, "--state", "analyzed") == "no experiment matches; `ckgit list` shows all\n"


def test_by_what_designs_say_which_is_read_once(three: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(three, "--where", "lora_rank=32") == ["newer"]
    assert names(three, "--where", "lora_rank>4", "--where", "model=tiny", "--state", "designed") == ["demo"]
    assert names(three, "--where", "lora_rank=4", "--where", "lora_rank=32") == []
    read: list[object] = []
    monkeypatch.setattr(design_values, "_values", lambda content: read.append(content) or {})
    assert names(three, "--where", "lora_rank=32") == ["newer"]
    assert read == []
    git(three, "branch", "--delete", "--force", "exp/older")
    monkeypatch.undo()
    cache = three.git_dir / "ckgit/designs.json"
    tips = json.loads(cache.read_text())["designs"]
    odd = [{tip: {"controls.lora_rank": 32} for tip in tips}, dict.fromkeys(tips, 1), [1], None]
    for damaged in ("{", "[]", '{"format": 1}', *(json.dumps({"format": 1, "designs": designs}) for designs in odd)):
        cache.write_text(damaged)
        assert names(three, "--where", "lora_rank=32") == ["newer"]
    assert len(json.loads(cache.read_text())["designs"]) == 2


def test_a_name_that_no_design_has_is_told(three: Lab) -> None:
    done = CliRunner().invoke(group, ["-C", str(three.root), "list", "--where", "lora_rnk=8"])
    assert done.stderr == "note: no design has 'lora_rnk'; did you mean lora_rank?\n"


def test_a_terminal_is_given_as_many_as_fit_and_the_command_that_shows_the_others(three: Lab) -> None:
    for number in range(20):
        git(three, "branch", f"exp/copy{number:02}", "exp/older")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ckgit", "-C", str(three.root), "list"]
    subprocess.run(command, check=True, stdout=theirs, env={**os.environ, "LINES": "20", "COLUMNS": "90"})
    os.close(theirs)
    lines = os.read(ours, 65_536).decode().splitlines()
    os.close(ours)
    assert len(lines) == 1 + 16 + 1
    assert lines[-1] == "and 7 more: ckgit list --limit 0"
    assert max(map(len, lines)) <= 90
