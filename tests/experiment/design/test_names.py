"""Names are safe as branches, folders, job names and words of a shell script."""

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ckgit.experiment.design.names import MAX_LENGTH, name_problem

HOSTILE = [
    "$(touch x)",
    "$(touch${IFS}p)",
    "`id`",
    "a;b",
    "a\nb",
    "a\n",
    "a\x00b",
    "-rf",
    "--upload-pack=x",
    "..",
    "a..b",
    "../a",
    "/etc",
    ".git",
    "x.git",
    "a.lock",
    "a.",
    "",
    " ",
    "a b",
    "a/b",
    "a\\b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "@",
    "HEAD",
    "Con",
    "nul",
    "а",  # noqa: RUF001 - the Cyrillic letter is the point
    "é",
    "a\u202eb",
    "x" * (MAX_LENGTH + 1),
    "x" * 300,
    "'a'",
    '"a"',
    "<a>",
    "_a",
    "+a",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name):
    assert name_problem(name)


def test_the_rule_and_the_position_are_named():
    assert name_problem("ab cd") == "' ' at position 3 is not allowed in a name (letters A-Z a-z, digits, . _ - +)"
    assert name_problem("a..b") == "'..' at position 2 is not allowed in a name"


@settings(max_examples=30, deadline=None)
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,70}", fullmatch=True))
@example("cap_lora-r8+x.1")
def test_an_accepted_name_is_one_word_of_a_shell_and_a_branch_of_git(name):
    if name_problem(name):
        return
    said = subprocess.run(["bash", "-c", f"printf %s {name}"], capture_output=True, text=True, check=True)
    assert said.stdout == name
    subprocess.run(["git", "check-ref-format", f"refs/heads/exp/{name}"], check=True)
