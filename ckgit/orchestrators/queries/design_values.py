"""What designs say, as `ckgit list --where` asks: every value by its place, read from each branch once and kept in a cache.

Parsing YAML takes 5 ms a design, so what was found is kept in the repository's folder, by commit. The file may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from ckgit.formats.plain_json import read_json
from ckgit.lab.experiments import ExperimentRow
from ckgit.lab.git.objects import read_objects
from ckgit.lab.lab import Lab

Values = Mapping[str, Sequence[Any]]  # by place, e.g. controls.lr; places in lists are those of the list

_CACHE, _FORMAT = "ckgit/designs.json", 1
_MEASURED = re.compile(r"^recorded:[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE)  # which is no part of a design


def design_values(lab: Lab, rows: Sequence[ExperimentRow], tips: AbstractSet[str], reading: Callable[[int], None]) -> dict[str, Values]:
    """Values of each experiment's design, by its name; of one that cannot be read, none.

    Args:
        tips: commits of all experiments: what is known of others is forgotten.
        reading: told how many designs are to be parsed.
    """
    path = lab.git_dir / _CACHE
    known = _cached(path)
    if new := [row for row in rows if row.tip not in known]:
        reading(len(new))
        contents = read_objects(lab.root, [f"{row.tip}:experiments/{row.name}/experiment_summary.md" for row in new], lenient=True)
        known |= {row.tip: _values(content) for row, content in zip(new, contents, strict=True)}
        with contextlib.suppress(OSError):  # somebody else's repository; then it is read again next time
            _keep(path, {tip: values for tip, values in known.items() if tip in tips})
    return {row.name: known[row.tip] for row in rows}


def _values(summary: bytes | None) -> Values:
    from ckgit.formats.yaml.document import read_yaml
    from ckgit.lab.summary.text import decode, split

    front = split(decode(summary or b"")[0]).front
    design = read_yaml(_MEASURED.sub("", front)).value
    found: dict[str, list[Any]] = {}
    for place, value in _flat(design, "") if isinstance(design, Mapping) else ():
        found.setdefault(place, []).append(value)
    return found


def _flat(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every value with its place. A mapping stands for its keys, and one of a list also for its name."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if place:
                yield place, str(key)
            yield from _flat(each, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        yield from ((place, each["name"]) for each in value if isinstance(each, Mapping) and "name" in each)
        for each in value:
            yield from _flat(each, place)
    else:
        yield place, value if isinstance(value, bool | int | float | str | None) else str(value)


def _cached(path: Path) -> dict[str, Values]:
    try:
        document = read_json(path.read_bytes())
        designs: dict[str, Values] = document["designs"] if document["format"] == _FORMAT else {}
        whole = all(isinstance(values, list) for design in designs.values() for values in design.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return designs if whole else {}


def _keep(path: Path, known: Mapping[str, Values]) -> None:
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps({"format": _FORMAT, "designs": known}), encoding="utf-8")
    new.replace(path)


def places(found: Iterable[Values]) -> list[str]:
    """Every place that any of the designs has."""
    return sorted({place for values in found for place in values})
