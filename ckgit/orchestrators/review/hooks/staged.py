"""pre-commit: what is staged on an experiment's branch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckgit.errors import DesignError
from ckgit.experiment.state import State
from ckgit.formats.listing import in_words
from ckgit.lab.branches import last_recorded
from ckgit.lab.git.objects import read_object, tree_entries
from ckgit.lab.git.trailers import Trailers
from ckgit.lab.history.hand_edits import WrittenFiles, written
from ckgit.lab.hooks.staged import ChangedFile, Staged
from ckgit.lab.snapshot.take import as_committed
from ckgit.lab.summary.text import block_problems, decode, split
from ckgit.orchestrators.review.hooks.files import file_findings, found
from ckgit.orchestrators.review.hooks.names import staged_name

if TYPE_CHECKING:
    from ckgit.experiment.outputs.findings import Finding
    from ckgit.lab.summary.file import SummaryFile

SUMMARY = "experiment_summary.md"
_OURS = ("jobs.json", "defaults.json", "estimate.json")  # ckgit's own, whether there is one yet or not
_LISTED = 20  # problems of a summary


def staged_findings(commit: Staged) -> list[Finding]:
    """What speaks against a commit that somebody makes on an experiment's branch."""
    if not commit.files:
        return []
    named = staged_name(commit, f"{commit.folder}/{SUMMARY}")
    return [*named, *file_findings(commit.root, commit.folder, commit.files), *_owned(commit), *_summary(commit)]


def _owned(commit: Staged) -> Iterator[Finding]:
    """Files that ckgit wrote, where the commit has them otherwise than ckgit left them."""
    files = [file for file in commit.files if file.path.startswith(f"{commit.folder}/") and file.path != f"{commit.folder}/{SUMMARY}"]
    if not files or not commit.head:
        return
    ours = written(as_committed(commit.root, commit.name, commit.head))
    for file in files:
        by_name = file.path.removeprefix(f"{commit.folder}/") in _OURS and not file.gone
        if (file.path in ours.paths or by_name) and not _is_as_left(commit, ours, file):
            how = "removed" if file.gone else "changed" if file.path in ours.paths else "added"
            back = _back(file.path) if file.path in ours.paths else ""
            yield found("edited", f"ckgit owns this file, and it was {how} by hand", path=file.path, advice=back)


def _is_as_left(commit: Staged, ours: WrittenFiles, file: ChangedFile) -> bool:
    """Whether a change by hand is taken back."""
    edit = next((edit for edit in ours.edits if edit.path == file.path), None)
    return edit is not None and any(entry.oid == file.oid for entry in tree_entries(commit.root, edit.left, file.path))


def _summary(commit: Staged) -> Iterator[Finding]:
    path = f"{commit.folder}/{SUMMARY}"
    file = next((file for file in commit.files if file.path == path), None)
    if file is None or (not file.gone and not file.mode.startswith("100")):
        return
    if file.gone:
        yield found("summary", "it is removed, and without it nobody can tell the experiment's state", path=path, advice=_back(path))
        return
    content = read_object(commit.root, file.oid) or b""
    if is_body_alone(commit, content):
        return
    from ckgit.lab.summary.file import SummaryFile

    try:
        summary = SummaryFile.parse(content, path)
    except DesignError as error:
        for problem in error.problems[:_LISTED]:
            what = f"{problem.path}: {problem.message}" if problem.path else problem.message
            yield found("summary", what, path=path, line=problem.line)
        return
    name = summary.summary.experiment.name
    if name != commit.name:
        line = summary.problem("experiment.name", "").line
        yield found("summary", f"it calls the experiment {name}, and its branch is exp/{commit.name}", path=path, line=line)
    yield from _design(commit, path, summary)


def is_body_alone(commit: Staged, content: bytes) -> bool:
    """Whether a summary has the last commit's front matter to the byte, and a body that can be read: mostly that alone changes."""
    before = read_object(commit.root, f"{commit.head}:{commit.folder}/{SUMMARY}") if commit.head else None
    (old, _), (new, wrong) = decode(before or b""), decode(content)
    was, now = split(old), split(new)
    return bool(was.body and not wrong) and was[:2] == now[:2] and not block_problems(now.body, 1)


def _design(commit: Staged, path: str, file: SummaryFile) -> Iterator[Finding]:
    """A design that jobs were made of stays as it was, unless the experiment goes back to designed with it."""
    steps = [last_recorded(commit.root, commit.name, parent) for parent in commit.parents]
    if file.summary.state is State.DESIGNED or any(_has_design(recorded, file) for _, recorded in steps):
        return
    at = next((at for at, recorded in steps if recorded), "")
    if not at:
        return
    from ckgit.lab.context import changed_places

    places = changed_places(read_object(commit.root, f"{at}:{path}") or b"", file.summary)
    line = file.problem(places[0].partition(":")[0], "").line if places else 0
    named = f": {in_words(places, 4)}" if places else ""
    advice = f"{_back(path)}; ckgit revise {commit.name} --set KEY=VALUE, or --from FILE, makes another design of it"
    yield found("design", f"the design was changed after it was scaffolded{named}", path=path, line=line, advice=advice)


def _has_design(recorded: Trailers | None, file: SummaryFile) -> bool:
    return recorded is not None and recorded.design == file.summary.digest


def _back(path: str) -> str:
    return f"git restore --staged --worktree {shlex.quote(path)} brings it back"
