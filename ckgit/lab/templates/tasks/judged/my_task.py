"""Whether another model, the judge, takes an answer for as good as the row's output.

An experiment calls it with the settings of its design. By hand:

    inspect eval tasks/my_task.py -T data=../data/my_data.json -T judge=openai/gpt-5-mini --model MODEL
"""

from inspect_ai import Task, task
from inspect_ai.scorer import model_graded_qa

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from

INSTRUCTIONS = """
Judge by the criterion alone: length, style and politeness do not matter, and neither does what the answer adds that is true.
Reason first, step by step. Then end with the line 'GRADE: C' where the answer meets the criterion, or 'GRADE: I' where it does not.
"""


@task
def my_task(
    judge: str,
    data: str = "../data/my_data.json",
    split: str = "test",
    prompt: str = "{input}",
    system_prompt: str = "",
    input_column: str = "input",
    output_column: str = "output",
    scorers: list[dict] | None = None,
) -> Task:
    """Each row of `data` is asked once; the judge grades its answer by the row's output.

    `judge` is a model as inspect names it, e.g. openai/gpt-5-mini; its key is in the environment of the job. There is no default: a model
    that grades itself measures nothing.
    """
    return Task(
        dataset=rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column),
        solver=ask(system_prompt),
        scorer=scorers_from(scorers, default=model_graded_qa(instructions=INSTRUCTIONS, model=judge)),
    )
