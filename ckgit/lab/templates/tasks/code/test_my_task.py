"""The task on a mock model, in seconds: pytest tasks/test_my_task.py. Its code runs on this machine."""

import json
from pathlib import Path

from inspect_ai import eval as evaluate
from my_task import my_task

from ckgit.workers.inspect_ai.trial.mock import mock_model

TESTS = "assert add(1, 2) == 3"
ANSWERS = {
    "right": "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.",
    "wrong": "def add(a, b):\n    return a - b",
    "leaves": "import sys\nsys.exit(0)",
}


def test_code_counts_where_it_passes_the_tests(tmp_path: Path):
    data = tmp_path / "rows.json"
    data.write_text(json.dumps({"test": [{"input": name, "output": TESTS} for name in ANSWERS]}))
    task = my_task(data=str(data), split="test", prompt="{input}", input_column="input", output_column="output", sandbox="local")
    [log] = evaluate(task, model=mock_model(ANSWERS.__getitem__), log_dir=str(tmp_path / "logs"), display="none")
    assert log.status == "success", log.error
    assert [sample.scores["passes"].value for sample in log.samples] == ["C", "I", "I"]
