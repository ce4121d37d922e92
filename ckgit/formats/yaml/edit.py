"""Changing values in a text of YAML that a person wrote; all else stays as it is."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver

from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.text import write_yaml

_NEVER_FOLDED = 2**31


class ValueChange(NamedTuple):
    """A value for a place, e.g. `controls.lr`. Items of a list are found by their index or their `name`; None takes a key away."""

    path: str
    value: Any
    first: bool = False  # a new key stands before the others, not after them


class PathError(ValueError):
    """The place of a change does not exist; the message says where the path ends."""


class _Verbatim(VersionedResolver):  # type: ignore[misc]  # ruamel is untyped
    """Unquoted scalars are text: what is not changed is written back as it was, whatever number it means."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode:
            return self.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.Resolver = _Verbatim
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    yaml.width = _NEVER_FOLDED
    yaml.allow_unicode = True
    yaml.brace_single_entry_mapping_in_flow_sequence = True  # [{name: includes}], which YAML may write as [name: includes]
    return yaml


def edit_yaml(text: str, changes: Iterable[ValueChange]) -> str:
    """A mapping's text with values replaced or added; lines that no change touches stay as they are, wherever YAML allows it.

    Args:
        text: front matter that `read_yaml` accepts.
        changes: their order counts.

    Raises:
        PathError: a path leads through text, or past the end of a list.
    """
    root = _round_trip().load(text) or CommentedMap()
    root.fa.set_block_style()  # a design in JSON has its keys between braces
    before = _dump(root)
    for change in changes:
        _set(root, change.path, change)
    after = _dump(root)
    kept = _with_lines_of(text, before, after)
    return kept if kept == after or read_yaml(kept)[:2] == read_yaml(after)[:2] else after


def _with_lines_of(text: str, before: str, after: str) -> str:
    """`after`, with the lines of `text` in place of those that `before` has, too: the writer has its own way with spaces and braces."""
    own, written, changed = (each.split("\n") for each in (text, before, after))
    if len(own) != len(written):
        return after
    lines: list[str] = []
    for kind, start, end, first, last in SequenceMatcher(None, written, changed).get_opcodes():
        # With a key that is taken away the writer drops the comments below it, which are about what follows.
        comments = [line for line in own[start:end] if line.lstrip().startswith("#")] if kind == "delete" else []
        lines += own[start:end] if kind == "equal" else [*changed[first:last], *comments]
    return "\n".join(lines)


def _dump(value: Any) -> str:
    stream = io.StringIO()
    _round_trip().dump(value, stream)
    return stream.getvalue()


def _node(value: Any) -> Any:
    """A value as ruamel's nodes, which keep the text that it is written as."""
    return _round_trip().load(write_yaml(value))


def _set(node: Any, rest: str, change: ValueChange) -> None:
    key, rest = _step(node, rest, change)
    if not rest:
        _put(node, key, change)
        return
    if isinstance(node, CommentedMap) and key not in node:
        node[key] = CommentedMap()
    _set(node[key], rest, change)


def _put(node: Any, key: str | int, change: ValueChange) -> None:
    if change.value is None and isinstance(node, CommentedMap) and key in node:
        del node[key]
        return
    value = _node(change.value)
    if isinstance(key, int) and key == len(node):
        node.append(value)
    elif change.first and key not in node:
        node.insert(0, key, value)
    else:
        node[key] = value


def _step(node: Any, path: str, change: ValueChange) -> tuple[str | int, str]:
    """The next key of a path, which may have dots in it where such a key exists, and what remains."""
    if isinstance(node, Mapping):
        known = [key for key in node if f"{path}.".startswith(f"{key}.")]
        key = max(known, key=len, default=path.partition(".")[0])
        return str(key), path[len(key) + 1 :]
    if not isinstance(node, list):
        raise PathError(f"{change.path}: {path!r} leads into {str(node)!r}, which has no keys")
    names = {str(item["name"]): i for i, item in enumerate(node) if isinstance(item, Mapping) and "name" in item}
    names |= {str(i): i for i in range(len(node) + 1) if str(i) not in names}
    found = max((name for name in names if f"{path}.".startswith(f"{name}.")), key=len, default=None)
    if found is None:
        wanted, listed = path.partition(".")[0], ", ".join(names)
        raise PathError(f"{change.path}: there is no {wanted!r} in this list; it has {listed} (the last one adds to it)")
    return names[found], path[len(found) + 1 :]
