"""What follows from a lie is made to agree with it, by ckgit's own functions: digests, ids, tables, report."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from ckgit.errors import CkgitError
from ckgit.lab.context import load_context
from ckgit.lab.git.trailers import parse_trailers
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import snapshot_at
from ckgit.lab.summary.file import SummaryFile
from ckgit.orchestrators.analyze.analyze import analyze
from ckgit.orchestrators.engine.experiment import ExperimentView, summary_of
from tests.orchestrators.review.facts import LEDGER, SUMMARY, Mutation
from tests.orchestrators.review.history import FOLDER, Branch, Commit, History


def tell(branch: Branch, lab: Lab, mutation: Mutation) -> str:
    """Write the history with a lie and all that follows from it; the branch's tip."""
    history = [_designed(commit) for commit in _digests(branch.honest, mutation.told(branch.honest), mutation.kept)]
    oids = branch.write(history)
    if mutation.kind in ("message", "time", "order"):
        return oids[-1]
    history = _ids(branch, history, oids) if LEDGER not in mutation.kept else history
    oids = branch.write(history)
    history = [_tables(lab, commit, oid, mutation.kept) for commit, oid in zip(history, oids, strict=True)]
    oids = branch.write(history)
    return branch.write(_reported(lab, history, oids, mutation.kept))[-1]


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digests(honest: History, history: History, kept: frozenset[str]) -> list[Commit]:
    if len(honest) != len(history):
        return list(history)
    return [_digested(before, commit, kept) for before, commit in zip(honest, history, strict=True)]


def _digested(honest: Commit, commit: Commit, kept: frozenset[str]) -> Commit:
    """Scripts name what they read, scaffolding logs what was written, and the ledger both: in this order."""
    for _ in range(2):
        was, own = honest.own(), commit.own()
        other = {path: content for path, content in own.items() if was.get(path) != content}
        changed = {path: _renewed(path, content, other) for path, content in own.items() if path not in kept}
        commit = commit.put(changed)
    return commit


def _renewed(path: str, content: bytes, other: Mapping[str, bytes]) -> bytes:
    if path == LEDGER:
        return _ledger(content, other)
    if not path.endswith((".slurm", ".log")):
        return content
    text = content.decode(errors="surrogateescape")
    for name, now in other.items():
        text = re.sub(rf"^[0-9a-f]{{64}}(?=  {re.escape(f'{FOLDER}/{name}')}$)", _sha(now), text, flags=re.MULTILINE)
        wrote = rf"(?<= {re.escape(name)} )\d+ bytes sha256 [0-9a-f]{{64}}"
        text = re.sub(wrote, f"{len(now)} bytes sha256 {_sha(now)}", text)
    return text.encode(errors="surrogateescape")


def _ledger(content: bytes, other: Mapping[str, bytes]) -> bytes:
    document = json.loads(content)
    for attempt in document["attempts"]:
        for path in attempt.get("files", {}):
            if path in other:
                attempt["files"][path] = _sha(other[path])
        script = f"{attempt['job']}.slurm"
        if script in other:
            attempt["script_sha256"] = _sha(other[script])
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _designed(commit: Commit) -> Commit:
    """The design's hash wherever it stands."""
    named = re.search(r"^Ckgit-Design: ([0-9a-f]{64})$", commit.message, re.MULTILINE)
    try:
        digest = SummaryFile.parse(commit.own().get(SUMMARY, b""), SUMMARY).summary.digest
    except CkgitError:
        return commit
    if not named:
        return commit
    old = named[1].encode()
    files = {path: content.replace(old, digest.encode()) if path.startswith(FOLDER) else content for path, content in commit.files.items()}
    return commit._replace(message=commit.message.replace(named[1], digest), files=files)


def _ids(branch: Branch, history: Sequence[Commit], oids: Sequence[str]) -> list[Commit]:
    """The ids of the scaffold commit and of its folder, which the ledger has."""
    at = next((index for index, commit in enumerate(history) if commit.event == "scaffold"), None)
    if at is None:
        return list(history)
    before = next(index for index, commit in enumerate(branch.honest) if commit.event == "scaffold")
    trees = branch.git("rev-parse", f"{branch.oids[before]}:{FOLDER}", f"{oids[at]}:{FOLDER}").decode().split()
    found = [(trees[0], trees[1]), (branch.oids[before], oids[at]), (branch.oids[before][:12], oids[at][:12])]
    return [_with_ids(commit, found) for commit in history]


def _with_ids(commit: Commit, found: Sequence[tuple[str, str]]) -> Commit:
    files = dict(commit.own())
    for path in (LEDGER, "analysis/report.md", "analysis/results.json"):
        for old, new in found if path in files else ():
            files[path] = files[path].replace(old.encode(), new.encode())
    return commit.put(files)


def _view(lab: Lab, commit: Commit, oid: str) -> ExperimentView:
    recorded = parse_trailers(commit.message, "demo")
    if not recorded:
        raise CkgitError("no step")
    snapshot = snapshot_at(lab, "demo", oid, recorded, oid)
    return ExperimentView(lab, snapshot, load_context(lab, snapshot, snapshot.any_ledger()), snapshot.any_ledger())


def _tables(lab: Lab, commit: Commit, oid: str, kept: frozenset[str]) -> Commit:
    if SUMMARY in kept or commit.event in ("", "design"):
        return commit
    try:
        view = _view(lab, commit, oid)
        return commit.put({SUMMARY: summary_of(view, view.snapshot.state, view.ledger)})
    except (CkgitError, ValueError, LookupError):
        return commit


def _reported(lab: Lab, history: Sequence[Commit], oids: Sequence[str], kept: frozenset[str]) -> list[Commit]:
    at = next((index for index, commit in enumerate(history) if commit.event == "analyze"), 0)
    try:
        expected = analyze(_view(lab, history[at - 1], oids[at - 1]))
    except (CkgitError, ValueError, LookupError):
        return list(history)
    files = {path.removeprefix(f"{FOLDER}/"): content for path, content in expected.items()}
    new = {path: content for path, content in files.items() if path not in kept}
    return [commit if index < at else commit.put(new) for index, commit in enumerate(history)]
