"""design and revise on a real lab: what is measured, refused, written and removed."""

import hashlib
import json
import sys

import pytest

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.experiment.checks.problems import unrecorded
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Stage, State
from ckgit.experiment.jobs import Attempt, Ledger, Phase
from ckgit.experiment.lifecycle import Event
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.experiments import list_experiments
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.design import draft as design
from ckgit.orchestrators.design.beginnings.choices import offers
from ckgit.orchestrators.design.changes import changes_from
from ckgit.orchestrators.design.check import check
from ckgit.orchestrators.design.inputs.source_commit import default_branch

DESIGN = """\
# Kept.
experiment:
  question: Does rank matter?
models: [tiny]
data:
  words: {path: data/words.json}
controls:
  epochs: 2
  batch_size: 2
  device: cpu
  dtype: fp32
variables:
  lora_rank: [4, 8]
runs:
  - name: base
    type: control
evaluation:
  tasks:
    - name: capitalization
"""


def draft(lab, text=DESIGN, name="cap", sets=()):
    return design.draft_new(lab, name, text.encode(), "d.yaml", changes_from(sets))


def problems(lab, text):
    with pytest.raises(DesignError) as caught:
        draft(lab, text)
    assert take_all(lab) == []
    return [problem.at("d.yaml") for problem in caught.value.problems]


def take_all(lab):
    return [row.name for row in list_experiments(lab)]


def changed(old, new):
    assert old in DESIGN
    return DESIGN.replace(old, new)


def commit_on(run, folder, branch, files):
    if branch != "main":
        run(folder, "switch", "--quiet", branch)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    run(folder, "add", "--all", "--force", *files)
    run(folder, "commit", "--quiet", "--message=By hand")
    if branch != "main":
        run(folder, "switch", "--quiet", "main")


def test_one_commit_makes_the_experiment(lab, run):
    commit = design.commit(draft(lab))
    assert run(lab.root, "rev-parse", "exp/cap", "exp/cap~1", "main").splitlines() == [commit, lab.base, lab.base]
    assert run(lab.root, "diff", "--name-only", "main", "exp/cap").splitlines() == [
        "experiments/cap/design-experiment.log",
        "experiments/cap/estimate.json",
        "experiments/cap/experiment_summary.md",
    ]
    assert run(lab.root, "log", "-1", "--format=%s", "exp/cap") == "design cap: none -> designed"
    assert run(lab.root, "status", "--porcelain") == ""
    assert take_snapshot(lab, "cap").state is State.DESIGNED


def test_the_summary_holds_what_was_measured(lab):
    made = draft(lab).summary
    content = (lab.root / "data/words.json").read_bytes()
    words = made.summary.recorded.data["words"]
    assert (words.sha256, words.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (words.splits, words.longest, words.mean) == ({"train": 8, "test": 2}, {"train": 10, "test": 10}, {"train": 10.0, "test": 10.0})
    assert set(made.summary.recorded.models) == {"tiny"}
    assert set(made.summary.recorded.tasks) == {"tasks/capitalization.py"}
    assert unrecorded(made.summary, build_plan(made.summary)) == []
    assert made == SummaryFile.parse(made.dump(), "d.yaml")
    assert "# Kept.\n" in made.text


def test_what_no_verdict_will_be_about_is_said_when_it_is_designed(lab):
    claims = "  claims:\n" + "".join(
        f"    - {{metric: accuracy, task: capitalization, left: {left}, right: {right}, direction: greater}}\n"
        for left, right in (("rank8", "rank4"), ("rank8", "base"), ("rank4", "rank8"), ("again", "rank4"))
    )
    again = "runs:\n  - name: again\n    parameters: {lora_rank: 4, seed: 1}\n"
    text = changed("matter?\n", f"matter?\n{claims}").replace("runs:\n", again)
    made = draft(lab, text)
    about = "on rows like these, not their settings:"
    assert [warning for warning in made.forecast.warnings if "claim" in warning] == [
        f"claims 1, 3 each compare two models {about} each was trained with one seed",
        f"claim 2 compares these two models {about} rank8 was trained with one seed",
        f"claim 4 compares these two models {about} their settings are the same, so the difference comes from the seed alone",
    ]
    assert f"- claims 1, 3 each compare two models {about} each was trained with one seed" in made.summary.text


def test_runs_steps_tools_and_the_estimate_are_in_summary_and_log(lab):
    made = draft(lab)
    text = made.summary.text
    assert "| rank4 | fine-tuned | 4 | tiny | words | 4 | 8 | capitalization_epoch1 |" in text
    assert "| words | data/words.json | train | 8 | 10 | 10 |" in text
    assert "| preparation | torchtune |" in text
    assumed = "assumed, as no experiment of this clone, merged ones included, has such a job done on cluster local"
    assert f"- training of tiny (lora, cpu, fp32): {assumed}" in text
    assert "- run rank4 and 1 other: trains for 8 steps only" in text
    log = made.files["experiments/cap/design-experiment.log"].decode()
    for words in (" tool torchtune ", " data words data/words.json: train 8 rows", " 4 steps per epoch, 8 in all", " warning run rank4"):
        assert words in log
    assert all(line[:4].isdigit() for line in log.splitlines())


def test_a_tool_that_is_not_here_is_said_so(lab, monkeypatch):
    from ckgit.orchestrators.design import forecast

    def absent(name):
        raise forecast.PackageNotFoundError(name)

    monkeypatch.setattr(forecast, "version", absent)
    assert "| preparation | torchtune | not installed here |" in draft(lab).summary.text


def test_date_and_name_are_filled_in_and_the_name_given_wins(lab):
    about = draft(lab, changed("  question", "  name: other\n  question")).summary.summary.experiment
    assert about.name == "cap"
    assert about.date is not None


def test_a_preview_shows_message_paths_and_summary_and_writes_nothing(lab):
    shown = design.show(draft(lab))
    assert "design cap: none -> designed" in shown.message
    assert "experiments/cap/experiment_summary.md" in {file.path for file in shown.files}
    assert take_all(lab) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("models: [tiny]", "models: [tiny, large]", "d.yaml:4:16: there is no model card models/large.yaml on branch main"),
        ("data/words.json", "data/more.json", "d.yaml:6:11: there is no file data/more.json on branch main"),
        ("name: capitalization", "name: translation", "d.yaml:19:7: there is no task file tasks/translation.py on branch main"),
        ("name: capitalization", "name: t\n      file: tasks/capitalization.py", "has no @task function t (it has capitalization)"),
        ("name: capitalization", "name: capitalization\n      split: dev", "data words has no split dev (splits: train, test)"),
        ("  epochs: 2", "  train_split: dev", "run rank4 and 1 other: there is no split dev to train on (splits: train, test)"),
        ("epochs: 2\n", "epochs: 2\n  log_every_n_steps: 9\n", "run rank4 and 1 other: log_every_n_steps is 9, but training takes 8 steps"),
        ("batch_size: 2", "batch_size: 9", "run rank4 and 1 other: 8 rows in split train make no step, which takes 9"),
        ("path: data/words.json", "path: data/words.json, input_column: question", "no text in column 'question' (columns: input, output)"),
        ("path: data/words.json", f"path: data/words.json, sha256: {'a' * 64}", "data/words.json has changed: its SHA-256 is"),
        ("evaluation:", "compute: {cluster: della}\nevaluation:", "there is no cluster profile 'della'"),
        ("dtype: fp32", "dtype: fp32\n  lr: fast", "d.yaml:12:3: expected a number; found 'fast'"),
    ],
)
def test_what_the_lab_lacks_is_refused_with_its_place(lab, old, new, message):
    found = problems(lab, changed(old, new))
    assert [one for one in found if message in one], found


def test_everything_that_is_missing_is_reported_at_once(lab):
    text = changed("models: [tiny]", "models: [large]").replace("words.json", "more.json").replace("capitalization", "translation")
    assert len(problems(lab, text)) == 3


def test_a_file_that_is_not_committed_is_named_as_such(lab):
    (lab.root / "data/new.json").write_text("{}")
    assert "data/new.json is not committed on branch main: git add data/new.json" in problems(lab, changed("words.json", "new.json"))[0]


def test_a_broken_model_card_or_task_file_is_explained(lab, run):
    commit_on(run, lab.root, "main", {"models/odd.yaml": "name: [", "tasks/odd.py": "def f(:"})
    found = problems(open_lab(lab.root), changed("[tiny]", "[odd]").replace("name: capitalization", "name: odd"))
    assert any("models/odd.yaml is no model card" in one for one in found)
    assert any("tasks/odd.py is not Python: line 1" in one for one in found)


def test_arguments_that_a_task_does_not_take_are_refused_and_nothing_is_executed(lab, run):
    source = 'raise SystemExit("executed")\n@task\ndef strict(data, split): ...\n'
    commit_on(run, lab.root, "main", {"tasks/strict.py": source})
    extra = "name: strict\n      args: {speed: 1}\n      prompt: 'P {input}'\n      scorers: [{name: exact}]"
    found = problems(open_lab(lab.root), changed("name: capitalization", extra))
    assert [one.partition(": ")[2].partition(" has ")[0] for one in found] == ["the @task function strict"] * 3


def test_data_outside_the_lab_needs_its_digest(lab, run, tmp_path):
    outside = tmp_path / "store"
    outside.mkdir()
    content = json.dumps({"train": [{"input": "a", "output": "b"}] * 4, "test": [{"input": "a", "output": "b"}]}).encode()
    (outside / "far.json").write_bytes(content)
    commit_on(run, lab.root, "main", {"ckgit.toml": (lab.root / "ckgit.toml").read_text() + f'data_root = "{outside}"\n'})
    far = open_lab(lab.root)
    digest = hashlib.sha256(content).hexdigest()
    text = changed("data/words.json", "far.json")
    assert f"write sha256: {digest}" in problems(far, text)[0]
    made = draft(far, text.replace("far.json", f"far.json, sha256: {digest}"))
    assert made.summary.summary.recorded.data["words"].splits == {"train": 4, "test": 1}
    assert "neither in the lab nor readable" in problems(far, changed("data/words.json", "gone.json"))[0]


@pytest.mark.parametrize("name", ["cap", "CAP"])
def test_an_existing_experiment_is_refused(lab, name):
    design.commit(draft(lab))
    with pytest.raises(CkgitError) as caught:
        draft(lab, name=name)
    assert caught.value.code is Exit.USAGE
    assert "ckgit revise cap" in caught.value.next


@pytest.mark.parametrize("name", ["$(touch x)", "-x", "a/b", "..", "x" * 65, "a\nb"])
def test_a_hostile_name_is_refused_before_anything_is_read(lab, name):
    with pytest.raises(CkgitError) as caught:
        draft(lab, "not even: [YAML", name=name)
    assert caught.value.code is Exit.USAGE


def test_sets_replace_add_and_reach_into_lists(lab):
    sets = [
        "controls.lr=1e-4",
        "variables.lora_rank=[2]",
        'runs.base.parameters.prompt="Say: {input}"',
        "evaluation.tasks.capitalization.limit=1",
    ]
    made = draft(lab, sets=sets).summary.summary
    assert (made.controls.lr, made.variables) == (1e-4, {"lora_rank": (2,)})
    assert made.runs[0].parameters.prompt == "Say: {input}"
    assert made.evaluation.tasks[0].limit == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("controls.lr", "expected PLACE=VALUE"),
        ("=3", "expected PLACE=VALUE"),
        ("a..b=3", "expected PLACE=VALUE"),
        ("controls.shuffle=yes", "write true"),
        ("controls.prompt=Say: {input}", "quotes of its own"),
        ("controls.lr=", "has no value"),
        ("state=analyzed", "state is written by ckgit itself"),
        ("recorded.models={}", "recorded is written by ckgit itself"),
        ("experiment.name=other", "an experiment's name is that of its branch"),
    ],
)
def test_a_set_that_cannot_be_read_is_explained(text, words):
    with pytest.raises(CkgitError) as caught:
        changes_from([text])
    assert caught.value.code is Exit.USAGE
    assert words in caught.value.what + caught.value.next
    assert caught.value.next


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("controls.learning_rate=3", "--set controls.learning_rate: unknown key learning_rate: did you mean lr?"),
        ("runs.nobody.type=control", "there is no 'nobody' in this list; it has base, 0, 1"),
        ("models.0.x=1", "leads into 'tiny'"),
    ],
)
def test_a_set_that_leads_nowhere_is_explained(lab, text, words):
    with pytest.raises(DesignError) as caught:
        draft(lab, sets=[text])
    assert words in caught.value.problems[0].message


def test_like_another_takes_its_design_without_its_body_and_results(lab):
    design.commit(draft(lab, f"---\n{DESIGN}---\n# Only for cap\n"))
    made = design.draft_like(lab, "cap2", "cap", changes_from(["variables.lora_rank=[16]"])).summary
    assert made.summary.experiment.name == "cap2"
    assert [run.name for run in build_plan(made.summary).runs] == ["rank16", "base"]
    assert "Only for cap" not in made.text
    assert "# Kept.\n" in made.text


def test_like_nobody_is_refused(lab):
    with pytest.raises(CkgitError) as caught:
        design.draft_like(lab, "cap2", "nobody")
    assert caught.value.code is Exit.USAGE


def scaffolded(lab, *, phase=None):
    """An experiment that has files of later steps."""
    design.commit(draft(lab, f"---\n{DESIGN}---\n# Mine\n"))
    parent = take_snapshot(lab, "cap")
    summary = SummaryFile.parse(parent.summary_bytes(), "f").with_state(State.SCAFFOLDED).with_block("fine-tuning", "old")
    names = ("rank4/finetune.yaml", "base/eval/x.slurm", "scaffold-experiment.log", "analysis/report.md", "notes.md", "mine/x.txt")
    files = {f"experiments/cap/{name}": b"x\n" for name in names}
    if phase:
        attempt = Attempt(job="j", stage=Stage.TRAINING, number=1, token="t", script_sha256="a" * 64, phase=phase, submitted="now")  # noqa: S106 - no secret
        files["experiments/cap/jobs.json"] = Ledger(cluster="local", scheduler="local", attempts=(attempt,)).dump()
    files["experiments/cap/experiment_summary.md"] = summary.dump()
    make_commit(lab, CommitPlan("cap", Event.SCAFFOLD, parent.branch_tip, files, summary.summary.digest, ""))
    return open_lab(lab.root)


def test_revise_goes_back_to_designed_and_removes_what_the_old_design_made(lab, run):
    scaffolded(lab, phase=Phase.DONE)
    made = design.draft_revision(lab, "cap", None, "summary", changes_from(["variables.lora_rank=[16]"]))
    design.commit(made)
    left = run(lab.root, "ls-tree", "-r", "--name-only", "exp/cap", "experiments/").splitlines()
    assert [path.removeprefix("experiments/cap/") for path in left] == [
        "design-experiment.log",
        "estimate.json",
        "experiment_summary.md",
        "mine/x.txt",
        "notes.md",
    ]
    assert run(lab.root, "log", "-1", "--format=%s", "exp/cap") == "revise cap: scaffolded -> designed"
    after = take_snapshot(lab, "cap")
    assert after.state is State.DESIGNED
    text = after.summary_bytes().decode()
    assert "# Mine" in text
    assert "\nold\n" not in text
    assert len(after.read("experiments/cap/design-experiment.log").decode().split(" design ")) > 1
    assert b" revise cap" in after.read("experiments/cap/design-experiment.log")
    assert run(lab.root, "show", "exp/cap~1:experiments/cap/rank4/finetune.yaml") == "x"


def test_revise_takes_a_new_file(lab):
    scaffolded(lab)
    made = design.draft_revision(lab, "cap", changed("[4, 8]", "[2]").encode(), "d.yaml")
    assert [run.name for run in made.plan.runs] == ["rank2", "base"]


def test_revise_mends_a_design_that_was_broken_by_hand(lab, run):
    design.commit(draft(lab))
    text = run(lab.root, "show", "exp/cap:experiments/cap/experiment_summary.md").replace("epochs: 2", "epochs: two")
    commit_on(run, lab.root, "exp/cap", {"experiments/cap/experiment_summary.md": f"{text}\n"})
    with pytest.raises(DesignError):
        design.draft_revision(open_lab(lab.root), "cap", None, "summary")
    design.commit(design.draft_revision(open_lab(lab.root), "cap", None, "summary", changes_from(["controls.epochs=3"])))
    assert SummaryFile.parse(take_snapshot(lab, "cap").summary_bytes(), "f").summary.controls.epochs == 3


def test_revise_is_refused_while_jobs_are_in_flight(lab):
    scaffolded(lab, phase=Phase.SUBMITTED)
    with pytest.raises(CkgitError) as caught:
        design.draft_revision(lab, "cap", None, "summary")
    assert caught.value.code is Exit.IN_FLIGHT
    assert "ckgit cancel cap" in caught.value.next


def test_revise_reads_the_experiment_s_own_branch(lab, run):
    design.commit(draft(lab))
    commit_on(run, lab.root, "main", {"data/late.json": (lab.root / "data/words.json").read_text()})
    later = open_lab(lab.root)
    with pytest.raises(DesignError) as caught:
        design.draft_revision(later, "cap", changed("words.json", "late.json").encode(), "d.yaml")
    assert "git switch exp/cap, then git merge main" in caught.value.problems[0].message
    row = {"input": "a", "output": "b"}
    commit_on(run, lab.root, "exp/cap", {"data/words.json": json.dumps({"train": [row] * 4, "test": [row]})})
    assert design.draft_revision(later, "cap", None, "summary").summary.summary.recorded.data["words"].splits == {"train": 4, "test": 1}


def test_a_base_recipe_is_looked_up_and_its_values_recorded(lab):
    pytest.importorskip("ckgit.workers.torchtune.design.recipes")
    pytest.importorskip("torchtune")
    made = draft(lab, changed("  batch_size: 2\n", "  base_recipe: llama3_2/1B_lora_single_device\n  gradient_accumulation_steps: 1\n"))
    values = made.summary.summary.recorded.recipes["llama3_2/1B_lora_single_device"]
    assert values["batch_size"] == 4
    assert made.plan.runs[0]["batch_size"] == 4


def test_what_contradicts_itself_and_what_is_not_in_the_lab_is_said_at_once(lab):
    text = changed("- name: capitalization", "- {name: capitalization, split: late}\n    - {name: nothing}")
    text = text.replace("  - name: base\n    type: control", "  - {name: base, type: control, parameters: {lr: 1}}")
    text = text.replace("[tiny]", "[tiny, none]")
    assert problems(lab, text) == [
        "d.yaml:4:16: there is no model card models/none.yaml on branch main; make it with: ckgit models add none FOLDER",
        "d.yaml:15:46: lr means nothing in a run of type control, which is not trained",
        "d.yaml:19:8: there is no task file tasks/nothing.py on branch main",
    ]


def test_what_can_be_read_is_looked_for_although_other_values_are_wrong(lab):
    text = changed("epochs: 2", "epochs: two").replace("[tiny]", "[none]").replace("data/words", "data/others")
    assert [problem.split(": ", 1)[1].split(";")[0] for problem in problems(lab, text)] == [
        "there is no model card models/none.yaml on branch main",
        "there is no file data/others.json on branch main",
        "expected a whole number",
    ]


def test_a_wrong_split_is_said_beside_a_missing_card(lab):
    text = changed("- name: capitalization", "- {name: capitalization, split: late}").replace("[tiny]", "[tiny, none]")
    assert [problem.split(": ", 1)[1] for problem in problems(lab, text)][1:] == [
        "data words has no split late (splits: train, test)",
    ]


def test_a_worker_s_objection_has_its_place_and_is_said_beside_what_the_lab_lacks(lab):
    text = changed("tasks:\n", "scorers: [{name: matches}]\n  tasks:\n").replace("[tiny]", "[tiny, none]")
    assert problems(lab, text) == [
        "d.yaml:4:16: there is no model card models/none.yaml on branch main; make it with: ckgit models add none FOLDER",
        "d.yaml:18:14: task capitalization: inspect_ai.scorer has no scorer 'matches'; did you mean match?",
    ]


def test_a_misspelt_tool_has_its_place_and_the_one_that_is_meant(lab):
    sentence = "no installed worker does evaluation with inspectai; did you mean inspect-ai?"
    assert problems(lab, changed("models:", "tools: {evaluation: inspectai}\nmodels:")) == [f"d.yaml:4:9: {sentence}"]


def test_a_change_of_another_s_design_is_named_where_the_lab_lacks_what_it_says(lab):
    design.commit(draft(lab, name="first"))
    with pytest.raises(DesignError) as caught:
        design.draft_like(lab, "second", "first", changes_from(["models=[nope]"]))
    assert [problem.message.partition(";")[0] for problem in caught.value.problems] == [
        "--set models: there is no model card models/nope.yaml on branch main"
    ]


def test_no_change_gives_an_experiment_another_name(lab):
    sets = ['experiment={name: other, question: "Why?", date: "2026-11-23"}']
    design.commit(draft(lab, sets=sets))
    assert take_snapshot(lab, "cap").summary.summary.experiment.name == "cap"
    assert design.draft_revision(lab, "cap", None, "s", changes_from(sets)).summary.summary.experiment.name == "cap"


FULL_RUN = """\
  - name: fullr
    parameters: {base_recipe: llama3_2/1B_full_single_device, lora_rank: 9}
"""


def test_what_a_base_recipe_contradicts_is_refused_before_it_is_committed(lab):
    pytest.importorskip("torchtune")
    text = changed("runs:\n", f"runs:\n{FULL_RUN}")
    because = "lora_rank means nothing with method: full; base_recipe llama3_2/1B_full_single_device gives method, and a value in controls"
    assert problems(lab, text) == [f"d.yaml:16:63: {because} goes before it"]
    design.commit(draft(lab))
    with pytest.raises(DesignError, match=because):
        design.draft_revision(lab, "cap", text.encode(), "d.yaml")


def test_a_committed_design_with_problems_says_how_to_mend_it(lab, run):
    design.commit(draft(lab, changed("runs:\n", "runs:\n  - name: mine\n    parameters: {lora_alpha: 9}\n")))
    path = "experiments/cap/experiment_summary.md"
    broken = run(lab.root, "show", f"exp/cap:{path}").replace("lora_alpha: 9", "lora_alpha: 9, method: full") + "\n"
    commit_on(run, lab.root, "exp/cap", {path: broken})
    with pytest.raises(DesignError) as caught:
        take_snapshot(lab, "cap").summary.dump()
    assert caught.value.state == "nothing was done"
    assert "ckgit revise cap --set runs.0.parameters.lora_alpha=VALUE (null takes a value away)" in caught.value.next
    mended = design.draft_revision(lab, "cap", None, "s", changes_from(["runs.0.parameters.lora_alpha=null"]))
    assert mended.plan.run("mine")["method"] == "full"


def test_a_key_that_does_not_exist_is_mended_by_the_command_that_the_error_names(lab, run):
    design.commit(draft(lab))
    path = "experiments/cap/experiment_summary.md"
    broken = run(lab.root, "show", f"exp/cap:{path}").replace("  epochs: 2\n", "  epoch: 2\n  packed: true\n") + "\n"
    commit_on(run, lab.root, "exp/cap", {path: broken})
    with pytest.raises(DesignError, match=r"unknown key epoch: did you mean epochs\?") as caught:
        take_snapshot(lab, "cap").summary.dump()
    command = caught.value.next.partition(" (")[0]
    assert command == "ckgit revise cap --set controls.epoch=null --set controls.epochs=2 --set controls.packed=null"
    changes = [word for word in command.split() if "=" in word]
    mended = design.draft_revision(lab, "cap", None, "s", changes_from(changes))
    assert mended.plan.run("rank4")["epochs"] == 2


def test_a_file_without_the_split_that_is_asked_is_told_with_the_form_that_has_it(lab, run):
    commit_on(run, lab.root, "main", {"data/words.json": '[{"input": "a", "output": "A"}, {"input": "b", "output": "B"}]'})
    [found] = problems(open_lab(lab.root), DESIGN)
    assert 'data words has no split test (splits: train); a file of several splits has the form {"train": [...], "test": [...]}' in found


def test_a_file_that_has_another_name_is_told_and_a_copied_design_is_not(lab):
    named = changed("  question:", "  name: twice\n  question:")
    told = "d.yaml calls the experiment twice; it is designed as twise"
    made = draft(lab, named, "twise")
    assert (made.warnings[0], made.summary.summary.experiment.name) == (told, "twise")
    assert not any("calls the experiment" in text for text in draft(lab, named, "twice").warnings)
    design.commit(made)
    assert not any("calls the experiment" in text for text in design.draft_like(lab, "other", "twise").warnings)
    again = design.draft_revision(lab, "twise", named.encode(), "d.yaml")
    assert again.warnings[0] == told
    assert not any("calls the experiment" in text for text in design.draft_revision(lab, "twise", None, "d.yaml").warnings)


def test_a_name_that_was_merged_is_not_free(lab, run):
    design.commit(draft(lab))
    run(lab.root, "merge", "--quiet", "--no-ff", "--message=Merge", "exp/cap")
    run(lab.root, "branch", "--quiet", "--delete", "--force", "exp/cap")
    with pytest.raises(CkgitError, match="experiment cap exists already; it was merged") as caught:
        draft(open_lab(lab.root))
    assert (caught.value.code, caught.value.next) == (Exit.USAGE, "ckgit show cap shows it; choose another name")


def test_a_base_recipe_that_torchtune_does_not_have_is_refused_at_its_place(lab):
    pytest.importorskip("ckgit.workers.torchtune.design.recipes")
    pytest.importorskip("torchtune")
    assert problems(lab, changed("  epochs: 2", "  base_recipe: llama3_2/1B_lora_single_devise"))[0].startswith("d.yaml:8:3: ")


def test_a_base_recipe_without_torchtune_names_the_extra(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchtune", None)
    with pytest.raises(CkgitError) as caught:
        draft(lab, changed("  epochs: 2", "  base_recipe: llama3_2/1B_lora_single_device"))
    assert caught.value.code is Exit.TOOL_MISSING
    assert "pip install 'ckgit[run]'" in caught.value.next
    assert take_all(lab) == []


def checked(lab, recipe):
    text = changed("  epochs: 2", f"  gradient_accumulation_steps: 1\n  base_recipe: {recipe}")
    file = SummaryFile.from_design(text.encode(), "d", defaults=[design.ValueChange("experiment.name", "a"), design._dated()])
    return check(default_branch(lab), file).unchecked


def test_a_check_looks_recipes_up_where_torchtune_is(lab):
    pytest.importorskip("torchtune")
    assert checked(lab, "llama3_2/1B_lora_single_device") == []
    with pytest.raises(DesignError, match="torchtune has no config 'llama3_2/1B_lora_single_devise'"):
        checked(lab, "llama3_2/1B_lora_single_devise")


def test_a_check_without_torchtune_says_that_recipes_were_not_looked_up(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchtune", None)
    assert checked(lab, "anything") == ["base recipes were not looked up: torchtune is not installed here"]


def test_the_day_that_a_template_sees_is_said_where_it_matters(lab, run):
    card = (lab.root / "models/tiny.yaml").read_text()
    dated = card.replace("name: tiny", "name: dated").replace("uses_date: false", "uses_date: true")
    commit_on(run, lab.root, "main", {"models/dated.yaml": dated})
    made = draft(open_lab(lab.root), changed("models: [tiny]", "models: [dated]"), sets=["controls.template_date=2026-02-03"])
    sentence = "The chat template of dated depends on the date; in training and evaluation it sees 2026-02-03."
    assert sentence in made.summary.text
    assert sentence in made.files["experiments/cap/design-experiment.log"].decode()
    assert "depends on the date" not in draft(lab).summary.text


def test_what_a_lab_offers(lab):
    found = offers(lab)
    assert (found.models, found.data) == (["tiny"], ["data/words.json"])
    assert [(task.name, task.source) for task in found.tasks] == [("capitalization", "tasks/capitalization.py")]
