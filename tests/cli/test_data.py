"""`ckgit data`: rows as they are read and rendered, and data that is brought into the lab."""

from __future__ import annotations

import hashlib
import json

import datasets
import pytest

from tests.cli.remarks import DESIGN, ckgit, rows, said, splits
from tests.whole import tiny_llama


def show(folder, *words, ends=0):
    done = ckgit(folder, "data", "show", *words, "--json")
    assert done.returncode == ends, done.stderr
    return json.loads(done.stdout if ends == 0 else done.stderr)


def test_rows_of_a_file_are_shown_with_what_they_are_made_of(lab_folder, commit):
    chat = {"messages": [{"role": "user", "content": "a\x1b[2J"}, {"role": "assistant", "content": "b"}]}
    commit({"data/chat.jsonl": json.dumps(chat)})
    document = show(lab_folder, "data/chat.jsonl")
    assert (document["shape"], document["splits"], document["columns"]) == ("messages", {"train": 1}, ["messages"])
    assert [(row["place"], row["input"], row["output"]) for row in document["rows"]] == [("line 1", "a\x1b[2J", "b")]
    text = ckgit(lab_folder, "data", "show", "data/chat.jsonl").stdout
    assert "messages (found out)" in text
    assert "\x1b" not in text  # what a terminal would obey is written out


def test_columns_of_which_nobody_says_which_are_meant_are_shown_as_they_are(lab_folder, commit):
    commit({"data/own.csv": "text,label\na,1\nb,0\n"})
    document = show(lab_folder, "data/own.csv", "--rows", "1")
    assert [(row["input"], row["columns"]) for row in document["rows"]] == [(None, {"text": "a", "label": "1"})]
    assert "a design must say which columns are meant" in ckgit(lab_folder, "data", "show", "data/own.csv").stdout


def test_rendered_for_a_run_only_the_answer_and_its_end_are_trained(lab_folder, commit):
    assert ckgit(lab_folder, "models", "add", "tiny_llama", str(tiny_llama())).returncode == 0
    commit({"data/rows.json": splits(rows())})
    design = DESIGN.replace("[tiny]", "[tiny_llama]").replace("batch_size: 2", 'batch_size: 2, prompt: "Say {input}"')
    assert ckgit(lab_folder, "design", "cap", "--from", "-", stdin=design).returncode == 0
    document = show(lab_folder, "words", "--experiment", "cap", "--rendered", "rank4", "--split", "test", "--rows", "1")
    (row,) = document["rows"]
    sent, trained = (("".join(token["text"] for token in row["tokens"] if token["trained"] is which)) for which in (False, True))
    assert (sent, trained) == (f"<|user|>Say {row['input']}<|end|><|assistant|>", f"{row['output']}<|end|>")
    assert "choose one of: words" in show(lab_folder, "nobody", "--experiment", "cap", ends=2)["error"]["advice"]


def test_a_file_comes_into_the_lab_with_what_to_write_into_a_design(lab_folder, tmp_path, run, validate):
    file = tmp_path / "my rows.csv"
    file.write_text("question,answer\n" + "".join(f"{row['input']},{row['output']}\n" for row in rows()))
    assert ckgit(lab_folder, "data", "add", str(file)).returncode == 2  # no name has a space
    done = ckgit(lab_folder, "data", "add", str(file), "--name", "mine", "--json")
    document = json.loads(done.stdout)
    assert (document["files"], document["splits"]) == ({"data/mine.csv": file.stat().st_size}, {"train": 12})
    assert run(lab_folder, "log", "-1", "--format=%s") == "Add data mine"
    own = DESIGN.replace("  words: {path: data/rows.json}\n", document["design"].partition("\n")[2].rstrip() + "\n")
    own = own.replace("    output_column: answer", "    output_column: answer\n    fractions: {train: 0.75, test: 0.25}")
    assert said(validate(None, own)) == []
    file.write_text("question,answer\na,b\n")
    refused = ckgit(lab_folder, "data", "add", str(file), "--name", "mine")
    assert "there is another data/mine.csv" in refused.stderr


def test_what_was_found_out_is_in_what_to_write_into_a_design(lab_folder, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "a", "chosen": "A", "rejected": "b"}\n')
    done = ckgit(lab_folder, "data", "add", str(file), "--dry-run")
    assert done.stdout.endswith("data:\n  pairs:\n    path: data/pairs.jsonl\n    shape: preference\n"), done.stdout


def test_what_is_large_stays_out_of_git(lab_folder, tmp_path, commit, monkeypatch, run):
    monkeypatch.setattr("ckgit.orchestrators.data.add.LARGE", 10)
    file = tmp_path / "large.csv"
    file.write_text("input,output\naaaa,bbbb\n")
    assert "run the same command with --outside" in ckgit(lab_folder, "data", "add", str(file)).stderr
    assert "has no data_root" in ckgit(lab_folder, "data", "add", str(file), "--outside").stderr
    config = (lab_folder / "ckgit.toml").read_text()
    commit({"ckgit.toml": config.replace("[clusters.local]", f'[clusters.local]\ndata_root = "{tmp_path / "store"}"')})
    head = run(lab_folder, "rev-parse", "HEAD")
    done = ckgit(lab_folder, "data", "add", str(file), "--outside")
    assert "sha256: " in done.stdout
    assert (tmp_path / "store/data/large.csv").read_bytes() == file.read_bytes()
    assert run(lab_folder, "rev-parse", "HEAD") == head


def test_what_datasets_loads_is_kept_as_parquet_and_what_cannot_be_fetched_says_so(lab_folder, tmp_path, monkeypatch):
    from ckgit.workers.hub import fetch

    (tmp_path / "source").mkdir()
    (tmp_path / "source/train.jsonl").write_text('{"input": "a", "output": "b"}\n')
    found = fetch(str(tmp_path / "source"), config=None, split=None, revision=None)
    assert [content[:4] for content in found.values()] == [b"PAR1"]

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused = ckgit(lab_folder, "data", "add", "org/no-such-data", "--name", "none")
    assert refused.returncode == 7
    assert "org/no-such-data cannot be fetched" in refused.stderr
    assert "bring the file yourself: ckgit data add FILE" in refused.stderr


@pytest.mark.parametrize("words", [("data/none.csv",), ("words", "--rendered", "rank4")])
def test_what_is_not_there_or_belongs_to_no_run_is_refused(lab_folder, words):
    assert show(lab_folder, *words, ends=2)["error"]["state"] == "nothing was changed"


MAKE = """\
import os
import random

from data.words import WORDS


def rows(count, seed):
    print("made")
    chosen = random.Random(seed).sample(WORDS, count)
    made = [{"input": word, "output": word.upper() + os.environ.get("LEAK", "")} for word in chosen]
    return {"train": made[:8], "test": made[8:]}


def broken(seed):
    raise ValueError("no rows today")
"""
GENERATED = DESIGN.replace("{path: data/rows.json}", "{generator: {function: data/make.py@rows, args: {count: 12}, seed: 3}}")


def test_rows_that_a_function_makes_are_committed_with_the_digest_of_its_code(lab_folder, commit, run, monkeypatch):
    commit({"data/make.py": MAKE, "data/words.py": f"WORDS = {[row['input'] for row in rows()]}\n"})
    monkeypatch.setenv("LEAK", "of the user's shell")
    checked = json.loads(ckgit(lab_folder, "validate", "-", "--json", stdin=GENERATED).stdout)
    assert "its generator makes its rows when it is designed" in checked["unchecked"][0]  # nothing of the lab is executed
    done = ckgit(lab_folder, "design", "cap", "--from", "-", stdin=GENERATED)
    assert done.returncode == 0, done.stderr
    content = run(lab_folder, "show", "exp/cap:experiments/cap/data/words.json")
    made = json.loads(content)
    assert {split: len(found) for split, found in made.items()} == {"train": 8, "test": 4}
    assert all(row["output"] == row["input"].upper() for found in made.values() for row in found)
    digest = hashlib.sha256(MAKE.encode()).hexdigest()
    assert f"generator: {digest}" in run(lab_folder, "show", "exp/cap:experiments/cap/experiment_summary.md")
    assert ckgit(lab_folder, "verify", "cap").returncode == 0
    assert ckgit(lab_folder, "validate", "cap").returncode == 0
    assert ckgit(lab_folder, "scaffold-experiment", "cap").returncode == 0
    assert "experiments/cap/data/words.json" in run(lab_folder, "show", "exp/cap:experiments/cap/rank4/finetune.slurm")

    again = ckgit(lab_folder, "revise", "cap", "--set", "data.words.generator.seed=4")
    assert again.returncode == 0, again.stderr
    assert json.loads(run(lab_folder, "show", "exp/cap:experiments/cap/data/words.json")) != made


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("data/make.py@broken", "ValueError: no rows today"),
        ("data/make.py@nobody", "data/make.py has no function nobody"),
        ("data/none.py@rows", "there is no file with a function data/none.py on branch main"),
    ],
)
def test_a_function_that_makes_no_rows_says_why(lab_folder, commit, function, message):
    commit({"data/make.py": MAKE, "data/words.py": "WORDS = []\n"})
    design = DESIGN.replace("{path: data/rows.json}", f"{{generator: {{function: {function}}}}}")
    done = ckgit(lab_folder, "design", "cap", "--from", "-", stdin=design)
    assert done.returncode == 3
    assert message in done.stderr
    assert "state: nothing was written" in done.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{}", "exactly one is needed"),
        ("{path: data/rows.json, files: {train: data/rows.json}}", "exactly one is needed"),
        ("{path: data/rows.json, input: '{a}'}", "write both, or input_column and output_column"),
        ("{path: data/rows.json, input: '{a', output: b}", "a brace stands alone at character 0"),
        ("{path: data/rows.json, input: a, output: b, shape: alpaca}", "leave one out"),
        ("{path: data/rows.json, shape: messages, input_column: text}", "says that a row holds something else"),
        ("{path: data/rows.json, shape: alpaca, turns: each}", "these rows are none"),
        ("{path: data/rows.json, split_seed: 1}", "fractions:, which are missing"),
        ("{path: data/rows.json, fractions: {a: 0.7, b: 0.4}}", "are more than 1 together (1.1)"),
        ("{path: data/rows.json, fractions: {train: 0.5, test: 0.5}}", "it has splits of its own (train, test), which fractions would mix"),
    ],
)
def test_what_a_design_says_of_its_rows_is_said_once(validate, data, message):
    found = said(validate(splits(rows()), DESIGN.replace("{path: data/rows.json}", data)))
    assert [message in text for text in found] == [True]


def test_more_samples_than_there_are_make_no_smaller_training_unseen(validate):
    made = splits(rows())
    fewer = DESIGN.replace("  lora_rank: [4, 8]", "  max_samples: [2, 4]")
    assert validate(made, fewer)["valid"]
    found = said(validate(None, fewer.replace("[2, 4]", "[2, 9]")))
    assert [text.partition(": ")[2] for text in found] == ["run rows9: max_samples 9 is more than the 8 rows of split train"]
