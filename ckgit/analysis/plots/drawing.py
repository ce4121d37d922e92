"""What all pictures share: matplotlib's settings, and bytes that depend on the results alone."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ckgit.formats.listing import escaped

# Okabe and Ito's palette, made to be told apart by colour-blind readers; without yellow, which is pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, GREY = "#222222", "#d9d9d9"
# What tells them apart without colour.
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
FORMATS = ("svg", "png", "pdf")
DRAWN_BY = ("matplotlib", "pillow", "zlib")  # other versions of these may give other bytes
_DPI, _MOST_PIXELS = 100, 1.6e6  # of a PNG
_SHADES = 64  # colours of a PNG, which keep it small
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


class Picture(NamedTuple):
    """A picture in each format, and what it shows in words, for those who do not see it."""

    words: str
    svg: bytes
    png: bytes
    pdf: bytes

    def files(self, name: str) -> dict[str, bytes]:
        """Its bytes by file name."""
        return {f"{name}.svg": self.svg, f"{name}.png": self.png, f"{name}.pdf": self.pdf}


def picture(figure: Any, words: str) -> Picture:
    """A figure in every format, within `drawing`: without a date or a version in it."""
    drawn = svg(figure)
    figure.set_layout_engine("none")  # all formats have the places that were found for the first
    return Picture(words, drawn, _png(figure), _pdf(figure))


def svg(figure: Any) -> bytes:
    """The picture, without a date or a version in it."""
    return _saved(figure, "svg", {"Date": None, "Creator": "ckgit"})


def _saved(figure: Any, form: str, metadata: dict[str, str | None], **options: Any) -> bytes:
    out = io.BytesIO()
    _take_names_as_they_are(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # some scripts are drawn as boxes
        figure.savefig(out, format=form, metadata=metadata, **options)
    return out.getvalue()


def _png(figure: Any) -> bytes:
    """With few colours, and no more points than a screen has use for: git keeps every version."""
    from PIL import Image

    width, height = figure.get_size_inches()
    dpi = min(_DPI, math.sqrt(_MOST_PIXELS / (width * height)))
    whole = Image.open(io.BytesIO(_saved(figure, "png", {"Software": None}, dpi=dpi))).convert("RGB")
    out = io.BytesIO()
    whole.quantize(_SHADES, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()


def _pdf(figure: Any) -> bytes:
    """With outlines for letters, as the SVG has them.

    Which bytes a font is cut down to depends on the version of fontTools, and takes three quarters of the drawing.
    """
    from matplotlib.patheffects import Normal
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_path_effects([Normal()])
    return _saved(figure, "pdf", {"CreationDate": None, "Creator": "ckgit", "Producer": "ckgit"})


def short(label: str, most: int) -> str:
    """A label that fits: a number with fewer digits, or a text that is cut."""
    if len(label) <= most:
        return label
    try:
        return f"{float(label):.3g}"
    except ValueError:
        return f"{label[: most - 1]}…"


def _take_names_as_they_are(figure: Any) -> None:
    """Names of scorers and metrics are whatever a task says: neither a control character, which no SVG may have, nor a formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text("\n".join(map(escaped, text.get_text().split("\n"))))
    for axes in figure.axes:  # tick labels are matplotlib's own, and formulas where an axis is logarithmic
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts):
            text.set_parse_math(False)


def new_figure(width: float, height: float) -> Any:
    """A picture of that many inches; no window, and nothing that other pictures share."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
