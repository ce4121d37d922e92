"""How much a lab has scored on the rows of an experiment's tasks: what papers hide, and what "the best of" is to be corrected for.

Looked at are all experiments, closed, merged, deleted and rescued ones, and designs that were revised since; of each no more than its
front matter and its ledger, and what was found is remembered by commit: only what is new is read again.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ckgit.errors import CkgitError
from ckgit.experiment.claims.variants import Asked, RowsMark, Variant, scored_variants
from ckgit.experiment.classify import newest, read_outline
from ckgit.experiment.measured.compared import ScoredSplit
from ckgit.experiment.stage import Stage
from ckgit.experiment.tools.by_tool import parameters_of, tool_of
from ckgit.formats.plain_json import read_json
from ckgit.formats.yaml.document import read_yaml
from ckgit.lab.experiments import list_experiments
from ckgit.lab.git.command import git_lines
from ckgit.lab.git.objects import read_objects
from ckgit.lab.git.tips import CLOSED, DELETED, RESCUED
from ckgit.lab.history.designers import revised
from ckgit.lab.history.remembered import recall, remember
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.snapshot import Snapshot
from ckgit.lab.summary.file import FILE
from ckgit.lab.summary.text import decode, split

_KIND = "scored"
_AT_ONCE = 200  # experiments whose files are held
_NEEDED = ("tools", "models", "data", "controls", "variables", "runs", "evaluation", "compute", "recorded")
_ALWAYS = ("models:", "evaluation:", "recorded:")  # what every experiment with evaluations has
_BLOCK = re.compile(r"^([a-z_]+):", re.MULTILINE)
_STUMBLES = (CkgitError, LookupError, TypeError, AttributeError, ValueError, RecursionError)

Scored = Mapping[Asked, AbstractSet[Variant]]  # of one experiment
Found = dict[Asked, dict[str, set[Variant]]]  # by what one of interest asks, and by experiment


def scored_splits(lab: Lab, snapshot: Snapshot) -> tuple[ScoredSplit, ...]:
    """What the lab has scored on the rows of each task of an experiment, its own included, whatever tasks are called.

    Raises:
        CkgitError: the lab's experiments cannot be listed.
    """
    own = _Reader().scored(snapshot.summary_bytes(), snapshot.ledger_bytes() or b"")
    found, unread = _gathered(lab, snapshot.name, snapshot.tip, own)
    return tuple(_counted(asked, by_name, unread) for asked, by_name in sorted(found.items(), key=lambda each: str(each[0][:3])))


def scored_with(lab: Lab, name: str, planned: Scored) -> dict[str, int]:
    """By task how many variants the lab will have scored on its rows when what is planned is scored, too; without controls.

    Args:
        name: of the experiment that plans it, whose earlier designs count.

    Raises:
        CkgitError: the lab's experiments cannot be listed.
    """
    found, _ = _gathered(lab, name, "", planned)
    counts: dict[str, int] = {}
    for asked, by_name in found.items():
        variants = set().union(*by_name.values())
        counts[asked.task] = counts.get(asked.task, 0) + sum(not each.control for each in variants)
    return counts


def _gathered(lab: Lab, name: str, tip: str, own: Scored) -> tuple[Found, list[str]]:
    """What is scored on the rows of an experiment's tasks, by it and by others; and which of these could not be read.

    Args:
        tip: commit that has scored its own; empty where that is only planned.
    """
    found: Found = {asked: {} for asked in own}
    _add(found, name, own)
    unread: list[str] = []
    for other, scored in _of_others(lab, name, tip, found, unread):
        _add(found, other, scored)
    return found, unread


def _add(found: Found, name: str, scored: Scored) -> None:
    for asked, by_name in found.items():
        for other, variants in scored.items():
            if asked.shares_rows_with(other):
                by_name.setdefault(name, set()).update(variants)


def understated(said: Sequence[ScoredSplit], snapshot: Snapshot) -> list[str]:
    """Tasks of which fewer variants are said to be scored than an experiment has itself, and of which it is silent."""
    told = {(each.task, each.data, each.split): each for each in said}
    own = _Reader().scored(snapshot.summary_bytes(), snapshot.ledger_bytes() or b"")
    counted = {asked[:3]: len(variants) for asked, variants in own.items()}
    return [key[0] for key, count in counted.items() if key not in told or _fewer(told[key], snapshot.name, count)]


def _fewer(said: ScoredSplit, name: str, own: int) -> bool:
    every = said.variants + said.controls
    return said.experiments.get(name, 0) < own or every < max(said.experiments.values())


def _counted(asked: Asked, by_name: Mapping[str, set[Variant]], unread: Sequence[str]) -> ScoredSplit:
    every = set().union(*by_name.values())
    controls = sum(variant.control for variant in every)
    return ScoredSplit(
        task=asked.task,
        data=asked.data,
        split=asked.split,
        variants=len(every) - controls,
        controls=controls,
        experiments={name: len(by_name[name]) for name in sorted(by_name)},
        unread=tuple(sorted({*unread})),
    )


def _of_others(lab: Lab, name: str, tip: str, own: Found, unread: list[str]) -> Iterator[tuple[str, Scored]]:
    """What every commit has scored that may have scored more on these rows, with the experiment's name."""
    left: list[tuple[str, str]] = []
    for each, commit in _places(lab, name, tip) if own else ():
        known = _recalled(each, commit)
        if known is None:
            left.append((each, commit))
        else:
            yield each, known
    reader = _Reader()
    marks = {rows.source.partition("@")[0].encode() for asked in own for rows in asked.rows}
    for (each, commit), summary, ledger in _files(lab, left):
        try:
            if summary is None:
                unread.append(each)
            elif ledger and any(mark in summary for mark in marks):
                scored = reader.scored(summary, ledger)
                _remember(each, commit, scored)
                yield each, scored
        except _STUMBLES:
            unread.append(each)


def _files(lab: Lab, places: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes | None, bytes | None]]:
    """Summary and ledger of each."""
    for at in range(0, len(places), _AT_ONCE):
        part = places[at : at + _AT_ONCE]
        names = [f"{commit}:experiments/{each}/{file}" for each, commit in part for file in (FILE, "jobs.json")]
        contents = list(read_objects(lab.root, names, lenient=True))
        yield from zip(part, contents[::2], contents[1::2], strict=True)


def _recalled(name: str, commit: str) -> Scored | None:
    content = recall(_KIND, name, commit)
    try:
        known = read_json(content) if content else None
        return None if known is None else {
            Asked(task, data, split, frozenset(RowsMark(*each) for each in rows)): {Variant(*each) for each in variants}
            for task, data, split, rows, variants in known
        }
    except (ValueError, TypeError):
        return None


def _remember(name: str, commit: str, scored: Scored) -> None:
    listed = [[*asked[:3], sorted(asked.rows), sorted(variants)] for asked, variants in scored.items()]
    remember(_KIND, name, commit, content=json.dumps(listed).encode())


def _places(lab: Lab, name: str, tip: str) -> list[tuple[str, str]]:
    """Experiments with a commit of each, beside one; several of those that were revised or lost something."""
    tips = {row.name: row.tip for row in list_experiments(lab, kept=True)}
    tips |= {name: tip} if tip else {}
    kept = [
        (ref.removeprefix(where).partition("/")[0].partition("@")[0], commit)
        for where in (RESCUED, DELETED, CLOSED)
        for commit, ref in (line.split(" ", 1) for line in git_lines(lab.root, "for-each-ref", "--format=%(objectname) %(refname)", where))
    ]
    found = dict.fromkeys([*tips.items(), *revised(lab.root, tips), *kept])
    return [place for place in found if place != (name, tip)]


class _Reader:
    """Reads what experiments have scored. Tools and blocks of front matter are alike in many, so each is looked at once."""

    def __init__(self) -> None:
        self._blocks: dict[str, Any] = {}
        self._parameters = functools.cache(parameters_of)

    def scored(self, summary: bytes, ledger: bytes) -> Scored:
        """What one experiment has scored; nothing where no evaluation of it is done."""
        attempts = newest(attempt for attempt in read_outline(ledger).attempts if attempt.stage is Stage.EVALUATION) if ledger else {}
        jobs = [job for job, attempt in attempts.items() if attempt.phase == "done" or attempt.cells]
        if not jobs:
            return {}
        design = self._design(summary)
        return scored_variants(design, self._parameters(tool_of(design)), jobs)

    def _design(self, summary: bytes) -> dict[str, Any]:
        """The front matter, but for what is told to people; each block of it is parsed once."""
        front = split(decode(summary)[0]).front
        starts = [match.start() for match in _BLOCK.finditer(front)]
        texts = [front[start:end] for start, end in zip(starts, [*starts[1:], len(front)], strict=True)]
        needed = [text for text in texts if text.partition(":")[0] in _NEEDED]
        if len([text for text in needed if text.startswith(_ALWAYS)]) < len(_ALWAYS):  # keys that are written otherwise, as in quotes
            needed = [front]
        return {name: value for text in needed for name, value in self._block(text).items()}

    def _block(self, text: str) -> Any:
        if text not in self._blocks:
            document = read_yaml(text)
            if document.problems:
                raise ValueError(document.problems[0].message)
            self._blocks[text] = document.value
        return self._blocks[text]
