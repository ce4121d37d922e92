"""The reader of console blocks sees what is wrong on a page."""

from __future__ import annotations

from pathlib import Path

from tests.docs.console import Step, missing, problems, run, steps

PAGE = """\
Text with $ 5.

```console
$ cat >a.txt <<'EOF'
> one 1
> two
> EOF
$ cat a.txt; false
one 7
...
$ echo $?
1
```

```sh
$ not this
```
"""


def test_a_page_is_read_and_run(tmp_path: Path) -> None:
    found = steps(PAGE)
    assert found == [
        Step("cat >a.txt <<'EOF'\none 1\ntwo\nEOF", ()),
        Step("cat a.txt; false", ("one 7",)),
        Step("echo $?", ("1",)),
    ]
    results = run(found, tmp_path, limit=10)
    assert results == [("", 0), ("one 1\ntwo\n", 1), ("1\n", 0)]
    assert list(problems(found, results)) == []


def test_a_wrong_line_and_an_unexpected_exit_code_are_found(tmp_path: Path) -> None:
    page = [Step("echo three", ("four",)), Step("false", ())]
    found = list(problems(page, run(page, tmp_path, limit=10)))
    assert [text.splitlines()[1] for text in found] == ["no longer prints ['four'], but:", "ended with 1:"]


def test_lines_must_come_in_the_order_shown_and_only_numbers_may_differ() -> None:
    assert missing(["loss 1.5", "at 3f2a9b1 in ...lab"], "x\nloss 2.25\nat 0a1b2c3 in /home/a/lab\n") == []
    assert missing(["b", "a"], "a\nb\n") == ["a"]
