"""What attempts took, from the rows of sacct. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ckgit.experiment.jobs import Usage
from ckgit.schedulers.slurm_answers import AccountRow, seconds
from ckgit.schedulers.slurm_states import is_over

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


def usage_of(token: str, rows: Sequence[AccountRow]) -> Usage | None:
    """What one attempt took; None where accounting does not know its end.

    Args:
        rows: with the fields of `slurm_commands.USAGE_FIELDS`, or the core ones alone; of any jobs, steps among them.
    """
    jobs = [row for row in rows if row.token == token and "." not in row.raw_id and is_over(row.state)]
    if not jobs:
        return None
    job = max(jobs, key=lambda row: (row.elapsed or 0, row.submitted or 0))  # a copy that came late has done nothing
    tres, cpu, _, node = job.extras or ("", "", "", "")
    peaks = [_bytes(row.extras[2]) for row in rows if row.raw_id.partition(".")[0] == job.raw_id and row.extras]
    waited = job.start - job.submitted if job.start is not None and job.submitted is not None else None
    return Usage(
        queue_seconds=max(0.0, float(waited)) if waited is not None else None,
        elapsed_seconds=float(job.elapsed) if job.elapsed is not None and job.start is not None else None,
        cpu_seconds=_fine_seconds(cpu),
        gpus=_gpus(tres),
        peak_memory_bytes=max((peak for peak in peaks if peak is not None), default=None),
        node=node if node and "assigned" not in node else None,
    )


def _gpus(tres: str) -> int | None:
    """None where the site does not count them."""
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
