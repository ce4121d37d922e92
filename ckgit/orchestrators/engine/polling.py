"""Work that waits: a generator that yields how many seconds it can do without attention, and returns what it came to.

So one process follows one experiment, or several by turns.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Polling = Generator[float, None, T]


def run_to_end(going: Polling[T]) -> T:
    """Go on to the end, asleep where nothing is to be done. What interrupts the sleep, interrupts the work.

    Raises:
        Exception: whatever the work raises.
    """
    try:
        nap = next(going)
        while True:
            try:
                time.sleep(nap)
            except BaseException as interrupt:  # noqa: BLE001 - the work decides what becomes of it
                nap = going.throw(interrupt)
            else:
                nap = next(going)
    except StopIteration as end:
        found: T = end.value
        return found
