"""Which files a Python file opens or imports, as far as its text says it by literal paths. Nothing in it is executed."""

from __future__ import annotations

import ast
import functools
import posixpath
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_READERS = {"open", "json_dataset", "csv_dataset", "read_csv", "read_json", "read_parquet"}  # their first argument is a path
_METHODS = {"open", "read_text", "read_bytes"}  # of a path
_HERE = "__file__"
_SCHEMES = "://"


class OpenedFiles(NamedTuple):
    """What a Python file reads, by paths relative to the lab; one that leads out of the lab begins with `../`."""

    opened: tuple[str, ...]  # by literal paths
    imported: tuple[str, ...]  # where modules would be, if they are files of the lab; most are not


@functools.cache  # the cells of an experiment have few task files between them
def opened_files(content: bytes, path: str, folder: str) -> OpenedFiles:
    """What a file opens and imports; nothing, where it is not Python.

    Args:
        content: of the file.
        path: of the file, relative to the lab.
        folder: where it runs, relative to the lab: what it opens by a relative path is looked for there.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return OpenedFiles((), ())
    nodes = list(ast.walk(tree))
    known = _Names(posixpath.relpath(path, folder or "."), _assigned(nodes))
    opened = [found for node in nodes if isinstance(node, ast.Call) and (found := _opened(node, known)) is not None]
    placed = [posixpath.normpath(posixpath.join(folder, each)) for each in opened if _SCHEMES not in each and each]
    places = [posixpath.dirname(path), folder, ""]
    imported = [posixpath.join(place, module) for node in nodes for module in _modules(node) for place in places]
    return OpenedFiles(
        tuple(dict.fromkeys(each for each in placed if not posixpath.isabs(each))),
        tuple(dict.fromkeys(posixpath.normpath(each) for each in imported if posixpath.normpath(each) != path)),
    )


class _Names(NamedTuple):
    """What names stand for in a file."""

    file: str  # the path of the file, from the folder where it runs
    values: Mapping[str, ast.expr]

    def without(self, name: str) -> _Names:
        """The same without one, so that what is made of itself has an end."""
        return self._replace(values={key: value for key, value in self.values.items() if key != name})


def _assigned(nodes: list[ast.AST]) -> dict[str, ast.expr]:
    """The value of each name that is given one, and only one."""
    found: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            twice |= {node.targets[0].id} & found.keys()
            found[node.targets[0].id] = node.value
    return {name: value for name, value in found.items() if name not in twice}


def _opened(call: ast.Call, known: _Names) -> str | None:
    """The path that a call reads; None where it reads none, or its text does not say which."""
    function, first = call.func, call.args[0] if call.args else None
    name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    if isinstance(function, ast.Attribute) and name in _METHODS and (of := _path(function.value, known)) is not None:
        return None if name == "open" and _writes(first, call) else of
    if name in _READERS and first is not None:
        return None if name == "open" and _writes(call.args[1] if len(call.args) > 1 else None, call) else _path(first, known)
    return None


def _writes(mode: ast.expr | None, call: ast.Call) -> bool:
    mode = next((keyword.value for keyword in call.keywords if keyword.arg == "mode"), mode)
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and bool(set("wax") & set(mode.value))


def _path(node: ast.expr, known: _Names) -> str | None:
    """The path that an expression is, from the folder where the file runs; None where its text does not say it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        if node.id == _HERE:
            return known.file
        return _path(known.values[node.id], known.without(node.id)) if node.id in known.values else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _joined([node.left, node.right], known)
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return _parent(_path(node.value, known))
    return _of_call(node, known) if isinstance(node, ast.Call) else None


def _of_call(call: ast.Call, known: _Names) -> str | None:
    function = call.func
    name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    if name in ("Path", "PurePath", "abspath", "realpath", "str", "fspath") and call.args:
        return _joined(call.args, known)
    if name == "dirname" and call.args:
        return _parent(_path(call.args[0], known))
    if name == "join" and len(call.args) > 1:
        return _joined(call.args, known)
    if isinstance(function, ast.Attribute) and name in ("resolve", "absolute", "joinpath"):
        return _joined([function.value, *call.args] if name == "joinpath" else [function.value], known)
    return None


def _joined(parts: list[ast.expr], known: _Names) -> str | None:
    found = [_path(part, known) for part in parts]
    named = [each for each in found if each is not None]
    return posixpath.join(*named) if named and len(named) == len(found) else None


def _parent(path: str | None) -> str | None:
    if path is None:
        return None
    return posixpath.dirname(path) if posixpath.basename(path) not in ("", ".", "..") else posixpath.join(path, "..")


def _modules(node: ast.AST) -> Iterator[str]:
    """Files that an import may be of, relative to a folder where modules are looked for."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    up = ""
    if isinstance(node, ast.ImportFrom):
        up = "../" * max(0, node.level - 1)
        names = [*([node.module] if node.module else []), *(".".join(filter(None, [node.module, alias.name])) for alias in node.names)]
    for name in names:
        place = up + name.replace(".", "/")
        yield from (f"{place}.py", f"{place}/__init__.py")
