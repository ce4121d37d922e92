"""Pictures of one process, drawn once: most tests that analyze and verify have the same results, and drawing took most of their time.

That the bytes of pictures follow from results alone is shown where each is drawn anew: in `tests/analysis/plots`, and by commands in
processes of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ckgit.analysis.plots.drawing import Picture
from ckgit.experiment.results import Results
from ckgit.orchestrators.analyze import files

draw = files.pictures_of
_KNOWN: dict[str, Mapping[str, Picture]] = {}


def drawn_once(results: Results) -> dict[str, Picture]:
    """As `pictures_of`."""
    if "matplotlib" in sys.modules and sys.modules["matplotlib"] is None:  # a test says that it is not installed
        return draw(results)
    key = results.model_dump_json()
    if key not in _KNOWN:
        _KNOWN[key] = draw(results)
    return dict(_KNOWN[key])
