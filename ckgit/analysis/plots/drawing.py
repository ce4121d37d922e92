"""What both pictures share: matplotlib's settings, and SVG bytes that depend on the results alone."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Okabe and Ito's palette, made to be told apart by colour-blind readers; without yellow, which is pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, GREY = "#222222", "#d9d9d9"
_SETTINGS = {
    "svg.hashsalt": "ckgit",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.titlesize": 9,
    "axes.formatter.use_locale": False,
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
}


@contextmanager
def drawing() -> Iterator[None]:
    """The library's own defaults and ours, never the user's."""
    os.environ.pop("MPLBACKEND", None)  # a notebook names one that this Python may not have, and importing would fail
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def svg(figure: Any) -> bytes:
    """The picture, without a date or a version in it."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "ckgit"})
    return out.getvalue()


def new_figure(width: float, height: float) -> Any:
    """A picture of that many inches; no window, and nothing that other pictures share."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
