"""A report says what was claimed before results could be seen, and how much the lab has scored on the same rows."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.claims.verdicts import Registered
from ckgit.experiment.design.model import State
from ckgit.experiment.measured.compared import ScoredSplit
from ckgit.experiment.results import Results
from ckgit.lab.context import load_context
from ckgit.lab.history.scored import _Reader, scored_splits, understated
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.design.powers import read_powers
from tests.conftest import WORDS
from tests.orchestrators.bench import Bench

GREATER = "{metric: accuracy, task: capitalization, left: rank8, right: base, direction: greater}"
RANKS = "{metric: accuracy, task: capitalization, left: {lora_rank: 8}, right: {lora_rank: 4}, direction: greater}"


def claimed(bench: Bench, *claims: str) -> None:
    bench.ckgit("revise", "demo", "--set", f"experiment.claims=[{', '.join(claims)}]")


def analyzed(bench: Bench) -> tuple[Results, str]:
    bench.advance(State.ANALYZED)
    text = (bench.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    return Results.model_validate_json(bench.results()), text


def also(bench: Bench, name: str, *changes: str) -> None:
    """Another experiment of the lab, evaluated."""
    bench.ckgit("design", name, "--like", "demo", "--no-reuse", *(word for change in changes for word in ("--set", change)))
    bench.ckgit("advance", name, "--to", "evaluated")


def findings(bench: Bench) -> set[str]:
    from tests.orchestrators.review.test_lies import rules

    return rules(bench.folder)


def test_a_claim_before_results_is_confirmatory(bench: Bench) -> None:
    claimed(bench, GREATER)
    found, text = analyzed(bench)
    assert [verdict.registered for verdict in found.claims] == [Registered.BEFORE]
    assert "The claim was in the design before the first evaluation was submitted, and so is confirmatory." in text
    assert "exploratory: " not in text
    assert findings(bench) == set()


def test_claims_that_were_changed_added_and_withdrawn_since_are_exploratory_and_verify_finds_the_same(bench: Bench) -> None:
    claimed(bench, GREATER, RANKS)
    bench.advance(State.EVALUATED)
    claimed(bench, GREATER.replace("}", ", by: 0.2}"), RANKS.replace("capitalization, ", "capitalization, scorer: match, "))
    found, text = analyzed(bench)
    assert [verdict.registered for verdict in found.claims] == [Registered.CHANGED, Registered.CHANGED]
    assert [verdict.was.by for verdict in found.claims if verdict.was] == [0, 0]
    assert "exploratory: these two models" in text
    assert "After results could be seen, 2 of them were changed or added." in text
    assert "- changed: accuracy on capitalization: rank8 greater than base by at least 0.2; before: accuracy on capitalization:" in text
    claimed(bench, "{metric: accuracy, task: capitalization, left: {lora_rank: 4}, right: {type: control}, direction: less}")
    found, text = analyzed(bench)
    assert [verdict.registered for verdict in found.claims] == [Registered.ADDED]
    assert len(found.withdrawn) == 2
    assert "- withdrawn: accuracy on capitalization: rank8 greater than base" in text
    assert "After results could be seen, 1 of them was changed or added, 2 were withdrawn." in text
    assert findings(bench) == {"claims"}  # that they were changed; the report itself follows from the branch


def test_a_claim_that_says_the_same_of_another_task_is_exploratory_and_what_it_does_not_touch_leaves_it(bench: Bench) -> None:
    claimed(bench, GREATER, RANKS)
    bench.advance(State.EVALUATED)
    bench.ckgit("revise", "demo", "--set", "variables.lora_rank=[4, 8, 16]")
    found, text = analyzed(bench)
    assert [verdict.registered for verdict in found.claims] == [Registered.BEFORE, Registered.BEFORE]
    assert "exploratory: " not in text
    bench.ckgit("revise", "demo", "--set", "evaluation.tasks.0.limit=2")
    found, text = analyzed(bench)
    assert [(verdict.registered, verdict.was) for verdict in found.claims] == [(Registered.CHANGED, None)] * 2
    assert {verdict.since for verdict in found.claims} == {("task capitalization: limit: null, now 2",)}
    assert "says the same of something else: accuracy on capitalization: rank8 greater than base; changed: task capitalization:" in text
    assert "exploratory: these two models" in text
    assert findings(bench) == set()
    bench.ckgit("revise", "demo", "--set", "evaluation.tasks.0.limit=null", "--set", "controls.lr=0.5")
    found, text = analyzed(bench)
    assert [verdict.since for verdict in found.claims] == [("rank8: lr: 0.0003, now 0.5",), ("rank8, rank4: lr: 0.0003, now 0.5",)]


def test_the_report_counts_what_was_scored_on_the_same_rows_whatever_became_of_it(bench: Bench) -> None:
    also(bench, "other", "variables.lora_rank=[8, 16]", "variables.seed=[0, 1]")  # 8 is as in demo: one variant
    also(bench, "given_up", "variables.lora_rank=[32]")
    bench.ckgit("close", "given_up", "--because", "it is enough")
    subprocess.run(["git", "branch", "-qD", "exp/given_up"], cwd=bench.folder, check=True)
    claimed(bench, "{metric: accuracy, task: capitalization, left: {lora_rank: [4, 8]}, right: base, direction: greater, best: true}")
    context = load_context(bench.lab, bench.snapshot)
    [planned] = read_powers(bench.lab, context.summary, context.plan, "demo").claims
    assert planned.compared == 4  # as the report will say
    assert "the best of 4 on these rows, earlier ones included" in planned.assumed
    found, text = analyzed(bench)
    [split] = found.scored
    assert (split.variants, split.controls) == (4, 1)  # ranks 4, 8, 16 and 32; seeds apart
    assert split.experiments == {"demo": 3, "given_up": 2, "other": 3}
    assert found.claims[0].compared == 4
    assert split.elsewhere == {"other": 1}  # rank 8, and controls are no variants
    assert "; variants of this experiment were scored elsewhere, too, where what came of them could be seen: other (1)" in text
    assert "this lab has scored 4 variants and 1 control, seeds and epochs apart: demo (3), given_up (2), other (3)" in text
    assert findings(bench) == set()
    also(bench, "later", "variables.lora_rank=[4, 8, 64]")
    tip = bench.snapshot.tip
    bench.ckgit("advance", "demo")
    assert bench.snapshot.tip == tip
    assert findings(bench) == set()  # what was said then is taken


def test_a_task_with_another_name_has_scored_on_the_same_rows_and_what_was_read_is_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = "{name: spelled, file: tasks/capitalization.py, function: capitalization, prompt: 'Spell {input}'}"
    also(bench, "other", "variables.lora_rank=[16]", f"evaluation.tasks=[{task}]")
    found, _ = analyzed(bench)
    [split] = found.scored
    assert (split.task, split.variants, split.controls, split.experiments) == ("capitalization", 3, 2, {"demo": 3, "other": 2})
    assert findings(bench) == set()
    read: list[bytes] = []
    reads = _Reader.scored
    monkeypatch.setattr(_Reader, "scored", lambda self, summary, ledger: (read.append(summary), reads(self, summary, ledger))[1])
    assert scored_splits(bench.lab, bench.snapshot) == found.scored
    assert read == [bench.snapshot.summary_bytes()]
    for file in (Path(os.environ["XDG_CACHE_HOME"]) / "ckgit/scored").iterdir():
        file.write_text("[[1]]")
    assert scored_splits(bench.lab, bench.snapshot) == found.scored
    assert len(read) == 3


def renamed(bench: Bench, split: str) -> None:
    """The test rows once more: in another file with other training rows, under a split of this name; and a task of another file."""
    rows = {"train": [*WORDS["train"], {"input": "zebra", "output": "ZEBRA"}], split: WORDS["test"]}
    task = (bench.folder / "tasks/capitalization.py").read_text().replace("data/words.json", "data/renamed.json")
    for path, text in {"data/renamed.json": json.dumps(rows), "tasks/edited.py": task}.items():
        (bench.folder / path).write_text(text)
    subprocess.run(["git", "add", "."], cwd=bench.folder, check=True)
    subprocess.run(["git", "commit", "-qm", "renamed"], cwd=bench.folder, check=True)


def test_the_same_rows_under_a_split_a_file_and_a_task_of_other_names_are_counted(bench: Bench) -> None:
    renamed(bench, "held_out")
    task = "{name: other, file: tasks/edited.py, function: capitalization, split: held_out}"
    also(bench, "other", "variables.lora_rank=[16]", "data={renamed: {path: data/renamed.json}}", f"evaluation.tasks=[{task}]")
    best = "{metric: accuracy, task: capitalization, left: {lora_rank: [4, 8]}, right: base, direction: greater, best: true}"
    revised = json.loads(bench.ckgit("revise", "demo", "--set", f"experiment.claims=[{best}]", "--json").stdout)
    checked = json.loads(bench.ckgit("validate", "exp/demo", "--json").stdout)
    assert [each["compared"] for each in (*revised["claims"], *checked["claims"])] == [3, 3]
    found, _ = analyzed(bench)
    [split] = found.scored
    assert (split.variants, split.controls, split.experiments) == (3, 1, {"demo": 3, "other": 2})
    assert found.claims[0].compared == 3
    assert findings(bench) == set()
    assert b'"rows"' not in bench.results().replace(b'"rows": [', b"").replace(b'"rows": null', b"")


def test_runs_that_have_the_same_rows_under_two_names_are_counted_once(bench: Bench) -> None:
    renamed(bench, "test")
    best = "{metric: accuracy, task: capitalization, left: {lora_rank: [4, 8]}, right: base, direction: greater, best: true}"
    also(bench, "both", "data.renamed={path: data/renamed.json}", "variables.data=[words, renamed]", f"experiment.claims=[{best}]")
    bench.ckgit("advance", "both")
    snapshot = take_snapshot(bench.lab, "both")
    found = Results.model_validate_json(snapshot.read("experiments/both/analysis/results.json") or b"")
    text = (snapshot.read("experiments/both/analysis/report.md") or b"").decode()
    assert [(each.variants, each.controls, each.again) for each in found.scored] == [(4, 1, False), (4, 1, True)]
    assert found.claims[0].compared == 4
    assert "has the same rows under another name, and is counted there" in text
    assert understated(found.scored, snapshot) == []
    silent = [each.model_copy(update={"again": True}) for each in found.scored]
    assert understated(silent, snapshot) == ["capitalization"]


def test_a_design_that_was_given_up_counts_and_one_that_cannot_be_read_is_named(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    bench.ckgit("revise", "demo", "--set", "variables.lora_rank=[16]", "--anew")
    also(bench, "broken")
    tree = bench.folder.parent / "tree"
    subprocess.run(["git", "worktree", "add", "-q", str(tree), "exp/broken"], cwd=bench.folder, check=True)
    (tree / "experiments/broken/jobs.json").write_text("{")
    subprocess.run(["git", "commit", "-qam", "broken"], cwd=tree, check=True)
    found, text = analyzed(bench)
    [split] = found.scored
    assert split.variants == 3  # 16, and 4 and 8 of before
    assert split.unread == ("broken",)
    assert "could not be read, and may have scored more: broken" in text


@pytest.mark.parametrize("silent", [True, False])
def test_a_report_that_counts_too_few_variants_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    claimed(bench, "{metric: accuracy, task: capitalization, left: {lora_rank: [4, 8]}, right: base, direction: greater, best: true}")
    bench.advance(State.EVALUATED)

    def fewer(*about: Any) -> tuple[ScoredSplit, ...]:
        lower = {"variants": 1, "experiments": {"demo": 1}}
        return () if silent else tuple(each.model_copy(update=lower) for each in scored_splits(*about))

    with monkeypatch.context() as patched:
        patched.setattr("ckgit.orchestrators.analyze.surroundings.scored_splits", fewer)
        analyzed(bench)
    assert findings(bench) == {"report"}
