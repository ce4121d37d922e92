"""A task on a few of its rows: what it asks, what is answered, how that is scored. A process of its own: it runs what the user wrote.

`python -m ckgit.workers.inspect_ai.trial.run` at the top of a lab reads one JSON document from standard input, and writes one to
standard output. Without a model, a mock answers: the first row rightly, the next one wrongly, and so on.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ckgit.workers.inspect_ai.isolation import pin

WRONG = "(a wrong answer)"
_MOST_PLACES = 5
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')  # of a traceback as text


def main() -> int:
    """Run the trial that standard input tells of; its exit code is 0 whatever became of the task."""
    asked = json.load(sys.stdin)
    top = Path.cwd()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the task prints, or starts, is none of the answer
    try:
        found = _trial(asked)
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is what is told
        frames = [(frame.filename, frame.lineno or 0, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
        found = _failed(f"{type(error).__name__}: {error}", frames, top)
    out.write(json.dumps(found))
    out.close()
    return 0


def _trial(asked: Mapping[str, Any]) -> dict[str, Any]:
    pin()  # before inspect is imported
    from inspect_ai import eval as evaluate

    from ckgit.workers.inspect_ai.tasks import module_of

    top, file = Path.cwd(), Path(asked["file"]).resolve()
    os.chdir(file.parent)  # as inspect does
    task = getattr(module_of(file), asked["function"])(**_with_mocks(asked["args"]))
    model, args = _model(asked, task, top)
    settings = {"limit": asked["rows"], "display": "none", "log_realtime": False, **asked["generation"]}
    with tempfile.TemporaryDirectory() as logs:
        [log] = evaluate(task, model=model, model_args=args, log_dir=logs, **settings)
        return _told(log, len(task.dataset), top)  # inspect reads the samples when they are asked for


def _with_mocks(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with a model that asks no network where one is `mockllm/model`: a judge that knows a wrong answer."""
    from ckgit.workers.inspect_ai.trial.mock import NAME, mock_model

    judge = mock_model(lambda asked: "GRADE: I" if WRONG in asked else "GRADE: C")
    return {key: judge if value == NAME else value for key, value in args.items()}


def _told(log: Any, samples: int, top: Path) -> dict[str, Any]:
    if log.error:
        frames = [(path, int(line), name) for path, line, name in _FRAME.findall(log.error.traceback)]
        return _failed(log.error.message, frames, top)
    scores = log.results.scores if log.results else []
    numbers = [
        {"scorer": each.name, "metric": name, "value": _number(found.value)} for each in scores for name, found in each.metrics.items()
    ]
    return {"samples": samples, "rows": [_row(sample) for sample in log.samples or []], "metrics": numbers, "error": None}


def _model(asked: Mapping[str, Any], task: Any, top: Path) -> tuple[Any, dict[str, Any]]:
    """A real model by its provider's arguments, or one that knows every second answer."""
    from ckgit.workers.inspect_ai.trial.mock import mock_model, sure_of

    if asked["model"]:
        paths = {key: str(top / value) for key, value in asked["model"].items() if key == "model_path"}
        return "ckgit/trial", {**asked["model"], **paths}
    samples = list(task.dataset)[: asked["rows"]]
    targets = sorted({_target(sample) for sample in samples})

    def answer(text: str) -> Any:
        number, sample = next(((n, each) for n, each in enumerate(samples) if _text(each) and _text(each) in text), (1, None))
        right = number % 2 == 0 and sample is not None
        said = _target(sample) if right else WRONG
        others = [each for each in targets if each != said]
        return sure_of(said, {said: 0.8, **{each: 0.2 / len(others) for each in others}})

    return mock_model(answer), {}


def _text(sample: Any) -> str:
    if isinstance(sample.input, str):
        return str(sample.input)
    return next((str(each.text) for each in reversed(sample.input) if each.role == "user"), "")


def _target(sample: Any) -> str:
    targets = [sample.target] if isinstance(sample.target, str) else [*sample.target]
    return str(targets[0]) if targets else ""


def _row(sample: Any) -> dict[str, Any]:
    return {
        "id": sample.id,
        "input": _text(sample),
        "target": _target(sample),
        "answer": sample.output.completion,
        "scores": {name: _plain(score.value) for name, score in (sample.scores or {}).items()},
    }


def _plain(value: Any) -> Any:
    """A score as JSON has it; null where there is none."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else _number(value)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _failed(message: str, frames: Sequence[tuple[str, int, str]], top: Path) -> dict[str, Any]:
    """What a task failed with, and where in the lab's own files."""
    own = [(Path(path), line, name) for path, line, name in frames if Path(path).is_relative_to(top) and "site-packages" not in path]
    places = [f"{path.relative_to(top).as_posix()}, line {line}, in {name}" for path, line, name in own]
    return {"samples": 0, "rows": [], "metrics": [], "error": {"message": message, "places": places[-_MOST_PLACES:]}}


if __name__ == "__main__":
    sys.exit(main())
