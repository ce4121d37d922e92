"""What the cluster says beside git: of each job its scheduler and its status file, and of the checkpoints whether they are still there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ckgit.errors import CkgitError
from ckgit.experiment.card import card_path
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, Ledger, Phase
from ckgit.experiment.outputs.findings import Finding
from ckgit.experiment.results import MANIFEST, Checkpoint, read_manifest
from ckgit.experiment.scheduler import JobAccount
from ckgit.formats.listing import in_words as listed
from ckgit.jobs.folder import is_there, read_status
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.cleanings import removal_of, removals
from ckgit.lab.lab import Lab
from ckgit.lab.models.card_file import parse_card
from ckgit.lab.models.find import digest_once, find_model
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.review import rules
from ckgit.orchestrators.review.rule import Rule
from ckgit.workers.digests import BASE, base_of, differences, digests

_CLOCKS = 600.0  # seconds by which the clocks of a job's host and of accounting may differ
_LATE = 600.0  # seconds after its end in which accounting may not have heard of a job
_NAMED = 3


def deep(lab: Lab, name: str, commit: str) -> Iterator[Finding]:
    """What the cluster says otherwise than the ledger at a commit, and what it has no more.

    Raises:
        CkgitError: the scheduler is not installed, or its commands are not.
    """
    folder = f"experiments/{name}"
    content = next(read_objects(lab.root, [f"{commit}:{folder}/jobs.json"]))
    try:
        ledger = Ledger.model_validate_json(content) if content else None
    except ValueError:
        return  # that was said of the commit that has it
    if not ledger:
        return
    ended = [attempt for attempt in ledger.attempts if attempt.exit_code is not None and attempt.job_id]
    path = f"{folder}/jobs.json"
    yield from (each for attempt in ended for each in _status(attempt, Path(ledger.work_tree), commit, path))
    yield from _accounts(lab, ledger, ended, commit, path)
    yield from _checkpoints(lab, ledger, folder, commit)


def _status(attempt: Attempt, work: Path, commit: str, path: str) -> Iterator[Finding]:
    """What the job itself wrote as its last act."""
    try:
        status = read_status(work, attempt.token)
    except (OSError, ValueError) as error:
        yield rules.ACCOUNT.found(f"{attempt.job}, attempt {attempt.number}: {error}", commit=commit, path=path)
        return
    if status is None:
        return
    both = {name: (getattr(attempt, name), getattr(status, name)) for name in ("job_id", "exit_code", "started", "ended", "host")}
    for name, (told, found) in both.items():
        if told != found:
            what = f"{attempt.job}, attempt {attempt.number}: its status says {name} {found}, and the ledger {told}"
            yield rules.ACCOUNT.found(what, commit=commit, path=path)


def _accounts(lab: Lab, ledger: Ledger, ended: Sequence[Attempt], commit: str, path: str) -> Iterator[Finding]:
    cluster = lab.cluster_of(ledger.model_dump())
    report = scheduler_for(cluster).account(cluster, ended)
    for why in dict.fromkeys(report.silent.values()):
        count = sum(each == why for each in report.silent.values())
        yield rules.UNCHECKED.found(f"{count} of {len(ended)} jobs cannot be asked for: {why}", commit=commit, path=path)
    for attempt in ended:
        what = f"{attempt.job}, attempt {attempt.number}"
        if attempt.token in report.jobs:
            for why in _contradicted(attempt, report.jobs[attempt.token]):
                yield rules.ACCOUNT.found(f"{what}: {why}", commit=commit, path=path)
        elif attempt.token not in report.silent:
            told = f"{ledger.scheduler} knows no job {attempt.job_id} of this user that is called {attempt.token}"
            rule = rules.UNCHECKED if _just_ended(attempt) else rules.ACCOUNT
            yield rule.found(f"{what}: {told}{', yet' if rule is rules.UNCHECKED else ''}", commit=commit, path=path)


def _just_ended(attempt: Attempt) -> bool:
    return bool(attempt.ended) and time.time() - datetime.fromisoformat(str(attempt.ended)).timestamp() < _LATE


def _contradicted(attempt: Attempt, account: JobAccount) -> Iterator[str]:
    if attempt.job_id not in account.job_ids:
        yield f"its job is {account.job_ids[0]}, and the ledger says {attempt.job_id}"
    if account.exit_code is not None and account.exit_code != attempt.exit_code:
        yield f"it ended with exit code {account.exit_code}, and the ledger says {attempt.exit_code}"
    times = (("started", attempt.started, account.started), ("ended", attempt.ended, account.ended))
    for name, told, found in times:
        if told and found is not None and abs(datetime.fromisoformat(told).timestamp() - found) > _CLOCKS:
            yield f"it {name} {abs(datetime.fromisoformat(told).timestamp() - found):.0f} s away from when the ledger says"


def _checkpoints(lab: Lab, ledger: Ledger, folder: str, commit: str) -> Iterator[Finding]:
    """Each checkpoint that training committed the digests of; where no job ran for this design, they are others' work trees' matter."""
    if not ledger.work_tree:
        return
    trained = [attempt for attempt in ledger.attempts if attempt.stage is Stage.TRAINING and attempt.phase is Phase.DONE]
    paths = [f"{folder}/{attempt.job.partition('/')[0]}/{MANIFEST}" for attempt in trained]
    manifests = dict(zip(paths, read_objects(lab.root, [f"{commit}:{each}" for each in paths]), strict=True))
    work, gone = Path(ledger.work_tree), list[str]()
    bases = _Bases(lab, lab.cluster_of(ledger.model_dump()), commit, work)
    for path, content in manifests.items():
        for checkpoint in _listed(content):
            place = work / PurePosixPath(checkpoint.path)
            if not is_there(place):
                gone.append(checkpoint.path.removeprefix(f"{folder}/"))
                continue
            yield from (rule.found(line, commit=commit, path=path) for rule, line in _differences(checkpoint, place, bases))
    if gone:
        what = f"{len(gone)} checkpoints are not in {work} any more: {listed(gone, _NAMED)}{_by_whom(lab, folder, commit, gone, work)}"
        yield rules.PURGED.found(what, commit=commit)


class _Bases(NamedTuple):
    """Where the models are that adapters are loaded beside."""

    lab: Lab
    cluster: Cluster
    commit: str
    work: Path

    def seen(self, base: Path) -> Path | None:
        """The folder of one, as an adapter names it: in the work tree, or where it was moved since; None where it is nowhere."""
        place, path = self.work / base, card_path(base.name)
        if place.is_dir():
            return place
        with contextlib.suppress(CkgitError, ValueError):
            content = next(read_objects(self.lab.root, [f"{self.commit}:{path}"])) or b""
            return find_model(self.lab, self.cluster, parse_card(content), content, remember=False)
        return None


def _by_whom(lab: Lab, folder: str, commit: str, gone: Sequence[str], work: Path) -> str:
    """Which of them `ckgit clean` has removed, as a step says."""
    recorded = removals(lab.root, folder.rpartition("/")[2], commit)
    steps = [step.commit for each in gone if (step := removal_of(recorded, work / folder / each))]
    return f"; of {len(steps)} of them commit {steps[0][:12]} says that `clean` removed them" if steps else ""


def _listed(content: bytes | None) -> Sequence[Checkpoint]:
    try:
        return read_manifest(content) if content else ()
    except ValueError:
        return ()  # that was said of the commit that has it


def _differences(checkpoint: Checkpoint, place: Path, bases: _Bases) -> Iterator[tuple[Rule, str]]:
    if not checkpoint.files:
        return
    try:
        base = base_of(place)
        lacking = base is not None and bases.seen(base) is None
        wanted = {name: file.sha256 for name, file in checkpoint.files.items() if not (lacking and name.startswith(f"{BASE}/"))}
        yield from ((rules.CHECKPOINT, line) for line in differences(place, digests(place, bases.seen, digest_once), wanted))
    except OSError as error:
        yield rules.CHECKPOINT, f"{error.filename or place} cannot be read: {error.strerror}"
    except ValueError as error:
        yield rules.CHECKPOINT, str(error)
    else:
        if lacking:
            yield rules.UNCHECKED, f"{place} is loaded beside {base}, which this machine lacks: the adapter alone was compared"
