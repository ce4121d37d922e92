"""scaffold-experiment: every file for every job, rendered by the workers.

Pure: the same design, cluster profile, cards and version give the same bytes, so the logs here hold no times and no places.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ckgit.experiment.design import Stage
from ckgit.experiment.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.worker import Worker
from ckgit.orchestrators.logs import now, untimed
from ckgit.orchestrators.plugins import worker_for
from ckgit.orchestrators.standing import Standing, Step, prepare
from ckgit.orchestrators.steps import paragraphs, plural

LOG = "scaffold-experiment.log"


def scaffold(standing: Standing) -> Step:
    """The scaffold commit.

    Raises:
        CkgitError: with every reason against it at once.
    """
    workers = [worker for stage in Stage if (worker := worker_for(standing.context.summary, stage))]
    check(standing, workers)
    files: dict[str, bytes | None] = {}
    lines = [
        (
            "BEGIN",
            f"design {standing.context.summary.digest}, cluster profile {standing.context.cluster_name}, ckgit {standing.context.version}",
        )
    ]
    told = []
    for worker in workers:
        made = worker.scaffold(standing.context)
        if twice := sorted(files.keys() & made.keys()):
            raise CkgitError(f"two workers write {twice[0]}", code=Exit.TOOL_MISSING, next="one of them is to be mended")
        files |= made
        count = f"{plural(len(made), 'file')} for {plural(len(worker.jobs(standing.context)), f'{worker.stage} job')}"
        lines.append((f"scaffold-{worker.label}", count))
        told.append(f"- scaffold-{worker.label}: {count}")
        files[standing.path(f"scaffold-{worker.label}.log")] = untimed(_worker_lines(standing, made))
    files[standing.path(LOG)] = untimed([*lines, ("END", f"{plural(len(standing.context.plan.runs), 'run')} scaffolded")])
    body = paragraphs(f"Scaffolded {plural(len(standing.context.plan.runs), 'run')}.", told)
    return prepare(standing, Event.SCAFFOLD, files=files, logs={}, ledger=None, body=body, time=now())


def check(standing: Standing, workers: Sequence[Worker]) -> None:
    """Raise when something stands against scaffolding.

    Raises:
        CkgitError: INVALID_DESIGN, with every reason.
    """
    reasons = [f"{worker.label}: {reason}" for worker in workers for reason in worker.check(standing.context)]
    if reasons:
        raise CkgitError(
            "\n".join(reasons),
            code=Exit.INVALID_DESIGN,
            where=standing.name,
            state="nothing was written",
            next=f"mend the design, then ckgit revise {standing.name}",
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _worker_lines(standing: Standing, made: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    prefix = f"{standing.context.folder}/"
    per_run = Counter(path.removeprefix(prefix).partition("/")[0] for path in made)
    for run in standing.context.plan.runs:
        if per_run[run.name]:
            yield "RUN", f"{run.name}: {plural(per_run[run.name], 'file')}"
    for path, content in sorted(made.items()):
        yield "WROTE", f"{path.removeprefix(prefix)} {len(content)} bytes sha256 {_digest(content)}"
    yield "END", plural(len(made), "file")
