"""Whether code that the model writes passes the row's tests, in a sandbox.

An experiment calls it with the settings of its design. By hand:

    inspect eval tasks/my_task.py -T data=../data/my_data.json -T sandbox=docker --model MODEL
"""

import re

from inspect_ai import Task, task
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState
from inspect_ai.util import sandbox as current_sandbox

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from

SECONDS = 10  # that the code of one answer may take
BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)


@task
def my_task(
    data: str = "../data/my_data.json",
    split: str = "test",
    prompt: str = "{input}",
    system_prompt: str = "",
    input_column: str = "input",
    output_column: str = "output",
    sandbox: str = "docker",
    scorers: list[dict] | None = None,
) -> Task:
    """Each row of `data` is asked once; its output are lines of Python, as `assert add(1, 2) == 3`, that the answer's code must pass.

    `sandbox` is where the code runs: docker, or local, which is this machine and this account, with all that they can reach.
    """
    return Task(
        dataset=rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column),
        solver=ask(system_prompt),
        scorer=scorers_from(scorers, default=passes()),
        sandbox=sandbox,
    )


def code_in(text: str) -> str:
    """The code of an answer: its first block, or all of it where it has none."""
    found = BLOCK.search(text)
    return found[1] if found else text


@scorer(metrics=[accuracy(), stderr()])
def passes() -> Scorer:
    """Whether the answer's code, followed by the row's tests, comes to its end."""

    async def score(state: TaskState, target: Target) -> Score:
        code = code_in(state.output.completion)
        # the last line tells that the tests were reached: code that ends the process early has not passed them
        whole = f"{code}\n\n{target.text}\n\nprint('every test has passed')\n"
        try:
            done = await current_sandbox().exec(["python3", "-c", whole], timeout=SECONDS)
        except TimeoutError:
            return Score(value=INCORRECT, answer=code, explanation=f"it took more than {SECONDS} seconds")
        passed = done.success and done.stdout.rstrip().endswith("every test has passed")
        return Score(value=CORRECT if passed else INCORRECT, answer=code, explanation=done.stderr[-2000:])

    return score
