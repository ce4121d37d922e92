"""The summary's blocks that say where the jobs stand."""

from __future__ import annotations

from collections.abc import Mapping

from ckgit.experiment.jobs import Ledger
from ckgit.experiment.worker import Context


def status_blocks(context: Context, ledger: Ledger | None) -> Mapping[str, str]:
    """Markdown by name of the block."""
    attempts = {attempt.job: attempt for attempt in (ledger.attempts if ledger else ())}
    rows = [f"| {a.job} | {a.number} | {a.phase} | {a.job_id or ''} |" for a in attempts.values()]
    del context
    return {"status": "\n".join(["| job | attempt | phase | id |", "|---|---|---|---|", *rows])} if rows else {}
