"""A picture of how many experiments are in which state. SVG by hand, as no plotting library is needed for a few bars."""

from __future__ import annotations

from collections.abc import Mapping

from ckgit.orchestrators.dashboard.html import tag

_ROW, _LABEL, _LONGEST, _ROOM = 22, 100, 420, 60  # pixels: a line, its name, its longest bar, its number


def states_picture(counts: Mapping[str, int]) -> bytes:
    """A bar for each state.

    Args:
        counts: experiments by state; at least one.
    """
    most, height = max(counts.values()), _ROW * len(counts) + 6
    lines = []
    for at, (name, count) in enumerate(counts.items()):
        middle, long = at * _ROW + 14, max(_LONGEST * count / most, 1.0)
        lines += [
            tag("text", name, x=str(_LABEL - 8), y=str(middle + 4), text_anchor="end"),
            tag("rect", x=str(_LABEL), y=str(middle - 7), width=f"{long:.1f}", height="14", fill="#4a6fa5"),
            tag("text", str(count), x=f"{_LABEL + long + 6:.1f}", y=str(middle + 4)),
        ]
    size = {"width": str(_LABEL + _LONGEST + _ROOM), "height": str(height)}
    shape = {"xmlns": "http://www.w3.org/2000/svg", **size, "font_family": "sans-serif", "font_size": "13", "fill": "#222"}
    return tag("svg", *lines, **shape).encode()
