"""Task files are read, never executed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.formats.task_source import OwnSettings, Signature, own_settings, task_functions

SOURCE = b"""
import inspect_ai
from inspect_ai import task
raise SystemExit("executed")

@task
def plain(data, split="test", *, limit=None, must): ...

@inspect_ai.task(name="other")
async def called(**anything): ...

def helper(x): ...

class Group:
    @task
    def method(self): ...
"""


def test_decorated_functions_and_their_parameters():
    assert task_functions(SOURCE) == {
        "plain": Signature(("data", "split", "limit", "must"), ("data", "must"), any_keyword=False),
        "called": Signature((), (), any_keyword=True),
    }
    assert task_functions(SOURCE)["called"].accepts("whatever")
    assert not task_functions(SOURCE)["plain"].accepts("prompt")


@pytest.mark.parametrize("content", [b"def f(:", b"\x00", b"\xff\xfe", b"(" * 5000, b"# coding: nonsense\n"])
def test_what_is_not_python_is_a_value_error(content):
    with pytest.raises(ValueError, match="not Python"):
        task_functions(content)


@given(st.binary(max_size=100))
def test_any_bytes_give_functions_or_a_value_error(content):
    try:
        assert task_functions(content) == {}
    except ValueError as error:
        assert "not Python" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# over several epochs\nTask(rows, time_limit=60)", {"time_limit"}),
        ("task = Task(config=GenerateConfig(top_p=0.5))\ntask.epochs = 2", {"config", "top_p", "epochs"}),
        ("settings = dict(epochs=2)\nTask(**settings)", None),
        ("task_with(other(), epochs=2)", None),
        ("no Python", None),
    ],
)
def test_what_a_file_may_give_its_tasks(source: str, expected: set[str] | None):
    found = own_settings(source.encode())
    assert found.all if expected is None else found == OwnSettings(frozenset(expected), all=False)
    assert found.has("sandbox") is (expected is None)
