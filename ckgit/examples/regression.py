"""A logistic regression as a model folder: the baseline to beat, asked the same rows by the same program as every other run.

`python -m ckgit.examples.regression data/anes96.py DEST` fits it to split `train` of the rows that the file makes, and writes the folder
DEST, which must not exist. `ckgit models add logit DEST` gives it a card, and an eval-only run of a design evaluates it. The file has
CODEBOOK and VOTES, and a function `rows`, as that of the survey example. Needs statsmodels.

It is fitted as usual, by maximum likelihood on the codes of the answers (`statsmodels.Logit`), and then written as a language model of one
layer, so that its log, its intervals and its comparisons are those of any other run. A token is a line of the row, and carries coefficient
x code. The last token of the prompt attends to all of them and adds them up, which is the linear predictor; the logits of the two answers
differ by it. So an answer is as probable as the regression says (float32 rounds in the sixth digit), and after an answer the turn ends.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from ckgit.examples.appear import appear
from ckgit.examples.tiny_model import SPECIAL, TEMPLATE

Rows = Sequence[Mapping[str, str]]
UNKNOWN = "<|other|>"  # a line that is no answer to a question, as the prompt's own
CONTEXT = 256  # tokens; a line is one
# Numbers of the model's width: a line's share of the predictor, the end of the prompt, a said answer, a one for every token, the sum.
SHARE, PROMPT_ENDS, SAID, ONE, SUM = range(5)
WIDTH = 8
SLOW = WIDTH // 2 - 1  # of a head's numbers the one that positions turn least
SINK = 16.0  # the end of the prompt attends to itself e^16 times as much as to a line: how many lines there are then makes no difference
LINEAR = 1e12  # eps of the norms: so large that they only scale
SURE = 40.0  # logit of what is said against everything else


class Regression(NamedTuple):
    """A fitted one: the logit of the second answer is the intercept and the sum over questions of coefficient x code."""

    codebook: Mapping[str, Sequence[str]]
    answers: tuple[str, str]
    intercept: float
    coefficients: Mapping[str, float]

    def share(self, label: str, answer: str) -> float:
        """What a line adds to the logit."""
        return self.coefficients[label] * self.codebook[label].index(answer)


def fit(rows: Rows, codebook: Mapping[str, Sequence[str]], answers: Sequence[str]) -> Regression:
    """Fit it by maximum likelihood, without a penalty.

    Args:
        rows: to be fitted to; each `input` has a line `label: answer` for each question of the codebook.
        codebook: answers in order by label; their places are the codes.
        answers: the two values of `output`.

    Raises:
        ValueError: a row lacks a question or has another answer, or the outcome is not binary.
        statsmodels.tools.sm_exceptions.PerfectSeparationError: the answers tell the outcome without error.
    """
    from statsmodels.api import Logit

    if len(answers) != 2 or {row["output"] for row in rows} != set(answers):  # noqa: PLR2004 - binary
        raise ValueError(f"a logistic regression needs two outcomes, and the rows have {sorted({row['output'] for row in rows})}")
    codes = [[1.0, *_codes(row["input"], codebook)] for row in rows]
    found = Logit([float(row["output"] == answers[1]) for row in rows], codes).fit(disp=False, maxiter=200)
    intercept, *rest = map(float, found.params)
    return Regression(codebook, (answers[0], answers[1]), intercept, dict(zip(codebook, rest, strict=True)))


def _codes(text: str, codebook: Mapping[str, Sequence[str]]) -> list[float]:
    given = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        return [float(options.index(given[label])) for label, options in codebook.items()]
    except (KeyError, ValueError) as error:
        raise ValueError(f"the row {text!r} does not answer each question of the codebook: {error}") from None


def write(folder: Path, regression: Regression, *, facts: Mapping[str, Any] | None = None) -> None:
    """Write it as a Hugging Face folder that predicts what it predicts; `regression.json` has its coefficients.

    Args:
        facts: what else `regression.json` is to say.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(regression)
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=WIDTH,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=LINEAR,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        _set(model, tokenizer, regression)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    told = {"intercept": regression.intercept, "coefficients": regression.coefficients, "logit_of": regression.answers[1], **(facts or {})}
    (folder / "regression.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _tokenizer(regression: Regression) -> Any:
    """A token for each line that can be written, each answer to the prompt, and the special ones; the lines are told apart by line ends."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    lines = [f"{label}: {answer}" for label, options in regression.codebook.items() for answer in options]
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, UNKNOWN, *regression.answers, *lines])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\n+"), behavior="removed")
    tokenizer.add_special_tokens(list(SPECIAL))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",  # noqa: S106
        pad_token="<|pad|>",  # noqa: S106
        unk_token=UNKNOWN,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def _set(model: Any, tokenizer: Any, regression: Regression) -> None:
    """Every weight: of one layer, whose norms only scale, and whose second half does nothing."""
    for weight in model.parameters():
        weight.zero_()
    layer, scale = model.model.layers[0], LINEAR**0.5
    for norm in (layer.input_layernorm, layer.post_attention_layernorm, model.model.norm):
        norm.weight.fill_(scale)
    ids = tokenizer.get_vocab()
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    embedding[:, ONE] = 1.0
    embedding[ids["<|assistant|>"], PROMPT_ENDS] = 1.0
    for label, options in regression.codebook.items():
        for answer in options:
            embedding[ids[f"{label}: {answer}"], SHARE] = regression.share(label, answer)
    attention = layer.self_attn
    strength = (SINK * math.sqrt(WIDTH)) ** 0.5
    attention.q_proj.weight[SLOW, ONE] = strength
    attention.k_proj.weight[SLOW, PROMPT_ENDS] = strength
    attention.v_proj.weight[SHARE, SHARE] = math.exp(SINK)
    attention.o_proj.weight[SUM, SHARE] = 1.0
    first, second = regression.answers
    for answer, sign in ((first, -0.5), (second, 0.5)):
        embedding[ids[answer], SAID] = 1.0
        head[ids[answer], SUM] = sign
        head[ids[answer], PROMPT_ENDS] = SURE + sign * regression.intercept
    head[ids["<|end|>"], SAID] = SURE


def make(file: Path, destination: Path, args: Mapping[str, int]) -> None:
    """Fit it to the rows that a file makes, and make the folder, which appears whole or not at all.

    Args:
        args: of its function `rows`, as the design has them.

    Raises:
        FileExistsError: the destination is there already.
        ValueError: the rows cannot be fitted.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already")
    spec = importlib.util.spec_from_file_location("survey", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is no Python file")
    survey = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(survey)
    rows = survey.rows(**args)["train"]
    found = fit(rows, survey.CODEBOOK, survey.VOTES)
    digest = hashlib.sha256(json.dumps([dict(row) for row in rows], sort_keys=True).encode()).hexdigest()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".regression-") as folder:
        write(Path(folder) / "model", found, facts={"rows": len(rows), "rows_sha256": digest, **args})
        appear(Path(folder) / "model", destination)
    click.echo(f"fitted to {len(rows)} rows: {found.intercept:.3g}" + "".join(f" {b:+.3g} x {a}" for a, b in found.coefficients.items()))


ARGS = {"train": 256, "test": 250, "seed": 0}  # as the design `survey` has them


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--train", default=ARGS["train"], show_default=True, help="As the design gives it to `rows`.")
@click.option("--test", default=ARGS["test"], show_default=True, help="Likewise: who is tested on is not fitted to.")
@click.option("--seed", default=ARGS["seed"], show_default=True, help="Likewise.")
def main(file: Path, destination: Path, **args: int) -> None:
    """Fit a logistic regression to split `train` of the rows that FILE makes, and write it to the folder DESTINATION."""
    make(file, destination, args)


if __name__ == "__main__":
    main()
