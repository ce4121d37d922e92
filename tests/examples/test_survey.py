"""The rows of the survey example, held against the study itself; and its regression, held against scikit-learn and statsmodels."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ckgit.examples import regression
from ckgit.examples.regression import ARGS, fit, make, write
from tests.whole import ROOT

FILE = ROOT / "ckgit/lab/templates/survey/anes96.py"
pytestmark = pytest.mark.filterwarnings("ignore")  # of statsmodels and scikit-learn


@pytest.fixture(scope="module")
def survey() -> ModuleType:
    spec = importlib.util.spec_from_file_location("anes96", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The regression as a model folder."""
    made = tmp_path_factory.mktemp("regression") / "logit"
    make(FILE, made, ARGS)
    return made


def test_a_respondent_is_told_as_the_study_has_him(survey: ModuleType) -> None:
    from statsmodels.datasets import anes96

    records = anes96.load_pandas().data
    first = records.iloc[0]
    assert list(first[["age", "educ", "income", "TVnews", "selfLR", "PID", "vote"]]) == [36, 3, 1, 7, 7, 6, 1]
    codes, vote = survey.answers()[0]
    row = survey.as_row(codes, vote)
    assert row["input"].splitlines() == [
        "Age: 36",
        "Education: high school",
        "Income: lowest fifth",
        "TV news: 7 days a week",
        "Views: very conservative",
        "Party: strong Republican",
    ]
    assert (row["output"], row["age"], row["education"], row["party"]) == ("Dole", "30-44", "high school or less", "Republican")
    assert [codes["Party"] for codes, _ in survey.answers()] == records["PID"].astype(int).tolist()
    assert sum(vote == "Dole" for _, vote in survey.answers()) == int(records["vote"].sum())


def test_income_is_in_fifths(survey: ModuleType) -> None:
    counted = [sum(codes["Income"] == fifth for codes, _ in survey.answers()) for fifth in range(5)]
    assert sum(counted) == 944
    assert all(0.15 < each / 944 < 0.25 for each in counted)


def test_nobody_is_in_both_splits_and_the_seed_decides(survey: ModuleType) -> None:
    everybody = survey.rows(train=600, test=344, seed=3)  # all 944, each once
    drawn = sorted(json.dumps(row) for split in everybody.values() for row in split)
    assert drawn == sorted(json.dumps(survey.as_row(*each)) for each in survey.answers())
    assert survey.rows(**ARGS) == survey.rows(**ARGS)
    assert survey.rows(**ARGS) != survey.rows(**{**ARGS, "seed": 1})
    with pytest.raises(ValueError, match="there are 944 respondents"):
        survey.rows(train=900, test=100, seed=0)


def codes_and_votes(survey: ModuleType, split: str) -> tuple[list[list[int]], list[bool]]:
    """As a social scientist would read them from the text, without the code under test."""
    rows = survey.rows(**ARGS)[split]
    lines = [dict(line.split(": ") for line in row["input"].splitlines()) for row in rows]
    return [[survey.CODEBOOK[q].index(line[q]) for q in survey.CODEBOOK] for line in lines], [row["output"] == "Dole" for row in rows]


def asked(folder: Path, rows: list[dict[str, str]]) -> Iterator[float]:
    """The probability of Dole that the folder gives each row, asked as the design does."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for row in rows:
        messages = [{"role": "system", "content": "Guess."}, {"role": "user", "content": f"{row['input']}\nVote: Clinton or Dole?"}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            yield float(torch.softmax(model(**ids).logits[0, -1], 0)[tokenizer.get_vocab()["Dole"]])
    said = tokenizer.decode(model.generate(**ids, max_new_tokens=5)[0, ids["input_ids"].shape[1] :])
    assert said.replace(" ", "") in ("Clinton<|end|>", "Dole<|end|>")


def test_the_folder_predicts_what_scikit_learn_predicts(survey: ModuleType, folder: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e12, max_iter=10_000, tol=1e-10).fit(*codes_and_votes(survey, "train"))
    expected = fitted.predict_proba(codes_and_votes(survey, "test")[0])[:, 1]
    assert list(asked(folder, survey.rows(**ARGS)["test"])) == pytest.approx(list(expected), abs=2e-5)


def test_its_coefficients_are_kept(survey: ModuleType, folder: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    kept = json.loads((folder / "regression.json").read_text())
    fitted = LogisticRegression(C=1e12, max_iter=10_000, tol=1e-10).fit(*codes_and_votes(survey, "train"))
    assert list(kept["coefficients"].values()) == pytest.approx(list(fitted.coef_[0]), abs=1e-4)
    assert kept["intercept"] == pytest.approx(fitted.intercept_[0], abs=1e-3)
    assert (kept["rows"], kept["logit_of"]) == (256, "Dole")


def test_a_line_more_or_less_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    """A question that was not answered, in a survey of one's own, adds nothing to the logit."""
    book = {"Party": ("left", "right"), "Age": tuple(map(str, range(5)))}
    found = regression.Regression(book, ("Clinton", "Dole"), -1.0, {"Party": 2.0, "Age": 0.5})
    write(tmp_path / "model", found)
    inputs = ("Party: right\nAge: 2", "Party: right", "Party: left\nAge: 4\nso\nmany\nother\nlines")
    logits = [-1 + 2 + 1, -1 + 2, -1 + 2]
    expected = [1 / (1 + math.exp(-each)) for each in logits]
    assert list(asked(tmp_path / "model", [{"input": text} for text in inputs])) == pytest.approx(expected, abs=1e-5)


def test_rows_that_cannot_be_fitted_are_told(survey: ModuleType, tmp_path: Path) -> None:
    rows = [{"input": "Party: left", "output": "Clinton"}, {"input": "Party: right", "output": "Perot"}]
    with pytest.raises(ValueError, match="needs two outcomes, and the rows have"):
        fit(rows, {"Party": ("left", "right")}, survey.VOTES)
    rows[1] = {"input": "Party: centre", "output": "Dole"}
    with pytest.raises(ValueError, match="'Party: centre' does not answer each question"):
        fit(rows, {"Party": ("left", "right")}, survey.VOTES)
    (tmp_path / "logit").mkdir()
    with pytest.raises(FileExistsError):
        make(FILE, tmp_path / "logit", ARGS)
