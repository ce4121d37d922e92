"""A model for tests of tasks: `from ckgit.workers.inspect_ai.trial.mock import mock_model, sure_of`.

It is inspect's `mockllm`, which would ask the network for a tokenizer to count tokens with, where an answer does not say how many it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    Logprob,
    Logprobs,
    Model,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
)

NAME = "mockllm/model"
_USAGE = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)


def mock_model(answer: Callable[[str], str | ModelOutput]) -> Model:
    """A model that answers each message with what a function makes of its text. It asks no network."""

    def output(messages: list[Any], *_: Any) -> ModelOutput:
        said = answer(messages[-1].text)
        found = ModelOutput.from_content(NAME, said) if isinstance(said, str) else said
        return found.model_copy(update={"usage": _USAGE})

    return get_model(NAME, custom_outputs=output, memoize=False)


def sure_of(text: str, probabilities: Mapping[str, float]) -> ModelOutput:
    """An answer that tells how probable its first token is, and others in its place; None of them is 0."""
    top = [TopLogprob(token=token, logprob=math.log(each)) for token, each in sorted(probabilities.items(), key=lambda item: -item[1])]
    first = Logprob(token=top[0].token, logprob=top[0].logprob, top_logprobs=top)
    choice = ChatCompletionChoice(message=ChatMessageAssistant(content=text), logprobs=Logprobs(content=[first]))
    return ModelOutput(model=NAME, choices=[choice])
