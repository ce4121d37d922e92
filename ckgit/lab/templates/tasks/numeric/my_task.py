"""How far the number in an answer is from the row's output.

An experiment calls it with the settings of its design. By hand:

    inspect eval tasks/my_task.py -T data=../data/my_data.json --model MODEL
"""

import math
import re

from inspect_ai import Task, task
from inspect_ai.scorer import CORRECT, INCORRECT, SampleScore, Score, Scorer, Target, accuracy, mean, metric, scorer, stderr
from inspect_ai.solver import TaskState

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from

NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d+)?")


@task
def my_task(
    data: str = "../data/my_data.json",
    split: str = "test",
    prompt: str = "{input}",
    system_prompt: str = "",
    input_column: str = "input",
    output_column: str = "output",
    scorers: list[dict] | None = None,
) -> Task:
    """Each row of `data` is asked once; the first number in its answer is compared with the row's output."""
    return Task(
        dataset=rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column),
        solver=ask(system_prompt),
        scorer=scorers_from(scorers, default=[absolute_error(), parsed()]),
    )


def number_in(text: str) -> float | None:
    """The first number of a text; None where it has none. Commas may group its thousands."""
    found = NUMBER.search(text)
    value = float(found[0].replace(",", "")) if found else math.nan
    return value if math.isfinite(value) else None


@metric
def rmse():
    """The root of the mean squared error; undefined where no answer has a number."""

    def compute(scores: list[SampleScore]) -> float:
        errors = [each.score.as_float() for each in scores]
        return math.sqrt(math.fsum(error**2 for error in errors) / len(errors)) if errors else math.nan

    return compute


@scorer(metrics=[mean(), stderr(), rmse()])
def absolute_error() -> Scorer:
    """How far the answer's number is from the output. Its mean is the MAE. An answer without a number has no score here."""

    async def score(state: TaskState, target: Target) -> Score:
        wanted, given = number_in(target.text), number_in(state.output.completion)
        if wanted is None:
            raise ValueError(f"row {state.sample_id}: its output {target.text!r} is no number")
        if given is None:
            return Score.unscored(reason="no number", answer=state.output.completion)
        return Score(value=abs(given - wanted), answer=str(given))

    return score


@scorer(metrics=[accuracy(), stderr()])
def parsed() -> Scorer:
    """Whether the answer has a number. Its accuracy is the parse rate."""

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - inspect gives both
        there = number_in(state.output.completion) is not None
        return Score(value=CORRECT if there else INCORRECT, answer=state.output.completion)

    return score
