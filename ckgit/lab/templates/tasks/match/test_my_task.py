"""The task on a mock model, in seconds: pytest tasks/test_my_task.py."""

import json
from pathlib import Path

from inspect_ai import eval as evaluate
from my_task import my_task

from ckgit.workers.inspect_ai.trial.mock import mock_model

ROWS = [{"input": "one", "output": "ONE"}, {"input": "two", "output": "TWO"}]


def test_an_answer_counts_where_it_is_the_output(tmp_path: Path):
    data = tmp_path / "rows.json"
    data.write_text(json.dumps({"test": ROWS}))
    answers = {"one": "ONE", "two": "two"}
    task = my_task(data=str(data), split="test", prompt="{input}", input_column="input", output_column="output")
    [log] = evaluate(task, model=mock_model(answers.__getitem__), log_dir=str(tmp_path / "logs"), display="none")
    assert log.status == "success", log.error
    assert [sample.scores["match"].value for sample in log.samples] == ["C", "I"]
