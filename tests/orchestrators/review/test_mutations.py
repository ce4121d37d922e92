"""One fact of an honest history is changed, and what follows from it is made to agree: what is caught, and what escapes, and why.

CKGIT_LONG_TESTS in the environment tells all of these lies; otherwise it is one in sixteen.
"""

from __future__ import annotations

import os
from collections import Counter
from fnmatch import fnmatchcase
from typing import Any

import pytest

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.findings import Severity
from ckgit.lab.lab import Lab
from ckgit.orchestrators.review.verify.branch import verify_branch
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench
from tests.orchestrators.review.agree import tell
from tests.orchestrators.review.escaped import ESCAPED
from tests.orchestrators.review.facts import Mutation, mutations
from tests.orchestrators.review.history import Branch

pytestmark = pytest.mark.slow
LONG = "CKGIT_LONG_TESTS" in os.environ
EACH = 1 if LONG else 16


@pytest.fixture
def branch(bench: Bench) -> Branch:
    """A training that failed and was tried again, a control, notes by hand, a report."""
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    commit_by_hand(bench.folder, "notes.md", "mine")
    bench.ckgit("retry", "demo")
    bench.advance(State.ANALYZED)
    return Branch(bench.folder)


def rules(lab: Lab, tip: str) -> set[str]:
    """The rules that say something against a history; the error's code where it cannot be verified at all."""
    try:
        return {each.rule for each in verify_branch(lab, "demo", tip).findings if each.severity is not Severity.NOTE}
    except CkgitError as error:
        return {f"exit {int(error.code)}"}


def why(mutation: Mutation) -> str:
    """Why it cannot be seen; empty where it must be."""
    return next((reason for pattern, reason in ESCAPED.items() if fnmatchcase(mutation.label, pattern)), "")


def test_what_escapes_is_listed(bench: Bench, branch: Branch, capsys: pytest.CaptureFixture[str]) -> None:
    told = mutations(branch.honest)[::EACH]
    assert rules(bench.lab, branch.write(branch.honest)[-1]) == set()
    found = {mutation: rules(bench.lab, tell(branch, bench.lab, mutation)) for mutation in told}
    escaped = [mutation.label for mutation, caught in found.items() if not caught and not why(mutation)]
    seen = [mutation.label for mutation, caught in found.items() if caught and why(mutation)]
    if LONG:
        with capsys.disabled():
            _print(found)
    assert (escaped, seen) == ([], [])


def _print(found: dict[Mutation, set[str]]) -> None:
    kinds = Counter(mutation.kind for mutation in found)
    for kind, count in kinds.items():
        of_kind: dict[Any, set[str]] = {mutation: caught for mutation, caught in found.items() if mutation.kind == kind}
        by_rule = Counter(rule for caught in of_kind.values() for rule in caught)
        print(f"{kind}: {count}, caught {sum(map(bool, of_kind.values()))}: {dict(by_rule.most_common())}")  # noqa: T201


def test_each_reason_is_of_a_lie_that_is_told(branch: Branch) -> None:
    told = mutations(branch.honest)
    assert len({each.label for each in told}) == len(told) >= 200
    assert [pattern for pattern in ESCAPED if not any(fnmatchcase(each.label, pattern) for each in told)] == []
