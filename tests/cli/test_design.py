"""`ckgit design`, `validate` and `revise` as a user types them."""

import json
from pathlib import Path

import pytest

from tests import command_line

DESIGN = """\
experiment:
  question: Does rank matter?
models: [tiny]
data:
  words: {path: data/words.json}
controls: {device: cpu, dtype: fp32, batch_size: 2}
variables:
  lora_rank: [4, 8]
evaluation:
  tasks:
    - name: capitalization
"""


def ckgit(folder, *args, stdin=""):
    return command_line.ckgit(*args, folder=folder, stdin=stdin)


@pytest.fixture
def design(tmp_path: Path) -> Path:
    path = tmp_path / "design.yaml"
    path.write_text(DESIGN)
    return path


def test_design_from_a_file_says_what_it_made_and_what_comes_next(lab_folder, design, run):
    made = ckgit(lab_folder, "design", "cap", "--from", str(design), "--set", "controls.lr=1e-4")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("cap is designed: 2 runs, 2 of them trained, 2 evaluations; about ")
    assert "next: ckgit advance cap" in made.stdout
    assert "warning: run rank4 and 1 other: trains for 4 steps only" in made.stderr
    assert "lr: 1e-4" in run(lab_folder, "show", "exp/cap:experiments/cap/experiment_summary.md")


def test_the_original_name_is_the_same_command(lab_folder, design, run):
    assert ckgit(lab_folder, "design-experiment", "cap", "--from", "-", stdin=DESIGN).returncode == 0
    assert ckgit(lab_folder, "design", "cap2", "--like", "cap", "--set", "variables.lora_rank=[2]").returncode == 0
    assert run(lab_folder, "branch", "--list", "exp/*", "--format=%(refname:short)").splitlines() == ["exp/cap", "exp/cap2"]


def test_a_dry_run_shows_the_commit_and_makes_none(lab_folder, design, run):
    shown = ckgit(lab_folder, "design", "cap", "--from", str(design), "--dry-run")
    assert shown.returncode == 0
    assert "design cap: none -> designed" in shown.stdout
    assert "## Runs" in shown.stdout
    assert run(lab_folder, "branch", "--list", "exp/*") == ""


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["design", "cap"], 2, "ckgit design cap --from FILE, --like OTHER or --template TEMPLATE"),
        (["design", "cap", "--from", "x", "--like", "y"], 2, "--from and --like exclude each other"),
        (["design", "cap", "--from", "missing.yaml"], 2, "cannot read the design: No such file or directory"),
        (["design", "$(x)", "--from", "-"], 2, "cannot be the name of an experiment"),
        (["design", "cap", "--like", "nobody"], 2, "there is no experiment nobody"),
        (["revise", "nobody"], 2, "there is no experiment nobody"),
        (["validate", "nobody"], 2, "nobody is neither a file nor an experiment"),
        (["design", "cap", "--from", "-", "--set", "controls.shuffle=no"], 2, "write false"),
    ],
)
def test_mistakes_of_use_say_what_to_do(lab_folder, args, code, words):
    done = ckgit(lab_folder, *args, stdin=DESIGN)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_design_ends_with_3_and_every_place(lab_folder, design):
    design.write_text(DESIGN.replace("lora_rank", "rank").replace("batch_size", "bach_size"))
    done = ckgit(lab_folder, "design", "cap", "--from", str(design))
    assert done.returncode == 3
    assert f"{design}:6:38: unknown key bach_size: did you mean batch_size?" in done.stderr


def test_design_and_revise_as_one_document(lab_folder, design, run):
    shown = json.loads(ckgit(lab_folder, "design", "cap", "--from", str(design), "--dry-run", "--json").stdout)
    assert (shown["commit"], shown["run_count"], shown["cell_count"]) == (None, 2, 2)
    assert "design cap: none -> designed" in shown["would_commit"]["message"]
    made = json.loads(ckgit(lab_folder, "design", "cap", "--from", str(design), "--json").stdout)
    assert (made["records"], made["commit"], made["next"]) == ("design", run(lab_folder, "rev-parse", "exp/cap"), ["ckgit advance cap"])
    assert "trains for 4 steps only" in made["warnings"][0]
    again = json.loads(ckgit(lab_folder, "revise", "cap", "--set", "controls.lr=1e-4", "--json").stdout)
    assert (again["records"], again["commit"]) == ("revise", run(lab_folder, "rev-parse", "exp/cap"))
    assert again["design_hash"] != made["design_hash"]


def test_validate_takes_a_file_a_name_or_standard_input(lab_folder, design):
    assert ckgit(lab_folder, "design", "cap", "--from", str(design)).returncode == 0
    for target in (str(design), "cap", "exp/cap", "-"):
        done = ckgit(lab_folder, "validate", target, stdin=DESIGN)
        assert done.returncode == 0, done.stderr
        assert "is valid: 2 runs, 2 evaluations\nruns: rank4, rank8\n" in done.stdout


def test_validate_of_a_deleted_branch_says_what_became_of_it(lab_folder, design, run):
    assert ckgit(lab_folder, "design", "cap", "--from", str(design)).returncode == 0
    tip = run(lab_folder, "rev-parse", "exp/cap")
    run(lab_folder, "branch", "--quiet", "-D", "exp/cap")
    done = ckgit(lab_folder, "validate", "cap")
    assert done.returncode == 2
    assert f"the branch of experiment cap was deleted; ckgit left it at {tip[:12]}" in done.stderr
    assert f"next:  git branch exp/cap {tip[:12]} brings it back" in done.stderr


def test_validate_reports_every_problem_for_people_and_for_programs(lab_folder, design):
    design.write_text(DESIGN.replace("lora_rank: [4, 8]", "lora_rank: [4, no]").replace("models: [tiny]", "models: 7"))
    told = ckgit(lab_folder, "validate", str(design))
    assert told.returncode == 3
    assert [line.partition(": ")[0] for line in told.stdout.splitlines()] == [f"{design}:3:1", f"{design}:8:18"]
    assert "2 problems" in told.stderr
    document = json.loads(ckgit(lab_folder, "validate", str(design), "--json").stdout)
    assert not document["valid"]
    assert [(one["line"], one["column"], one["path"]) for one in document["problems"]] == [
        (3, 1, "models"),
        (8, 18, "variables.lora_rank.1"),
    ]
    design.write_text(DESIGN)
    document = json.loads(ckgit(lab_folder, "validate", str(design), "--json").stdout)
    assert (document["valid"], document["run_count"], document["cell_count"]) == (True, 2, 2)
    assert document["run_names"] == ["rank4", "rank8"]


def test_validate_looks_for_models_data_and_tasks_inside_a_lab_only(lab_folder, design, tmp_path):
    design.write_text(DESIGN.replace("tiny", "large"))
    inside = ckgit(lab_folder, "validate", str(design))
    assert inside.returncode == 3
    assert "there is no model card models/large.yaml on branch main" in inside.stdout
    outside = ckgit(tmp_path, "validate", str(design))
    assert outside.returncode == 0
    assert "not inside a lab" in outside.stderr


def test_validate_without_a_target_reads_the_checked_out_summary_with_its_edits(lab_folder, design, run):
    assert ckgit(lab_folder, "design", "cap", "--from", str(design)).returncode == 0
    run(lab_folder, "switch", "--quiet", "exp/cap")
    assert ckgit(lab_folder, "validate").returncode == 0
    summary = lab_folder / "experiments/cap/experiment_summary.md"
    summary.write_text(summary.read_text().replace("name: cap", "name: other").replace("---\n\n## Notes", "---\n"))
    done = ckgit(lab_folder, "validate", str(summary))
    assert done.returncode == 3
    assert "the summary of experiment cap is called other" in done.stdout
    summary.write_text(summary.read_text().replace("[4, 8]", "[4, four]"))
    assert "expected a whole number; found 'four'" in ckgit(lab_folder, "validate").stdout


def test_validate_of_a_checked_out_experiment_looks_at_its_own_branch(lab_folder, design, run):
    assert ckgit(lab_folder, "design", "cap", "--from", str(design)).returncode == 0
    run(lab_folder, "switch", "--quiet", "exp/cap")
    task = (lab_folder / "tasks/capitalization.py").read_text()
    (lab_folder / "tasks/later.py").write_text(task.replace("def capitalization", "def later"))
    (lab_folder / "tasks/capitalization.py").write_text(f"{task}# edited\n")
    summary = lab_folder / "experiments/cap/experiment_summary.md"
    summary.write_text(summary.read_text().replace("    - name: capitalization\n", "    - name: capitalization\n    - name: later\n"))
    run(lab_folder, "add", "tasks")
    run(lab_folder, "commit", "--quiet", "--message=By hand")
    for arguments in ([], [str(summary)]):
        done = ckgit(lab_folder, "validate", *arguments)
        assert "tasks/capitalization.py is not the file that was designed with" in done.stdout
        assert "ckgit revise cap" in done.stdout
        assert done.stderr == "1 problem in the design\n"  # and tasks/later.py, which the default branch lacks, is there


def test_validate_executes_nothing(lab_folder, design, run, tmp_path):
    planted = tmp_path / "executed"
    (lab_folder / "tasks/evil.py").write_text(f"open({str(planted)!r}, 'w')\nfrom inspect_ai import task\n@task\ndef evil(): ...\n")
    (lab_folder / "conftest.py").write_text(f"open({str(planted)!r}, 'w')\n")
    run(lab_folder, "add", "--all")
    run(lab_folder, "commit", "--quiet", "--message=Evil")
    design.write_text(DESIGN.replace("name: capitalization", "name: evil"))
    assert ckgit(lab_folder, "validate", str(design)).returncode == 0
    design.write_text(DESIGN.replace("Does rank matter?", f"!!python/object/apply:os.system ['touch {planted}']"))
    assert ckgit(lab_folder, "validate", str(design)).returncode == 3
    assert not planted.exists()


def test_revise_changes_the_design_in_a_commit_of_its_own(lab_folder, design, run):
    assert ckgit(lab_folder, "design", "cap", "--from", str(design)).returncode == 0
    run(lab_folder, "switch", "--quiet", "exp/cap")
    done = ckgit(lab_folder, "revise", "--set", "variables.lora_rank=[2]")
    assert done.returncode == 0, done.stderr
    assert "1 run, 1 of them trained, 1 evaluation;" in done.stdout
    assert run(lab_folder, "log", "--format=%s", "-2").splitlines() == ["revise cap: designed -> designed", "design cap: none -> designed"]
    assert "rank2" in (lab_folder / "experiments/cap/experiment_summary.md").read_text()


def test_a_name_that_cannot_be_one_is_told_before_what_is_missing(lab_folder):
    done = ckgit(lab_folder, "design", "a b'c")
    assert done.returncode == 2
    assert "cannot be the name of an experiment" in done.stderr
    assert "nothing to design from" in ckgit(lab_folder, "design", "abc").stderr
