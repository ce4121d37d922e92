"""A design in the user's own editor: it opens again, with what is wrong above the text, until there is nothing or the user gives up."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ckgit.errors import CkgitError, DesignError, Exit
from ckgit.formats.listing import plural

if TYPE_CHECKING:
    from ckgit.formats.problem import Problem
    from ckgit.lab.lab import Lab
    from ckgit.orchestrators.design.draft import Draft

_OURS = b"#:"  # begins a line of ours above the text
_HINT = "Save this file and leave the editor to design it. Left as it is, or empty, it designs nothing. Lines like this one go."


def edit_design(lab: Lab, name: str, begin: bytes, make: Callable[[bytes, str], Draft], *, command: str = "design") -> Draft:
    """Let the user edit a design until it can be made.

    Args:
        command: of ckgit's, by which it goes on when the user has given up.
        begin: the text that is opened first.
        make: checks a text, which messages call by its file.

    Raises:
        CkgitError: USAGE, no editor is named, or nothing was changed; COMMAND_FAILED, the editor failed.
        DesignError: the user gave up; the text is kept in a file, which the message names.
    """
    editor = _editor()
    file = free_file(lab, name)
    text, above, found = begin, [_HINT], None
    while True:
        file.write_bytes(b"".join(_OURS + f" {line}\n".encode() for line in above) + text)
        after = _edited(file, editor, begin)
        if not after.strip() or after == text:
            break
        text = after
        try:
            draft = make(text, str(file))
        except DesignError as error:
            found = error
            above = _above(error.problems)
        except CkgitError as error:
            error.state = f"{error.state or 'nothing was designed'}; your text is in {file}"
            raise
        else:
            file.unlink()
            return draft
    if found is None:
        file.unlink()
        onward = "the same command without --edit takes the design as it is"
        raise CkgitError("the design was left as it was", code=Exit.USAGE, state="nothing was designed", next=onward)
    file.write_bytes(text)
    raise _given_up(found, file, f"ckgit {command} {name}")


def _edited(file: Path, editor: str, begin: bytes) -> bytes:
    """What the user made of a file in the editor, without the lines that are ours."""
    try:
        with _interrupts_are_the_editors():
            click.edit(filename=str(file), editor=editor)
    except click.ClickException as error:
        raise _failed(error.message, file, begin) from None
    return _without_ours(file.read_bytes())


def _given_up(found: DesignError, file: Path, command: str) -> DesignError:
    """The user gave up; the command goes on with the text that is kept."""
    onward = f"{command} --from {shlex.quote(str(file))} --edit goes on with it"
    return DesignError(found.problems, file=str(file), state=f"nothing was designed; your text is in {file}", next=onward)


def _editor() -> str:
    for variable in ("VISUAL", "EDITOR"):
        if command := os.environ.get(variable, "").strip():
            return command
    raise CkgitError(
        "no editor is named: neither VISUAL nor EDITOR is set",
        code=Exit.USAGE,
        state="nothing was designed",
        next="export EDITOR=nano, or whichever you use, and run the same command again",
    )


def free_file(lab: Lab, name: str) -> Path:
    """A file for a design of this name, in which no text is kept."""
    folder = lab.home / ".ckgit" / "edited"
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{name}.yaml" if number == 1 else f"{name}-{number}.yaml" for number in itertools.count(1))
    return next(file for file in map(folder.joinpath, names) if not file.exists())


@contextlib.contextmanager
def _interrupts_are_the_editors() -> Iterator[None]:
    """Ctrl-C is for the editor, which has the terminal; a handler, unlike an ignored signal, is not handed on to it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _without_ours(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    while lines and lines[0].startswith(_OURS):
        del lines[0]
    return b"".join(lines)


def _failed(what: str, file: Path, begin: bytes) -> CkgitError:
    """The editor failed; where nothing was written yet, nothing is kept."""
    kept = f"; your text is in {file}"
    if _without_ours(file.read_bytes()) == begin:
        file.unlink()
        kept = ""
    onward = "name another editor by VISUAL or EDITOR, and run the same command again"
    return CkgitError(what, code=Exit.COMMAND_FAILED, state=f"nothing was designed{kept}", next=onward)


def _above(problems: Sequence[Problem]) -> list[str]:
    """What is said above the text: each problem with the line on which it then is."""
    first = f"{plural(len(problems), 'problem')}: mend, save and leave. To give up, leave it as it is, or empty: your text is kept."
    said = [first, *itertools.chain.from_iterable(problem.message.splitlines() for problem in problems)]
    return [first, *_placed(problems, len(said))]


def _placed(problems: Sequence[Problem], shift: int) -> Iterator[str]:
    for problem in problems:
        head, *rest = problem.message.splitlines()
        yield f"line {problem.line + shift}: {head}" if problem.line else head
        yield from (f"  {line}" for line in rest)
