"""Rows of a training that cannot be trained on are all named before it starts."""

import datetime
import json

import pytest

from ckgit.workers.rendering import IGNORED, Renderer, RenderError, Tokens
from ckgit.workers.training.rows import render as render_row
from ckgit.workers.training.rows import rendered_rows

COLUMNS = {"input_column": "input", "output_column": "output"}


class Masked(Renderer):
    """A renderer that masks all of some rows, as a trainer does by itself where a template hides the answer."""

    def tokens(self, row):
        """As ckgit renders, but for rows that are to be masked."""
        found = super().tokens(row)
        return Tokens(found.tokens, [IGNORED] * len(found.labels)) if row.input.startswith("masked") else found


@pytest.fixture
def render(tmp_path, random_model):
    """`render(renderer, *inputs)`: rows with these inputs, rendered."""
    def rows(renderer, *inputs):
        file = tmp_path / "rows.json"
        file.write_text(json.dumps({"train": [{"input": each, "output": "A"} for each in inputs]}))
        made = renderer(random_model, dataset_type="chat", prompt="{input}", system_prompt="", template_date=datetime.date(2026, 11, 23))
        return rendered_rows(made, str(file), "train", COLUMNS, max_seq_len=None, shuffle_seed=None, max_samples=None, made=render_row)

    return rows


def test_rows_of_which_no_token_is_trained_are_refused_and_named(render):
    with pytest.raises(RenderError) as refused:
        render(Masked, "fine", "masked one", "fine too", "masked two")
    first, second = [line.strip() for line in str(refused.value).splitlines()][-2:]
    assert first.endswith("train row 1 has no token to train on: 'masked one'")
    assert second.endswith("train row 3 has no token to train on: 'masked two'")


def test_rows_with_an_answer_are_rendered_in_order(render):
    rendered = render(Renderer, "fine", "fine too")
    assert [row.input for row, _ in rendered] == ["fine", "fine too"]
    assert all(any(label != IGNORED for label in tokens.labels) for _, tokens in rendered)
