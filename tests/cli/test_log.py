import json
import subprocess

from ckgit.experiment.design.model import State
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench


def commits(bench: Bench) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(bench.ckgit("log", "demo", "--json").stdout)["commits"]
    return found


def test_the_history_is_shown_from_the_beginning(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    assert [(c["records"], c["source"], c["target"]) for c in commits(bench)] == [
        ("design", None, "designed"),
        ("scaffold", "designed", "scaffolded"),
        ("submit", "scaffolded", "scaffolded"),
        ("train", "scaffolded", "trained"),
        ("submit", "trained", "trained"),
        ("evaluate", "trained", "evaluated"),
    ]
    last = bench.ckgit("log", "demo").stdout.splitlines()[-1]
    assert last.startswith(bench.snapshot.tip[:12])
    assert last.endswith("Ada Author  3 of 3 evaluation jobs done.")


def test_a_commit_of_the_users_is_told_as_such_and_cannot_steer_the_terminal(bench: Bench) -> None:
    commit_by_hand(bench.folder, "notes.md", "mine", message="red \x1b[31m alert")
    text = bench.ckgit("log", "demo").stdout
    assert "(not ckgit's)" in text
    assert text.endswith("red \\x1b[31m alert\n")
    assert (commits(bench)[-1]["records"], commits(bench)[-1]["subject"]) == (None, "red \x1b[31m alert")


def test_the_body_comes_without_trailers(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    body = commits(bench)[-1]["body"]
    assert body.startswith("2 of 2 training jobs done.")
    assert "Ckgit-" not in body


def test_an_experiment_that_was_merged_keeps_its_history(bench: Bench) -> None:
    before = commits(bench)
    subprocess.run(["git", "merge", "--quiet", "--ff-only", "exp/demo"], cwd=bench.folder, check=True)
    assert commits(bench) == before


def test_a_history_with_a_commit_taken_out_is_told_to_be_broken(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    assert [c["problem"] for c in commits(bench)] == [None] * 6
    by_event = {c["records"]: c["commit"] for c in commits(bench)}
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    onto = [*git, "rebase", "--quiet", "--strategy-option=theirs", "--onto", f"{by_event['train']}~1", by_event["train"], "exp/demo"]
    subprocess.run(onto, cwd=bench.folder, check=True)

    problems = [c["problem"] for c in commits(bench)]
    assert problems == [None, None, None, "it begins at trained, and the commit before it led to scaffolded", None]
    assert "NOT LEGAL: it begins at trained" in bench.ckgit("log", "demo").stdout
