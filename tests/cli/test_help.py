"""Each command's help ends with two examples, which the command line takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from ckgit.cli import COMMANDS, group


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name="ckgit")
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command
        yield name, command
        yield from ((f"{name} {part}", each) for part, each in getattr(command, "commands", {}).items())


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_the_help_ends_with_two_examples_that_are_understood(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "design.yaml").touch()
    *_, heading, first, second = ALL[name].get_help(click.Context(ALL[name], info_name=f"ckgit {name}")).splitlines()
    assert heading.strip() == "Examples:"
    for line in (first, second):
        words = shlex.split(line)
        assert words.pop(0) == "ckgit"
        assert set(name.split()) <= set(words)
        found: click.Command = group
        while isinstance(found, click.Group):
            words = words[2:] if words[0] == "-C" else words
            inner = found.get_command(click.Context(found), words.pop(0))
            assert inner, line
            found = inner
        found.make_context("ckgit", words)
