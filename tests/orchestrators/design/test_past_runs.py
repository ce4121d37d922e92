"""Estimates of a design from what earlier experiments of the lab took."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ckgit.experiment.design.model import Stage, State
from ckgit.experiment.estimates.file import Estimate, Group
from ckgit.experiment.jobs import Attempt, Ledger, Phase, Usage
from ckgit.experiment.lifecycle import Event
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import Lab, open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.design import draft as design
from ckgit.orchestrators.design import past_runs
from ckgit.orchestrators.design.changes import changes_from

DESIGN = """\
experiment:
  question: Does rank matter?
models: [tiny]
data:
  words: {path: data/words.json}
controls: {batch_size: 2, device: cpu, dtype: fp32}
variables:
  lora_rank: [4, 8]
runs:
  - {name: base, type: control}
evaluation:
  tasks:
    - {name: capitalization}
"""
ASSUMED = "assumed, as no experiment of this clone, merged ones included, has such a job done on cluster local"


def draft(lab: Lab, name: str = "new", *sets: str) -> design.Draft:
    return design.draft_new(open_lab(lab.root), name, DESIGN.encode(), "d.yaml", changes_from(sets))


def groups(lab: Lab, *sets: str) -> Mapping[str, Group]:
    """Of a new design, by kind."""
    return {str(group.kind): group for group in draft(lab, "new", *sets).forecast.estimate.groups}


def done(job: str, times: float, expected: Estimate, **changes: Any) -> Attempt:
    """An attempt at a job that took so many times what was assumed, start-up and all."""
    [assumed] = [group.assumed[job] for group in expected.groups if job in group.assumed]
    fields: dict[str, Any] = {"stage": Stage.TRAINING, "number": 1, "token": f"{job}.1", "script_sha256": "a" * 64, "phase": Phase.DONE}
    fields |= {"submitted": "2026-11-23T12:00:00Z", "usage": Usage(elapsed_seconds=assumed * times)}
    return Attempt(**{"job": job, **fields, **changes})


def commit(lab: Lab, name: str, files: Mapping[str, bytes]) -> None:
    """A designed experiment becomes a scaffolded one that has these files of its folder."""
    parent = take_snapshot(lab, name)
    summary = SummaryFile.parse(parent.summary_bytes(), "f").with_state(State.SCAFFOLDED)
    written: dict[str, bytes | None] = {f"experiments/{name}/{path}": content for path, content in files.items()}
    written[f"experiments/{name}/experiment_summary.md"] = summary.dump()
    make_commit(lab, CommitPlan(name, Event.SCAFFOLD, parent.branch_tip, written, summary.summary.digest, ""))


def past(lab: Lab, name: str, times: Mapping[str, float], *sets: str, cluster: str = "local", moved: str = "", **changes: Any) -> None:
    """An experiment whose jobs took so many times what was assumed."""
    made = draft(lab, name, *sets)
    design.commit(made)
    attempts = tuple(done(job, factor, made.forecast.estimate, **changes) for job, factor in times.items())
    ledger = Ledger(cluster=cluster, scheduler="local", attempts=attempts, moved_from=moved)
    commit(lab, name, {"jobs.json": ledger.dump()})


def test_without_earlier_experiments_speeds_are_assumed(lab: Lab) -> None:
    design.commit(draft(lab, "designed_only"))
    found = groups(lab)
    assert {kind: (group.scale, group.earlier) for kind, group in found.items()} == {
        "training of tiny (lora, cpu, fp32)": (1.0, 0),
        "evaluation of tiny (lora, cpu, fp32)": (1.0, 0),
        "evaluation of tiny (cpu, fp32)": (1.0, 0),
    }
    evaluated = found["evaluation of tiny (lora, cpu, fp32)"]
    assert list(evaluated.assumed) == ["rank4/eval/capitalization_epoch0", "rank8/eval/capitalization_epoch0"]


def took(lab: Lab, name: str, seconds: Mapping[str, float], *sets: str, formula: int = 2) -> Estimate:
    """An experiment whose jobs took so many seconds, estimated by a formula; what was estimated for it."""
    made = draft(lab, name, *sets)
    design.commit(made)
    expected = made.forecast.estimate
    attempts = tuple(done(job, 1.0, expected, usage=Usage(elapsed_seconds=taken)) for job, taken in seconds.items())
    files = {"jobs.json": Ledger(cluster="local", scheduler="local", attempts=attempts).dump()}
    if formula == 1:
        groups = [group.model_dump(mode="json", exclude={"start", "assumed_start"}) for group in expected.groups]
        document = expected.model_dump(mode="json") | {"formula": 1, "groups": groups}
        files["estimate.json"] = json.dumps(document).encode()
    commit(lab, name, files)
    return expected


SEED = "variables={seed: [1]}"


@pytest.mark.parametrize("formula", [1, 2])
def test_what_a_short_job_took_is_start_up_and_not_multiplied_by_epochs(lab: Lab, formula: int) -> None:
    took(lab, "one", {"seed1/finetune": 22.0, "seed1/eval/capitalization_epoch0": 25.0}, SEED, formula=formula)
    one, thirty = (draft(lab, "new", SEED, f"controls.epochs={epochs}").forecast for epochs in (1, 30))
    trained = [forecast.runs[0].training.seconds for forecast in (one, thirty)]  # type: ignore[union-attr]
    assert trained[0] == pytest.approx(22.0, abs=0.5)
    assert trained[1] - trained[0] < 10
    assert trained[1] > trained[0]
    expected = thirty.estimate.seconds()
    assert expected["seed1/finetune"] == pytest.approx(trained[1], abs=0.5)
    evaluated = [seconds for job, seconds in expected.items() if job.startswith("seed1/eval/")]
    assert evaluated == [pytest.approx(25.0, abs=1.0)] * len(evaluated)
    assert evaluated
    training = groups(lab, SEED)["training of tiny (lora, cpu, fp32)"]
    assert (training.start, training.scale, training.earlier) == (pytest.approx(21.8, abs=0.5), pytest.approx(1.0, abs=0.1), 1)


def test_a_long_job_says_how_fast_the_work_goes(lab: Lab) -> None:
    slow = "controls.epochs=20000"
    expected = took(lab, "one", {"seed1/finetune": 7200.0}, SEED, slow).seconds()["seed1/finetune"]
    training = groups(lab, SEED)["training of tiny (lora, cpu, fp32)"]
    assert (training.scale, training.start) == (pytest.approx(7200 / expected, rel=0.02), pytest.approx(6.0, rel=0.05))
    took(lab, "two", {"seed1/finetune": 22.0}, SEED)
    both = groups(lab, SEED)["training of tiny (lora, cpu, fp32)"]
    assert (both.scale, both.start) == (pytest.approx(7200 / expected, rel=0.02), pytest.approx(21.0, abs=1.0))


def test_one_job_that_took_far_longer_carries_nothing_away(lab: Lab) -> None:
    took(lab, "one", {"rank4/finetune": 20.0, "rank8/finetune": 21.0, "base/eval/capitalization_base": 4.0})
    took(lab, "two", {"rank4/finetune": 2000.0})
    made = draft(lab)
    found = {str(group.kind): group for group in made.forecast.estimate.groups}
    assert made.forecast.estimate.seconds()["rank4/finetune"] == pytest.approx(21.0, abs=0.5)
    assert made.forecast.estimate.seconds()["base/eval/capitalization_base"] == pytest.approx(4.0, abs=0.1)
    assert found["evaluation of tiny (lora, cpu, fp32)"].earlier == 0


def test_an_estimate_of_the_formula_before_is_shown_as_it_was_meant() -> None:
    kind = {"stage": "training", "tool": "t", "model": "m", "card": "a" * 64, "device": "cpu", "dtype": "fp32", "method": "lora"}
    group = {"kind": kind, "scale": 3.0, "earlier": 2, "assumed": {"a/finetune": 7.0}}
    old = Estimate.model_validate_json(json.dumps({"formula": 1, "design": "a" * 64, "cluster": "local", "groups": [group]}))
    assert old.seconds() == {"a/finetune": 21.0}
    assert old.sources() == ["training of m (lora, cpu, fp32): from 2 earlier runs on cluster local (3 times what is assumed)"]


def words(group: Group) -> str:
    return f"{group.start:.2g} s to start, then {group.scale:.3g} times what is assumed"


def test_summary_and_log_say_where_the_estimate_comes_from(lab: Lab) -> None:
    past(lab, "one", {"rank4/finetune": 2.0, "rank8/finetune": 2.0, "base/eval/capitalization_base": 0.5})
    made = draft(lab)
    log = (made.files["experiments/new/design-experiment.log"] or b"").decode()
    found = {str(group.kind): group for group in made.forecast.estimate.groups}
    training, untrained = (found[kind] for kind in ("training of tiny (lora, cpu, fp32)", "evaluation of tiny (cpu, fp32)"))
    assert (training.start, untrained.start) == (pytest.approx(12, rel=0.1), pytest.approx(3.9, rel=0.1))
    for clause in (
        f"training of tiny (lora, cpu, fp32): from 2 earlier runs on cluster local ({words(training)})",
        f"evaluation of tiny (cpu, fp32): from 1 earlier evaluation on cluster local ({words(untrained)})",
        f"evaluation of tiny (lora, cpu, fp32): {ASSUMED}",
    ):
        assert f"- {clause}\n" in made.summary.text
        assert f" estimate {clause}\n" in log


def test_the_estimate_lies_beside_the_summary_and_is_no_part_of_the_design(lab: Lab) -> None:
    first = draft(lab)
    past(lab, "one", {"rank4/finetune": 2.0})
    second = draft(lab)
    stored = Estimate.model_validate_json(second.files["experiments/new/estimate.json"] or b"")
    assert stored == second.forecast.estimate
    assert stored.design == second.summary.summary.digest == first.summary.summary.digest
    assert stored != first.forecast.estimate


@pytest.mark.parametrize(
    "change",
    [
        {"cluster": "other"},
        {"moved": "/elsewhere"},
        {"phase": Phase.FAILED},
        {"number": 2},
        {"usage": Usage()},
        {"usage": Usage(elapsed_seconds=0)},
    ],
    ids=["another-cluster", "moved", "failed", "second-try", "unknown", "nothing"],
)
def test_what_cannot_be_compared_is_left_out(lab: Lab, change: Mapping[str, Any]) -> None:
    past(lab, "one", {"rank4/finetune": 2.0}, **change)
    assert groups(lab)["training of tiny (lora, cpu, fp32)"].earlier == 0


def test_an_experiment_that_was_estimated_for_another_cluster_is_left_out(lab: Lab) -> None:
    made = draft(lab, "one")
    design.commit(made)
    expected = made.forecast.estimate
    ledger = Ledger(cluster="local", scheduler="local", attempts=(done("rank4/finetune", 2.0, expected),))
    commit(lab, "one", {"estimate.json": expected.model_copy(update={"cluster": "other"}).dump(), "jobs.json": ledger.dump()})
    assert groups(lab)["training of tiny (lora, cpu, fp32)"].earlier == 0


@pytest.mark.parametrize("other", ["controls.dtype=bf16", "controls.method=full", "controls.device=cuda"])
def test_another_kind_of_job_says_nothing(lab: Lab, other: str) -> None:
    seed = "variables={seed: [1]}"
    past(lab, "one", {"seed1/finetune": 2.0}, seed, other)
    assert groups(lab, seed)["training of tiny (lora, cpu, fp32)"].earlier == 0
    past(lab, "two", {"seed1/finetune": 2.0}, seed)
    assert groups(lab, seed)["training of tiny (lora, cpu, fp32)"].earlier == 1


def test_a_changed_model_card_is_another_model(lab: Lab, run: Callable[..., str]) -> None:
    past(lab, "one", {"rank4/finetune": 2.0})
    card = lab.root / "models/tiny.yaml"
    card.write_text(card.read_text().replace("parameters: 100000", "parameters: 100001"))
    run(lab.root, "commit", "--quiet", "--all", "--message=Another model")
    assert groups(lab)["training of tiny (lora, cpu, fp32)"].earlier == 0


def test_a_design_that_was_changed_by_hand_did_not_run_what_was_estimated(lab: Lab, run: Callable[..., str]) -> None:
    made = draft(lab, "one")
    design.commit(made)
    summary = lab.root / "experiments/one/experiment_summary.md"
    run(lab.root, "switch", "--quiet", "exp/one")
    summary.write_text(summary.read_text().replace("batch_size: 2", "batch_size: 1"))
    run(lab.root, "commit", "--quiet", "--all", "--message=By hand")
    run(lab.root, "switch", "--quiet", "main")
    attempts = (done("rank4/finetune", 2.0, made.forecast.estimate),)
    commit(lab, "one", {"jobs.json": Ledger(cluster="local", scheduler="local", attempts=attempts).dump()})
    assert groups(lab)["training of tiny (lora, cpu, fp32)"].earlier == 0


@pytest.mark.parametrize(
    ("path", "content"),
    [("jobs.json", b"{"), ("estimate.json", b'{"formula": 1}'), ("jobs.json", b'{"attempts": 3}')],
    ids=["cut", "short", "odd"],
)
def test_an_unreadable_experiment_is_a_warning_and_the_others_count(lab: Lab, path: str, content: bytes) -> None:
    past(lab, "good", {"rank4/finetune": 2.0})
    design.commit(draft(lab, "bad"))
    commit(lab, "bad", {"jobs.json": Ledger(cluster="local", scheduler="local").dump(), path: content})
    made = draft(lab)
    assert [group.earlier for group in made.forecast.estimate.groups] == [1, 0, 0]
    [warning] = [text for text in made.forecast.warnings if "cannot be read" in text]
    assert warning.startswith("the estimate leaves out earlier experiments that cannot be read (bad: ")
    assert warning in made.body
    assert warning in made.summary.text


def test_a_folder_in_a_file_s_place_costs_that_experiment_only(lab: Lab) -> None:
    past(lab, "good", {"rank4/finetune": 2.0})
    design.commit(draft(lab, "bad"))
    commit(lab, "bad", {"jobs.json/odd": b"x\n"})
    made = draft(lab)
    assert [group.earlier for group in made.forecast.estimate.groups] == [1, 0, 0]
    assert any("bad: " in text and "is a tree, not a file" in text for text in made.forecast.warnings)


def test_only_the_newest_are_read_and_in_one_git_call(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"2026-11-2{number}T00:00:00Z")
        past(lab, f"e{number}", {"rank4/finetune": 2.0 + number})
    calls = []
    read = past_runs.read_objects
    monkeypatch.setattr(past_runs, "read_objects", lambda cwd, names: calls.append(names) or read(cwd, names))
    monkeypatch.setattr(past_runs, "NEWEST", 2)
    assert (groups(lab)["training of tiny (lora, cpu, fp32)"].earlier, len(calls)) == (2, 1)


def test_a_clone_learns_from_the_remote_s_branches(lab: Lab) -> None:
    past(lab, "one", {"rank4/finetune": 2.0})
    clone = lab.root.parent / "clone"
    subprocess.run(["git", "clone", "--quiet", str(lab.root), str(clone)], check=True)
    assert groups(open_lab(clone))["training of tiny (lora, cpu, fp32)"].earlier == 1


def test_a_merged_experiment_whose_branch_is_gone_counts_once(lab: Lab, run: Callable[..., str]) -> None:
    past(lab, "one", {"rank4/finetune": 2.0})
    run(lab.root, "merge", "--quiet", "--no-ff", "--message=Merge", "exp/one")
    assert groups(lab)["training of tiny (lora, cpu, fp32)"].earlier == 1
    run(lab.root, "branch", "--quiet", "--delete", "--force", "exp/one")
    assert groups(lab)["training of tiny (lora, cpu, fp32)"].earlier == 1


def test_an_evaluation_of_rows_that_its_task_brings_is_not_estimated(lab: Lab) -> None:
    text = DESIGN.replace("data:\n  words: {path: data/words.json}\n", "").replace("variables:\n  lora_rank: [4, 8]\n", "")
    made = design.draft_new(lab, "new", text.encode(), "d.yaml")
    [group] = made.forecast.estimate.groups
    assert (str(group.kind), group.assumed) == ("evaluation of tiny (cpu, fp32)", {})
