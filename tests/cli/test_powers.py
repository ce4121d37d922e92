"""design and validate say what each claim could show, and which cannot be decided."""

from __future__ import annotations

import json

import pytest

from ckgit.experiment.claims.rows import sketch_of
from ckgit.experiment.measured.compared import RowClusters
from ckgit.experiment.results import Results
from ckgit.orchestrators.analyze.files import document_of
from tests.cli.remarks import ckgit, rows

DESIGN = """\
experiment:
  question: Does rank matter?
  claims: [CLAIMS]
models: [tiny]
data:
  words: {path: data/rows.json}
controls: {device: cpu, dtype: fp32, batch_size: 2}
variables:
  lora_rank: [4, 8, 16]
  seed: SEEDS
runs: [{name: base, type: control}]
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 12}
"""
GREATER = "{metric: accuracy, task: capitalization, left: {lora_rank: 8}, right: {lora_rank: 4}, direction: greater}"
SAME = GREATER.replace("greater", "same, by: 0.02")
WORDS = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "rstuvw"]


@pytest.fixture
def said(validate):
    """What validate says of claims, over 300 evaluated rows."""
    made = rows(WORDS)
    data = {"train": made[:80], "test": made[80:380]}

    def check(*claims, seeds="[0, 1, 2]", task="{name: capitalization}"):
        return validate(data, DESIGN.replace("CLAIMS", ", ".join(claims)).replace("SEEDS", seeds).replace("{name: capitalization}", task))

    return check


def doubts(found):
    return [text.partition("claim 1: ")[2] for text in found["warnings"] if "claim 1: " in text]


def test_the_smallest_difference_is_said_for_these_and_for_other_seeds(said):
    found = said(GREATER)
    [power] = found["claims"]
    assert (power["quantity"], power["rows"], power["seeds"]) == ("settings", 300, [3])
    assert power["smallest"] == power["by_seeds"]["3"] == pytest.approx(0.115, abs=0.005)
    assert list(power["by_seeds"]) == ["2", "3", "4", "5", "10"]
    assert power["assumed"].startswith("assumed, as no earlier experiment tells: accuracy near 0.6, SD between seeds 0.03")
    assert doubts(found) == []
    more = said(GREATER.replace("greater", "greater, by: 0.1"))["claims"][0]["smallest"]
    assert more == pytest.approx(power["smallest"] + 0.1)


def test_what_cannot_be_decided_is_a_warning(said):
    [text] = doubts(said(SAME))
    assert text.startswith("it cannot be decided: settings that are exactly equal would next to never be found the same within 0.02;")
    [text] = doubts(said(GREATER, seeds="[0]"))
    assert text.startswith("it is about settings, and each is trained with one seed: nothing can be shown of settings; 3 seeds could")
    assert said(GREATER, seeds="[0]")["claims"][0]["smallest"] is None
    [text] = doubts(said(GREATER.replace("greater", "greater, by: 0.95")))
    assert text == "it cannot be decided: it would take a true difference of 1.1, and none is larger than 1"


def test_of_two_runs_that_are_to_be_the_same_there_is_a_margin(said):
    pair = "{metric: accuracy, task: capitalization, left: rank8_seed0, right: rank4_seed0, direction: same, by: 0.2}"
    found = said(pair)
    [power] = found["claims"]
    assert (power["quantity"], power["shows"]) == ("models", "margin")
    assert power["smallest"] == pytest.approx(2.926 * (0.29 / 300) ** 0.5, rel=0.02)
    assert doubts(found) == []
    [text] = doubts(said(pair.replace("0.2}", "0.03}")))
    assert text.startswith("it cannot be decided: runs that are exactly equal would next to never be found the same within 0.03; 300 rows")
    assert text.endswith("find them the same within 0.091, four times in five")


def test_rows_that_belong_together_are_said_to_show_less(said):
    found = said(GREATER, task="{name: capitalization, clusters: author}")
    [text] = doubts(found)
    assert text.startswith("rows belong together by author, and what it could show is said as if each stood alone")
    assert doubts(said(GREATER)) == []


CLUSTERED = "{name: capitalization, clusters: author}"


@pytest.fixture
def earlier(lab_folder, commit, run, tmp_path):
    """`earlier(clusters)`: an experiment of the lab on the same rows under another name, in whose results they are in so many clusters."""

    def make(clusters, rows_asked=300):
        made = rows(WORDS)
        commit({"data/others.json": {"train": made[:20], "held_out": made[80:380]}})
        design = DESIGN.replace("CLAIMS", "").replace("SEEDS", "[0]").replace("rows.json", "others.json")
        task = "{name: other, file: tasks/capitalization.py, function: capitalization, split: held_out, clusters: author}"
        done = ckgit(lab_folder, "design", "before", "--from", "-", stdin=design.replace("{name: capitalization}", task))
        assert done.returncode == 0, done.stderr
        sketch = sketch_of(row["input"] for row in made[80:380])
        together = RowClusters(task="other", column="author", clusters=clusters, rows=rows_asked, effect=4.0, icc=0.3, sketch=sketch)
        found = Results(experiment="before", question="?", design="0" * 64, runs=(), clustering=(together,))
        run(lab_folder, "worktree", "add", "--quiet", str(tmp_path / "tree"), "exp/before")
        file = tmp_path / "tree/experiments/before/analysis/results.json"
        file.parent.mkdir()
        file.write_bytes(document_of(found))
        run(tmp_path / "tree", "add", "--all")
        run(tmp_path / "tree", "commit", "--quiet", "--message=Results")

    return make


PAIR = "{metric: accuracy, task: capitalization, left: rank8_seed0, right: base, direction: greater}"


def test_how_rows_belonged_together_before_is_in_what_claims_could_show(said, earlier):
    alone = [power["smallest"] for power in said(GREATER, PAIR)["claims"]]
    earlier(40)
    found = said(GREATER, PAIR, task=CLUSTERED)
    assert doubts(found) == []
    settings, models = found["claims"]
    assert settings["smallest"] > 1.2 * alone[0]
    assert models["smallest"] == pytest.approx(alone[1] * 2 * 2.02 / 1.96, rel=0.05)  # as 75 rows that stand alone
    assert settings["assumed"].endswith("; rows belong together by author as in before: 40 clusters, design effect 4")
    assert [power["smallest"] for power in said(GREATER, PAIR)["claims"]] == alone  # of a task without clusters


def test_of_rows_that_belong_together_those_are_named_that_are_asked(said, earlier):
    earlier(40)
    same = "{metric: accuracy, task: capitalization, left: rank8_seed0, right: rank4_seed0, direction: same, by: 0.03}"
    [text] = doubts(said(same, task=CLUSTERED))
    many = "300 rows, which belong together and show as much as 70 that each stand alone, find them the same within 0.19, four times"
    assert f"; {many}" in text


def test_it_is_found_behind_newer_experiments_that_asked_other_rows(said, earlier, run, tmp_path, monkeypatch):
    earlier(40)
    tree = tmp_path / "tree"
    for year in range(2091, 2095):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{year}-01-01T00:00:00Z")
        run(tree, "checkout", "--quiet", "-b", f"exp/newer{year}", "exp/before")
        run(tree, "mv", "experiments/before", f"experiments/newer{year}")
        file = tree / f"experiments/newer{year}/analysis/results.json"
        file.write_text(file.read_text().replace('"rows": 300', '"rows": 100'))
        run(tree, "commit", "--quiet", "--all", "--message=Results")
    [power] = said(GREATER, task=CLUSTERED)["claims"]
    assert power["assumed"].endswith("; rows belong together by author as in before: 40 clusters, design effect 4")
    file.write_text(json.dumps(json.loads(file.read_text().replace('"rows": 100', '"rows": 300'))))  # otherwise written
    run(tree, "commit", "--quiet", "--all", "--message=Results")
    [power] = said(GREATER, task=CLUSTERED)["claims"]
    assert power["assumed"].endswith("; rows belong together by author as in newer2094: 40 clusters, design effect 4")


def test_of_too_few_clusters_and_of_other_rows_it_is_not_taken(said, earlier):
    earlier(2)
    [text] = doubts(said(GREATER, task=CLUSTERED))
    assert text.startswith("rows belong together by author, and what it could show is said as if each stood alone")
    assert text.endswith(
        "before has these rows in too few clusters to tell how much: "
        "a variance between 2 clusters has a standard error of 141% of it, and 20 are asked for"
    )
    [text] = doubts(said(GREATER, task="{name: capitalization, clusters: author, limit: 100}"))
    assert text.endswith("the less it shows")
    [text] = doubts(said(GREATER, task="{name: capitalization, clusters: person}"))
    assert text.endswith("the less it shows")


def test_two_seeds_of_two_settings_tell_little(said):
    [text] = doubts(said(GREATER, seeds="[0, 1]"))
    assert text.startswith("2 seeds tell little of how much seeds differ: 3 of each could show 0.1")


def test_every_form_of_claim_has_its_smallest_difference(said):
    best = "{metric: accuracy, task: capitalization, left: {lora_rank: [4, 8, 16]}, right: base, direction: greater, best: true}"
    one = best.replace("[4, 8, 16]", "4").replace(", best: true", "")
    trend = "{metric: accuracy, task: capitalization, direction: increases, along: lora_rank}"
    pair = "{metric: accuracy, task: capitalization, left: rank8_seed0, right: base, direction: greater}"
    other = GREATER.replace("accuracy", "mean")
    corrected, plain, slope, models, unknown = said(best, one, trend, pair, other)["claims"]
    assert corrected["smallest"] > plain["smallest"]  # for three that are compared
    assert 0 < slope["smallest"] * 12 < 0.3  # from rank 4 to 16
    assert (models["quantity"], models["by_seeds"]) == ("models", {})
    assert models["smallest"] == pytest.approx((7.85 * 0.29 / 307.85) ** 0.5, rel=0.01)
    assert (unknown["smallest"], unknown["unknown"][:30]) == (None, "how much mean varies is not kn")


def test_design_prints_them_as_a_table(lab_folder, commit):
    made = rows(WORDS)
    commit({"data/rows.json": {"train": made[:80], "test": made[80:380]}})
    design = DESIGN.replace("CLAIMS", GREATER).replace("SEEDS", "[0, 1, 2]")
    done = ckgit(lab_folder, "design", "ranks", "--from", "-", stdin=design)
    assert done.returncode == 0, done.stderr
    header, row, told, *_ = done.stdout.splitlines()
    assert header.split()[:9] == ["claim", "about", "rows", "seeds", "shows", "2", "seeds", "3", "seeds"]
    assert row.split()[:4] == ["1", "settings", "300", "3"]
    assert float(row.split()[4]) == pytest.approx(0.115, abs=0.01)
    assert told.startswith("The smallest true difference that each claim would show, four times in five")
    assert "slope" not in done.stdout


def test_of_a_trend_the_table_says_what_its_numbers_are(lab_folder, commit):
    made = rows(WORDS)
    commit({"data/rows.json": {"train": made[:80], "test": made[80:380]}})
    trend = "{metric: accuracy, task: capitalization, direction: increases, along: lr}"
    design = DESIGN.replace("CLAIMS", trend).replace("SEEDS", "[0, 1, 2]").replace("lora_rank: [4, 8, 16]", "lr: [1.e-4, 2.e-4, 3.e-4]")
    done = ckgit(lab_folder, "design", "rates", "--from", "-", stdin=design)
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[1]
    assert "e+" not in row
    assert "; of a trend the slope, for each 1 of what it is along" in done.stdout
