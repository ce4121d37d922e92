"""Changes of a design as they are given on a command line: `PLACE=VALUE`."""

from __future__ import annotations

from collections.abc import Iterable

from ckgit.errors import CkgitError, Exit
from ckgit.formats.yaml.document import read_yaml
from ckgit.formats.yaml.edit import ValueChange

_OWN_KEYS = ("state", "recorded", "schema_version")


def changes_from(texts: Iterable[str]) -> list[ValueChange]:
    """`PLACE=VALUE` texts as changes, each value read by the same strict rules as a design.

    Raises:
        CkgitError: USAGE, with what is wrong with the text.
    """
    return [_change(text) for text in texts]


def _change(text: str) -> ValueChange:
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path or "" in path.split("."):
        raise _refused(f"--set {text}: expected PLACE=VALUE", "write it as in --set controls.lr=1e-4; ckgit schema design shows all places")
    if path.split(".")[0] in _OWN_KEYS:
        raise _refused(f"--set {path}: {path.split('.')[0]} is written by ckgit itself", "leave it out: ckgit schema design shows the rest")
    if path == "experiment.name":
        raise _refused(f"--set {path}: an experiment's name is that of its branch", "leave it out: the command's NAME is the name")
    document = read_yaml(value)
    if document.problems or not value.strip():
        raise _refused(
            f"--set {path}: {document.problems[0].message if document.problems else 'has no value'}",
            f"text with braces or a colon needs quotes of its own: --set '{path}=\"...\"'",
        )
    return ValueChange(path, document.value)


def _refused(what: str, onward: str) -> CkgitError:
    return CkgitError(what, code=Exit.USAGE, state="nothing was written", next=onward)
