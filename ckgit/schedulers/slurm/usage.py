"""What attempts took, from the rows of sacct. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ckgit.experiment.jobs import Usage
from ckgit.schedulers.slurm.parsers import AccountRow, seconds
from ckgit.schedulers.slurm.states import is_over

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


def usage_of(token: str, rows: Sequence[AccountRow]) -> Usage | None:
    """What one attempt took, each time that SLURM started it; None where accounting does not know its end.

    Args:
        rows: with the fields of `slurm_commands.USAGE_FIELDS`, or the core ones alone; of any jobs, steps among them.
    """
    runs = _runs(token, rows)
    if not runs:
        return None
    extras = [run.extras or ("", "", "", "") for run in runs]
    waited = [max(0, run.start - run.submitted) for run in runs if run.start is not None and run.submitted is not None]
    ran = [run.elapsed for run in runs if run.elapsed is not None and run.start is not None]
    cpu = [used for _, text, _, _ in extras if (used := _fine_seconds(text)) is not None]
    peaks = [peak for row in rows if row.extras and any(_is_step(row, run) for run in runs) if (peak := _bytes(row.extras[2])) is not None]
    return Usage(
        queue_seconds=float(sum(waited)) if waited else None,
        elapsed_seconds=float(sum(ran)) if ran else None,
        cpu_seconds=sum(cpu) if cpu else None,
        gpus=max((gpus for tres, _, _, _ in extras if (gpus := _gpus(tres)) is not None), default=None),
        peak_memory_bytes=max(peaks, default=None),
        node=next((node for _, _, _, node in reversed(extras) if node and "assigned" not in node), None),
    )


def _runs(token: str, rows: Sequence[AccountRow]) -> list[AccountRow]:
    """The job that is the attempt, each time that it was started, oldest first; none as long as it goes on."""
    jobs: dict[str, list[AccountRow]] = {}
    for row in sorted(rows, key=lambda row: row.submitted or 0):
        if row.token == token and "." not in row.raw_id:
            jobs.setdefault(row.raw_id, []).append(row)
    over = [runs for runs in jobs.values() if is_over(runs[-1].state)]
    # a copy that came late has done nothing
    return max(over, key=lambda runs: (sum(run.elapsed or 0 for run in runs), runs[-1].submitted or 0), default=[])


def _is_step(row: AccountRow, run: AccountRow) -> bool:
    """Whether a row is a step of this run: an id that is used again has steps of other jobs, too."""
    if row.raw_id.partition(".")[0] != run.raw_id or row.start is None or run.start is None:
        return False
    return run.start <= row.start and (run.end is None or row.start <= run.end)


def _gpus(tres: str) -> int | None:
    """GPUs that were held, as accounting counts them; None where the site does not count any."""
    counts = dict(re.findall(r"(?:^|,)gres/(gpu(?::[^=,]+)?)=([0-9]{1,9})(?=,|$)", tres))
    if not counts:
        return None
    return int(counts["gpu"]) if "gpu" in counts else sum(map(int, counts.values()))


def _fine_seconds(text: str) -> float | None:
    whole, _, part = text.partition(".")
    known = seconds(whole)
    return None if known is None else known + (float(f"0.{part}") if re.fullmatch("[0-9]{1,9}", part) else 0.0)


def _bytes(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?([KMGTP]?)", text)
    return round(float(f"{match[1]}.{match[2] or 0}") * _UNITS[match[3]]) if match else None
