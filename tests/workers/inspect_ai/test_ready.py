"""What must be in the work tree before an evaluation starts."""

import shutil
from pathlib import Path

import pytest

from ckgit.experiment.worker import Context
from ckgit.workers.inspect_ai import worker
from tests.workers.inspect_ai.examples import BASE, TUNED, job_of, make_context

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work tree after training, its files filled as the cards of make_context say."""
    context = make_context()
    for path, content in {**context.sources, **worker.scaffold(context)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    for folder in (tmp_path / "models/plain", checkpoint(tmp_path)):
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_text(name)
    (checkpoint(tmp_path) / "config.json").write_text("{}")
    return tmp_path


def checkpoint(work: Path) -> Path:
    return work / "experiments/cap/tuned/artifacts/epoch_0"


def reasons(work: Path, name: str = TUNED, context: Context | None = None) -> str:
    context = context or make_context()
    return "; ".join(worker.ready(context, job_of(context, name), work))


def test_all_is_there(work: Path):
    assert reasons(work) == reasons(work, BASE) == ""


def test_a_control_waits_for_no_training(work: Path):
    shutil.rmtree(checkpoint(work))
    assert reasons(work, BASE) == ""
    assert reasons(work) == "there is no checkpoint experiments/cap/tuned/artifacts/epoch_0"


@pytest.mark.parametrize("path", ["tasks/capitalization.py", "data/words.json", "models/plain/tokenizer.json"])
def test_an_input_is_missing(work: Path, path: str):
    (work / path).unlink()
    assert f"{path} is not in the work tree" in reasons(work)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", None, "lacks tokenizer.json"),
        ("tokenizer.json", "other", "the model would see other tokens"),
        ("model.safetensors", None, "has no weights"),
        ("model.safetensors", "", "has no weights, or an empty file"),
        ("config.json", None, "config.json of checkpoint"),
        ("config.json", "{", "config.json of checkpoint"),
        ("adapter_config.json", "{}", "would be evaluated with it twice"),
    ],
)
def test_a_checkpoint_that_is_not_whole(work: Path, name: str, content: str | None, words: str):
    path = checkpoint(work) / name
    path.unlink() if content is None else path.write_text(content)
    assert words in reasons(work)
