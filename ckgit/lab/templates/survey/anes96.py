"""Rows of the American National Election Study of 1996, as text: who was asked, and whether they would vote for Clinton or Dole.

The 944 respondents come with statsmodels (`statsmodels.datasets.anes96`, public domain). `ckgit design` calls `rows`, see docs/your-data.md
of ckgit, and commits what it makes. For a survey of your own: read it in `answers`, and write its questions into CODEBOOK.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

# What a row tells, a line each: its label, and the answers in order. The place of an answer, counted from 0, is its code in a regression.
CODEBOOK: Mapping[str, Sequence[str]] = {
    "Age": tuple(map(str, range(100))),
    "Education": ("grade school", "some high school", "high school", "some college", "college degree", "master's degree", "doctorate"),
    "Income": ("lowest fifth", "second fifth", "middle fifth", "fourth fifth", "highest fifth"),
    "TV news": ("never", *(f"{days} days a week" for days in range(1, 8))),
    "Views": ("very liberal", "liberal", "slightly liberal", "moderate", "slightly conservative", "conservative", "very conservative"),
    "Party": (
        *("strong Democrat", "weak Democrat", "leans Democrat", "independent"),
        *("leans Republican", "weak Republican", "strong Republican"),
    ),
}
VOTES = ("Clinton", "Dole")  # the outcome: codes 0 and 1
AGES = {30: "18-29", 45: "30-44", 60: "45-59", 200: "60 and over"}  # band of those who are younger than that
SCHOOLING = {"high school or less": range(3), "some college": range(3, 4), "college degree": range(4, 7)}
PARTIES = {"Democrat": range(2), "independent or leaning": range(2, 5), "Republican": range(5, 7)}


def rows(train: int, test: int, seed: int) -> dict[str, list[dict[str, str]]]:
    """So many respondents to train on and to test on, drawn by the seed: nobody is in both.

    `input` and `output` are what the model is asked and should answer; the other columns are the groups of the report.
    """
    found = answers()
    if train + test > len(found):
        raise ValueError(f"there are {len(found)} respondents, and {train} + {test} are wanted")
    drawn = random.Random(seed).sample(found, train + test)  # noqa: S311 - rows, not secrets
    made = [as_row(codes, vote) for codes, vote in drawn]
    return {"train": made[:train], "test": made[train:]}


def answers() -> list[tuple[dict[str, int], str]]:
    """Each respondent: the code of every line of CODEBOOK, and the vote. Respondents come in the order of the file."""
    from statsmodels.datasets import anes96

    records = anes96.load_pandas().data.to_dict("records")
    return [(_codes(record), VOTES[int(record["vote"])]) for record in records]


def _codes(record: Mapping[str, Any]) -> dict[str, int]:
    """The study counts education, income and views from 1; its 24 classes of income are taken together to about five fifths."""
    income = sum(int(record["income"]) > highest for highest in (11, 15, 19, 21))
    return {
        "Age": int(record["age"]),
        "Education": int(record["educ"]) - 1,
        "Income": income,
        "TV news": int(record["TVnews"]),
        "Views": int(record["selfLR"]) - 1,
        "Party": int(record["PID"]),
    }


def as_row(codes: Mapping[str, int], vote: str) -> dict[str, str]:
    """A respondent as a row: a line for each question, and the groups to which he or she belongs."""
    return {
        "input": "\n".join(f"{label}: {options[codes[label]]}" for label, options in CODEBOOK.items()),
        "output": vote,
        "age": next(band for older, band in AGES.items() if codes["Age"] < older),
        "education": next(group for group, of in SCHOOLING.items() if codes["Education"] in of),
        "party": next(group for group, of in PARTIES.items() if codes["Party"] in of),
    }
