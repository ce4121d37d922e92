"""Whether an answer is the row's output, character by character.

An experiment calls it with the settings of its design. By hand:

    inspect eval tasks/my_task.py -T data=../data/my_data.json --model MODEL
"""

from inspect_ai import Task, task
from inspect_ai.scorer import match

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from


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
    """Each row of `data` is asked once; its answer must be the row's output."""
    return Task(
        dataset=rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column),
        solver=ask(system_prompt),
        # match ignores case unless told otherwise; location="any" accepts an answer that has the output somewhere
        scorer=scorers_from(scorers, default=match(location="exact", ignore_case=False)),
    )
