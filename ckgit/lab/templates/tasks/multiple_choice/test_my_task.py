"""The task on a mock model, in seconds: pytest tasks/test_my_task.py."""

import json
import math
from pathlib import Path

from inspect_ai import eval as evaluate
from my_task import my_task

from ckgit.workers.inspect_ai.trial.mock import mock_model, sure_of

LABELS = ["good", "bad"]
# What is asked, what is right, what is answered, and how probable "good" is; of the last one nothing is told.
ROWS = [("a", "good", " good.", 0.9), ("b", "bad", "bad", 0.2), ("c", "good", "bad", 0.4), ("d", "bad", "perhaps", None)]


def metrics(rows: list[tuple], folder: Path) -> dict[str, float]:
    """What the task measures."""
    data = folder / "rows.json"
    data.write_text(json.dumps({"test": [{"input": asked, "output": right} for asked, right, *_ in rows]}))
    # half of what is probable is no label, as with any model
    told = {asked: {"Ġgood": good / 2, "bad": (1 - good) / 2, "x": 0.5} for asked, *_, good in rows if good is not None}
    answers = {asked: sure_of(text, told[asked]) if asked in told else text for asked, _, text, _ in rows}
    task = my_task(data=str(data), split="test", prompt="{input}", input_column="input", output_column="output", labels=LABELS)
    [log] = evaluate(task, model=mock_model(answers.__getitem__), log_dir=str(folder / "logs"), display="none")
    assert log.status == "success", log.error
    return {name: metric.value for name, metric in log.results.scores[0].metrics.items()}


def test_what_is_right_and_how_well_sureness_holds(tmp_path: Path):
    found = metrics(ROWS, tmp_path)
    assert found["accuracy"] == 0.5
    assert found["told"] == 0.75
    assert math.isclose(found["brier"], (0.1**2 + 0.2**2 + 0.6**2) / 3)
    # sure by 0.9 and right, by 0.8 and right, by 0.6 and wrong
    assert math.isclose(found["ece"], (0.1 + 0.2 + 0.6) / 3)
    assert found["auc"] == 1.0


def test_with_one_label_alone_there_is_no_area_under_a_curve(tmp_path: Path):
    found = metrics([row for row in ROWS if row[1] == "good"], tmp_path)
    assert math.isnan(found["auc"])
    assert not math.isnan(found["brier"])


def test_where_no_probabilities_are_told_only_the_accuracy_is_known(tmp_path: Path):
    found = metrics([(*row[:3], None) for row in ROWS], tmp_path)
    assert (found["accuracy"], found["told"]) == (0.5, 0.0)
    assert all(math.isnan(found[name]) for name in ("brier", "ece", "auc"))
