"""Measures of real inspect logs, held against scikit-learn and against the templates' own metrics."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from ckgit.analysis.measures.classes import ONE_CLASS
from ckgit.analysis.measures.measure import measured
from ckgit.analysis.measures.section import measures_section
from ckgit.experiment.design.model import RunType
from ckgit.experiment.measured.measures import CellMeasures
from ckgit.experiment.results import CellResult, Results, RunRow
from tests.analysis.build import DIGEST
from tests.analysis.measures.logs import evaluated, template

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # inspect's own imports warn


def values(found: CellMeasures) -> dict[str, float | None]:
    return {f"{each.name} {each.label}" if each.label else each.name: each.value for each in found.measures}


@pytest.mark.parametrize("labels", [("A", "B"), ("A", "B", "C")])
def test_choices_with_probabilities(tmp_path: Path, labels: tuple[str, ...]) -> None:
    chance = random.Random(5)  # noqa: S311 - test data
    targets = chance.choices(labels, weights=[3, *[1] * (len(labels) - 1)], k=90)
    answers = []
    for target in targets:
        weights = {label: chance.random() ** 2 + (0.4 if label == target else 0.01) for label in labels}
        answers.append({label: weight / sum(weights.values()) for label, weight in weights.items()})
    rows = [{"target": target, "age": chance.randrange(20, 80), "note": "x" * 500} for target in targets]
    cell = evaluated(tmp_path, rows, template("multiple_choice").label(labels), answers)

    found = measured(cell)
    assert found
    assert found.kind == "classes"
    own, given = values(found), [max(each, key=lambda label: each[label]) for each in answers]
    assert own["balanced accuracy"] == pytest.approx(sk.balanced_accuracy_score(targets, given))
    assert own["macro F1"] == pytest.approx(sk.f1_score(targets, given, average="macro"))
    for name, compute in {"precision": sk.precision_score, "recall": sk.recall_score, "F1": sk.f1_score}.items():
        by_class = compute(targets, given, average=None, labels=labels)
        assert [own[f"{name} {label}"] for label in labels] == pytest.approx(list(by_class))
    assert found.confusion
    assert [line[:-1] for line in found.confusion.counts] == [tuple(line) for line in sk.confusion_matrix(targets, given, labels=labels)]
    probabilities = np.array([[each[label] for label in labels] for each in answers])
    if len(labels) == 2:
        assert own["AUC"] == pytest.approx(sk.roc_auc_score([t == "B" for t in targets], probabilities[:, 1]))
        assert own["Brier score"] == pytest.approx(sk.brier_score_loss([t == "B" for t in targets], probabilities[:, 1]))
    else:
        assert own["AUC"] == pytest.approx(sk.roc_auc_score(targets, probabilities, multi_class="ovr", labels=labels))
    task = {metric.name: metric.value for metric in cell.metrics}
    assert (own["Brier score"], own["calibration error"], own["AUC"]) == pytest.approx((task["brier"], task["ece"], task["auc"]))
    assert cell.samples[0].metadata == {"age": rows[0]["age"]}  # a long text says nothing about groups
    assert sum(each.rows for each in found.reliability) == 90


def test_numbers(tmp_path: Path) -> None:
    chance = random.Random(6)  # noqa: S311 - test data
    targets = [chance.randrange(1, 2000) for _ in range(120)]
    answers = [f"about {target + chance.gauss(0, 90):,.1f}" if chance.random() < 0.9 else "I cannot say" for target in targets]
    numeric = template("numeric")
    cell = evaluated(tmp_path, [{"target": str(each)} for each in targets], [numeric.absolute_error(), numeric.parsed()], answers)

    found = measured(cell)
    assert found
    assert found.kind == "numbers"
    own = values(found)
    parsed = [
        (target, float(text.removeprefix("about ").replace(",", "")))
        for target, text in zip(targets, answers, strict=True)
        if "a" in text[:1]
    ]
    wanted, given = zip(*parsed, strict=True)
    assert own["MAE"] == pytest.approx(sk.mean_absolute_error(wanted, given))
    assert own["RMSE"] == pytest.approx(sk.root_mean_squared_error(wanted, given))
    assert own["R²"] == pytest.approx(sk.r2_score(wanted, given))
    assert own["parse rate"] == pytest.approx(len(parsed) / 120)
    assert [each.name for each in found.measures if each.low is None] == ["RMSE", "R²"]


def test_answers_of_other_scorers(tmp_path: Path) -> None:
    """The whole text is the answer; a scorer finds the label in it."""
    from inspect_ai.scorer import includes

    targets = ["yes", "no"] * 20
    answers = [f"I would say {target if number % 4 else 'perhaps'}." for number, target in enumerate(targets)]
    found = measured(evaluated(tmp_path, [{"target": target} for target in targets], includes(), answers))
    assert found
    assert found.confusion
    assert found.confusion.labels == ("no", "yes")
    assert found.confusion.counts == ((20, 0, 0), (0, 10, 10))


def notes(found: CellMeasures) -> dict[str, str]:
    return {f"{each.name} {each.label}" if each.label else each.name: each.note for each in found.measures if each.value is None}


def shown(cell: CellResult, found: CellMeasures) -> str:
    """The report's section."""
    made = cell.model_copy(update={"measures": found})
    run = RunRow(name=cell.run, type=RunType.CONTROL, cells=(made,))
    return measures_section(Results(experiment="x", question="Q?", design=DIGEST, runs=(run,)))


def test_one_class_of_targets_leaves_what_compares_classes_undefined(tmp_path: Path) -> None:
    """Rows of which a filter left one class look perfect to whoever reads their accuracy alone."""
    from inspect_ai.scorer import match

    answers = ["yes"] * 34 + ["No"] * 5 + ["I do not know"]
    cell = evaluated(tmp_path, [{"target": "yes"}] * 40, match(location="exact"), answers)
    found = measured(cell)
    assert found
    assert notes(found) == dict.fromkeys(["balanced accuracy", "macro F1"], ONE_CLASS)
    assert values(found)["recall yes"] == pytest.approx(sk.recall_score(["yes"] * 40, answers, average=None, labels=["yes"])[0])
    assert "| rank8 | undefined | undefined | 40 |" in shown(cell, found)
    assert f"- balanced accuracy: {ONE_CLASS}" in shown(cell, found)
    perfect = measured(evaluated(tmp_path, [{"target": "yes"}] * 40, match(location="exact"), ["yes"] * 40))
    assert perfect
    assert notes(perfect) == notes(found)


def test_one_class_of_targets_leaves_an_auc_undefined_though_there_are_probabilities(tmp_path: Path) -> None:
    answers = [{"A": 0.5 + number / 100, "B": 0.5 - number / 100} for number in range(1, 41)]
    cell = evaluated(tmp_path, [{"target": "A"}] * 40, template("multiple_choice").label(("A", "B")), answers)
    found = measured(cell)
    assert found
    assert notes(found) == dict.fromkeys(["balanced accuracy", "macro F1", "AUC"], ONE_CLASS)
    assert values(found)["Brier score"] == pytest.approx(np.mean([each["B"] ** 2 for each in answers]))
    assert next(metric.value for metric in cell.metrics if metric.name == "auc") is None  # that of the task itself


def test_one_class_of_answers_leaves_the_precision_of_the_other_undefined(tmp_path: Path) -> None:
    """What compares classes is defined by the targets: whoever always says the same has half of it right."""
    from inspect_ai.scorer import match

    targets = ["yes", "no"] * 20
    found = measured(evaluated(tmp_path, [{"target": target} for target in targets], match(location="exact"), ["yes"] * 40))
    assert found
    assert notes(found) == {"precision no": "undefined: no answer is this class"}
    assert values(found)["balanced accuracy"] == sk.balanced_accuracy_score(targets, ["yes"] * 40)
    assert values(found)["macro F1"] == pytest.approx(sk.f1_score(targets, ["yes"] * 40, average="macro", zero_division=0))
    assert "its share right, 0.500, is not above that of always answering yes (0.500) beyond chance" in found.remarks
