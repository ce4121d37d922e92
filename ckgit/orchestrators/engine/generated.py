"""What ckgit has written for an experiment that is designed anew."""

from __future__ import annotations

import contextlib

from ckgit.errors import DesignError
from ckgit.experiment.cluster import PROFILE
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.kept import FILE as KEPT
from ckgit.experiment.design.row_files import made_path, source_path
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.summary.file import FILE, SummaryFile
from ckgit.orchestrators.engine.logs import DESIGN_LOG


def generated(snapshot: Snapshot) -> list[str]:
    """What ckgit wrote from the old design: the folders of its runs, the report, the ledger, what told jobs of rows, later logs."""
    owned, rows = {"analysis"}, set[str]()
    with contextlib.suppress(DesignError):  # a design that was broken by hand made no runs, and is to be mended now
        summary = SummaryFile.parse(snapshot.summary_bytes(), f"{snapshot.folder}/{FILE}").summary
        owned |= {run.name for run in build_plan(summary).runs}
        rows = {of(snapshot.name, name) for name in summary.data for of in (source_path, made_path)}
    found = []
    for path in snapshot.list(snapshot.folder):
        head, _, rest = path.removeprefix(f"{snapshot.folder}/").partition("/")
        log = not rest and head.endswith(".log") and head != DESIGN_LOG
        if path in rows or (rest and head in owned) or head in ("jobs.json", "defaults.json", PROFILE, KEPT) or log:
            found.append(path)
    return found
