"""What the claims of a design could show, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ckgit.cli.output.tables import table, wrapped

if TYPE_CHECKING:
    from ckgit.experiment.outputs.designs import ClaimPower

_NOTHING = "-"


def power_lines(powers: Sequence[ClaimPower]) -> list[str]:
    """The smallest difference that each claim could show, and with other numbers of seeds; none where nothing is claimed."""
    known = [each for each in powers if not each.unknown]
    unknown = [wrapped(f"claim {each.number}: what it could show is not known: {each.unknown}", 2) for each in powers if each.unknown]
    if not known:
        return [*unknown, ""] if unknown else []
    what_if = sorted({count for each in known for count in each.by_seeds})
    header = ["claim", "about", "rows", "seeds", "shows", *(f"{count} seeds" for count in what_if)]
    rows = [[*_row(each), *(_number(each, each.by_seeds.get(count)) for count in what_if)] for each in known]
    sources = dict.fromkeys(each.assumed for each in known)
    told = "The smallest true difference that each claim would show, four times in five, what it claims included (±: the margin of same)"
    told += "; of a trend the slope, for each 1 of what it is along" if any(each.shows == "slope" for each in known) else ""
    return [table(header, rows, less=("about",)), wrapped(f"{told}; {'; '.join(sources)}.", 0), *unknown, ""]


def _row(each: ClaimPower) -> list[str]:
    seeds = " or ".join(map(str, each.seeds)) or _NOTHING
    return [str(each.number), each.quantity, f"{each.rows:,}", seeds, _number(each, each.smallest)]


def _number(each: ClaimPower, value: float | None) -> str:
    return _NOTHING if value is None else f"{'±' if each.shows == 'margin' else ''}{_digits(value)}"


def _digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if abs(value) >= 100 else f"{value:.2g}"  # noqa: PLR2004 - 1.4e+02 is no way to say 140
