"""The model API on model folders of several kinds, by inspect's own evaluation loop."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from ckgit.workers.inspect_ai.cells import planned
from ckgit.workers.inspect_ai.run_config import run_config
from ckgit.workers.rendering import Renderer, prefixes_digest
from tests.workers.inspect_ai.examples import WORDS, make_context, make_work_tree

DATE = datetime.date(2026, 11, 23)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # torch, transformers and inspect warn about each other


def evaluate(monkeypatch: pytest.MonkeyPatch, models: Path, work: Path, model: str, **changes: object) -> Any:
    """The log of a control run's evaluation."""
    from inspect_ai import eval  # noqa: A004 - its name
    from inspect_ai.log import read_eval_log
    from inspect_ai.model import GenerateConfig, get_model

    context = make_context(models, models=[model], runs=[{"name": "base", "type": "control"}], **changes)
    make_work_tree(context, models, work)
    monkeypatch.chdir(work)
    config = run_config(next(planned(context)))
    task, asked, generation = config["task"], config["model"], GenerateConfig(**config["generate_config"])
    # a job is a process of its own; here, a model must not be taken from an earlier test
    fresh = get_model(asked["model"], config=generation, memoize=False, **asked["args"])
    logs = eval(task["task"], task_args=task["args"], model=fresh, display="none", ctl_server=False, **config["generate_config"])
    return read_eval_log(logs[0].location)


@pytest.mark.parametrize(
    ("model", "changes", "text"),
    [
        ("plain", {}, "<bos>[system]Use {capitals}.<eot>[user]Word: apple<eot>[assistant]"),
        (
            "dated",
            {"experiment__date": "2020-02-29"},
            "<bos>Today is 29 Feb 2020.[system]Use {capitals}.<eot>[user]Word: apple<eot>[assistant]",
        ),
        ("base", {"controls__dataset_type": "text_completion"}, "Use {capitals}.\nWord: apple"),
    ],
)
def test_what_is_sent_is_what_training_saw(
    monkeypatch: pytest.MonkeyPatch, models: Path, tmp_path: Path, model: str, changes: dict, text: str
):
    log = evaluate(monkeypatch, models, tmp_path, model, **changes)
    assert log.status == "success", log.error
    tokenizer = Renderer(models / model, dataset_type="text_completion", template_date=DATE).tokenizer
    ids = tokenizer(text, add_special_tokens=model == "base")["input_ids"]
    assert ids.count(256) == 1  # one BOS, whoever writes it
    records = [sample.output.metadata["ckgit"] for sample in log.samples]
    assert records[0]["prefix_sha256"] == prefixes_digest([ids])
    assert sorted(record["row"] for record in records) == list(range(len(WORDS["test"])))


def test_without_a_seed_the_samples_do_not_depend_on_what_was_evaluated_before(
    monkeypatch: pytest.MonkeyPatch, models: Path, tmp_path: Path
):
    answers = []
    for number in range(2):
        work = tmp_path / str(number)
        work.mkdir()
        sampled = {"temperature": 1.0, "max_tokens": 6, "max_connections": 4}
        log = evaluate(monkeypatch, models, work, "plain", evaluation__generation=sampled)
        assert log.status == "success", log.error
        answers.append(sorted((sample.id, sample.output.completion) for sample in log.samples))
    assert answers[0] == answers[1]


def test_a_seed_gives_the_same_samples_and_another_seed_others(monkeypatch: pytest.MonkeyPatch, models: Path, tmp_path: Path):
    answers = []
    for number, seed in enumerate((1, 1, 2)):
        work = tmp_path / str(number)
        work.mkdir()
        sampled = {"temperature": 1.0, "max_tokens": 6, "max_connections": 4, "seed": seed}
        log = evaluate(monkeypatch, models, work, "plain", evaluation__generation=sampled)
        assert log.status == "success", log.error
        answers.append(json.dumps(sorted((sample.id, sample.output.completion) for sample in log.samples)))
    assert answers[0] == answers[1] != answers[2]
