"""Which claims were made before results could be seen, which were changed since, added, or withdrawn."""

from __future__ import annotations

from typing import Any

from ckgit.experiment.claims.registered import compare
from ckgit.experiment.claims.verdicts import Registered
from ckgit.experiment.design.claim import Claim


def claim(**changes: Any) -> Claim:
    return Claim(**{"metric": "accuracy", "task": "t", "left": "a", "right": "b", "direction": "greater", **changes})


def test_a_claim_that_was_there_was_made_before() -> None:
    told, withdrawn = compare([claim(), claim(by=0.1)], [claim(by=0.1), claim()])
    assert [each.registered for each in told] == [Registered.BEFORE, Registered.BEFORE]
    assert withdrawn == []


def test_a_claim_that_says_otherwise_now_is_shown_with_what_it_was() -> None:
    for changed in (claim(by=0.2), claim(direction="less"), claim(left="c"), claim(metric="mean")):
        told, withdrawn = compare([changed], [claim()])
        assert (told[0].registered, told[0].was, withdrawn) == (Registered.CHANGED, claim(), [])


def test_a_claim_about_something_else_is_added_and_the_old_one_withdrawn() -> None:
    other = claim(task="u", left={"lora_rank": 16}, right={"lora_rank": 4})
    told, withdrawn = compare([other], [claim()])
    assert (told[0].registered, told[0].was, withdrawn) == (Registered.ADDED, None, [claim()])


def test_one_claim_of_before_is_not_what_two_were() -> None:
    told, withdrawn = compare([claim(by=0.1), claim(by=0.2)], [claim()])
    assert sorted(each.registered for each in told) == sorted([Registered.CHANGED, Registered.ADDED])
    assert withdrawn == []


def test_the_claim_that_is_most_like_it_is_what_a_changed_one_was() -> None:
    low, high = claim(by=0.1, left="c"), claim(by=0.1)
    told, withdrawn = compare([claim(by=0.3)], [low, high])
    assert (told[0].was, withdrawn) == (high, [low])
