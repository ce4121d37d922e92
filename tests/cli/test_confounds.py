"""Confounded comparisons, duplicate runs, and runs on a GPU that is not there."""

import json

import pytest

from ckgit.orchestrators.design import lint
from tests.cli.remarks import DESIGN, ckgit, rows, said, splits

RECIPE = "base_recipe: llama3_2/1B_lora_single_device, gradient_accumulation_steps: 1, num_warmup_steps: 0"


@pytest.fixture
def of(validate):
    """`of((old, new), ...)`: what is said of the design with these changes."""

    def check(*changes, design=DESIGN):
        for old, new in changes:
            assert old in design
            design = design.replace(old, new)
        return said(validate(splits(rows()), design))

    return check


def test_ranks_whose_alpha_is_the_same_differ_in_their_scale(of):
    pytest.importorskip("torchtune")
    [found] = of(("batch_size: 2", f"batch_size: 2, {RECIPE}"), ("[4, 8]", "[4, 16]"))
    assert found == (
        "8:3: runs rank4 and rank16 are confounded: besides lora_rank they differ in lora_alpha/lora_rank (32 and 8), because "
        "lora_alpha is 128 in each (base_recipe llama3_2/1B_lora_single_device gives it), and the LoRA update is scaled by lora_alpha/"
        "lora_rank; to compare ranks alone, write the runs out, each with a lora_alpha that goes with its lora_rank"
    )
    [held] = of(("batch_size: 2", "batch_size: 2, lora_alpha: 16"))
    assert held.startswith("8:3: runs rank4 and rank8 are confounded: besides lora_rank they differ in lora_alpha/lora_rank (4 and 2), ")


@pytest.mark.parametrize(
    "variables",
    [
        "lora_rank: [4, 8]",  # alpha is twice the rank
        "lora_rank: [4, 8]\n  lora_alpha: [8, 16]",  # so wished
        "lora_alpha: [8, 16]",
        "epochs: [1, 2]",
        "lr: [0.1, 0.2]\n  seed: [0, 1]",
        "method: [lora, full]",
        "batch_size: [1, 2]",
    ],
)
def test_what_follows_from_what_is_varied_is_no_remark(of, variables):
    held = "" if "batch_size" in variables else ", batch_size: 2"
    assert of((", batch_size: 2", held), ("lora_rank: [4, 8]", variables)) == []


def test_splits_of_other_sizes_make_other_steps(of, commit):
    made = rows()
    commit({"data/two.json": {"few": made[:4], "many": made[:8], "test": made[8:]}})
    [found] = of(("rows.json", "two.json"), ("lora_rank: [4, 8]", "train_split: [few, many]"))
    assert found == (
        "8:3: runs few and many are confounded: besides train_split they differ in optimizer steps (2 and 4), because "
        "their splits are not of one size; max_steps_per_epoch can make the steps equal"
    )


def test_data_that_are_varied_are_not_evaluated_by_one_yardstick(of, commit):
    made = rows()
    commit({"data/a.json": splits(made), "data/b.json": splits([{**row, "output": row["output"] * 2} for row in made])})
    two = ("  words: {path: data/rows.json}", "  a: {path: data/a.json}\n  b: {path: data/b.json}")
    [found] = of(two, ("lora_rank: [4, 8]", "data: [a, b]"))
    assert found == (
        "12:7: task capitalization asks each run the rows of its own data, so a (data a) and b (data b) are measured on different rows; "
        "name one under the task's data"
    )
    found = of(two, ("lora_rank: [4, 8]", "data: [a, b]"), ("name: capitalization", "name: capitalization\n      data: a"))
    assert [text for text in found if "different rows" in text] == []


def test_rows_that_a_larger_batch_drops_are_said(of):
    [found] = of((", batch_size: 2", ""), ("lora_rank: [4, 8]", "batch_size: [2, 5]"))
    assert found == (
        "8:3: runs batch2 and batch5 are confounded: besides batch_size they differ in rows seen in training (8 and 5), because "
        "an incomplete batch is dropped, and max_steps_per_epoch cuts an epoch at steps, not at rows"
    )


def test_base_recipes_that_are_varied_bring_more_than_one_thing(of):
    pytest.importorskip("torchtune")
    recipes = "base_recipe: [llama3_2/1B_lora_single_device, llama3_2/1B_full_single_device]"
    held = "batch_size: 2, gradient_accumulation_steps: 1, num_warmup_steps: 0"
    found = of(("batch_size: 2", held), ("lora_rank: [4, 8]", recipes))
    assert any(text.startswith("8:3: the base recipes differ in ") and "lr" in text for text in found)


CLAIM = "\n  claims: [{metric: accuracy, task: capitalization, left: LEFT, right: RIGHT, direction: greater}]"


def fair(found):
    """What is said of confounds alone: of claims between runs of one seed another thing is said, too."""
    return [text for text in found if " two models on rows like these, not their settings" not in text]


def claim(left, right):
    return ("matter?", f"matter?{CLAIM.replace('LEFT', left).replace('RIGHT', right)}")


def test_a_claim_whose_sides_differ_in_two_things_cannot_tell_which_is_why(of):
    varied = ("[4, 8]", "[4, 8]\n  lr: [0.1, 0.2]")
    [found] = fair(of(varied, claim("rank8_lr0.2", "rank4_lr0.1")))
    assert found == (
        "3:12: the claim compares rank8_lr0.2 with rank4_lr0.1, which differ in lr and lora_rank: it cannot tell which of these is why"
    )
    assert fair(of(varied, claim("rank8_lr0.2", "rank4_lr0.2"))) == []


def test_a_claim_against_a_control_is_about_training_alone_or_says_what_else(of):
    control = ("variables:", "runs: [{name: base, type: control}]\nvariables:")
    assert fair(of(control, claim("rank8", "base"))) == []
    other = ("variables:", "runs: [{name: base, type: control, parameters: {prompt: 'Say {input}'}}]\nvariables:")
    [found] = fair(of(other, claim("rank8", "base")))
    assert "the claim compares rank8 with base, which differ in training and prompt" in found


def test_a_claim_between_runs_on_other_numbers_of_gpus_says_so(of):
    runs = "runs: [{name: a, parameters: {lr: 0.1}}, {name: b, parameters: {lr: 0.2}, compute: {training: {gpus: 2}}}]\nmodels:"
    alone = ("\nvariables:\n  lora_rank: [4, 8]", "")
    found = of(("models:", runs), alone, claim("b", "a"), ("device: cpu, dtype: fp32", "device: cuda"))
    assert any("which differ in lr and rows of an optimizer step" in text for text in found)


# Runs that are the same


def test_runs_that_coincide_are_named(of):
    written = "runs: [{name: again, parameters: {lora_rank: 8, lora_alpha: 16, max_seq_len: 100, log_every_n_steps: 2}}]"
    [found] = of(("variables:", f"{written}\nvariables:"))
    assert found == "7:8: runs rank8 and again are duplicates: the same training would run twice"
    assert of(("variables:", f"{written.replace('lora_rank: 8', 'lora_rank: 9')}\nvariables:")) == []
    [varied] = of(("lora_rank: [4, 8]", "max_seq_len: [60, 70, 80]"))
    assert varied == "7:1: runs max_seq_len60, max_seq_len70 and max_seq_len80 are duplicates: the same training would run 3 times"


def test_a_control_and_an_evaluated_checkpoint_that_coincide_are_named(of):
    pair = "runs: [{name: base, type: control}, {name: also, type: eval-only, checkpoint: tiny}]"
    [found] = of(("variables:", f"{pair}\nvariables:"))
    assert found == "7:37: runs base and also are duplicates: the same evaluation would run twice"
    assert of(("variables:", f"{pair.replace('tiny}', 'tiny, parameters: {dtype: bf16}}')}\nvariables:")) == []


# A device that is not there


def test_a_run_on_cuda_where_this_machine_has_no_gpu_is_told_about_device_cpu(of, lab_folder, run):
    if lint.has_gpu():
        pytest.skip("this machine has a GPU")
    [found] = of(("device: cpu, dtype: fp32, ", ""))
    assert found == (
        "6:1: run rank4 and 1 other: device is cuda (ckgit's default), and this machine, where cluster local runs jobs, has no GPU: "
        "write device: cpu, or name a cluster that has one"
    )
    [found] = of(("device: cpu", "device: cuda"))
    assert found.startswith("6:12: run rank4 and 1 other: device is cuda (the design says so)")
    config = lab_folder / "ckgit.toml"
    config.write_text(f'{config.read_text()}\n[clusters.big]\nscheduler = "slurm"\nwork_root = "/tmp"\n')
    run(lab_folder, "commit", "--quiet", "--all", "--message=A cluster")
    assert of(("device: cpu, dtype: fp32, ", ""), ("models:", "compute: {cluster: big}\nmodels:")) == []


# Where it is said


def test_design_says_it_with_its_place_and_keeps_it_in_summary_log_and_commit(of, lab_folder, run):
    held = DESIGN.replace("batch_size: 2", "batch_size: 2, lora_alpha: 16")
    of()
    done = ckgit(lab_folder, "design", "cap", "--from", "-", "--json", stdin=held)
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)["warnings"]
    assert lines[0] == "run rank4 and 1 other: trains for 4 steps only"
    assert lines[1].startswith("<stdin>:8:3: runs rank4 and rank8 are confounded: besides lora_rank they differ in ")
    assert done.stderr == ""  # to a program it is said in the document
    words = "runs rank4 and rank8 are confounded: besides lora_rank they differ in lora_alpha/lora_rank"
    for name in ("experiment_summary.md", "design-experiment.log"):
        assert words in run(lab_folder, "show", f"exp/cap:experiments/cap/{name}")
    assert f"Warning: {words}" in run(lab_folder, "log", "-1", "--format=%B", "exp/cap")
    told = ckgit(lab_folder, "validate", "cap")
    assert told.returncode == 0
    assert f": {words}" in told.stderr


# Claims about settings


def settings_claim(text):
    return ("matter?", f"matter?\n  claims: [{{metric: accuracy, task: capitalization, {text}}}]")


GREATER = "left: {lora_rank: 8}, right: {lora_rank: 4}, direction: greater"


def unnamed(found):
    return [text.partition(": ")[2] for text in found if "it cannot tell which of these is why" in text]


def test_a_claim_about_settings_is_fair_where_all_else_is_the_same_on_both_sides(of):
    varied = ("[4, 8]", "[4, 8]\n  lr: [0.1, 0.2]\n  seed: [0, 1]")
    assert unnamed(of(varied, settings_claim(GREATER))) == []
    both = "left: {lora_rank: 8, lr: 0.1}, right: {lora_rank: 4, lr: 0.2}, direction: greater"  # it says so itself
    assert unnamed(of(varied, settings_claim(both))) == []


def test_a_claim_about_settings_whose_sides_differ_in_what_it_does_not_name_says_so(of):
    listed = [(8, 0.1, 0), (8, 0.1, 1), (4, 0.2, 0), (4, 0.2, 1)]
    written = ", ".join(f"{{name: r{r}s{s}, parameters: {{lora_rank: {r}, lr: {lr}, seed: {s}}}}}" for r, lr, s in listed)
    alone = ("\nvariables:\n  lora_rank: [4, 8]", "")
    [found] = unnamed(of(("models:", f"runs: [{written}]\nmodels:"), alone, settings_claim(GREATER)))
    assert found == "the claim is about lora_rank, and the runs that it compares differ in lr, too: it cannot tell which of these is why"


def test_a_trend_with_another_parameter_that_goes_along_says_so(of):
    listed = [(4, 0.1), (8, 0.1), (16, 0.2)]
    written = ", ".join(f"{{name: r{r}, parameters: {{lora_rank: {r}, lr: {lr}}}}}" for r, lr in listed)
    trend = settings_claim("direction: increases, along: lora_rank")
    [found] = unnamed(of(("models:", f"runs: [{written}]\nmodels:"), ("\nvariables:\n  lora_rank: [4, 8]", ""), trend))
    assert "the claim is about lora_rank, and the runs that it compares differ in lr, too" in found
    assert unnamed(of(("[4, 8]", "[4, 8, 16]"), trend)) == []
