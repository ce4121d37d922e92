"""Files of ckgit's that a commit by hand changed: named, never used, and one command brings them back."""

from __future__ import annotations

import json
import shlex
import subprocess
import time

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.lab.history.hand_edits import written
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench

RESULTS = "experiments/demo/analysis/results.json"


def follow(bench: Bench, command: str) -> None:
    """Do what `next:` says, in a shell."""
    done = subprocess.run(["bash", "-euc", command], cwd=bench.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def advice(text: str) -> str:
    """The command after the last `next:`."""
    return text.rpartition("next:")[2].strip()


def edited_files(bench: Bench) -> list[str]:
    return [edit.path for edit in written(bench.snapshot).edits]


def hand(bench: Bench) -> str:
    return bench.snapshot.tip[:12]


def test_results_that_analyze_did_not_commit_are_not_shown(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    analyzed, honest = bench.snapshot.tip[:12], bench.results().decode()
    commit_by_hand(bench.folder, "analysis/results.json", honest.replace('"value": 0.9', '"value": 0.99'))
    for words in ((), ("rank4",), ("rank4", "--json")):
        done = bench.ckgit("show", "demo", *words, check=False)
        assert (done.returncode, "0.99" in done.stdout) == (Exit.EVIDENCE_MISSING, False)
    assert f"these are not the results that analyze committed: {RESULTS} (changed in commit {hand(bench)})" in done.stderr
    assert f"git checkout {analyzed} -- {RESULTS}" in done.stderr
    status = bench.ckgit("status", "demo").stdout
    assert f"  not as ckgit wrote them: {RESULTS} (changed in commit {hand(bench)})\n" in status
    assert "changed by hand: ckgit status demo" in bench.ckgit("list").stdout
    follow(bench, advice(status))
    assert bench.results().decode() == honest
    assert "capitalization epoch 0 accuracy 0.9" in bench.ckgit("show", "demo").stdout


def test_results_of_another_design_are_not_shown_whoever_committed_them(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    document = json.loads(bench.results())
    for key, value in (("design", "0" * 64), ("experiment", "other")):
        commit_by_hand(bench.folder, "analysis/results.json", json.dumps({**document, key: value}), message=bench.message())
        done = bench.ckgit("show", "demo", check=False)
        assert (done.returncode, done.stdout) == (Exit.EVIDENCE_MISSING, "")
        assert "the results are of another design" in done.stderr


@pytest.mark.parametrize(
    ("state", "path", "content"),
    [
        (State.TRAINED, "jobs.json", None),
        (State.TRAINED, "rank4/training.log", "Step 1 | loss:0.1\n"),
        (State.EVALUATED, "rank8/eval/logs/capitalization_epoch0.json", '{"accuracy": 1.0}\n'),
    ],
)
def test_nothing_follows_from_what_was_changed(bench: Bench, state: State, path: str, content: str | None) -> None:
    bench.advance(state)
    before = len(bench.executions())
    commit_by_hand(bench.folder, path, content)
    tip = bench.snapshot.tip
    done = bench.ckgit("advance", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    how = "removed" if content is None else "changed"
    assert f"experiments/demo/{path} ({how} in commit {hand(bench)})" in done.stderr
    assert (bench.snapshot.tip, len(bench.executions())) == (tip, before)
    assert advice(bench.ckgit("status", "demo").stdout) == advice(done.stderr)
    follow(bench, advice(done.stderr))
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    cells = [cell for run in json.loads(bench.results())["runs"] for cell in run["cells"]]
    assert [metric["value"] for cell in cells for metric in cell["metrics"]] == [0.9, 0.9, 0.5]


@pytest.mark.parametrize("how", ["--amend --no-edit", "--amend --message={}"])
def test_a_file_that_was_changed_by_amending_ckgits_own_commit_is_named_and_never_used(bench: Bench, how: str) -> None:
    bench.advance(State.EVALUATED)
    words = how.format(shlex.quote(f"mine\n\n{bench.message()}"))
    path = "experiments/demo/rank4/training.log"
    follow(bench, f"git switch -q exp/demo && echo 'Step 1 | loss:0.1' >{path} && git commit -qa {words} && git switch -q main")
    tip = bench.snapshot.tip
    done = bench.ckgit("advance", "demo", check=False)
    assert (done.returncode, bench.snapshot.tip) == (Exit.EVIDENCE_MISSING, tip)
    assert f"{path} (changed in commit {tip[:12]})" in done.stderr
    status = bench.ckgit("status", "demo").stdout
    assert f"not as ckgit wrote them: {path}" in status
    assert advice(status) == advice(done.stderr)
    follow(bench, advice(done.stderr))
    follow(bench, "git switch -q main")
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    assert edited_files(bench) == []
    assert "0.1" not in bench.ckgit("show", "demo", "rank4").stdout


@pytest.mark.parametrize("state", [State.SCAFFOLDED, State.EVALUATED])
def test_a_message_alone_may_be_amended_and_a_branch_rebased(bench: Bench, state: State) -> None:
    bench.advance(state)
    message = shlex.quote(f"mine\n\n{bench.message()}")
    follow(bench, f"git switch -q exp/demo && git commit -q --amend --message={message} && git switch -q main")
    assert edited_files(bench) == []
    follow(bench, "echo more >notes.txt && git add notes.txt && git commit -qm notes && git rebase -q main exp/demo && git switch -q main")
    assert edited_files(bench) == []
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    assert edited_files(bench) == []


def test_after_a_rebase_onto_other_data_status_names_what_leads_on(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    change = "sed -i '1s/$/ /' data/words.json && git commit -qam data && git rebase -q main exp/demo && git switch -q main"
    follow(bench, change)
    said = advice(bench.ckgit("status", "demo").stdout)
    done = bench.ckgit("advance", "demo", check=False)
    assert (done.returncode, advice(done.stderr)) == (Exit.EVIDENCE_MISSING, said)
    again, back = said.removeprefix("design with the new file: ").split("; or bring the old one back: ")
    assert again == "ckgit revise demo"
    rebased = bench.snapshot.tip
    bench.ckgit("revise", "demo")
    assert bench.snapshot.state is State.DESIGNED
    follow(bench, f"git branch -f exp/demo {rebased}")
    follow(bench, back)
    follow(bench, "git switch -q main")
    assert advice(bench.ckgit("status", "demo").stdout) == "ckgit advance demo"
    assert bench.advance(State.EVALUATED).state is State.EVALUATED


def test_after_a_step_was_reverted_every_command_names_what_leads_on(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    honest = bench.results()
    follow(bench, "git switch -q exp/demo && git revert --no-edit HEAD && git switch -q main")
    said = {advice(bench.ckgit(*words, check=False).stderr) for words in (("status", "demo"), ("advance", "demo"), ("revise", "demo"))}
    assert len(said) == 1
    follow(bench, said.pop())
    assert bench.results() == honest
    bench.ckgit("show", "demo")
    bench.ckgit("revise", "demo")


def test_results_that_were_amended_are_not_shown(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    change = f"sed -i 's/\"value\": 0.9/\"value\": 0.99/' {RESULTS} && git rm -rq experiments/demo/rank8"
    follow(bench, f"git switch -q exp/demo && {change} && git commit -qa --amend --no-edit && git switch -q main")
    done = bench.ckgit("show", "demo", check=False)
    assert (done.returncode, "0.99" in done.stdout) == (Exit.EVIDENCE_MISSING, False)
    follow(bench, advice(bench.ckgit("status", "demo").stdout))
    assert edited_files(bench) == []
    assert "accuracy 0.9" in bench.ckgit("show", "demo").stdout


def test_a_rewritten_step_stays_known_when_ckgit_went_on_after_it(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.SCAFFOLDED)
    bench.advance(wait=False)
    path = "experiments/demo/rank4/setup.txt"
    time.sleep(1.1)  # git knows seconds, and nobody amends within one
    follow(bench, f"git switch -q exp/demo && echo 'lr 1' >{path} && git commit -qa --amend --no-edit && git switch -q main")
    assert edited_files(bench) == [path]
    bench.ckgit("cancel", "demo")
    assert edited_files(bench) == [path]
    follow(bench, "echo more >notes.txt && git add notes.txt && git commit -qm notes && git rebase -q main exp/demo && git switch -q main")
    assert edited_files(bench) == [path]


def test_a_log_that_ckgit_did_not_collect_is_not_read(bench: Bench) -> None:
    bench.fail("rank8/eval/capitalization_epoch0")
    bench.advance(State.EVALUATED)
    bench.advance(State.EVALUATED, accept_missing=True)
    commit_by_hand(bench.folder, "rank8/eval/logs/capitalization_epoch0.json", '{"accuracy": 1.0}\n')
    bench.advance(State.ANALYZED)
    cells = {run["name"]: run["cells"] for run in json.loads(bench.results())["runs"]}
    assert cells["rank8"] == []


def test_retry_waits_until_the_ledger_is_as_it_was(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    bench.advance(State.TRAINED)
    ledger = bench.ledger
    commit_by_hand(bench.folder, "jobs.json", ledger.model_copy(update={"host": "elsewhere"}).dump().decode())
    done = bench.ckgit("retry", "demo", check=False)
    assert (done.returncode, "jobs.json (changed in commit" in done.stderr) == (Exit.EVIDENCE_MISSING, True)
    bench.mend("rank4/finetune")
    follow(bench, advice(done.stderr))
    bench.ckgit("retry", "demo")


def test_jobs_in_flight_can_be_cancelled_all_the_same(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.SCAFFOLDED)
    bench.advance(wait=False)
    commit_by_hand(bench.folder, "run-experiment.log", "nothing happened\n")
    assert bench.ckgit("advance", "demo", check=False).returncode == Exit.EVIDENCE_MISSING
    bench.ckgit("cancel", "demo")


def test_many_files_are_not_listed_one_by_one(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    removal = "git rm -q -r experiments/demo/rank4 experiments/demo/rank8 && git commit -qm away"
    follow(bench, f"git switch -q exp/demo && {removal} && git switch -q main")
    done = bench.ckgit("advance", "demo", check=False)
    assert done.stderr.count("removed in commit") == 5
    assert "  and " in done.stderr
    follow(bench, advice(done.stderr))
    assert bench.advance(State.ANALYZED).code is Exit.DONE


def test_a_commit_of_the_users_own_files_stops_nothing(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    commit_by_hand(bench.folder, "notes.md", "mine")
    commit_by_hand(bench.folder, "rank4/finetune.slurm", "# what I ran\n")
    text = bench.ckgit("status", "demo").stdout
    assert "not as ckgit wrote them: experiments/demo/rank4/finetune.slurm" in text
    assert advice(text) == "ckgit advance demo"
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    commit_by_hand(bench.folder, "notes.md", "mine, too")
    assert "not as ckgit wrote them: experiments/demo/rank4/finetune.slurm" in bench.ckgit("status", "demo").stdout


def test_status_says_that_a_commit_by_hand_changed_nothing_of_ckgits(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    commit_by_hand(bench.folder, "notes.md", "mine")
    assert "  the last commit was made by hand; the files that ckgit wrote are as it left them\n" in bench.ckgit("status", "demo").stdout


def test_a_tip_of_ckgits_own_costs_status_no_look_into_the_history(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckgit.lab.history import commits
    from ckgit.orchestrators.queries.status import overview

    bench.advance(State.TRAINED)
    monkeypatch.setattr(commits, "git", None)
    assert overview(bench.lab, "demo").edited == ()
