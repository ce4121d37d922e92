"""Real inspect logs of models whose answers and probabilities are written down, by the tasks that ckgit writes."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import ckgit.lab
from ckgit.experiment.results import CellResult
from ckgit.workers.inspect_ai.logs.file import read
from ckgit.workers.inspect_ai.logs.scores import metrics_of, samples_of
from tests.analysis.build import cell

TASKS = Path(ckgit.lab.__file__).parent / "templates/tasks"


def template(name: str) -> ModuleType:
    """The task file of a template."""
    spec = importlib.util.spec_from_file_location(f"template_{name}", TASKS / name / "my_task.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def evaluated(folder: Path, rows: Sequence[dict[str, Any]], scorer: Any, answers: Sequence[Any], **settings: Any) -> CellResult:
    """The cell that ckgit reads from the log of rows, each answered as said: a text, or probabilities by label."""
    import inspect_ai
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.solver import solver

    said = {number: output(answer) for number, answer in enumerate(answers, start=1)}

    @solver
    def told():
        async def solve(state, generate):
            state.output = said[state.sample_id]
            return state

        return solve

    dataset = [
        Sample(input=str(n), target=row["target"], id=n, metadata={k: v for k, v in row.items() if k != "target"})
        for n, row in enumerate(rows, start=1)
    ]
    task = inspect_ai.Task(dataset, solver=told(), scorer=scorer, **settings)
    (log,) = inspect_ai.eval(task, model=get_model("mockllm/model"), log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    header, samples, *_ = read(Path(log.location))
    scores = header.results.scores
    return cell("rank8", 0, metrics=tuple(metrics_of(scores, samples)), samples=tuple(samples_of(scores, samples)))


def output(answer: str | dict[str, float]) -> Any:
    """A model's output; of probabilities the likeliest label is what it says."""
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, Logprob, Logprobs, ModelOutput, TopLogprob

    if isinstance(answer, str):
        return ModelOutput.from_content("mockllm/model", answer)
    text = max(answer, key=lambda label: answer[label])
    top = [TopLogprob(token=label, logprob=math.log(value)) for label, value in answer.items()]
    logprobs = Logprobs(content=[Logprob(token=text, logprob=math.log(answer[text]), top_logprobs=top)])
    choice = ChatCompletionChoice(message=ChatMessageAssistant(content=text), logprobs=logprobs)
    return ModelOutput(model="mockllm/model", choices=[choice])
