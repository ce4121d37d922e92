"""Which of a few labels the model answers with, how sure it is, and whether it may be.

An experiment calls it with the settings of its design. By hand:

    inspect eval tasks/my_task.py -T data=../data/my_data.json --model MODEL
"""

import math
from collections.abc import Sequence

from inspect_ai import Task, task
from inspect_ai.model import GenerateConfig, ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, SampleScore, Score, Scorer, Target, accuracy, metric, scorer, stderr
from inspect_ai.solver import TaskState

from ckgit.workers.inspect_ai.tasks import ask, rows_dataset, scorers_from

LABELS = ("A", "B")  # as the rows' outputs have them; no two may begin with the same token
TOP = 20  # likeliest tokens that are looked at; a label that is not among them counts as impossible
BINS = 10  # of the calibration error
SPACES = str.maketrans(dict.fromkeys("ĠĊ▁", " "))  # how tokenizers write them


@task
def my_task(
    data: str = "../data/my_data.json",
    split: str = "test",
    prompt: str = "{input}",
    system_prompt: str = "",
    input_column: str = "input",
    output_column: str = "output",
    labels: Sequence[str] = LABELS,
    scorers: list[dict] | None = None,
) -> Task:
    """Each row of `data` is asked once; its answer must begin with the label that is the row's output."""
    return Task(
        dataset=rows_dataset(data, split, prompt, input_column=input_column, output_column=output_column),
        solver=ask(system_prompt),
        scorer=scorers_from(scorers, default=label(labels)),
        config=GenerateConfig(logprobs=True, top_logprobs=TOP),
    )


def label_in(text: str, labels: Sequence[str]) -> str | None:
    """The label that a text begins with; None where it begins with none. Of labels that begin alike it is the longest."""
    return max((each for each in labels if text.strip().startswith(each)), key=len, default=None)


def probabilities_in(output: ModelOutput, labels: Sequence[str]) -> dict[str, float] | None:
    """How probable each label is as the beginning of the answer; together 1. None where the model does not tell, or thinks of none."""
    logprobs = output.choices[0].logprobs if output.choices else None
    first = next((each for each in (logprobs.content if logprobs else []) if each.token.translate(SPACES).strip()), None)
    found = dict.fromkeys(labels, 0.0)
    for token in (first.top_logprobs or [] if first else []):
        text = token.token.translate(SPACES).strip()
        begun = [text] if text in found else [each for each in labels if text and each.startswith(text)]
        if len(begun) == 1:
            found[begun[0]] += math.exp(token.logprob)
    total = math.fsum(found.values())
    return {each: value / total for each, value in found.items()} if total else None


class Judged:
    """Rows whose answer has probabilities, for the metrics."""

    def __init__(self, scores: list[SampleScore]) -> None:
        known = [each.score.metadata for each in scores if each.score.metadata and each.score.metadata["probabilities"]]
        self.rows = [(each["probabilities"], each["target"]) for each in known]

    def mean(self, values: Sequence[float]) -> float:
        """Undefined where there are none."""
        return math.fsum(values) / len(values) if values else math.nan


@metric
def brier():
    """Half the squared distance of the probabilities from the truth; for two labels the usual (p - y)²."""

    def compute(scores: list[SampleScore]) -> float:
        judged = Judged(scores)
        return judged.mean([sum((value - (each == target)) ** 2 for each, value in found.items()) / 2 for found, target in judged.rows])

    return compute


@metric
def ece():
    """Expected calibration error: how far the share of right answers is from the sureness, over bins of equal width."""

    def compute(scores: list[SampleScore]) -> float:
        judged = Judged(scores)
        bins: dict[int, list[float]] = {}
        for found, target in judged.rows:
            chosen = max(found, key=found.get)
            bins.setdefault(min(int(found[chosen] * BINS), BINS - 1), []).append((chosen == target) - found[chosen])
        total = math.fsum(abs(math.fsum(gaps)) for gaps in bins.values())
        return total / len(judged.rows) if judged.rows else math.nan

    return compute


@metric
def auc():
    """How often a row with a label has more probability of it than one without; the mean over labels that not all rows have."""

    def compute(scores: list[SampleScore]) -> float:
        judged = Judged(scores)
        areas = []
        for name in {target for _, target in judged.rows}:
            with_it = [found.get(name, 0.0) for found, target in judged.rows if target == name]
            without = [found.get(name, 0.0) for found, target in judged.rows if target != name]
            areas += [judged.mean([(a > b) + (a == b) / 2 for a in with_it for b in without])] if without else []
        return judged.mean(sorted(areas))

    return compute


@metric
def told():
    """The share of rows whose answer has probabilities: the other three are of these alone."""

    def compute(scores: list[SampleScore]) -> float:
        return len(Judged(scores).rows) / len(scores) if scores else math.nan

    return compute


@scorer(metrics=[accuracy(), stderr(), brier(), ece(), auc(), told()])
def label(labels: Sequence[str]) -> Scorer:
    """Whether the answer begins with the row's output, with the probability of each label beside it."""

    async def score(state: TaskState, target: Target) -> Score:
        if target.text not in labels:
            raise ValueError(f"row {state.sample_id}: its output {target.text!r} is none of the labels {', '.join(labels)}")
        given = label_in(state.output.completion, labels)
        return Score(
            value=CORRECT if given == target.text else INCORRECT,
            answer=given or state.output.completion,
            metadata={"probabilities": probabilities_in(state.output, labels), "target": target.text},
        )

    return score
