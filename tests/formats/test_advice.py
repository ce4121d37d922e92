"""The commands that are taken out of sentences, and that this holds for every sentence of that kind in the code."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ckgit
from ckgit.cli import group
from ckgit.formats.advice import FLAGS, OPERANDS, VALUED, commands
from tests.cli.test_documents import all_commands

SAMPLE = "x7y"  # whatever is filled into a sentence
# Words of sentences in the code that are operands as they stand.
LITERAL = {"design", "summary", "ckgit", "list", "add", "user.name", "user.email", "ckgit.defaultBranch", "ckgit.sign", "false", "hooks"}
LITERAL |= {"full", "gpg.format", "ssh", "user.signingkey", "~/.ssh/id_ed25519.pub"}

OPTIONS_FILLED_IN = (
    f"ckgit revise {SAMPLE} {SAMPLE} (null takes a value away)",
    f"{SAMPLE}; to take the newer one: ckgit revise {SAMPLE} {SAMPLE}",
)
NAMED = re.compile(rf"(?<![\w./@-])(?:git -C|{'|'.join(OPERANDS)})\b")
# Commands that must be filled in first, are to be given elsewhere, or are only named.
LEFT_OUT = re.compile(
    r"\b[A-Z]{3,}\b| (?:on|as|there)\b|Your Name|you@|^ckgit [a-z-]+(?: add| --[a-z-]+)?$|^git -C x7y x7y|^git commit-tree|: seconds$"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ckgit cancel demo ends them; or ckgit revise demo", ["ckgit cancel demo", "ckgit revise demo"]),
        (
            "ckgit why demo, then ckgit retry demo (or ckgit advance demo --accept-missing)",
            ["ckgit why demo", "ckgit retry demo", "ckgit advance demo --accept-missing"],
        ),
        (
            "git switch exp/demo && git checkout 0123 -- a 'b c' && git commit -m 'As ckgit left it'",
            ["git switch exp/demo", "git checkout 0123 -- a 'b c'", "git commit -m 'As ckgit left it'"],
        ),
        ("ckgit advance demo --detach again, or ckgit advance demo to wait", ["ckgit advance demo --detach", "ckgit advance demo"]),
        ("wait for them (ckgit advance ends), or end them (ckgit cancel runs)", ["ckgit advance ends", "ckgit cancel runs"]),
        (
            "run it on node7; where that is no more: ckgit cancel demo --lost --because 'node7 is no more'",
            ["ckgit cancel demo --lost --because 'node7 is no more'"],
        ),
        ("git -C '/a b' reset --keep 0123456789ab goes back to it", ["git -C '/a b' reset --keep 0123456789ab"]),
        ("git branch -f exp/demo 0123456789ab goes back to it", ["git branch -f exp/demo 0123456789ab"]),
        ("git branch --all lists those that do", ["git branch --all"]),
        ("git add m.yaml && git commit -m 'Add m' -- m.yaml", ["git add m.yaml", "git commit -m 'Add m' -- m.yaml"]),
        ("git log exp/demo -- experiments/demo shows which; revert that one", ["git log exp/demo -- experiments/demo"]),
        ("`ckgit worker` lists those that are installed", ["ckgit worker"]),
        ("ckgit cancel demo on node7; ckgit cancel demo as ada", []),  # not here, and not by this user
        ("ckgit design demo --from FILE; git remote add origin URL", []),  # nobody can type these as they stand
        ("ckgit revise demo --set variables.lora_rank.1=VALUE", []),
        ('upgrade ckgit; install git 2.36 or newer; pip install "ckgit[run]"; ckgit.toml and ckgit do it', []),
        ("", []),
        ("ckgit advance demo; then ckgit advance demo", ["ckgit advance demo"]),
        ("ckgit revise demo --set a.b=1 --set c=2 (null takes a value away), or x", ["ckgit revise demo --set a.b=1 --set c=2"]),
        ("a log can be deleted: `ckgit retry` repeats its job", []),
    ],
)
def test_what_is_a_command_and_what_is_prose(text: str, found: list[str]) -> None:
    assert commands(text) == found


def texts(node: ast.expr) -> Iterator[str]:
    """Sentences that an expression may come to, with a sample in place of what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        found = [""]
        for part in node.values:
            told = list(texts(part.value)) if isinstance(part, ast.FormattedValue) else list(texts(part))
            found = [f"{before}{after}" for before in found for after in told or [SAMPLE]]
        yield from found
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (text for value in node.values for text in texts(value))
    elif isinstance(node, ast.BinOp):
        yield from (f"{left}{right}" for left in texts(node.left) or [SAMPLE] for right in list(texts(node.right)) or [SAMPLE])


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Texts in code, and no parts of texts; docstrings are none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr | ast.Constant):
            yield child
        elif not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from expressions(child)


def sentences() -> list[str]:
    """Every text in the code that tells of commands: most are what to do next, or a part of that."""
    files = [path for path in Path(ckgit.__file__).parent.rglob("*.py") if path.name not in {"advice.py", "examples.py", "schemas.py"}]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    return [text for tree in trees for value in expressions(tree) for text in texts(value) if NAMED.search(text)]


ALL = sentences()
COMMANDS = dict(all_commands(group))


def test_there_are_many() -> None:
    assert len(ALL) > 120
    assert sum(bool(commands(text)) for text in ALL) > 70


@pytest.mark.parametrize("text", sorted(set(ALL)))
def test_each_command_in_a_sentence_of_the_code_is_found_whole_and_without_prose(text: str) -> None:
    found = commands(text)
    for command in found:
        words = shlex.split(command)
        plain = [word for at, word in enumerate(words[1:]) if not word.startswith("-") and words[at] not in VALUED]
        begins = 2 if words[1] in {"models", "data", "remote", "hooks", "task"} or words[1] == "-C" else 1
        operands = [word for word in plain[begins:] if SAMPLE not in word and word not in LITERAL]
        assert operands == [], command
        assert text.startswith(OPTIONS_FILLED_IN) or not all(re.match(rf" (-|\S*{SAMPLE})", after) for after in text.split(command)[1:]), (
            command
        )
        if words[0] == "ckgit":
            name = next(name for name in COMMANDS if f"{command} ".startswith(f"ckgit {name} "))
            COMMANDS[name].make_context(name, shlex.split(command.removeprefix(f"ckgit {name}")))  # which takes it
    begun = re.findall(rf"{NAMED.pattern}[^;,`()&]*", text)
    lost = [each for each in begun if not any(each.startswith(command) for command in found)]
    assert [each for each in lost if not LEFT_OUT.search(each)] == []


def test_the_options_that_take_a_value_are_those_of_the_commands() -> None:
    options = [option for command in COMMANDS.values() for option in command.params if isinstance(option, click.Option)]
    options = [option for option in options if not option.hidden]
    valued = {name for option in options if not option.is_flag for name in option.opts}
    assert valued <= VALUED
    flagged = [(f"ckgit {command}", option) for command, each in COMMANDS.items() for option in each.params if is_flag(option)]
    flags = {(command, name) for command, option in flagged for name in option.opts}
    assert {(command, name) for command, name in flags if name in VALUED} == FLAGS


def is_flag(option: click.Parameter) -> bool:
    return isinstance(option, click.Option) and option.is_flag and not option.hidden


def test_an_option_may_take_a_value_of_one_command_alone() -> None:
    assert commands("ckgit report demo --html writes it; ckgit review demo --html page.html shows it") == [
        "ckgit report demo --html",
        "ckgit review demo --html page.html",
    ]
