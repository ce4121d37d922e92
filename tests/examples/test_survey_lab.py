"""The survey example as a user takes it into a lab: real torchtune and inspect-ai on a random model of 86,000 parameters."""

from __future__ import annotations

import json
import math
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ckgit.examples.tiny_model import write_random_model
from tests.whole import WholeLab

pytestmark = pytest.mark.slow
LIMIT = 16


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> WholeLab:
    """A lab with the example's files, the regression, and the analyzed experiment."""
    made = WholeLab(tmp_path_factory.mktemp("survey"), {"train": [{"input": "a", "output": "b"}]})
    wide = made.folder.parent / "wide"
    write_random_model(wide, max_position_embeddings=512)
    made.ckgit("models", "add", "wide", str(wide), "--commit")
    made.run("git", "rm", "--quiet", "models/tiny.yaml")
    made.commit("One model")
    refused = made.ckgit("design", "demo", "--template", "survey", code=2)
    assert "the lab has no data/anes96.py and no tasks/vote.py" in refused
    assert f"ckgit init {made.folder} --example survey" in refused
    assert "ckgit design NAME --template survey" in made.ckgit("init", "--example", "survey")
    refused = made.ckgit("design", "demo", "--template", "survey", code=2)
    assert "there is no model card logit" in refused
    assert "python -m ckgit.examples.regression data/anes96.py FOLDER" in refused
    fitted = made.run(sys.executable, "-m", "ckgit.examples.regression", "data/anes96.py", "models/logit")
    assert fitted.returncode == 0, fitted.stderr
    made.ckgit("models", "add", "logit", str(made.folder / "models/logit"), "--commit")
    fewer = ("--set", "controls.max_steps_per_epoch=2", "--set", f"evaluation.tasks.0.limit={LIMIT}")
    designed = made.ckgit("design", "demo", "--template", "survey", *fewer)
    assert "survey with model wide, baseline logit, rows of data/anes96.py and task vote" in designed
    assert "nothing uses" not in designed  # groups use their columns
    made.ckgit("advance", "demo", "--to", "analyzed")
    return made


def log_of(lab: WholeLab, run: str) -> list[dict[str, Any]]:
    """The samples of a run's log, as inspect wrote them."""
    names = lab.run("git", "ls-tree", "-r", "--name-only", "exp/demo").stdout.splitlines()
    [path] = [name for name in names if name.startswith(f"experiments/demo/{run}/") and name.endswith(".eval")]
    copy = lab.folder.parent / f"{run}.eval"
    assert lab.run("sh", "-c", f"git show exp/demo:{path} > {copy}").returncode == 0
    import zipfile_zstd  # noqa: F401 - the log is packed so

    with zipfile.ZipFile(copy) as archive:
        samples = [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("samples/")]
    return sorted(samples, key=lambda each: each["id"])


def test_the_regression_is_a_run_like_any_other(lab: WholeLab) -> None:
    """Its numbers in the report are those that scikit-learn computes of its probabilities on the same rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import brier_score_loss, roc_auc_score

    data = json.loads(lab.run("git", "show", "exp/demo:experiments/demo/data/respondents.json").stdout)
    sys.path.insert(0, str(lab.folder / "data"))
    import anes96  # type: ignore[import-not-found] - of the lab

    def codes(rows: list[dict[str, str]]) -> list[list[int]]:
        lines = [dict(line.split(": ") for line in row["input"].splitlines()) for row in rows]
        return [[anes96.CODEBOOK[q].index(line[q]) for q in anes96.CODEBOOK] for line in lines]

    test = data["test"][:LIMIT]
    truth = [row["output"] == "Dole" for row in test]
    fitted = LogisticRegression(C=1e12, max_iter=10_000, tol=1e-10)
    fitted.fit(codes(data["train"]), [row["output"] == "Dole" for row in data["train"]])
    expected = fitted.predict_proba(codes(test))[:, 1]
    results = json.loads(lab.run("git", "show", "exp/demo:experiments/demo/analysis/results.json").stdout)
    [cell] = next(run["cells"] for run in results["runs"] if run["name"] == "logit")
    found = {metric["name"]: metric["value"] for metric in cell["metrics"] if metric["scorer"] == "label"}
    assert found["accuracy"] == pytest.approx(sum((expected > 0.5) == truth) / LIMIT)
    assert found["auc"] == pytest.approx(roc_auc_score(truth, expected))
    assert found["brier"] == pytest.approx(brier_score_loss(truth, expected), abs=1e-5)
    assert found["told"] == 1


def test_logs_have_probabilities_and_the_columns_of_each_row(lab: WholeLab) -> None:
    data = json.loads(lab.run("git", "show", "exp/demo:experiments/demo/data/respondents.json").stdout)["test"]
    for run in ("base", "seed0", "seed1", "logit"):
        samples = log_of(lab, run)
        assert len(samples) == LIMIT
        for sample, row in zip(samples, data, strict=False):
            assert sample["metadata"] == {name: row[name] for name in ("age", "education", "party")}
            given = sample["scores"]["label"]["metadata"]
            assert given["target"] == row["output"]
            assert given["probabilities"] is None or math.isclose(sum(given["probabilities"].values()), 1)


def test_its_history_verifies_and_its_task_is_tested(lab: WholeLab) -> None:
    lab.ckgit("verify", "demo", "--deep")
    tested = lab.run(sys.executable, "-m", "pytest", "-q", "tasks/test_vote.py", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout


def test_the_files_are_added_once(lab: WholeLab, tmp_path: Path) -> None:
    assert "is a lab already" in lab.ckgit("init", "--example", "survey")
    made = lab.run("ckgit", "init", str(tmp_path / "other"), "--example", "survey", "--dry-run", cwd=tmp_path)
    assert {"data/anes96.py", "tasks/vote.py", "tasks/test_vote.py"} <= set(made.stdout.split())
