import json
import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from ckgit.examples.tiny_model import byte_tokenizer
from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import rows_digest
from ckgit.workers.rendering import Renderer, RenderError
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.components import row_renderer, rows
from ckgit.workers.torchtune.prepare import check_tokens, main
from ckgit.workers.training.outputs.codes import ROWS_REFUSED
from ckgit.workers.training.tokens import PromptsDifferError
from tests.whole import ROOT
from tests.workers.designs import DATA, context, write_tree

RUN = "experiments/capital/run"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A scaffolded work tree with a folder that has a tokenizer; preparing needs no weights."""
    folder = tmp_path / "model"
    byte_tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    ctx = context(
        controls={"prompt": "Say {input}", "system_prompt": "S"},
        evaluation={"tasks": [{"name": "same", "limit": 2}, {"name": "own", "prompt": "Ask {input}"}]},
    )
    write_tree(ctx, dict(worker.scaffold(ctx)), tmp_path, {"tiny": folder})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_compared_is_recorded_and_what_an_earlier_attempt_left_is_gone(work):
    stale = work / RUN / "artifacts/epoch_0"
    stale.mkdir(parents=True)
    main(work / RUN)
    assert not stale.exists()
    tokens = json.loads((work / RUN / "artifacts/tokens.json").read_bytes())
    assert {name: check["rows"] for name, check in tokens.items()} == {"train": 9, "same": 2, "own": 3}
    assert len({check["sha256"] for check in tokens.values()}) == 3
    assert tokens["train"]["end_of_turn"] == 4
    assert {name: len(check["by_row"]) for name, check in tokens.items()} == {"train": 9, "same": 2, "own": 3}
    assert all(check["by_row_sha256"] == rows_digest(check["by_row"]) for check in tokens.values())
    assert not {*tokens["same"]["by_row"]} & {*tokens["own"]["by_row"]}
    assert tokens["train"]["template_date"] == "2026-11-23"
    assert json.loads((work / RUN / "artifacts/versions.json").read_bytes())["torchtune"] == "0.6.1"


def test_a_prefix_that_is_not_the_model_folders_stops_the_job_with_both_texts(work, monkeypatch):
    plain = Renderer._encode_prefix
    monkeypatch.setattr(Renderer, "_encode_prefix", lambda self, text: plain(self, text.replace("Say", "Write")))
    setup = OmegaConf.load(work / RUN / "setup_finetune.yaml")
    with pytest.raises(PromptsDifferError, match=r"train: the tokens of row '.....' differ") as caught:
        check_tokens(OmegaConf.load(work / RUN / "finetune.yaml"), setup.evaluated_rows)
    assert "<|user|>Write " in str(caught.value)
    assert "<|user|>Say " in str(caught.value)


def test_an_answer_that_is_not_wholly_trained_stops_the_job(work, monkeypatch):
    tokens = Renderer.tokens

    def without_end(self, row):
        whole = tokens(self, row)
        return whole._replace(labels=[*whole.labels[:-1], -100])  # what truncation does in torchtune's own tokenizers

    monkeypatch.setattr(Renderer, "tokens", without_end)
    with pytest.raises(PromptsDifferError, match="end-of-turn token is not trained"):
        check_tokens(OmegaConf.load(work / RUN / "finetune.yaml"), [])


def test_another_seed_is_another_order_of_the_same_rows(work):
    renderer = row_renderer("models/tiny", "chat", "{input}", "", "2026-11-23")
    made = [rows(renderer, DATA, "train", "input", "output", shuffle_seed=seed).rendered for seed in (None, 0, 1)]
    orders = [[row.input for row, _ in rendered] for rendered in made]
    assert orders[0] == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2]


def with_rows(work, changes):
    """The work tree's data with other inputs or outputs: `{("train", 2): {"input": "x"}}`."""
    document = json.loads((work / DATA).read_bytes())
    for (split, number), values in changes.items():
        document[split][number].update(values)
    (work / DATA).write_text(json.dumps(document))


def test_every_row_that_is_too_long_is_named_before_the_first_step(work):
    (work / "models/tiny/config.json").write_text('{"model_type": "llama", "max_position_embeddings": 64}')
    with_rows(
        work,
        {
            ("train", 2): {"input": "x" * 3000},
            ("train", 7): {"output": "X" * 90},
            ("test", 1): {"input": "y" * 70},
            ("test", 2): {"input": "z" * 80},
        },
    )
    done = subprocess.run(
        [sys.executable, "-m", "ckgit.workers.torchtune.prepare", RUN],
        cwd=work, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == ROWS_REFUSED
    told = [line for line in done.stderr.splitlines() if "tokens" in line or "rows cannot be used" in line]
    assert told[:-1] == [
        "data/words.json: 2 rows cannot be used:",
        f"  train row 2 has 3016 tokens, more than the model's context length (64 tokens): '{'x' * 59}…'",
        "  train row 7 has 106 tokens, more than the model's context length (64 tokens): 'house'",
        ("task same, data/words.json: test row 1 has 80 tokens before its answer, which leaves no room for an answer in the model's "
        "context length (64 tokens)"),
        "task own, data/words.json: 2 rows cannot be used:",
        "  test row 1 has 80 tokens before its answer, which leaves no room for an answer in the model's context length (64 tokens)",
        "  test row 2 has 90 tokens before its answer, which leaves no room for an answer in the model's context length (64 tokens)",
    ]
    assert not list((work / RUN / "artifacts").glob("epoch_*"))
    failure, sentence = worker.explain(done.stderr, done.returncode)
    assert failure is FailureClass.ERROR
    assert sentence.startswith("data/words.json: 2 rows cannot be used: train row 2 has 3016 tokens, more than the model's context length")


def test_max_seq_len_and_rows_that_cannot_be_rendered_are_told_together(work):
    with_rows(work, {("train", 1): {"output": "a<|end|>b"}, ("train", 3): {"input": "x" * 60}})
    renderer = row_renderer("models/tiny", "chat", "{input}", "", "2026-11-23")
    end = renderer.renderer._stop_texts[0]
    with_rows(work, {("train", 1): {"output": f"a{end}b"}})
    with pytest.raises(RenderError) as caught:
        rows(renderer, DATA, "train", "input", "output", max_seq_len=50)
    first, *named = str(caught.value).splitlines()
    assert first == "data/words.json: 2 rows cannot be used:"
    assert [line.partition(" has ")[0].partition(" cannot ")[0] for line in named] == ["  train row 1", "  train row 3"]
    assert "more than max_seq_len 50" in named[1]


@pytest.mark.parametrize(
    ("path", "split", "words"), [("data/none.json", "train", "No such file"), (DATA, "validation", "has no split validation")]
)
def test_rows_that_are_not_there_are_named(work, path, split, words):
    with pytest.raises(ValueError, match=words):
        rows(row_renderer("models/tiny", "chat", "{input}", "", "2026-11-23"), path, split, "input", "output")
