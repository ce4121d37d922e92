"""A design on a few rows, and what `ckgit validate` and `ckgit design` say of it."""

from tests import command_line

DESIGN = """\
experiment:
  question: Does rank matter?
models: [tiny]
data:
  words: {path: data/rows.json}
controls: {device: cpu, dtype: fp32, batch_size: 2}
variables:
  lora_rank: [4, 8]
evaluation:
  tasks:
    - name: capitalization
  generation: {max_tokens: 12}
"""
WORDS = ("apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house", "inlet", "jelly", "knife", "lemon")


def rows(words=WORDS, **columns):
    """Rows of capitals, with further columns made from each word and its number."""
    return [
        {"input": w, "output": w.upper(), **{name: make(n, w) for name, make in columns.items()}} for n, w in enumerate(words)
    ]


def splits(made):
    return {"train": made[:8], "test": made[8:]}


def ckgit(folder, *args, stdin="", **environment):
    return command_line.ckgit(*args, folder=folder, stdin=stdin, **environment)


def said(document):
    """Problems (or, where there are none, the warnings but that of few steps, which all designs here get) as places and messages."""
    if not document["valid"]:
        return [f"{p['line']}:{p['column']}: {p['message']}" for p in document["problems"]]
    return [text.removeprefix("<stdin>:") for text in document["warnings"] if " steps only" not in text]
