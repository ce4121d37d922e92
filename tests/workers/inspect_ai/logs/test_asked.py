"""What a row asks is told by it alone, so that an evaluation of some rows has them in common with one of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckgit.analysis.comparing.same_rows import shared_rows
from ckgit.experiment.results import CellResult, Sample
from ckgit.workers.inspect_ai.logs.file import read
from tests.analysis.build import DIGEST

pytestmark = pytest.mark.filterwarnings("ignore")  # inspect's own imports warn
QUESTIONS = [f"How many {what} are in the picture?" for what in ("cats", "dogs", "cows", "hens", "pigs")] + ["Who painted it?", "When?"]


def evaluated(folder: Path, questions: list[str]) -> CellResult:
    """What is read of a log of so many rows."""
    import inspect_ai
    from inspect_ai.dataset import Sample as Row
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match

    rows = [Row(id=at, input=question, target="1") for at, question in enumerate(questions, 1)]
    task = inspect_ai.Task(dataset=rows, scorer=match(), name="pictures")
    said = ModelOutput.from_content("mockllm/model", "1")
    said.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # which would be counted by a tokenizer of the hub's
    model = get_model("mockllm/model", custom_outputs=[said] * len(rows), memoize=False)
    [log] = inspect_ai.eval(task, model=model, log_dir=str(folder), log_format="eval", display="none")
    found = read(Path(log.location.removeprefix("file://")))
    samples = tuple(Sample(id=sample.id, scores={}, target=str(sample.target)) for sample in found.samples)
    made = {"run": "base", "task": "pictures", "log": "x", "log_sha256": DIGEST, "seconds": 1.0, "metrics": ()}
    return CellResult(**made, samples=samples, asked="".join(found.asked))


def test_some_rows_are_the_same_as_those_of_all(tmp_path: Path) -> None:
    whole, part, first = (evaluated(tmp_path / str(count), QUESTIONS[:count]) for count in (7, 5, 1))
    assert shared_rows([part, whole]) == [1, 2, 3, 4, 5]
    assert shared_rows([first, whole]) == shared_rows([first, part]) == [1]
    other = evaluated(tmp_path / "other", [QUESTIONS[0], "How many owls are in the picture?"])
    assert shared_rows([other, whole]) == [1]
