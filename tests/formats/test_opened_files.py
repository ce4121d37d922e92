"""Which files a Python file names is read from its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.formats.python.opened_files import opened_files


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("open('a.txt')", ["tasks/own/a.txt"]),
        ("open('../b/a.txt', 'rb')", ["tasks/b/a.txt"]),
        ("open('a.txt', 'w'); open('b', mode='a'); Path('c').open('x')", []),
        ("Path('a.txt').read_text()", ["tasks/own/a.txt"]),
        ("pathlib.Path('d', 'a.txt').read_bytes()", ["tasks/own/d/a.txt"]),
        ("HERE = Path(__file__).resolve().parent\nRUBRIC = HERE / 'r' / 'a.txt'\nRUBRIC.read_text()", ["tasks/own/r/a.txt"]),
        ("(Path(__file__).parent.parent.parent / 'a.txt').open()", ["a.txt"]),
        ("open(os.path.join(os.path.dirname(__file__), 'a.txt'))", ["tasks/own/a.txt"]),
        ("json_dataset(str(Path('a.json')))\ncsv_dataset('b.csv')", ["tasks/own/a.json", "tasks/own/b.csv"]),
        ("open('../../../a.txt')", ["../a.txt"]),
        ("csv_dataset('https://example.org/a.csv'); open('/etc/hosts'); open(name); open(f'{name}.txt'); 'a.txt'", []),
        ("a = 'x.txt'\na = 'y.txt'\nopen(a)", []),  # either may be meant
        ("a = a + '/b'\nb = b / 'c'\nopen(a); open(b)", []),
        ("def f(:", []),
    ],
)
def test_files_that_are_opened_by_literal_paths(source: str, paths: list[str]) -> None:
    assert list(opened_files(source.encode(), "tasks/own/task.py", "tasks/own").opened) == paths


def test_a_file_elsewhere_opens_from_the_folder_where_it_runs_and_beside_itself_by_its_own_name() -> None:
    source = b"open('a.txt')\nopen(Path(__file__).parent / 'b.txt')"
    assert opened_files(source, "lib/scorers.py", "tasks").opened == ("tasks/a.txt", "lib/b.txt")


def test_where_modules_would_be() -> None:
    source = b"import json, a.b\nfrom c import d\nfrom .e import f\nfrom .. import g"
    found = opened_files(source, "tasks/own/task.py", "tasks/own").imported
    wanted = {"tasks/own/a/b.py", "a/b.py", "tasks/own/c.py", "c/d.py", "tasks/own/e.py", "tasks/g.py", "tasks/own/c/__init__.py"}
    assert wanted <= set(found)
    assert "tasks/own/task.py" not in opened_files(b"import task", "tasks/own/task.py", "tasks/own").imported


@given(st.binary(max_size=100))
def test_any_bytes_give_an_answer(content: bytes) -> None:
    assert opened_files(content, "tasks/task.py", "tasks").opened == ()
