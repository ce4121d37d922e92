"""Reading JSON that anybody may have written."""

from __future__ import annotations

import json
from typing import Any


def read_json(content: bytes | str) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: it is none, or nested so deeply that it cannot be read.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
