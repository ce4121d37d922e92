"""The task on mock models, in seconds: pytest tasks/test_my_task.py."""

import json
from pathlib import Path

from inspect_ai import eval as evaluate
from my_task import my_task

from ckgit.workers.inspect_ai.trial.mock import mock_model

ANSWERS = {"capital of France?": "It is Paris.", "capital of Peru?": "It is Cuzco."}


def test_the_judge_says_which_answers_count(tmp_path: Path):
    data = tmp_path / "rows.json"
    data.write_text(json.dumps({"test": [{"input": asked, "output": "what it is"} for asked in ANSWERS]}))
    judge = mock_model(lambda asked: "GRADE: C" if "It is Paris." in asked else "GRADE: I")
    task = my_task(judge=judge, data=str(data), split="test", prompt="{input}", input_column="input", output_column="output")
    [log] = evaluate(task, model=mock_model(ANSWERS.__getitem__), log_dir=str(tmp_path / "logs"), display="none")
    assert log.status == "success", log.error
    assert [sample.scores["model_graded_qa"].value for sample in log.samples] == ["C", "I"]
