import json

import pytest
from omegaconf import OmegaConf

from ckgit.workers.rendering import Renderer
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.components import row_renderer, rows
from ckgit.workers.torchtune.prepare import TokensDifferError, check_tokens, main
from ckgit.workers.torchtune.tiny_model import byte_tokenizer
from tests.workers.torchtune.designs import DATA, context, write_tree

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
    assert tokens["train"]["template_date"] == "2026-11-23"
    assert json.loads((work / RUN / "artifacts/versions.json").read_bytes())["torchtune"] == "0.6.1"


def test_a_prefix_that_is_not_the_model_folders_stops_the_job_with_both_texts(work, monkeypatch):
    plain = Renderer._encode_prefix
    monkeypatch.setattr(Renderer, "_encode_prefix", lambda self, text: plain(self, text.replace("Say", "Write")))
    setup = OmegaConf.load(work / RUN / "setup_finetune.yaml")
    with pytest.raises(TokensDifferError, match=r"train: the tokens of row '.....' differ") as caught:
        check_tokens(OmegaConf.load(work / RUN / "finetune.yaml"), setup.evaluated_rows)
    assert "<|user|>Write " in str(caught.value)
    assert "<|user|>Say " in str(caught.value)


def test_an_answer_that_is_not_wholly_trained_stops_the_job(work, monkeypatch):
    tokens = Renderer.tokens

    def without_end(self, row):
        whole = tokens(self, row)
        return whole._replace(labels=[*whole.labels[:-1], -100])  # what truncation does in torchtune's own tokenizers

    monkeypatch.setattr(Renderer, "tokens", without_end)
    with pytest.raises(TokensDifferError, match="end-of-turn token is not trained"):
        check_tokens(OmegaConf.load(work / RUN / "finetune.yaml"), [])


def test_another_seed_is_another_order_of_the_same_rows(work):
    renderer = row_renderer("models/tiny", "chat", "{input}", "", "2026-11-23")
    orders = [[row.input for row in rows(renderer, DATA, "train", "input", "output", shuffle_seed=seed).rows] for seed in (None, 0, 1)]
    assert orders[0] == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize(
    ("path", "split", "words"), [("data/none.json", "train", "No such file"), (DATA, "validation", "no split 'validation'")]
)
def test_rows_that_are_not_there_are_named(work, path, split, words):
    with pytest.raises(ValueError, match=words):
        rows(row_renderer("models/tiny", "chat", "{input}", "", "2026-11-23"), path, split, "input", "output")
