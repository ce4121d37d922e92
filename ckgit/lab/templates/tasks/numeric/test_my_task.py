"""The task on a mock model, in seconds: pytest tasks/test_my_task.py."""

import json
import math
from pathlib import Path

from inspect_ai import eval as evaluate
from my_task import my_task, number_in

from ckgit.workers.inspect_ai.trial.mock import mock_model

ROWS = [{"input": "one", "output": "1"}, {"input": "ten", "output": "10"}, {"input": "much", "output": "1000"}]


def test_errors_are_those_of_the_answers_that_have_a_number(tmp_path: Path):
    data = tmp_path / "rows.json"
    data.write_text(json.dumps({"test": ROWS}))
    answers = {"one": "It is 1.", "ten": "about 14", "much": "no idea"}
    task = my_task(data=str(data), split="test", prompt="{input}", input_column="input", output_column="output")
    [log] = evaluate(task, model=mock_model(answers.__getitem__), log_dir=str(tmp_path / "logs"), display="none")
    assert log.status == "success", log.error
    found = {(score.name, name): metric.value for score in log.results.scores for name, metric in score.metrics.items()}
    assert found["absolute_error", "mean"] == 2
    assert math.isclose(found["absolute_error", "rmse"], math.sqrt(8))
    assert math.isclose(found["parsed", "accuracy"], 2 / 3)


def test_numbers_as_people_write_them():
    texts = ["7", "-3.5 degrees", "1,234.5", "2e3", "x = .5", "none", "a-b"]
    assert [number_in(text) for text in texts] == [7, -3.5, 1234.5, 2000, 0.5, None, None]
