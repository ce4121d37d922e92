"""A sample task: write a word in capital letters.

An experiment calls it with the settings of its design. By hand:

    inspect eval tasks/capitalization.py -T data=../data/words_5L.json --model MODEL
"""

from inspect_ai import Task, task
from inspect_ai.scorer import match

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from


@task
def capitalization(
    data: str,
    split: str = "test",
    prompt: str = "{input}",
    system_prompt: str = "",
    input_column: str = "input",
    output_column: str = "output",
    scorers: list[dict] | None = None,
) -> Task:
    """Each row of `data` is asked once; its answer must be the row's output, letter by letter."""
    return Task(
        dataset=rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column),
        solver=ask(system_prompt),
        # match ignores case unless told otherwise, and a model that repeats the word would score 1
        scorer=scorers_from(scorers, default=match(location="exact", ignore_case=False)),
    )
