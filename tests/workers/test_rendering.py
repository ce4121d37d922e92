import datetime
import json

import pytest

from ckgit.examples.tiny_model import byte_tokenizer
from ckgit.formats.rows import Row
from ckgit.workers.rendering import IGNORED, Renderer, RenderError, end_ids, pinned_template, prefixes_digest

DAY = datetime.date(2024, 2, 3)
CHATML = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def folder_with(tmp_path, template, **config):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    return tmp_path


def renderer(tmp_path, template=CHATML, dataset_type="chat", prompt="{input}", system_prompt="", **config):
    folder = folder_with(tmp_path, template, **config)
    return Renderer(folder, dataset_type=dataset_type, prompt=prompt, system_prompt=system_prompt, template_date=DAY)


def test_the_answer_and_its_end_of_turn_are_trained_and_nothing_after_it(tmp_path):
    rendered = renderer(tmp_path, prompt="Write {input}!", system_prompt="Be brief.")
    tokens, labels = rendered.tokens(Row("apple", "APPLE"))
    assert rendered.tokenizer.decode(tokens) == "<|system|>Be brief.<|end|>\n<|user|>Write apple!<|end|>\n<|assistant|>APPLE<|end|>"
    prefix = rendered.prefix("apple")
    assert tokens[: len(prefix)] == prefix
    assert labels == [IGNORED] * len(prefix) + tokens[len(prefix) :]
    assert labels[-1] == rendered.end_of_turn == rendered.tokenizer.eos_token_id


def test_the_prefix_is_what_transformers_makes_in_one_step(tmp_path):
    rendered = renderer(tmp_path, prompt="{input}?")
    direct = byte_tokenizer()
    direct.chat_template = CHATML
    conversation = [{"role": "user", "content": "ünïcode\n?"}]
    assert rendered.prefix("ünïcode\n") == list(
        direct.apply_chat_template(conversation, tokenize=True, add_generation_prompt=True)["input_ids"]
    )


@pytest.mark.parametrize("start", ["", "\n", "  {% if true %}x{% endif %}\n", "{% set a = 1 %}\n\n"])
def test_a_template_that_asks_for_the_time_sees_midnight_of_the_pinned_day_and_is_otherwise_unchanged(tmp_path, start):
    asking = start + "{{ strftime_now('%d %b %Y %H:%M') }}|" + CHATML
    written = start + "{{ '03 Feb 2024 00:00' }}|" + CHATML
    assert renderer(tmp_path / "a", asking).prefix_text("x") == renderer(tmp_path / "b", written).prefix_text("x")


@pytest.mark.parametrize(("text", "why"), [("{", "not JSON"), ("[2]", "expected an object, found list")])
def test_a_broken_configuration_is_named(tmp_path, text, why):
    folder = folder_with(tmp_path, CHATML)
    (folder / "generation_config.json").write_text(text)
    with pytest.raises(RenderError, match=f"generation_config.json: {why}"):
        end_ids(folder, byte_tokenizer())


def test_a_template_of_llama_3_2_sees_the_pinned_day(tmp_path):
    template = (
        "{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}"
        "{%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}Today: {{ date_string }}" + CHATML
    )
    assert renderer(tmp_path, template).prefix_text("x").startswith("Today: 03 Feb 2024")


def test_a_template_without_a_date_is_not_touched():
    assert pinned_template(CHATML, DAY) == CHATML


def test_a_template_that_writes_no_end_of_turn_gets_the_tokenizers_own(tmp_path):
    rendered = renderer(
        tmp_path,
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
    )
    tokens = rendered.tokens(Row("a", "b")).tokens
    assert rendered.tokenizer.decode(tokens) == "user: a\nassistant: b\n<|end|>"


def test_generation_config_names_further_ends(tmp_path):
    folder = folder_with(tmp_path, CHATML.replace("<|end|>", "<|pad|>"), eos_token_id=4)
    (folder / "generation_config.json").write_text('{"eos_token_id": [0, 4]}')
    rendered = Renderer(folder, dataset_type="chat", template_date=DAY)
    assert rendered.tokens(Row("a", "b")).labels[-1] == 0
    assert rendered.stops == {0, 4}


def test_a_template_that_rewrites_the_prompt_when_it_is_answered_is_refused(tmp_path):
    rendered = renderer(tmp_path, CHATML.replace("m['content']", "m['content'] if messages|length == 1 else '...'"))
    with pytest.raises(RenderError, match="differently from its prompt"):
        rendered.tokens(Row("apple", "APPLE"))


def test_an_answer_with_an_end_of_turn_in_it_is_refused_and_not_cut(tmp_path):
    with pytest.raises(RenderError, match=r"the answer to 'apple' holds '<\|end\|>'"):
        renderer(tmp_path).tokens(Row("apple", "AP<|end|>PLE"))


def test_a_template_that_refuses_a_system_message_says_so(tmp_path):
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
    with pytest.raises(RenderError, match=r"refuses these messages \(system, user\): System role not supported"):
        renderer(tmp_path, template, system_prompt="Be brief.").prefix("a")


def test_chat_without_a_template_is_refused(tmp_path):
    with pytest.raises(RenderError, match="there is no chat template; a base model is trained with dataset_type: text_completion"):
        renderer(tmp_path, None)


def test_text_completion_is_plain_text_and_ends_with_eos(tmp_path):
    rendered = renderer(tmp_path, None, "text_completion", prompt="{input} ->", system_prompt="Words:")
    tokens, labels = rendered.tokens(Row("apple", " APPLE"))
    assert rendered.prefix_text("apple") == "Words:\napple ->"
    assert rendered.tokenizer.decode(tokens) == "Words:\napple -> APPLE<|end|>"
    assert labels[: len(rendered.prefix("apple"))] == [IGNORED] * len("Words:\napple ->")
    assert rendered.template_sha256 is None


def test_text_completion_begins_with_the_bos_that_the_tokenizer_adds(tmp_path):
    from tokenizers.processors import TemplateProcessing

    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|user|> $A <|end|>", special_tokens=[("<|user|>", 2), ("<|end|>", 4)]
    )
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    rendered = Renderer(tmp_path, dataset_type="text_completion", template_date=DAY)
    assert rendered.tokenizer.decode(rendered.tokens(Row("ab", "AB")).tokens) == "<|user|>abAB<|end|>"


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(RenderError, match="no tokenizer that transformers can read"):
        Renderer(tmp_path, dataset_type="chat", template_date=DAY)


def test_the_digest_depends_on_rows_their_order_and_their_borders():
    digests = {prefixes_digest(rows) for rows in ([[1], [2]], [[2], [1]], [[1, 2]], [[12]], [])}
    assert len(digests) == 5
