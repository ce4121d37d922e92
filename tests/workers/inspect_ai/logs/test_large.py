"""A log of many or of long samples is read in memory that follows its rows, and what is read of it is the same."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.large_logs import make_log
from ckgit.experiment.claims.rows import asked_digest, sketch_of
from ckgit.workers.inspect_ai.logs.file import read
from ckgit.workers.inspect_ai.logs.recompute import recomputed
from ckgit.workers.inspect_ai.logs.scores import metrics_of, samples_of
from ckgit.workers.inspect_ai.logs.texts import LONGEST, ROWS, texts_of

pytestmark = pytest.mark.filterwarnings("ignore")  # inspect's own imports warn
MOST = 12_000_000  # bytes that Python has at once; the log has 40 million


def inputs(file: Path) -> list[bytes]:
    with zipfile.ZipFile(file) as archive:
        return [archive.read(name) for name in archive.namelist() if name.startswith("samples/")]


def whole(file: Path) -> Any:
    from inspect_ai.log import read_eval_log

    return read_eval_log(str(file))


def made(header: Any, samples: list[Any]) -> list[Any]:
    scores = header.results.scores
    return [[*metrics_of(scores, samples)], [*samples_of(scores, samples)], [*texts_of(samples)], recomputed(header, samples, frozenset())]


@pytest.mark.parametrize(("samples", "size"), [(400, 100_000), (10, 4_000_000)])
def test_memory_does_not_follow_the_bytes_of_a_log(tmp_path: Path, samples: int, size: int) -> None:
    few = make_log(tmp_path / "few.eval", samples=1, size=100)
    large = make_log(tmp_path / "large.eval", samples=samples, size=size)
    read(few)  # with all that is imported
    tracemalloc.start()
    try:
        found = read(large).samples
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == samples
    assert kept < MOST / 2
    assert peak < max(MOST, 6 * size)  # the largest sample is parsed whole


def test_what_is_read_is_what_the_whole_log_has(tmp_path: Path) -> None:
    file = make_log(tmp_path / "log.eval", samples=ROWS + 5, size=10_000)
    header, samples, asked, sketch = read(file)
    questions = [json.loads(content)["input"] for content in inputs(file)]
    assert (asked, sketch) == ([*map(asked_digest, questions)], sketch_of(questions))
    log = whole(file)
    assert made(header, samples) == made(log, log.samples)
    texts = [*texts_of(samples)]
    assert len(texts) == ROWS
    assert all(len(text.input) == len(text.output) == LONGEST + 1 for text in texts)


def test_a_conversation_and_a_message_in_parts_are_the_same_texts(tmp_path: Path) -> None:
    file, other = make_log(tmp_path / "log.eval", samples=2, size=1000), tmp_path / "other.eval"
    asked = [{"role": "system", "content": "a" * 3000}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]
    with zipfile.ZipFile(file) as given, zipfile.ZipFile(other, "w") as changed:
        for name in given.namelist():
            document = json.loads(given.read(name))
            if name.startswith("samples/"):
                document["input"] = asked
                document["output"].pop("completion")  # which follows from the message
            changed.writestr(name, json.dumps(document))
    header, samples, *_ = read(other)
    log = whole(other)
    assert made(header, samples) == made(log, log.samples)
    assert next(iter(texts_of(samples))).input.startswith("system: aaa")
