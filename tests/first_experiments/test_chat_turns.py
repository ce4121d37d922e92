"""A file of conversations: the last answer is trained, and evaluation sends all that was said before it."""

import json

import pytest

pytestmark = pytest.mark.slow


def chat(number, word):
    turns = [("user", word), ("assistant", word.upper()), ("user", "again"), ("assistant", word.upper())]
    system = [("system", "Be loud.")] if number % 2 else []
    said = [{"role": role, "content": content} for role, content in (*system, *turns)]
    return {"messages": said, "split": "test" if number >= 8 else "train"}


WORDS = ("apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house", "inlet", "jelly", "knife", "lemon")
CHATS = [chat(number, word) for number, word in enumerate(WORDS)]


def test_from_conversations_to_a_report(first_lab):
    first_lab.commit({"data/chats.jsonl": "\n".join(json.dumps(row) for row in CHATS)})
    said = first_lab.design("chats", "{path: data/chats.jsonl}")
    assert "data/chats.jsonl is read as conversations (messages of role and content); write shape: messages" in said

    first_lab.finish("chats")

    samples = first_lab.samples("chats")
    for sample, row in zip(samples, CHATS[8:], strict=True):
        assert [(m.role, m.content) for m in sample.messages[:-1]] == [(m["role"], m["content"]) for m in row["messages"][:-1]]
        assert sample.target == row["messages"][-1]["content"]
    tokens = json.loads(first_lab.read("chats", "rank4/tokens.json"))
    assert (tokens["train"]["rows"], tokens["asked"]["rows"]) == (8, 4)


def test_each_answer_is_an_example_and_two_system_messages_are_refused(first_lab):
    first_lab.commit({"data/each.jsonl": "\n".join(json.dumps(row) for row in CHATS)})
    first_lab.design("each", "{path: data/each.jsonl, shape: messages, turns: each}")
    assert "train 16 rows, test 8 rows" in first_lab.read("each", "design-experiment.log").decode()

    refused = first_lab.design("two", "{path: data/each.jsonl, shape: messages}", controls=", system_prompt: Be quiet.", ends=3)
    assert "has a system message of its own, and system_prompt is another one" in refused
