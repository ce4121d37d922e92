"""Logs of inspect's as large as a long evaluation leaves them, and what reading one takes: `python -m bench.large_logs LOG`."""

from __future__ import annotations

import base64
import json
import random
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckgit.analysis.samples_file import samples_file
from ckgit.experiment.design.model import RunType
from ckgit.experiment.results import CellResult, Results, RunRow

_DIGEST = "0" * 64


def make_log(file: Path, *, samples: int, size: int) -> Path:
    """A log of so many samples, each of so many bytes: a third asked, a third answered, and the rest what happened on the way."""
    small = _small_log(file.parent)
    with zipfile.ZipFile(small) as given, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        header, start = (json.loads(given.read(name)) for name in ("header.json", "_journal/start.json"))
        sample = json.loads(given.read("samples/1_epoch_1.json"))
        made.writestr("_journal/start.json", json.dumps(_of_many(start, samples)))
        chance = random.Random(samples)  # noqa: S311 - no secret
        for number in range(1, samples + 1):
            made.writestr(f"samples/{number}_epoch_1.json", json.dumps(_sample(sample, number, size, chance)))
        made.writestr("header.json", json.dumps(_of_many(header, samples)))
    small.unlink()
    return file


def _small_log(folder: Path) -> Path:
    """What inspect writes of one sample and a model that says always the same."""
    import inspect_ai
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match

    said = ModelOutput.from_content("mockllm/model", "b")
    said.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # which would be counted by a tokenizer of the hub's
    task = inspect_ai.Task(dataset=[Sample(id=1, input="a", target="b")], scorer=match(), name="large")
    model = get_model("mockllm/model", custom_outputs=[said])
    [log] = inspect_ai.eval(task, model=model, log_dir=str(folder / "small"), log_format="eval", display="none")
    return Path(log.location.removeprefix("file://"))


def _of_many(document: dict[str, Any], samples: int) -> Mapping[str, Any]:
    """A header, or the beginning of a log, with more samples."""
    document["eval"]["dataset"] |= {"samples": samples, "sample_ids": list(range(1, samples + 1))}
    if document.get("results"):
        document["results"] |= {"total_samples": samples, "completed_samples": samples}
        for score in document["results"]["scores"]:
            score["scored_samples"] = samples
    return document


def _sample(like: Mapping[str, Any], number: int, size: int, chance: random.Random) -> Mapping[str, Any]:
    asked, answered, way = (base64.b64encode(chance.randbytes(size // 4)).decode() for _ in range(3))
    [score] = like["scores"].values()
    output = {**like["output"], "completion": answered, "choices": [{"message": {"role": "assistant", "content": answered}}]}
    return {
        **like,
        "id": number,
        "input": asked,
        "output": output,
        "messages": [{"role": "user", "content": way}],
        "scores": {"match": {**score, "value": "C" if number % 3 else "I", "answer": "b"}},
        "metadata": {"group": number % 4},
    }


def read_log(file: Path) -> int:
    """What collecting and analyzing make of a log, but for its cell's settings; how many bytes that has in the end."""
    from ckgit.workers.inspect_ai.logs.file import check_archive, read
    from ckgit.workers.inspect_ai.logs.scores import metrics_of, samples_of
    from ckgit.workers.inspect_ai.logs.texts import texts_of

    header, samples, *_ = read(file)
    check_archive(file)
    scores = header.results.scores
    found = CellResult(
        run="a",
        task="large",
        log="large.eval",
        log_sha256=_DIGEST,
        seconds=1.0,
        metrics=tuple(metrics_of(scores, samples)),
        samples=tuple(samples_of(scores, samples)),
        texts=tuple(texts_of(samples)),
    )
    run = RunRow(name="a", type=RunType.CONTROL, varied={}, cells=(found,))
    results = Results(experiment="e", question="?", design=_DIGEST, runs=(run,))
    return len(samples_file(results) or b"") + len(results.model_dump_json())


if __name__ == "__main__":
    print(read_log(Path(sys.argv[1])))
