"""The smallest difference that rows can show is the least one of which the interval excludes 0, and no smaller one does."""

from __future__ import annotations

import pytest

from ckgit.analysis.statistics.intervals import bonett_price
from ckgit.analysis.statistics.smallest_difference import smallest_difference


def lower_end(rows: int, left_only: int, right_only: int) -> float:
    return bonett_price([1.0] * left_only + [-1.0] * right_only + [0.0] * (rows - left_only - right_only)).low


@pytest.mark.parametrize("rows", [1, 2, 4, 5, 6, 7, 20, 100, 257, 1000])
@pytest.mark.parametrize("share", [None, 0.0, 0.1, 1 / 3, 0.9])
def test_it_is_found_by_trying_every_one(rows: int, share: float | None) -> None:
    apart = int(share * rows) if share is not None else None
    shown = [
        (left if apart is None else 2 * left - apart) / rows
        for left in range((rows if apart is None else apart) + 1)
        if lower_end(rows, left, 0 if apart is None else apart - left) > 0
    ]
    assert smallest_difference(rows, share) == (min(shown) if shown else None)


def test_more_rows_show_smaller_differences() -> None:
    found = [smallest_difference(rows) for rows in (10, 100, 1000)]
    assert found == sorted(found, key=lambda each: each or 1, reverse=True)
    assert all(found)
